"""The command line: runs the measurements one after the other and prints the table.

python -m tests.bench [--only replay,latency] [--model fast,hard] [--keys 320] [--prefetch] [--json]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import json
import math
import os
import platform
import shlex
import statistics
import sys
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import asdict, replace
from typing import Any

from tests.bench import measure, typing_trace
from tests.bench.measure import Figures
from tests.bench.replay import Tally, replay
from tests.bench.service import Behaviour
from tests.bench.session import Contestant, ServiceProcess, Session, contestants
from tests.bench.table import number, render
from tests.bench.typing_trace import Trace

STEPS = ("startup", "latency", "memory", "idle", "replay")
MODELS = {
    "fast": Behaviour(first_token=0.040, per_token=0.004, wrong=0.3),
    "slow": Behaviour(first_token=0.150, per_token=0.015, wrong=0.3),
    "hard": Behaviour(first_token=0.250, per_token=0.020, wrong=0.7),
}
SIZES = (100, 2_000, 20_000)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__.partition("\n")[0])
    parser.add_argument("--only", type=some(STEPS), default=STEPS, help=f"some of {','.join(STEPS)}")
    parser.add_argument(
        "--model", type=some(MODELS), default=tuple(MODELS), help=f"for replays: some of {','.join(MODELS)}"
    )
    parser.add_argument("--keys", type=int, default=320, help="keys typed with each model")
    parser.add_argument("--rate", type=float, default=8.0, help="keys a second, pauses apart")
    parser.add_argument("--requests", type=int, default=150, help="requests for each latency figure")
    parser.add_argument("--starts", type=int, default=7, help="starts for each startup figure")
    parser.add_argument("--idle-seconds", type=float, default=5.0)
    parser.add_argument("--errors", type=float, default=0.0, help="share of the model's answers that fail in replays")
    parser.add_argument("--prefetch", action="store_true", help="switch on qwen.prefetch")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--repeats", type=int, default=1, help="rounds, each with other traces: counts add, times are medians"
    )
    parser.add_argument("--json", action="store_true", help="one object instead of the table")
    return parser.parse_args()


def some(known: Iterable[str]) -> Callable[[str], tuple[str, ...]]:
    """Reads a list with commas, of known names only."""

    def read(text: str) -> tuple[str, ...]:
        names = tuple(text.split(","))
        if unknown := set(names) - set(known):
            raise argparse.ArgumentTypeError(f"no {', '.join(sorted(unknown))}; choose from {', '.join(known)}")
        return names

    return read


class Bench:
    """One run. Both servers are measured in turn, or, where only counts matter, at once."""

    def __init__(self, chosen: argparse.Namespace) -> None:
        self._chosen = chosen
        self._servers = contestants(prefetch=chosen.prefetch)
        self._rounds: dict[str, dict[str, dict[str, list[Figures]]]] = {}
        self._tallies: dict[str, dict[str, Tally]] = {}
        self._speeds = [measure.speed()]

    async def run(self) -> dict[str, Any]:
        for seed in range(self._chosen.seed, self._chosen.seed + self._chosen.repeats):
            for step in self._chosen.only:
                await getattr(self, f"_{step}")(seed)
                self._speeds.append(measure.speed())
        return self._results()

    @property
    def _keys_each(self) -> int:
        """Keys of each trace, rounded up."""
        keys: int = self._chosen.keys
        return math.ceil(keys / len(typing_trace.SOURCES))

    async def _startup(self, seed: int) -> None:
        async with ServiceProcess.started() as service:
            for start in range(self._chosen.starts + 1):
                for server in self._servers:
                    figures = await measure.startup(server, service)
                    if start:  # the first start reads the disk and writes bytecode
                        self._keep("startup", "", server, figures)
            _progress(f"startup: {self._chosen.starts} starts each")

    async def _latency(self, seed: int) -> None:
        async with contextlib.AsyncExitStack() as stack:
            service = await stack.enter_async_context(ServiceProcess.started())
            sessions = [await stack.enter_async_context(Session.started(one, service)) for one in self._servers]
            for lines in SIZES:
                for server, session in zip(self._servers, sessions, strict=True):
                    figures = await measure.latency(session, lines, self._chosen.requests, seed)
                    self._keep("latency", str(lines), server, figures)
                    _progress(f"latency, {lines} lines: {server.name} p50 {figures['p50']:.2f} ms")

    async def _memory(self, seed: int) -> None:
        async def one(server: Contestant, session: Session) -> None:
            self._keep("memory", "", server, await measure.memory(session, seed))
            _progress(f"memory: {server.name}")

        await self._at_once(one)

    async def _idle(self, seed: int) -> None:
        async def one(server: Contestant, session: Session) -> None:
            self._keep("idle", "", server, await measure.idle(session, self._chosen.idle_seconds))
            _progress(f"idle: {server.name}")

        await self._at_once(one)

    async def _replay(self, seed: int) -> None:
        traces = typing_trace.traces(seed, self._chosen.rate, self._keys_each)
        for model in self._chosen.model:
            behaviour = replace(MODELS[model], errors=self._chosen.errors, seed=seed)
            await self._at_once(functools.partial(self._typed, model, behaviour, traces))

    async def _typed(
        self, model: str, behaviour: Behaviour, traces: list[Trace], server: Contestant, session: Session
    ) -> None:
        tally = await replay(session, traces, behaviour, self._keys_each)
        self._tallies.setdefault(model, {}).setdefault(server.name, Tally()).add(tally)
        _progress(f"replay, {model} model: {server.name} {tally.requests} requests for {tally.keys} keys")

    async def _at_once(self, one: Callable[[Contestant, Session], Awaitable[None]]) -> None:
        """Runs a measurement of each server, each with a service of its own."""

        async def alone(server: Contestant) -> None:
            async with ServiceProcess.started() as service, Session.started(server, service) as session:
                await one(server, session)

        async with asyncio.TaskGroup() as group:
            for server in self._servers:
                group.create_task(alone(server))

    def _keep(self, step: str, cell: str, server: Contestant, figures: Figures) -> None:
        self._rounds.setdefault(step, {}).setdefault(cell, {}).setdefault(server.name, []).append(figures)

    def _results(self) -> dict[str, Any]:
        results: dict[str, Any] = {
            step: {
                cell: {server: _medians(figures) for server, figures in servers.items()}
                for cell, servers in cells.items()
            }
            for step, cells in self._rounds.items()
        }
        for step, cells in results.items():
            if "" in cells:
                results[step] = cells[""]
        if self._tallies:
            results["replay"] = {
                model: {server: asdict(tally) for server, tally in servers.items()}
                for model, servers in self._tallies.items()
            }
        return {"command": _command(), "machine": _machine(self._speeds), **results}


def _medians(rounds: Iterable[Figures]) -> Figures:
    rounds = list(rounds)
    return {name: statistics.median(figures[name] for figures in rounds) for name in rounds[0]}


def _command() -> str:
    return shlex.join(["python", "-m", "tests.bench", *sys.argv[1:]])


def _machine(speeds: list[float]) -> dict[str, Any]:
    return {
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "load": os.getloadavg()[0],
        "fixed_work_ms": [min(speeds), max(speeds)],
    }


def _heading(results: dict[str, Any]) -> str:
    machine = results["machine"]
    low, high = machine["fixed_work_ms"]
    typed = f" Typed: parts of {', '.join(typing_trace.SOURCES)} from that Python's standard library."
    return (
        f"{results['command']}\n\n"
        f"{machine['cores']} cores, {machine['system']}, Python {machine['python']}; a fixed piece of work took "
        f"{number(low, 1)} to {number(high, 1)} ms in this run.{typed if 'replay' in results else ''}\n\n"
    )


def _progress(line: str) -> None:
    sys.stderr.write(line + "\n")


def main() -> None:
    chosen = options()
    results = asyncio.run(Bench(chosen).run())
    if chosen.json:
        sys.stdout.write(json.dumps(results, indent=1) + "\n")
        return
    names = [server.name for server in contestants(prefetch=chosen.prefetch)]
    sys.stdout.write(_heading(results) + render(results, names))


if __name__ == "__main__":
    main()
