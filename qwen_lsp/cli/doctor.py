"""`qwen-lsp doctor`: what is well, what is not, and what to do about it, from Python to the editors.

Spends at most 2,000 tokens, says so first and asks nothing. Exit status 1 when there is an error.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qwen_lsp.cli import config
from qwen_lsp.cli.commands import JSON, Commands, settings_for
from qwen_lsp.cli.progress import CLEAR, is_colourful, is_terminal

if TYPE_CHECKING:
    from qwen_lsp.backend.local import LocalEngine
    from qwen_lsp.backend.resolve import Place
    from qwen_lsp.core.config import Settings
    from qwen_lsp.doctor.case import Case, Configuration
    from qwen_lsp.doctor.findings import Finding

_WIDTH = 100
"""Of a line about several checks."""
_INDENT = " " * 8
"""As wide as a status."""


def register(commands: Commands) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "doctor",
        help="look for what is wrong, from the key to the editor, and say what to do",
        description="Looks for what is wrong and says what to do. Costs 2,000 tokens at most. Exit status 1 on errors.",
    )
    parser.add_argument("--offline", action="store_true", help="send nothing: look at this machine only")
    parser.add_argument("--json", action="store_true", help=JSON)
    config.add_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Looks, and prints while it does."""
    import asyncio

    settings, problems = settings_for(options, os.environ)
    report = Report(as_json=options.json)
    report.begin(offline=options.offline)
    try:
        asyncio.run(_look(settings, _configuration(options, problems), report, offline=options.offline))
    except KeyboardInterrupt:
        report.end(stopped=True)
        return 130
    return report.end()


class Report:
    """What is printed: findings as they come, or one object at the end. Progress goes to standard error."""

    def __init__(self, *, as_json: bool) -> None:
        self.findings: list[Finding] = []
        self.case: Case | None = None
        self._json = as_json
        self._terminal = is_terminal(sys.stderr, os.environ)
        self._colour = is_colourful(sys.stdout, os.environ)
        self._alike: list[Finding] = []
        """The last ones, all skipped for the same reason: they become one line."""

    def begin(self, *, offline: bool) -> None:
        """Says what it will cost."""
        from qwen_lsp.doctor.asking import LIMIT

        cost = "Nothing is sent." if offline else f"The model is asked a few questions, of {LIMIT:,} tokens at most."
        print(cost, file=sys.stderr, flush=True)

    def looking(self, check: str) -> None:
        """A check begins."""
        if self._terminal:
            print(f"{CLEAR}… {check}", end="", file=sys.stderr, flush=True)

    def add(self, finding: Finding) -> None:
        """A check has ended."""
        from qwen_lsp.doctor.findings import Status

        self.findings.append(finding)
        alike = finding.status is Status.SKIPPED and all(each.said == finding.said for each in self._alike)
        if not alike:
            self._tell()
        self._alike.append(finding)
        if finding.status is not Status.SKIPPED:
            self._tell()

    def _tell(self) -> None:
        """Prints what is held back."""
        alike, self._alike = self._alike, []
        if alike and not self._json:
            self._clear()
            print(lines(alike, colour=self._colour), flush=True)

    def end(self, *, stopped: bool = False) -> int:
        """The sum, and the exit status."""
        from qwen_lsp.doctor.findings import Status, summary, worst

        self._tell()
        self._clear()
        spent = self.case.asker.spent if self.case else 0
        status = worst(self.findings)
        if self._json:
            self._print_object(status.value, spent, stopped=stopped)
        else:
            print(("stopped: " if stopped else "") + summary(self.findings, spent), flush=True)
        return 1 if status is Status.ERROR else 0

    def _print_object(self, status: str, spent: int, *, stopped: bool) -> None:
        import json
        from dataclasses import asdict

        from qwen_lsp import __version__
        from qwen_lsp.doctor.asking import LIMIT

        case = self.case
        said: dict[str, Any] = {"version": __version__, "status": status, "stopped": stopped}
        said["findings"] = [finding.as_json() for finding in self.findings]
        said["tokens"] = {"spent": spent, "limit": LIMIT}
        said["learned"] = asdict(case.learned) if case and case.contact and case.contact.first else None
        print(json.dumps(said, ensure_ascii=False, indent=2), flush=True)

    def _clear(self) -> None:
        if self._terminal:
            print(CLEAR, end="", file=sys.stderr, flush=True)


