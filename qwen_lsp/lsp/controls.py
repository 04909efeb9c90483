"""The commands of a session, and its status: what a person switches, asks for and is shown.

Promises: a command is answered with plain JSON, in which `text` says to a person what it has done, a wrong one with an
error that names what is right; the status is told on each change, and only to clients that understand it
(`experimental.qwenStatus` in their capabilities). A model's work is told when it takes so long that a person would see
it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any, Protocol, TypeAlias

from qwen_lsp.core import config
from qwen_lsp.core.config import Settings
from qwen_lsp.core.model import BackendError, Ghost, Request, Skip, Snapshot
from qwen_lsp.core.status import Health, State, Status, Switches, pause, sentence, status, who
from qwen_lsp.engine.inspection import document
from qwen_lsp.engine.journal import Journal
from qwen_lsp.engine.record import Answer
from qwen_lsp.engine.tally import Tally
from qwen_lsp.lsp.board import Board, Teller
from qwen_lsp.lsp.greeting import ACCEPTED, COMMANDS
from qwen_lsp.lsp.protocol import INVALID_PARAMS, Refused

KEPT_AFTER = 30.0
"""Seconds after which a suggestion that still stands there was worth taking."""
STATUS = "qwen/status"
"""The notification."""
BUSY_AFTER = 0.15
"""Seconds: what takes less would only flicker."""
SNOOZE = 5.0
"""Minutes."""
_DAY = 24 * 60

Json: TypeAlias = "dict[str, Any] | None"


class Host(Protocol):
    """What a session lets its commands reach."""

    @property
    def settings(self) -> Settings:
        """As they are now."""

    def health(self) -> Health:
        """Of whoever completes."""

    def spent(self) -> tuple[int, int]:
        """How often a model was asked, and how many tokens it wrote, by the engine that runs now."""

    def override(self, settings: Mapping[str, Any]) -> None:
        """These settings win over all others, for this session; None takes one back."""

    def renew(self) -> None:
        """Forgets all answers and all that was found out about the service."""

    def fetch(self, model: str) -> str:
        """Begins to fetch an embedded model's weights; what is said to that. Raises BackendError."""

    def accepted(self, uri: str) -> None:
        """The last suggestion in a document was taken."""

    def document(self, uri: str) -> Snapshot | None:
        """An open document as it is now."""

    def tell(self, method: str, params: dict[str, Any]) -> None:
        """Sends a notification."""


