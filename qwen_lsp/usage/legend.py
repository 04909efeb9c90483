"""What the columns of `qwen-lsp stats` mean: for its tables, its page and its help, which loads nothing for it."""

from __future__ import annotations

LEGEND = (
    ("requests", "of editors"),
    ("shown", "suggestions"),
    ("taken", "by a key: whole, by word or by line"),
    ("typed", "to their end by hand"),
    ("left", "neither taken nor typed"),
    ("kept", "still there 30 s after they were taken"),
    ("asked", "questions to a model, those of commands too"),
    ("tokens in", "read by the model"),
    ("cached", "of these, from the service's cache"),
    ("out", "written by the model"),
)
"""Each column's name, and what is counted there."""


def sentence() -> str:
    """All of it, as one."""
    return ", ".join(f"{name} ({meaning})" for name, meaning in LEGEND)