def lines(alike: Sequence[Finding], *, colour: bool) -> str:
    """Findings that say the same, as few lines as can be."""
    from dataclasses import replace
    from textwrap import wrap

    from qwen_lsp.doctor.findings import as_line

    first = alike[0]
    if len(alike) == 1:
        return as_line(first, colour=colour)
    # A check's name is not broken.
    names = ", ".join(each.check.replace(" ", "\0") for each in alike)
    told = wrap(f"{names}: {first.said}", _WIDTH - len(_INDENT), break_long_words=False)
    return as_line(replace(first, check=f"\n{_INDENT}".join(told).replace("\0", " "), said=""), colour=colour)


async def _look(settings: Settings, configuration: Configuration, report: Report, *, offline: bool) -> None:
    from contextlib import aclosing

    from qwen_lsp.doctor.examine import examine

    async with _case(settings, configuration, offline=offline) as case:
        report.case = case
        try:
            async with aclosing(examine(case, report.looking)) as findings:
                async for finding in findings:
                    report.add(finding)
        finally:
            _keep(case)


def _keep(case: Case) -> None:
    """Remembers what was learned of the endpoint, if it answered."""
    from qwen_lsp.backend.learned import LearnedStore
    from qwen_lsp.cli.paths import state_dir

    if case.contact is not None and case.contact.first is not None:
        LearnedStore(state_dir(os.environ) / "learned.json").keep(case.service, case.learned)


def _configuration(options: argparse.Namespace, problems: list[str]) -> Configuration:
    from qwen_lsp.cli.paths import config_file
    from qwen_lsp.doctor.case import Configuration

    file = config_file(os.environ)
    names = ("provider", "model", "base_url", "region", "route", "api_style", "max_tokens")
    given = tuple(f"--{name.replace('_', '-')}" for name in names if getattr(options, name) is not None)
    return Configuration(file, file.exists(), tuple(problems), given)


@asynccontextmanager
async def _case(settings: Settings, configuration: Configuration, *, offline: bool) -> AsyncIterator[Case]:
    """The case with the real world around it. A running embedded model is left on for the next command."""
    from qwen_lsp.backend import weights
    from qwen_lsp.backend.http import Http
    from qwen_lsp.backend.keys import run_key_command
    from qwen_lsp.backend.nearby import PORTS
    from qwen_lsp.backend.regions import Regions
    from qwen_lsp.backend.resolve import Effects
    from qwen_lsp.cli.asking import counting
    from qwen_lsp.cli.paths import cache_dir, state_dir
    from qwen_lsp.cli.setup import machine
    from qwen_lsp.doctor.asking import Asker
    from qwen_lsp.doctor.case import Case

    env = dict(os.environ)
    http = Http(local_only=settings.local_only)
    engines: list[LocalEngine] = []
    effects = Effects(
        probe=http.get_json,
        regions=Regions(state_dir(env) / "regions.json"),
        key_command=lambda command: run_key_command(command, env),
        weights=lambda name: weights.find(name, cache_dir(env)),
        engine=lambda model: _start(model, settings, engines),
        ports=PORTS,
    )
    with counting(settings, env) as tally:
        asker = Asker(http, settings.timeout / 1000, on_spent=lambda service, usage: tally.spent(service, "", usage))
        try:
            places = cache_dir(env), state_dir(env)
            yield Case(settings, configuration, env, *places, effects, asker, machine, offline=offline)
        finally:
            await http.close()
            for engine in engines:
                await engine.close(linger=True)


async def _start(model: Path, settings: Settings, engines: list[LocalEngine]) -> Place:
    from qwen_lsp.backend.local import LocalEngine
    from qwen_lsp.cli.paths import state_dir

    engine = LocalEngine(model, settings.local, state_dir=state_dir(os.environ), on_notice=lambda _notice: None)
    engines.append(engine)
    return await engine.ensure()
