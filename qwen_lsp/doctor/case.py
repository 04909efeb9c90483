"""What the checks of one run share: what is looked at, and what has been found out so far."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from qwen_lsp.backend.learned import Learned
from qwen_lsp.backend.resolve import Effects
from qwen_lsp.core.config import Settings
from qwen_lsp.core.model import Route, Service
from qwen_lsp.core.questions import Heard
from qwen_lsp.doctor.asking import Asker
from qwen_lsp.doctor.contact import Contact
from qwen_lsp.setup.plan import Machine


@dataclass(frozen=True, slots=True)
class Configuration:
    """Where the settings came from."""

    file: Path
    found: bool
    problems: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    """The command line's."""


@dataclass(slots=True)
class Case:
    """One run. The checks fill the second half."""

    settings: Settings
    configuration: Configuration
    env: Mapping[str, str]
    cache_dir: Path
    state_dir: Path
    effects: Effects
    asker: Asker
    machine: Callable[[str], Machine]
    """What a set-up of this editor has to know (qwen_lsp/setup)."""
    offline: bool = False

    contact: Contact | None = None
    answers: dict[Route, Heard] = field(default_factory=dict)
    """To the question of each route."""
    counted: list[Heard] = field(default_factory=list)
    """Answers of some length."""
    learned: Learned = field(default_factory=Learned)
    down: str = ""
    """Why nothing more is asked."""

    @property
    def service(self) -> Service:
        """Who answers. Only for checks that need an answer."""
        assert self.contact is not None  # noqa: S101 - `examine` has made sure
        assert self.contact.service is not None  # noqa: S101 - as above
        return self.contact.service
