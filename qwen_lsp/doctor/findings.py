"""What a check has found, as a value, and how findings read: lines for people, an object for programs. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

_LAST_RESORT = "try again; if it stays so, set another qwen.model or qwen.provider"


class Status(Enum):
    """How a check ended, from the best to the worst."""

    OK = "ok"
    SKIPPED = "skipped"
    """It could not be looked at, or there was nothing to look at; `said` has why."""
    WARNING = "warning"
    ERROR = "error"

    @property
    def rank(self) -> int:
        """Greater is worse."""
        return list(Status).index(self)


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report. Neither line holds a key."""

    status: Status
    said: str
    """What was seen, on one line."""
    fix: str = ""
    """What to do about it, where something is to be done."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """The same for programs."""
    check: str = ""
    """Whose it is."""

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "check": self.check,
            "status": self.status.value,
            "said": self.said,
            "fix": self.fix or None,
            "data": dict(self.data),
        }


def ok(said: str, **data: Any) -> Finding:  # noqa: ANN401 - whatever programs may want
    """All is well."""
    return Finding(Status.OK, said, data=data)


def skipped(said: str, **data: Any) -> Finding:  # noqa: ANN401 - as above
    """There was nothing to look at."""
    return Finding(Status.SKIPPED, said, data=data)


def warning(said: str, fix: str, **data: Any) -> Finding:  # noqa: ANN401 - as above
    """It works, but worse than it could."""
    return Finding(Status.WARNING, said, fix, data)


def error(said: str, fix: str, **data: Any) -> Finding:  # noqa: ANN401 - as above
    """It does not work."""
    return Finding(Status.ERROR, said, fix, data)


def failed(message: str, fix: str = "", **data: Any) -> Finding:  # noqa: ANN401 - as above
    """A `BackendError`'s message, with a better fix if one is known."""
    said, usual = parted(message)
    named = re.match(r"qwen\.\w+(?=: )", message)
    return Finding(Status.ERROR, said, fix or usual or (f"correct {named[0]}" if named else _LAST_RESORT), data)


def worst(findings: Sequence[Finding]) -> Status:
    """The worst of them; nothing is well."""
    return max((finding.status for finding in findings), key=lambda status: status.rank, default=Status.OK)


_WIDTHS = {"status": 7, "check": 14}
_COLOURS = {Status.OK: "32", Status.SKIPPED: "2", Status.WARNING: "33", Status.ERROR: "31"}


def as_line(finding: Finding, *, colour: bool = False) -> str:
    """A finding for people: its line, and one more with what to do."""
    status = finding.status.value.ljust(_WIDTHS["status"])
    if colour:
        status = f"\x1b[{_COLOURS[finding.status]}m{status}\x1b[0m"
    line = f"{status} {finding.check.ljust(_WIDTHS['check'])} {finding.said}".rstrip()
    return f"{line}\n{' ' * (_WIDTHS['status'] + 1)}→ {finding.fix}" if finding.fix else line


def summary(findings: Sequence[Finding], spent: int) -> str:
    """How many of each, and what it cost."""
    counts = {status: sum(finding.status is status for finding in findings) for status in Status}
    names = {Status.WARNING: "warning", Status.ERROR: "error"}
    parts = [f"{counts[Status.OK]} ok"]
    parts += [f"{counts[each]} {name}{'' if counts[each] == 1 else 's'}" for each, name in names.items()]
    parts.append(f"{counts[Status.SKIPPED]} skipped")
    return f"{', '.join(parts)}; {spent:,} tokens used"


def parted(message: str) -> tuple[str, str]:
    """A `BackendError`'s message as what is wrong and what to do: it names both, and the cause first."""
    places = [place for mark in (": ", "; ") if (place := _after_words(message, mark)) >= 0]
    if not places:
        return message, ""
    place = min(places)
    return message[:place], message[place + 2 :].rstrip(".")


def _after_words(message: str, mark: str) -> int:
    """Where a mark stands that ends a sentence, not only the name of a setting before it."""
    place = message.find(mark)
    while place >= 0 and " " not in message[:place]:
        place = message.find(mark, place + 1)
    return place
