"""`qwen-lsp eval`, as a person runs it: real processes and real HTTP against the loopback service."""

from __future__ import annotations

import asyncio
import io
import json
import os
import pty
import signal
import sys
from pathlib import Path

import pytest

from qwen_lsp.cli.paths import cache_dir
from qwen_lsp.cli.progress import Progress
from tests.fake_dashscope import FAILURES, STALL, Answer, FakeService, Received
from tests.test_cli import Ran, asking, environment, run

CODE = "".join(
    f"def price{n}(item, rate):\n    base = item.price * {n}\n    total = add(base, rate)\n    return total\n\n\n"
    for n in range(8)
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with one source file, an ignored one and a private one."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "shop.py").write_text(CODE)
    (folder / ".gitignore").write_text("made.py\n")
    (folder / "made.py").write_text(CODE.replace("price", "made"))
    (folder / ".env").write_text("KEY=secret_canary(one, two)\n")
    (folder / ".git").mkdir()
    return folder


def right(request: Received) -> str:
    """What a model says that knows the file: what stands between what it is shown before and after the cursor."""
    prefix, _, rest = request.json["prompt"].partition("<|fim_suffix|>")
    before, after = prefix[-50:], rest.removesuffix("<|fim_middle|>")[:50]
    start = CODE.index(before) + len(before)
    return CODE[start : CODE.index(after, start)]


def wrong(_request: Received) -> str:
    return "nothing_of_the_kind"


async def test_the_report_says_how_good_fast_and_dear_completions_are(project: Path, tmp_path: Path) -> None:
    """A model that is always right is right in every row of the tables; only the folder's own source is used."""
    async with FakeService(default=right) as fake:
        ran = await run("eval", "project", "--holes", "8", "--html", "out.html", *asking(fake), home=tmp_path)
        prompts = "".join(request.json["prompt"] for request in fake.generations)
        assert len(fake.generations) == 8
    assert ran.status == 0, ran.err
    assert "qwen-coder-turbo (openai, fim): 8 of 8 holes, seed 0" in ran.out
    for name in ("all", "line-end", "line", "block", "arguments", "in python"):
        assert any(line.startswith(f"{name} ") and " 100 [" in line for line in ran.out.splitlines()), name
    assert "latency p50, ms" in ran.out
    assert max(map(len, ran.out.split("\n\nIn per cent")[0].splitlines())) <= 80
    assert "It cost nothing" in ran.out
    assert "made" not in prompts
    assert "secret_canary" not in prompts
    assert "<h1>Completions in project</h1>" in (tmp_path / "out.html").read_text()


async def test_machines_get_one_object_and_every_hole(project: Path, tmp_path: Path) -> None:
    """`--json` has the figures with their intervals and no code; `--details` has the code, a line a hole."""
    async with FakeService(default=wrong) as fake:
        ran = await run(
            "eval", "project", "--holes", "4", "--json", "--details", "rows.jsonl", *asking(fake), home=tmp_path
        )
    said = json.loads(ran.out)
    assert (said["version"], said["holes"], said["asked"], said["failed"], said["leaked"]) == (1, 4, 4, 0, 0)
    assert said["groups"]["all"]["exact"] == {"value": 0.0, "low": 0.0, "high": pytest.approx(0.4899, abs=1e-3)}
    assert said["groups"]["all"]["promptTokens"]["value"] > 0
    assert "nothing_of_the_kind" not in ran.out
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert all(row["before"] + row["expected"] + row["after"] == CODE for row in rows)
    assert [row["shown"] for row in rows] == ["nothing_of_the_kind"] * 4
    assert [row["path"] for row in said["rows"]] == ["shop.py"] * 4


def test_the_progress_bar_counts_holes() -> None:
    """What is counted are no bytes: so many of so many, and the time that is left."""
    now = iter([0.0, 0.0, 20.0, 30.0])
    out = io.StringIO()
    progress = Progress("eval", out, clock=lambda: next(now), unit="holes")
    for done in (0, 12, 60):
        progress(done, 60)
    assert out.getvalue() == "eval: 12 of 60 holes, 1 min 20 s left\neval: 60 of 60 holes\n"


async def test_the_seed_makes_the_sample(project: Path, tmp_path: Path) -> None:
    """The same command asks the same questions; another seed asks others; `--kinds` asks for some kinds only."""

    async def prompts(*more: str) -> list[str]:
        async with FakeService() as fake:
            ran = await run("eval", "project", "--holes", "4", *more, *asking(fake), home=tmp_path)
            assert ran.status == 0, ran.err
            return [request.json["prompt"] for request in fake.generations]

    first = await prompts()
    assert first == await prompts()
    assert first != await prompts("--seed", "1")
    assert all(prompt.split("<|fim_suffix|>")[1].startswith(")") for prompt in await prompts("--kinds", "arguments"))


async def test_a_run_that_is_stopped_keeps_what_is_done(project: Path, tmp_path: Path) -> None:
    """Ctrl-C ends it at once; the holes that are done are reported and written, and the status says that it was cut."""
    async with FakeService(default=right) as fake:
        fake.script(right, right, right, Answer([STALL]))
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "qwen_lsp", "eval", "project", "--html", "out.html", "--details", "d", *asking(fake),
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env=environment(tmp_path), cwd=tmp_path,
        )  # fmt: skip
        async with asyncio.timeout(60):
            await fake.until(4)
            process.send_signal(signal.SIGINT)
            out, err = await process.communicate()
    assert process.returncode == 130
    assert "3 of 60 holes, seed 0, ended early" in out.decode()
    assert "Stopped after 3 of" in err.decode()
    assert "Traceback" not in err.decode()
    assert len((tmp_path / "d").read_text().splitlines()) == 3
    assert "ended early" in (tmp_path / "out.html").read_text()


