"""What may be shown to a model: the one judgement that the current file and every context source go through.

A file is refused for its own name and place, and for those of the file that it links to. Promises: never raises; what
was judged is judged anew after `FRESH` seconds, so that a changed ignore file counts; what can't be judged is refused.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from qwen_lsp.core.gate import file_name, is_private
from qwen_lsp.core.model import Reason, Skip
from qwen_lsp.workspace.ignore import FRESH, Rules
from qwen_lsp.workspace.places import Folder, innermost, path_of, real_path, uri_of

_MOST = 500
"""Judgements that are remembered."""


class Privacy:
    """Judges files by URI. May be asked by several threads at once."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._rules = Rules(clock)
        self._patterns: tuple[str, ...] = ()
        self._folders: tuple[Folder, ...] = ()
        self._judged: dict[str, tuple[float, Skip | None]] = {}

    def within(self, folders: Sequence[Folder]) -> None:
        """From now on these are the workspace folders."""
        self._folders = tuple(folders)
        self.forget()

    def exclude(self, patterns: Sequence[str]) -> None:
        """Files that these patterns fit are refused (`qwen.exclude`)."""
        self._patterns = tuple(patterns)
        self._rules.exclude(self._patterns)
        self.forget()

    def fresh_rules(self) -> Rules:
        """The same rules with nothing remembered, for one thread's look at a whole folder."""
        rules = Rules(self._clock)
        rules.exclude(self._patterns)
        return rules

    def forget(self) -> None:
        """An ignore file may have changed."""
        self._rules.forget()
        self._judged.clear()

    def refusal(self, uri: str) -> Skip | None:
        """Why a file must not be sent; None if it may."""
        now = self._clock()
        known = self._judged.get(uri)
        if known is not None and now - known[0] < FRESH:
            return known[1]
        try:
            judgement = self._judge(uri)
        except Exception:  # noqa: BLE001 - whatever a URI or a disk does: what can't be judged is refused
            judgement = Skip(Reason.IGNORED, "it can't be looked up")
        if len(self._judged) >= _MOST:
            self._judged.clear()
        self._judged[uri] = (now, judgement)
        return judgement

    def _judge(self, uri: str) -> Skip | None:
        if is_private(uri):
            return Skip(Reason.PRIVATE, file_name(uri))
        path = path_of(uri)
        if not path:
            return None
        real = real_path(path)
        if real != path and is_private(uri_of(real)):
            return Skip(Reason.PRIVATE, file_name(uri))
        for place in dict.fromkeys((path, real)):
            folder = innermost(self._folders, place)
            if by := self._rules.ignored_by(place, folder.real if folder is not None else ""):
                return Skip(Reason.IGNORED, by)
        return None
