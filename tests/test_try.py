"""`qwen-lsp try`: when it fetches the embedded model by itself."""

from __future__ import annotations

import pytest

from qwen_lsp.cli.try_ import fetching_helps
from qwen_lsp.core.config import Settings
from qwen_lsp.core.model import BackendError, Kind

LACKS = BackendError(Kind.MODEL, "the model is not on this machine", lacks="qwen2.5-coder-1.5b")


@pytest.mark.parametrize(
    ("settings", "helps"),
    [
        (Settings(), True),
        (Settings(provider="local"), True),
        (Settings(model="0.5b"), True),
        (Settings(provider="dashscope"), False),
        (Settings(base_url="http://127.0.0.1:1/v1"), False),
        (Settings(model="nope"), False),
        (Settings(local_only=True), False),
    ],
)
def test_what_was_asked_for_is_fetched_and_nothing_in_its_place(settings: Settings, *, helps: bool) -> None:
    """The embedded model, where nothing else was meant, and where something may be fetched at all."""
    assert fetching_helps(LACKS, settings) is helps


def test_other_faults_are_not_mended_by_fetching() -> None:
    """A wrong address, say."""
    assert not fetching_helps(BackendError(Kind.CONFIG, "no address"), Settings())
