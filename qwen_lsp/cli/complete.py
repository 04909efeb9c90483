"""`qwen-lsp complete FILE:LINE:COL`: one completion, with every stage and its time, or the reason there is none."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from qwen_lsp.cli import config
from qwen_lsp.cli.commands import JSON, Commands, settings_for

if TYPE_CHECKING:
    from qwen_lsp.core.config import Settings
    from qwen_lsp.core.model import Notice, Request, Skip
    from qwen_lsp.engine.record import Answer


def register(commands: Commands) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "complete",
        help="complete one place in a file and say what happened",
        description="Prints what would be inserted. Exit status 0 when there is text, 1 when there is none.",
    )
    parser.add_argument(
        "target", metavar="FILE:LINE[:COL]", help="where to write, from 1, or at the line's end; FILE may be -"
    )
    parser.add_argument("--typing", action="store_true", help="ask as an editor does while a person types")
    parser.add_argument("--language", metavar="ID", help="the language, such as python, where FILE does not tell")
    parser.add_argument("--json", action="store_true", help=JSON)
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
    from dataclasses import replace

    from qwen_lsp.cli.asking import read_file, target, tell
    from qwen_lsp.core.config import replaced
    from qwen_lsp.core.model import Ghost, Trigger

    settings, problems = settings_for(options, os.environ)
    for problem in problems:
        print(f"qwen-lsp: {problem}", file=sys.stderr)
    settings = replaced(settings, candidates=options.candidates)
    request = target(options.target, read_file, language=options.language or "")
    if options.typing:
        request = replace(request, trigger=Trigger.AUTOMATIC)
    notices: list[Notice] = []
    answer = asyncio.run(_ask(request, settings, notices))
    silent = while_typing(request, settings)
    if options.json:
        import json

        said = as_json(answer, silent, show_prompt=options.show_prompt)
        print(json.dumps(said, ensure_ascii=False, indent=2))
    else:
        _print(answer, silent, show_prompt=options.show_prompt)
    tell(notices, answer.outcome)
    return 0 if isinstance(answer.outcome, Ghost) else 1


async def _ask(request: Request, settings: Settings, notices: list[Notice]) -> Answer:
    from qwen_lsp.cli.asking import engine_for, workspace_of

    async with AsyncExitStack() as stack:
        sources = await stack.enter_async_context(workspace_of(request.snapshot, settings))
        engine, _ = await stack.enter_async_context(engine_for(settings, os.environ, sources, notices.append))
        return await engine.complete(request)


def while_typing(request: Request, settings: Settings) -> Skip | None:
    """Why nothing would be asked here while a person types, though it may be by hand."""
    from dataclasses import replace

    from qwen_lsp.core.gate import gate
    from qwen_lsp.core.model import Trigger

    by_hand = replace(request, trigger=Trigger.INVOKED)
    if request != by_hand or gate(by_hand, settings):
        return None
    return gate(replace(request, trigger=Trigger.AUTOMATIC), settings)


def as_json(answer: Answer, silent: Skip | None, *, show_prompt: bool = False) -> dict[str, Any]:
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
    said["whileTyping"] = {"reason": silent.reason.value, "sentence": silent.reason.sentence} if silent else None
    said["others"] = [other.insert for other in answer.others]
    return said


def _print(answer: Answer, silent: Skip | None, *, show_prompt: bool) -> None:
    from qwen_lsp.cli.asking import silence
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
        print(silence(outcome), file=sys.stderr)
    if silent:
        print(f"while typing: silent ({silent.reason.value}): {silent.reason.sentence}", file=sys.stderr)
    for stage in record.stages:
        print(f"{stage.ms:9.1f} ms  {stage.name:<9} {stage.detail}".rstrip(), file=sys.stderr)
    for line in notes(record):
        print(f"{'':13}{line}", file=sys.stderr)
    for number, other in enumerate(answer.others, 2):
        print(f"--- candidate {number}\n{other.insert}", file=sys.stderr)


def _rounded(ms: float | None) -> float | None:
    return None if ms is None else round(ms, 1)
