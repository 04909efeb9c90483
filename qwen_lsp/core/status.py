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
    found: bool = False
    """Whether they complete; else they are meant to, as far as the settings say who."""
    latency: float | None = None
    """Seconds."""
    until: float | None = None
    """When a pause ends by itself, in seconds of that clock; since the epoch once it is told to an editor."""
    remedy: Remedy | None = None


def status(  # noqa: PLR0913 - all that it depends on
    health: Health, switches: Switches, *, enabled: bool, busy: bool, now: float, meant: tuple[str, str] = ("", "")
) -> Status:
    """The status that results: what a person has chosen goes before what a service does.

    `meant` are the provider and the model that the settings name: they are told until there is a service.
    """
    service = health.service
    state, reason, until = _state(health.trouble, switches, enabled=enabled, busy=busy, now=now)
    reason = reason or (service.standing_in if service else "")
    provider, model = (service.provider, service.model) if service else meant
    found, remedy = service is not None, _remedy(state, health.trouble)
    return Status(state, reason, provider, model, found, health.latency, until, remedy)


def sentence(now: Status, *, until: str = "", by: str = "by the settings") -> str:
    """A status in one line for a person.

    `until` is when a pause ends by itself, as a time of day; `by` says who means the provider that was not met yet.
    """
    parts = [pause(until) if now.state is State.PAUSED else now.state.value]
    if now.reason and now.state is not State.PAUSED:
        parts.append(now.reason)
    if now.found:
        parts.append(f"{now.provider}, {now.model}")
        if now.latency is not None:
            parts.append(f"first text after {1000 * now.latency:.0f} ms")
    elif now.state in {State.READY, State.BUSY}:
        parts.append(f"nothing asked yet ({who(now, by)})")
    else:
        parts.append(who(now, by))
    return "; ".join(parts)


def pause(until: str = "") -> str:
    """How long nothing is completed."""
    return f"paused until {until or 'you resume'}"


def who(now: Status, by: str = "by the settings") -> str:
    """Who completes, or is meant to, and who says so."""
    model = f"model {now.model}" if now.model else "its default model" if now.provider else ""
    return ", ".join(filter(None, (f"provider {now.provider or 'auto'}", model))) + f" {by}"


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
