"""`qwen-lsp complete FILE:LINE:COL`: one completion, with every stage and its time, or the reason there is none."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, Any

from qwen_lsp.cli import config

if TYPE_CHECKING:
    from qwen_lsp.cli.commands import Commands
    from qwen_lsp.core.config import Settings
    from qwen_lsp.core.model import Request
    from qwen_lsp.engine.flight import Flight
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
    parser.add_argument("--show-prompt", action="store_true", help="also print the prompt and the raw answer")
    config.add_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Asks once and prints."""
    import asyncio

    from qwen_lsp.cli.asking import TargetError, read_file, target

    settings, problems = config.settings(options, os.environ)
    for problem in problems:
        print(f"qwen-lsp: {problem}", file=sys.stderr)
    try:
        request = target(options.target, read_file)
    except TargetError as error:
        print(f"qwen-lsp: {error}", file=sys.stderr)
        return 2
    answer = asyncio.run(_ask(request, settings))
    if options.json:
        import json

        print(json.dumps(as_json(answer, show_prompt=options.show_prompt), ensure_ascii=False, indent=2))
    else:
        _print(answer, show_prompt=options.show_prompt)
    from qwen_lsp.core.model import Ghost

    return 0 if isinstance(answer.outcome, Ghost) else 1


async def _ask(request: Request, settings: Settings) -> Answer:
    from qwen_lsp.cli.asking import engine_for

    async with engine_for(settings, os.environ) as (engine, _):
        return await engine.complete(request)


def as_json(answer: Answer, *, show_prompt: bool = False) -> dict[str, Any]:
    """The whole answer for machines. Lines and columns count from 0, columns in code points; times in milliseconds."""
    from qwen_lsp.core.model import Ghost

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
    if (flight := record.flight) is not None:
        said |= {"firstTokenMs": _rounded(record.first_token_ms), "generationMs": _rounded(record.generation_ms)}
        said |= {"finish": flight.finish, "stopRule": flight.rule, "filters": list(flight.filters)}
        said["tokens"] = {"generated": flight.pieces}
        if usage := flight.usage:
            said["tokens"] |= {"prompt": usage.prompt, "completion": usage.completion, "cached": usage.cached}
        if show_prompt:
            said |= {"prompt": _prompt_text(flight), "raw": flight.raw}
    return said


def _print(answer: Answer, *, show_prompt: bool) -> None:
    from qwen_lsp.core.model import Ghost

    outcome, record = answer.outcome, answer.record
    flight = record.flight
    if show_prompt and flight is not None:
        print(f"--- prompt\n{_prompt_text(flight)}\n--- raw answer\n{flight.raw}\n--- shown", file=sys.stderr)
    if isinstance(outcome, Ghost):
        print(outcome.insert)
    else:
        print(f"nothing to show: {outcome.reason.value} {outcome.detail}".rstrip(), file=sys.stderr)
    for stage in record.stages:
        print(f"{stage.ms:9.1f} ms  {stage.name:<9} {stage.detail}".rstrip(), file=sys.stderr)
    if flight is not None and (flight.filters or flight.rule):
        changed = ", ".join([*([f"stopped by: {flight.rule}"] if flight.rule else []), *flight.filters])
        print(f"{'':13}{changed}", file=sys.stderr)


def _prompt_text(flight: Flight) -> str:
    from qwen_lsp.core.model import Route
    from qwen_lsp.core.prompt import fim_text, partial_messages

    if flight.service.route is Route.FIM:
        return fim_text(flight.prompt)
    return "\n".join(f"[{message['role']}]\n{message['content']}" for message in partial_messages(flight.prompt))


def _rounded(ms: float | None) -> float | None:
    return None if ms is None else round(ms, 1)
