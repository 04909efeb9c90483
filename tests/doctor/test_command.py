"""`qwen-lsp doctor` as a person runs it: real processes against the loopback service."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import signal
import stat
import sys
from dataclasses import replace
from pathlib import Path

from qwen_lsp.cli.doctor import lines
from qwen_lsp.doctor.findings import skipped
from tests.doctor.patients import KEY, well
from tests.fake_dashscope import Answer, FakeService
from tests.test_cli import asking, environment, run


async def test_it_says_what_it_costs_then_a_line_for_each_check_then_the_sum(tmp_path: Path) -> None:
    """All is well: exit status 0, nothing of the key anywhere, and what was learned is kept for the server."""
    async with FakeService(key=KEY, default=well) as fake:
        ran = await run("doctor", *asking(fake), home=tmp_path, PATH="/none", QWEN_LSP_API_KEY=KEY)
    assert ran.status == 0
    assert ran.err == "The model is asked a few questions, of 2,000 tokens at most.\n"
    lines = ran.out.splitlines()
    assert lines[0].startswith("ok      python         3.")
    assert any(line.startswith("ok      fim            understood") for line in lines)
    assert ", 0 warnings, 0 errors, " in lines[-1]
    assert lines[-1].endswith(" tokens used")
    learned = tmp_path / "state/qwen-lsp/learned.json"
    assert stat.S_IMODE(learned.stat().st_mode) == 0o600
    (known,) = json.loads(learned.read_text()).values()
    assert (known["fim"], known["stops"], bool(known["seen"])) == (True, 4, True)
    assert KEY not in ran.out + ran.err + learned.read_text()


async def test_a_broken_configuration_file_is_an_error_with_its_line(tmp_path: Path) -> None:
    """A program gets the same as one object; the exit status tells of the error."""
    file = tmp_path / "config/qwen-lsp/config.toml"
    file.parent.mkdir(parents=True)
    file.write_text('model = "qwen\n')
    ran = await run("doctor", "--json", "--offline", home=tmp_path, PATH="/none")
    said = json.loads(ran.out)
    assert (ran.status, said["status"], said["stopped"]) == (1, "error", False)
    (wrong,) = (each for each in said["findings"] if each["status"] == "error")
    assert wrong["check"] == "configuration"
    assert f"{file}: is not TOML" in wrong["said"]
    assert "line 1" in wrong["said"]
    assert wrong["fix"].startswith(f"mend {file}")
    assert said["tokens"] == {"spent": 0, "limit": 2000}
    assert ran.err == "Nothing is sent.\n"


async def test_a_wrong_setting_is_a_warning_and_the_rest_applies(tmp_path: Path) -> None:
    """A warning alone is no reason for a failing exit status."""
    file = tmp_path / "config/qwen-lsp/config.toml"
    file.parent.mkdir(parents=True)
    file.write_text('debounc = 5\nmodel = "m"\n')
    ran = await run("doctor", "--offline", home=tmp_path, PATH="/none")
    assert ran.status == 0
    assert "unknown setting; did you mean debounce?" in ran.out
    assert f"warning configuration  {file}" in ran.out


async def test_interrupted_it_tells_what_was_found_so_far(tmp_path: Path) -> None:
    """Ctrl-C while the service is silent: the findings are there, with a sum, and no traceback."""
    async with FakeService(key=KEY, default=Answer("x", hold=asyncio.Event())) as fake:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "qwen_lsp", "doctor", "--json", *asking(fake),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env=environment(tmp_path, QWEN_LSP_API_KEY=KEY, PATH="/none"),
        )  # fmt: skip
        async with asyncio.timeout(30):
            await fake.until(1)
            process.send_signal(signal.SIGINT)
            out, err = await process.communicate()
    said = json.loads(out)
    assert (process.returncode, said["stopped"]) == (130, True)
    assert [each["check"] for each in said["findings"]] == ["python", "configuration", "files"]
    assert b"Traceback" not in err


async def test_what_is_skipped_for_one_reason_is_one_line(tmp_path: Path) -> None:
    """The names, then the reason, within a hundred columns; programs get every finding."""
    ran = await run("doctor", "--offline", home=tmp_path, PATH="/none")
    said = json.loads((await run("doctor", "--offline", "--json", home=tmp_path, PATH="/none")).out)
    told = [each["check"] for each in said["findings"] if each["said"] == "--offline: nothing is sent"]
    assert len(told) == 12
    assert f"{', '.join(told)}: --offline: nothing is sent" in ran.out.replace("\n        ", " ")
    assert ran.out.count("nothing is sent") == 1
    assert "skipped key            none is set\nskipped reachability, tls, model, fim, partial mode, " in ran.out
    assert all(len(line) <= 100 for line in ran.out.splitlines() if "reachability" in line or "rate limits" in line)


def test_a_check_s_name_is_not_broken() -> None:
    """Nor are findings of which there is one alone told otherwise."""
    one = replace(skipped("why"), check="partial mode")
    assert lines([one], colour=False) == "skipped partial mode   why"
    many = lines([one] * 12, colour=False)
    assert many.replace("\n        ", " ") == f"skipped {', '.join(['partial mode'] * 12)}: why"
    assert not any(line.startswith("        mode") for line in many.splitlines())
    assert lines([one] * 2, colour=True) == "\x1b[2mskipped\x1b[0m partial mode, partial mode: why"


async def test_on_a_terminal_it_shows_what_it_looks_at(tmp_path: Path) -> None:
    """Each check's name while it runs, on one line that is wiped; findings in colour."""
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "qwen_lsp", "doctor", "--offline",
        stdin=asyncio.subprocess.DEVNULL, stdout=theirs, stderr=theirs, env=environment(tmp_path, PATH="/none"),
    )  # fmt: skip
    os.close(theirs)
    async with asyncio.timeout(30):
        await process.wait()
    shown = os.read(ours, 1 << 16).decode()
    os.close(ours)
    assert "\r\x1b[K… configuration\r\x1b[K\x1b[32mok" in shown
