"""`qwen-lsp complete FILE:LINE:COL`: one completion, with every stage and its time, or the reason there is none."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from qwen_lsp.cli import config

if TYPE_CHECKING:
    from qwen_lsp.cli.commands import Commands
    from qwen_lsp.core.config import Settings
    from qwen_lsp.core.model import Request
    from qwen_lsp.engine.record import Answer


def register(commands: Commands) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "complete",
        help="complete one place in a file and say what happened",
        description="Prints what would be inserted. Exit status 0 when there is text, 1 when there is none.",
    )
    parser.add_argument("target", metavar="FILE:LINE:COL", help="where to write, from 1; FILE may be -")
    parser.add_argument("--json", action="store_true", help="print everything as one JSON object")
    parser.add_argument(
        "--show-prompt", action="store_true", help="also print the prompt, the raw answer and what each filter changed"
    )
    parser.add_argument(
        "--candidates", type=int, default=1, metavar="N", choices=range(1, 6), help="different answers to ask for (1)"
    )
    config.add_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Asks once and prints."""
    import asyncio

    from msgspec.structs import replace

    from qwen_lsp.cli.asking import TargetError, read_file, target

    settings, problems = config.settings(options, os.environ)
    for problem in problems:
        print(f"qwen-lsp: {problem}", file=sys.stderr)
    try:
        request = target(options.target, read_file)
    except TargetError as error:
        print(f"qwen-lsp: {error}", file=sys.stderr)
        return 2
    answer = asyncio.run(_ask(request, replace(settings, candidates=options.candidates)))
    if options.json:
        import json

        print(json.dumps(as_json(answer, show_prompt=options.show_prompt), ensure_ascii=False, indent=2))
    else:
        _print(answer, show_prompt=options.show_prompt)
    from qwen_lsp.core.model import Ghost

    return 0 if isinstance(answer.outcome, Ghost) else 1


async def _ask(request: Request, settings: Settings) -> Answer:
    from qwen_lsp.cli.asking import engine_for, workspace_of

    async with AsyncExitStack() as stack:
        sources = await stack.enter_async_context(workspace_of(request.snapshot, settings))
        engine, _ = await stack.enter_async_context(engine_for(settings, os.environ, sources))
        return await engine.complete(request)


def as_json(answer: Answer, *, show_prompt: bool = False) -> dict[str, Any]:
    """The whole answer for machines. Lines and columns count from 0, columns in code points; times in milliseconds."""
    from qwen_lsp.core.model import Ghost
    from qwen_lsp.engine.inspection import prompt_of

    outcome, record = answer.outcome, answer.record
    said: dict[str, Any]
    if isinstance(outcome, Ghost):
        place = {"line": outcome.line, "start": outcome.start, "end": outcome.end}
        said = {"outcome": "shown", "source": outcome.source, "insertText": outcome.insert, "range": place}
    else:
        said = {"outcome": "skipped", "reason": outcome.reason.value, "detail": outcome.detail}
    if service := record.service:
        said |= {"provider": service.provider, "model": service.model, "route": service.route.value}
        said |= {"region": service.region} if service.region else {}
    said["stages"] = [{"name": s.name, "ms": round(s.ms, 3), "detail": s.detail} for s in record.stages]
    said["totalMs"] = round(record.total_ms, 3)
    if (figures := record.figures) is not None:
        said["context"] = {
            "why": figures.budget.why,
            "before": {"tokens": figures.before, "budget": figures.budget.before},
            "after": {"tokens": figures.after, "budget": figures.budget.after},
            "snippets": {"tokens": figures.snippets, "budget": figures.budget.snippets},
            "passages": [
                {"path": passage.path, "source": passage.source, "score": round(passage.score, 3)}
                for passage in figures.passages
            ],
        }
    if (flight := record.flight) is not None:
        said |= {"firstTokenMs": _rounded(record.first_token_ms), "generationMs": _rounded(record.generation_ms)}
        said |= {"finish": flight.finish, "stopRule": flight.rule, "filters": list(flight.filters)}
        said["tokens"] = {"generated": flight.pieces}
        if usage := flight.usage or flight.estimate:
            said["tokens"] |= {"prompt": usage.prompt, "completion": usage.completion, "cached": usage.cached}
            said["tokens"]["estimated"] = flight.usage is None
        if show_prompt:
            changes = [{"name": name, "before": before, "after": after} for name, before, after in flight.changes]
            said |= {"prompt": prompt_of(flight), "raw": flight.raw, "changes": changes}
    said["others"] = [other.insert for other in answer.others]
    return said


def _print(answer: Answer, *, show_prompt: bool) -> None:
    from qwen_lsp.core.model import Ghost
    from qwen_lsp.engine.inspection import notes, prompt_of

    outcome, record = answer.outcome, answer.record
    flight = record.flight
    if show_prompt and flight is not None:
        print(f"--- prompt\n{prompt_of(flight)}\n--- raw answer\n{flight.raw}", file=sys.stderr)
        for name, before, after in flight.changes:
            print(f"--- {name}: before\n{before}\n--- {name}: after\n{after}", file=sys.stderr)
        print("--- shown", file=sys.stderr)
    if isinstance(outcome, Ghost):
        print(outcome.insert)
    else:
        print(f"nothing to show: {outcome.reason.value} {outcome.detail}".rstrip(), file=sys.stderr)
    for stage in record.stages:
        print(f"{stage.ms:9.1f} ms  {stage.name:<9} {stage.detail}".rstrip(), file=sys.stderr)
    for line in notes(record):
        print(f"{'':13}{line}", file=sys.stderr)
    for number, other in enumerate(answer.others, 2):
        print(f"--- candidate {number}\n{other.insert}", file=sys.stderr)


def _rounded(ms: float | None) -> float | None:
    return None if ms is None else round(ms, 1)