class Controls:
    """One session's. `listening` once its client wants to be told the status."""

    def __init__(
        self,
        host: Host,
        tally: Tally | None = None,
        board: Board | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.listening = False
        self.editor = ""
        """The client's name."""
        self._teller = Teller(board, self._standing, clock)
        self._tally = tally
        self._keeping: set[asyncio.TimerHandle] = set()
        self.journal = Journal()
        self._host = host
        self._clock = clock
        self._wall = wall
        """Only to tell a time of day: somebody may set it while a pause lasts."""
        self._switches = Switches()
        self._by = "by the settings"
        """Who completes is chosen so."""
        self._last: Answer | None = None
        """What the person saw last, with all that led to it."""
        self._told: Status | None = None
        self._running = 0
        self._busy = False
        self._looking: asyncio.TimerHandle | None = None
        self._waking: asyncio.TimerHandle | None = None
        self._commands: dict[str, Callable[..., Json]] = {
            ACCEPTED: self._accepted,
            "qwen.status": self._status,
            "qwen.why": self._why,
            "qwen.inspect": self._inspect,
            "qwen.records": self._records,
            "qwen.statistics": self._statistics,
            "qwen.pause": self._pause,
            "qwen.resume": self._resume,
            "qwen.toggle": self._toggle,
            "qwen.snooze": self._snooze,
            "qwen.toggleLanguage": self._toggle_language,
            "qwen.toggleFile": self._toggle_file,
            "qwen.use": self._use,
            "qwen.clearCache": self._clear_cache,
            "qwen.fetchModel": self._fetch_model,
        }

    def begin(self, editor: str, *, listening: bool) -> None:
        """An editor of this name has begun the session. It is told nothing yet."""
        self.editor, self.listening = editor, listening
        self._teller.soon()

    def execute(self, params: Mapping[str, Any]) -> Json:
        """`workspace/executeCommand`.

        Raises:
            Refused: there is no such command, or its arguments are not what it takes.
        """
        name, arguments = params.get("command"), params.get("arguments") or []
        command = self._commands.get(name) if isinstance(name, str) else None
        if command is None:
            raise Refused(INVALID_PARAMS, f"no such command; there are {', '.join(COMMANDS)}")
        if not isinstance(arguments, Sequence):
            raise Refused(INVALID_PARAMS, f"{name}: arguments are a list")
        return command(*arguments[:2])

    def refusal(self, request: Request) -> Skip | None:
        """Why a request is not completed in this session; None when it may be."""
        return self._switches.refusal(request.snapshot.uri, self._clock())

    def begins(self, request: Request) -> None:
        """A request is being worked at."""
        self._count()
        if self._tally is not None and (taken := self._tally.asked(request)):
            self._look_again(request.snapshot, taken)
        self._running += 1
        if self.listening and self._running == 1:
            self._looking = asyncio.get_running_loop().call_later(BUSY_AFTER, self._look)

    def ends(self, request: Request, answer: Answer, ms: float) -> None:
        """A request has been answered."""
        self._running -= 1
        if self._tally is not None:
            self._tally.answered(request, answer.outcome, self._host.health().service, ms)
        if not self._running:
            self._busy = False
            _cancel(self._looking)
        self.ended(request, answer, ms)

    def ended(self, request: Request, answer: Answer, ms: float = 0.0) -> None:
        """A request has its answer, whether or not anyone worked at it."""
        self.journal.add(request, answer, ms)
        if self.journal.tells(answer.outcome):
            self._last = answer
        self.changed()

    def changed(self) -> None:
        """Something may be different: tells the status if it is."""
        self._count()
        self._teller.soon()
        if not self.listening:
            return
        now = self._now()
        # The latency drifts with each answer, and is no change.
        if self._told is None or replace(self._told, latency=now.latency) != now:
            self._told = now
            self._host.tell(STATUS, _json(now))

    def closed(self, uri: str) -> None:
        """A document was closed."""
        if self._tally is not None:
            self._tally.closed(uri)

    def close(self) -> None:
        """The session is over."""
        self.listening = False
        for timer in self._keeping:
            timer.cancel()
        self._teller.close()
        _cancel(self._looking)
        _cancel(self._waking)

    def _count(self) -> None:
        """Before an engine may have gone: what it has asked is the session's."""
        self.journal.spent(*self._host.spent())

    def _standing(self) -> dict[str, Any]:
        """For the board: a service is named once it was found."""
        why, now = self._why() or {}, self._now()
        if not now.found:
            now = replace(now, provider="", model="")
        asked = {"requests": self.journal.figures().requests}
        return _json(now) | {"editor": self.editor, "why": why.get("text"), "setting": why.get("setting")} | asked

    def _look_again(self, snapshot: Snapshot, taken: Ghost) -> None:
        """In a while: whether what was taken still stands there."""

        def look() -> None:
            self._keeping.discard(timer)
            now = self._host.document(snapshot.uri)
            if self._tally is not None and now is not None and taken.insert in _text(now):
                self._tally.add(now.language, "kept")

        timer = asyncio.get_running_loop().call_later(KEPT_AFTER, look)
        self._keeping.add(timer)

    def _now(self) -> Status:
        settings, clock = self._host.settings, self._clock()
        meant = ("" if settings.provider == "auto" else settings.provider, settings.model)
        health, on = self._host.health(), settings.enabled
        now = status(health, self._switches, enabled=on, busy=self._busy, now=clock, meant=meant)
        return now if now.until is None else replace(now, until=round(self._wall() + now.until - clock))

    def _look(self) -> None:
        self._busy = self._running > 0
        self.changed()

    # The commands; editors may send less or more than these take, and other types

    def _accepted(self, uri: object = None, *_: object) -> None:
        if isinstance(uri, str):
            self.journal.accepted()
            self._host.accepted(uri)

    def _status(self, *_: object) -> Json:
        now = self._now()
        return _json(now) | {"text": sentence(now, until=self._until(now), by=self._by)}

    def _why(self, uri: object = None, *_: object) -> Json:
        now = self._now()
        entry = self.journal.last(uri if isinstance(uri, str) else None)
        if entry is None:
            text = now.reason or "Nothing has been asked for here yet: the editor asks while you type."
            return {"text": text, "reason": None, "setting": None}
        reason = entry.outcome.reason if isinstance(entry.outcome, Skip) else None
        name, setting = (reason.value, reason.setting) if reason else (None, None)
        return {"text": entry.text, "reason": name, "setting": setting}

    def _inspect(self, *_: object) -> Json:
        if self._last is None:
            return {"text": "Nothing has been asked for yet: the editor asks while you type.\n"}
        return {"text": document(self._last)}

    def _use(self, provider: object = None, model: object = None, *_: object) -> Json:
        """Another provider, and perhaps model, for this session; without any, what the settings say."""
        chosen = {"provider": provider, "model": model}
        if any(value is not None and not isinstance(value, str) for value in chosen.values()):
            raise Refused(INVALID_PARAMS, "qwen.use: takes a provider (auto, dashscope, openai or local) and a model")
        named = {name: value for name, value in chosen.items() if value}
        _layer, problems = config.parse(named)
        if problems:
            raise Refused(INVALID_PARAMS, f"qwen.use: {problems[0]}")
        self._count()
        self._host.override({"provider": None, "model": None} | named)
        self._by = "for this session" if named else "by the settings"
        return self._done(who(self._now(), self._by))

    def _clear_cache(self, *_: object) -> Json:
        self._count()
        self._host.renew()
        self.changed()
        return self._done("all answers are forgotten, and the service is looked for anew")

    def _fetch_model(self, model: object = None, *_: object) -> Json:
        """The weights of an embedded model, by its name; without one those of the default."""
        if not isinstance(model, str | None):
            raise Refused(INVALID_PARAMS, "qwen.fetchModel: takes a model's name, such as 1.5b")
        try:
            return {"text": self._host.fetch(model or "")}
        except BackendError as error:
            raise Refused(INVALID_PARAMS, f"qwen.fetchModel: {error.message}") from error

    def _records(self, *_: object) -> Json:
        return {"records": self.journal.records()}

    def _statistics(self, *_: object) -> Json:
        self._count()
        figures = self.journal.figures()
        requests, shown = _many(figures.requests, "request"), _many(figures.shown, "suggestion")
        lines = [
            f"{requests}, {shown} shown, {figures.accepted} accepted",
            f"the model was asked {_many(figures.asked, 'time')} and wrote {_many(figures.tokens, 'token')}",
        ]
        if figures.ms is not None:
            lines.append(f"shown after {figures.ms:.0f} ms (median)")
        if figures.silent:
            lines.append("silent: " + ", ".join(f"{name} {count}" for name, count in figures.silent.items()))
        return {
            "text": "\n".join(lines),
            "requests": figures.requests,
            "shown": figures.shown,
            "accepted": figures.accepted,
            "silent": dict(figures.silent),
            "model": figures.asked,
            "tokens": figures.tokens,
            "ms": figures.ms,
        }

    def _pause(self, *_: object) -> Json:
        self._switch(replace(self._switches, paused=True, until=None))
        return self._done(pause())

    def _resume(self, *_: object) -> Json:
        if not self._host.settings.enabled:
            self._host.override({"enabled": True})
        self._switch(replace(self._switches, paused=False, until=None))
        return self._done("resumed")

    def _toggle(self, *_: object) -> Json:
        on = self._host.settings.enabled and not self._switches.off(self._clock())
        return self._pause() if on else self._resume()

    def _snooze(self, minutes: object = SNOOZE, *_: object) -> Json:
        if isinstance(minutes, bool) or not isinstance(minutes, int | float) or not 0 < minutes <= _DAY:
            raise Refused(INVALID_PARAMS, f"qwen.snooze: minutes are a number from above 0 to {_DAY}")
        _cancel(self._waking)
        self._switch(replace(self._switches, paused=True, until=self._clock() + 60 * minutes))
        answer = self._done(pause(self._until(self._now())))
        # Set after the moment it waits for was read: it may not come a hair before that.
        self._waking = asyncio.get_running_loop().call_later(60 * minutes, self.changed)
        return answer

    def _toggle_language(self, language: object = None, *_: object) -> Json:
        if not isinstance(language, str) or not language:
            raise Refused(INVALID_PARAMS, "qwen.toggleLanguage: takes a language id, such as python")
        off = [name for name in self._host.settings.disabled_languages if name != language]
        on = len(off) < len(self._host.settings.disabled_languages)
        if not on:
            off.append(language)
        self._host.override({"disabledLanguages": off})
        return self._turned(f"{language} in this session", on=on, more="; to make it last: qwen.disabledLanguages")

    def _toggle_file(self, uri: object = None, *_: object) -> Json:
        if not isinstance(uri, str) or not uri:
            raise Refused(INVALID_PARAMS, "qwen.toggleFile: takes a document's URI")
        on = uri in self._switches.files
        self._switch(replace(self._switches, files=self._switches.files ^ {uri}))
        return self._turned("this file" if on else "this file in this session", on=on)

    def _switch(self, switches: Switches) -> None:
        self._switches = switches
        self.changed()

    def _turned(self, what: str, *, on: bool, more: str = "") -> Json:
        """A part was turned on or off: which does not help as long as all is off."""
        now = self._now()
        if on and now.state in {State.PAUSED, State.OFF}:
            all_is = pause(self._until(now)) if now.state is State.PAUSED else "off (`qwen.enabled`)"
            more = f", but all is {all_is}{more}"
        return self._done(f"{'on' if on else 'off'} for {what}{more}")

    def _done(self, text: str) -> Json:
        """How it stands after a command, and what that has done, for a person."""
        return _json(self._now()) | {"text": text}

    def _until(self, now: Status) -> str:
        """When a pause ends by itself, as a person's clock shows it; empty if it does not."""
        if now.until is None:
            return ""
        end, today = (datetime.fromtimestamp(at, UTC).astimezone() for at in (now.until, self._wall()))
        return f"{end:%H:%M}" + (" tomorrow" if end.date() > today.date() else "")


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()


def _many(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _text(snapshot: Snapshot) -> str:
    """All of a document, with line feeds."""
    return "".join(snapshot.lines).replace("\r\n", "\n")


def _json(value: Status) -> dict[str, Any]:
    """A status as editors get it: latency in milliseconds, times as ISO 8601, the remedy as LSP's Command."""
    until = datetime.fromtimestamp(value.until, UTC).isoformat(timespec="seconds") if value.until is not None else None
    return {
        "state": value.state.value,
        "reason": value.reason,
        "provider": value.provider,
        "model": value.model,
        "latency": None if value.latency is None else round(1000 * value.latency),
        "until": until,
        "command": None if value.remedy is None else asdict(value.remedy),
    }