def paid(fake: FakeService) -> list[str]:
    return ["--provider", "dashscope", "--base-url", fake.dashscope, "--region", "cn-beijing"]


async def test_nothing_is_spent_without_a_yes(project: Path, tmp_path: Path) -> None:
    """Without a terminal a paid provider is asked after `--yes` only; the message names it, and what it would cost."""
    async with FakeService(key="sk-test", default=right) as fake:
        how = ["eval", "project", "--holes", "4", *paid(fake)]
        refused = await run(*how, home=tmp_path, DASHSCOPE_API_KEY="sk-test")
        assert fake.generations == []
        done = await run(*how, "--yes", home=tmp_path, DASHSCOPE_API_KEY="sk-test")
        assert len(fake.generations) == 4
    assert (refused.status, refused.out) == (2, "")
    assert "4 completions by qwen-coder-turbo (dashscope in cn-beijing): up to " in refused.err
    assert "at most ¥0.0" in refused.err
    assert refused.err.splitlines()[-1].endswith("add --yes to go ahead")
    assert done.status == 0, done.err
    assert "It cost ¥0.00" in done.out
    assert "sk-test" not in refused.err + done.out + done.err


@pytest.mark.parametrize(("answer", "asked"), [(b"y\n", 4), (b"n\n", 0), (b"\n", 0)], ids=["yes", "no", "nothing said"])
async def test_at_a_terminal_a_person_is_asked(project: Path, tmp_path: Path, answer: bytes, asked: int) -> None:
    """Only a yes is one, and a no ends the command with status 1 and nothing asked."""
    master, terminal = pty.openpty()
    async with FakeService(key="sk-test") as fake:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "qwen_lsp", "eval", "project", "--holes", "4", *paid(fake),
            stdin=terminal, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env=environment(tmp_path, DASHSCOPE_API_KEY="sk-test"), cwd=tmp_path,
        )  # fmt: skip
        os.write(master, answer)
        async with asyncio.timeout(60):
            _, err = await process.communicate()
        assert len(fake.generations) == asked
    os.close(master)
    os.close(terminal)
    assert process.returncode == (0 if asked else 1), err.decode()
    assert b"Go on? [y/N]" in err


async def test_two_configurations_are_compared_on_the_same_holes(project: Path, tmp_path: Path) -> None:
    """The tables of both, and for each figure whether it differs; a file wins over the command's options."""
    async with FakeService(
        default=lambda request: (right if "turbo" in request.json["model"] else wrong)(request)
    ) as fake:
        (tmp_path / "a.toml").write_text('model = "qwen2.5-coder-7b-instruct"\n')
        (tmp_path / "b.toml").write_text('model = "qwen-coder-turbo"\n[local]\nthreads = 1\n')
        how = ["eval", "project", "--holes", "8", "--compare", "a.toml", "b.toml", *asking(fake)]
        text = await run(*how, "--html", "out.html", home=tmp_path)
        models = [request.json["model"][:10] for request in fake.generations]
        said = json.loads((await run(*how, "--json", home=tmp_path)).out)
    assert models[:4] == ["qwen2.5-co", "qwen-coder", "qwen-coder", "qwen2.5-co"]
    assert (len(models), text.status) == (16, 0), text.err
    assert "A: qwen2.5-coder-7b-instruct" in text.out
    assert "B: qwen-coder-turbo" in text.out
    assert "yes, B is better" in text.out
    exact = next(each for each in said["differences"] if each["key"] == "exact")
    assert (exact["a"], exact["b"], exact["real"], exact["better"]) == (0.0, 1.0, True, "b")
    assert said["a"]["rows"][0]["line"] == said["b"]["rows"][0]["line"]
    assert "<h2>Differences</h2>" in (tmp_path / "out.html").read_text()


