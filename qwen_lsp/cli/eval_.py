"""`qwen-lsp eval PATH`: how good completions are on your own code, by cutting holes into it and filling them.

Holes are the same for the same files and seed. What is reported is defined in `evaluation/`; this module finds the
files, opens the engine, asks before it spends, shows how far it is, and keeps what is done when it is stopped.
Exit status: 0 when all is done, 1 when the provider failed or answered nothing, 2 for a mistake in the command, 130
when it was stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from qwen_lsp.cli import config
from qwen_lsp.cli.commands import JSON, Commands, MistakeError, settings_for
from qwen_lsp.cli.evaluating import DeclinedError, Tree, Work, evaluate, tree_at

if TYPE_CHECKING:
    from qwen_lsp.core.config import Settings
    from qwen_lsp.evaluation.hole import Hole
    from qwen_lsp.evaluation.report import Run

_KINDS = ("line-end", "line", "block", "arguments")


def register(commands: Commands) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "eval",
        help="measure how good completions are on your own code",
        description="Cuts holes into your source files, completes them, and reports how often that was right, how "
        "fast it was, and what it cost. Nothing is changed on disk.",
    )
    parser.add_argument("path", metavar="PATH", help="a repository, a folder or a file")
    parser.add_argument("--holes", type=int, default=60, metavar="N", help="how many (60)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="another number gives other holes (0)")
    parser.add_argument("--kinds", metavar="KIND,…", default=",".join(_KINDS), help=f"of {', '.join(_KINDS)}")
    parser.add_argument("--json", action="store_true", help=JSON)
    parser.add_argument("--html", type=Path, metavar="FILE", help="also write a page with the worst cases")
    parser.add_argument("--details", type=Path, metavar="FILE", help="also write every hole, a JSON object a line")
    parser.add_argument(
        "--compare", type=Path, nargs=2, metavar=("A.toml", "B.toml"), help="two settings files on the same holes"
    )
    parser.add_argument("--yes", action="store_true", help="do not ask before spending on a paid provider")
    config.add_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Evaluates and reports."""
    from qwen_lsp.core.model import BackendError

    try:
        settings = _settings(options)
        _check_places(options)
        tree = tree_at(options.path)
        work = Work(options, tree, _holes(tree, options))
        evaluate(work, settings)
    except DeclinedError:
        print("Nothing was asked.", file=sys.stderr)
        return 1
    except BackendError as error:
        print(f"qwen-lsp: {error.message}", file=sys.stderr)
        return 1
    return _report(work)


def _settings(options: argparse.Namespace) -> list[Settings]:
    """One configuration, or the two to compare: each file over what the command and the environment say for both."""
    from msgspec.structs import replace

    given, problems = settings_for(options, os.environ)
    for problem in problems:
        print(f"qwen-lsp: {problem}", file=sys.stderr)
    found = []
    for path in options.compare or ():
        if not path.is_file():
            raise MistakeError(f"{path}: there is no such file; --compare takes two settings files such as config.toml")
        layer, wrong = config.from_file(path)
        if wrong:
            cause, unread, _ = wrong[0].partition(f"; {config.LEFT_OUT}")
            raise MistakeError(f"{cause}: mend it" if unread else cause)
        found.append(replace(given, **layer | {"local": replace(given.local, **layer.get("local", {}))}))
    # One answer a hole, and nothing asked beside it that would take its time.
    return [replace(each, candidates=1, prefetch=False) for each in found or [given]]


def _holes(tree: Tree, options: argparse.Namespace) -> list[Hole]:
    from qwen_lsp.evaluation.choice import Listed, holes, sources
    from qwen_lsp.evaluation.hole import Kind

    words = [word.strip() for word in options.kinds.split(",") if word.strip()]
    unknown = sorted(set(words) - {kind.value for kind in Kind})
    if unknown or not words:
        raise MistakeError(f"--kinds: {', '.join(unknown) or 'none given'}; choose of {', '.join(_KINDS)}")
    if options.holes < 1:
        raise MistakeError("--holes: give a number of at least 1")
    listed = [Listed(path, size) for path, size in tree.sizes.items()]
    if not sources(listed):
        raise MistakeError(
            f"{options.path}: no source files there; give the folder of a project, and see what it ignores"
        )
    kinds = [Kind(word) for word in words]
    found = holes(listed, tree.read, options.holes, seed=options.seed, kinds=kinds)
    if not found:
        raise MistakeError(
            f"{options.path}: no place for a hole in its source files; give more of them, or more --kinds"
        )
    if len(found) < options.holes:
        print(f"There is room for {len(found)} holes only.", file=sys.stderr)
    return found


def _check_places(options: argparse.Namespace) -> None:
    """Where the results go can be written to; whoever waits half an hour for them had better know now."""
    for path in (options.html, options.details):
        if path is not None and (path.is_dir() or not os.access(path.parent, os.W_OK)):
            raise MistakeError(f"{path}: can't be written; give a file in a folder that is yours")


def _report(work: Work) -> int:
    """Prints and writes what is done, and gives the exit status."""
    from qwen_lsp.evaluation import compare, report
    from qwen_lsp.evaluation.figures import answered
    from qwen_lsp.evaluation.page import page

    said_why = dict.fromkeys([*(notice.text for notice in work.notices), *([work.error] if work.error else [])])
    for line in said_why:
        print(f"qwen-lsp: {line}", file=sys.stderr)
    if work.interrupted:
        print(f"\nStopped after {len(work.rows)} of {len(work.holes)} holes.", file=sys.stderr)
    runs = _runs(work)
    unanswered = [run for run in runs if not answered(run.rows)]
    if unanswered == runs and not (said_why or work.interrupted):
        print("qwen-lsp: no hole was answered; `qwen-lsp doctor` looks for the reason", file=sys.stderr)
    if unanswered != runs:
        if work.options.json:
            said = compare.as_json(*runs) if len(runs) > 1 else report.as_json(runs[0])
            print(json.dumps(said, ensure_ascii=False, indent=2))
        else:
            print(compare.as_text(*runs) if len(runs) > 1 else report.as_text(runs[0]))
        if work.options.html:
            work.options.html.write_text(page(runs, work.tree.root.name), encoding="utf-8")
            print(f"The worst cases: {work.options.html}", file=sys.stderr)
    return 130 if work.interrupted else 1 if work.error or unanswered else 0


def _runs(work: Work) -> list[Run]:
    from qwen_lsp.evaluation.report import Run

    return [
        Run(
            service=opened.service,
            price=opened.pipeline.price,
            rows=[rows[index] for rows in work.rows],
            asked=work.options.holes,
            seed=work.options.seed,
            interrupted=work.interrupted or bool(work.error),
        )
        for index, opened in enumerate(work.opened)
    ]
