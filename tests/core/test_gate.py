"""Whether to ask at all."""

from __future__ import annotations

import pytest

from qwen_lsp.core.config import Settings
from qwen_lsp.core.gate import MAX_LINE, MAX_LINES, gate, is_private
from qwen_lsp.core.model import Reason, Trigger
from tests.marks import at

AUTOMATIC = [
    ("the end of a line", "x = █\n", None),
    ("an empty line", "def f():\n    █\n", None),
    ("before a closing bracket", "f(█)\n", None),
    ("before blanks", "x = █   \n", None),
    ("inside a word", "pri█nt\n", Reason.MID_WORD),
    ("before a word", "x █y\n", Reason.REST_OF_LINE),
    ("before code, in the indentation", "  █x = 1\n", None),
    ("before an operator", "x█ + 1\n", Reason.REST_OF_LINE),
    ("a NUL", "x = █\0\n", Reason.BINARY),
    ("a line too long", "x" * MAX_LINE + "█x\n", Reason.TOO_LARGE),
    ("too many lines", "\n" * MAX_LINES + "█", Reason.TOO_LARGE),
]


@pytest.mark.parametrize(("text", "reason"), [case[1:] for case in AUTOMATIC], ids=[case[0] for case in AUTOMATIC])
def test_while_typing_the_model_is_asked_where_an_answer_would_be_taken(text: str, reason: Reason | None) -> None:
    """Each place where nobody wants text has a named reason."""
    skip = gate(at(text), Settings())
    assert (skip.reason if skip else None) is reason


@pytest.mark.parametrize("text", ["pri█nt\n", "x = █ + 1\n"])
def test_asked_by_hand_any_place_is_right(text: str) -> None:
    """A person who presses the key wants an answer here."""
    assert gate(at(text, trigger=Trigger.INVOKED), Settings()) is None


@pytest.mark.parametrize("trigger", Trigger)
def test_settings_and_privacy_hold_however_it_was_asked(trigger: Trigger) -> None:
    """Turned off is off, and a private file stays private, by hand too."""
    off = gate(at("x█", trigger=trigger), Settings(enabled=False))
    language = gate(at("x█", trigger=trigger), Settings(disabled_languages=["python"]))
    private = gate(at("x█", uri="file:///src/.env", trigger=trigger), Settings())
    assert off is not None
    assert off.reason is Reason.DISABLED
    assert language is not None
    assert language.reason is Reason.LANGUAGE
    assert private is not None
    assert private.reason is Reason.PRIVATE


@pytest.mark.parametrize(
    ("name", "private"),
    [
        (".env", True), (".env.production", True), (".env.example", False), ("id_rsa", True), ("server.pem", True),
        ("credentials.json", True), ("My%20Secrets.yaml", False), ("secrets.yaml", True), ("key.py", False),
        (".NETRC", True), ("terraform.tfstate", True), ("environment.py", False), ("monkey.py", False),
    ],
)  # fmt: skip
def test_names_that_say_secrets_are_private(name: str, private: bool) -> None:  # noqa: FBT001 - a table's column
    """Files whose names say that they hold secrets are never sent; names that only sound so are."""
    assert is_private(f"file:///home/me/{name}") is private