async def failed(tmp_path: Path, *arguments: str, **env: str) -> Ran:
    """A command that is told what is wrong, on one line, at once."""
    ran = await run("eval", *arguments, home=tmp_path, **env)
    assert ran.out == ""
    assert "Traceback" not in ran.err
    (line,) = [line for line in ran.err.splitlines() if line.startswith("qwen-lsp: ")]
    return Ran(ran.status, "", line)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gone"], "gone: there is nothing there; give a folder or a file of yours"),
        (["project/empty"], "no source files there"),
        (["project/blank.py"], "no place for a hole"),
        (["project/.env"], "no source files there"),
        (["project", "--kinds", "line,word"], "--kinds: word; choose of line-end, line, block, arguments"),
        (["project", "--holes", "0"], "--holes: give a number of at least 1"),
        (["project", "--html", "gone/out.html"], "can't be written"),
        (["project", "--compare", "gone.toml", "bad.toml"], "gone.toml: there is no such file"),
        (["project", "--compare", "bad.toml", "bad.toml"], "bad.toml: is not TOML"),
        (["project", "--compare", "odd.toml", "odd.toml"], "odd.toml: qwen.maxTokens: expected whole number"),
    ],
    ids=["path", "no source", "no place", "private", "kinds", "holes", "html", "no toml", "bad toml", "wrong value"],
)
async def test_a_mistake_is_told_in_one_line(project: Path, tmp_path: Path, arguments: list[str], message: str) -> None:
    """It names what is wrong and what to do, and the status is 2."""
    (project / "empty").mkdir()
    (project / "blank.py").write_text("# nothing\npass\n")
    (tmp_path / "bad.toml").write_text("model = \n")
    (tmp_path / "odd.toml").write_text('maxTokens = "many"\n')
    ran = await failed(tmp_path, *arguments)
    assert ran.status == 2
    assert message in ran.err


async def test_without_a_provider_it_is_told_how_to_get_one(project: Path, tmp_path: Path) -> None:
    """Nothing is asked, and the line is the same as everywhere."""
    ran = await failed(tmp_path, "project", "--provider", "local", "--model", "no-such")
    assert ran.status == 1
    assert "qwen.model" in ran.err


async def test_a_provider_that_refuses_five_times_ends_the_run(project: Path, tmp_path: Path) -> None:
    """Its message comes once, instead of sixty failures; nothing is reported where nothing was answered."""
    async with FakeService(default=FAILURES["key"]) as fake:
        ran = await failed(tmp_path, "project", *asking(fake))
        assert len(fake.generations) == 5
    assert ran.status == 1
    assert "QWEN_LSP_API_KEY" in ran.err


@pytest.mark.parametrize("more", [[], ["--json"]])
async def test_where_no_hole_was_answered_it_says_so(project: Path, tmp_path: Path, more: list[str]) -> None:
    """Of a few holes nobody can tell that the provider refuses; nothing is reported, and the status is 1."""
    async with FakeService(default=FAILURES["garbage"]) as fake:
        ran = await failed(tmp_path, "project", "--holes", "2", *more, *asking(fake))
    assert (ran.status, ran.err) == (1, "qwen-lsp: no hole was answered; `qwen-lsp doctor` looks for the reason")


async def test_the_reason_that_no_hole_was_answered_is_told_alone(project: Path, tmp_path: Path) -> None:
    """Where the service gave one."""
    async with FakeService(default=FAILURES["key"]) as fake:
        ran = await failed(tmp_path, "project", "--holes", "2", *asking(fake))
    assert (ran.status, "QWEN_LSP_API_KEY" in ran.err) == (1, True)


@pytest.mark.real_model
async def test_the_real_model_is_measured(model_05b: Path, project: Path, tmp_path: Path) -> None:
    """The smallest model that fills in the middle, through the whole pipeline: all is measured and nothing fails."""
    ran = await run(
        "eval", "project", "--holes", "3", "--json", "--provider", "local", "--model", str(model_05b), home=tmp_path,
        QWEN_LSP_LOCAL_KEEP_ALIVE="0", XDG_CACHE_HOME=str(cache_dir(os.environ).parent), patience=300,
    )  # fmt: skip
    said = json.loads(ran.out)
    assert ran.status == 0, ran.err
    assert (said["holes"], said["failed"], said["leaked"]) == (3, 0, 0)
    figures = said["groups"]["all"]
    assert figures["silent"]["value"] < 1
    assert 0 < figures["firstTokenP50"]["value"] <= figures["latencyP50"]["value"]
    assert figures["generatedTokens"]["value"] >= 1
    assert figures["cost"]["value"] == 0
