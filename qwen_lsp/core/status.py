"""How it stands with completion, for an editor to show: one word, and why. Knows no clock and no protocol."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from qwen_lsp.core.dialects.errors import POLICIES
from qwen_lsp.core.model import BackendError, Reason, Service, Skip


class State(Enum):
    """The one word."""

    READY = "ready"
    BUSY = "busy"
    """A model is at work."""
    PAUSED = "paused"
    """A person has switched it off, for now."""
    WARNING = "warning"
    """The service failed in a way that may pass by itself."""
    ERROR = "error"
    """The person has something to mend."""
    OFF = "off"
    """Turned off in the settings."""


@dataclass(frozen=True, slots=True)
class Switches:
    """What a person has switched off for this session."""

    paused: bool = False
    until: float | None = None
    """Paused up to this moment, in seconds of the clock that `now` is read from; None: until it is resumed."""
    files: frozenset[str] = frozenset()
    """URIs of the files that are not completed."""

    def off(self, now: float) -> bool:
        """Whether nothing is completed at all."""
        return self.paused and (self.until is None or now < self.until)

    def refusal(self, uri: str, now: float) -> Skip | None:
        """Why a document is not completed; None when it may be."""
        if self.off(now):
            return Skip(Reason.PAUSED)
        return Skip(Reason.FILE) if uri in self.files else None


@dataclass(frozen=True, slots=True)
class Health:
    """What is known of whoever completes."""

    service: Service | None = None
    trouble: BackendError | None = None
    """What went wrong last, if nothing has gone well since."""
    latency: float | None = None
    """Seconds until an answer's first text, usually."""


@dataclass(frozen=True, slots=True)
class Remedy:
    """A command that changes the status, or says more; for a button or a key."""

    title: str
    command: str
    """Of `workspace/executeCommand`."""
    arguments: tuple[str, ...] = ()


RESUME, WHY = Remedy("Resume", "qwen.resume"), Remedy("Why?", "qwen.why")


@dataclass(frozen=True, slots=True)
class Status:
    """What an editor shows."""

    state: State
    reason: str = ""
    """One line for a person, without code or key."""
    provider: str = ""
    model: str = ""
    latency: float | None = None
    """Seconds."""
    until: float | None = None
    """When a pause ends by itself, in seconds of that clock; since the epoch once it is told to an editor."""
    remedy: Remedy | None = None


def status(health: Health, switches: Switches, *, enabled: bool, busy: bool, now: float) -> Status:
    """The status that results: what a person has chosen goes before what a service does."""
    service = health.service
    state, reason, until = _state(health.trouble, switches, enabled=enabled, busy=busy, now=now)
    reason = reason or (service.standing_in if service else "")
    provider, model = (service.provider, service.model) if service else ("", "")
    return Status(state, reason, provider, model, health.latency, until, _remedy(state, health.trouble))


def _remedy(state: State, trouble: BackendError | None) -> Remedy | None:
    if state in {State.OFF, State.PAUSED}:
        return RESUME
    if trouble is not None and trouble.lacks:
        return Remedy(f"Fetch {trouble.lacks}", "qwen.fetchModel", (trouble.lacks,))
    return WHY if trouble is not None else None


def _state(
    trouble: BackendError | None, switches: Switches, *, enabled: bool, busy: bool, now: float
) -> tuple[State, str, float | None]:
    if not enabled:
        return State.OFF, Reason.DISABLED.sentence, None
    if switches.off(now):
        return State.PAUSED, Reason.PAUSED.sentence, switches.until
    if trouble is not None:
        return (State.ERROR if POLICIES[trouble.kind].tell else State.WARNING), trouble.message, None
    return (State.BUSY if busy else State.READY), "", None
