"""Services in health and sickness, for the doctor to look at, and a case around them."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from qwen_lsp.backend import weights
from qwen_lsp.backend.http import Http
from qwen_lsp.backend.keys import run_key_command
from qwen_lsp.backend.regions import Regions
from qwen_lsp.backend.resolve import Effects
from qwen_lsp.core.config import Settings, from_environment
from qwen_lsp.doctor.asking import LIMIT, Asker
from qwen_lsp.doctor.case import Case, Configuration
from qwen_lsp.doctor.examine import examine
from qwen_lsp.doctor.findings import Finding, Status
from qwen_lsp.setup.plan import Machine
from tests.fake_dashscope import Answer, FakeService, Received

KEY = "sk-canary-key-4711"
COUNTED = "".join(f" {number}," for number in range(6, 60))


def well(request: Received) -> Answer:
    """A good model behind a good server: fills in, continues, streams, honours stops and lengths, has a cache."""
    body = request.json
    words = re.findall(r"\s*[^\s,]+,?", written(body))
    text = "".join(words[: body["max_tokens"]])
    cut = min((text.find(stop) for stop in body.get("stop", []) if stop in text), default=len(text))
    pieces: list[str | float] = []
    for piece in re.findall(r"\s*[^\s,]+,?", text[:cut]):
        pieces += [piece, 0.002]
    whole = cut == len(text) and len(words) > body["max_tokens"]
    cached = 256 if "number_23" in request.body.decode() else 0
    return Answer(pieces, finish="length" if whole else "stop", cached=cached)


def written(body: Mapping[str, object]) -> str:
    """What a good model writes to one of the doctor's questions."""
    asked = str(body.get("prompt") or body["messages"][-1]["content"])
    if "numbers = [1, 2" in asked:
        return COUNTED
    if "harbour = " in asked:
        return " 4711"
    return " + b" if asked.endswith("return a") else " pass"


def chatting(_request: Received) -> str:
    """A chat model that has never seen a FIM token, and means to help."""
    return "Sure! Here is the code:\n```python\nharbour = 1\n```\n"


def changed(**changes: object) -> Callable[[Received], Answer]:
    """`well`, but for something."""
    return lambda request: dataclasses.replace(well(request), **changes)


def deaf(request: Received) -> Answer:
    """`well`, but it ignores stops."""
    return well(dataclasses.replace(request, body=request.body.replace(b'"stop":', b'"stopped":')))


def unstreamed(request: Received) -> Answer:
    """`well`, but the whole answer comes as one JSON object."""
    import json

    text = "".join(piece for piece in well(request).steps if isinstance(piece, str))
    counts = {"prompt_tokens": len(request.body) // 4, "completion_tokens": len(text) // 3}
    choice = {"index": 0, "text": text, "message": {"content": text}, "finish_reason": "stop"}
    return Answer(body=json.dumps({"choices": [choice], "usage": counts}).encode())


@dataclasses.dataclass
class Told:
    """The findings of one run."""

    findings: dict[str, Finding]
    case: Case

    def __getitem__(self, check: str) -> Finding:
        return self.findings[check]

    @property
    def wrong(self) -> dict[str, str]:
        """The checks that are not well, and how."""
        bad = {Status.ERROR, Status.WARNING}
        return {name: each.status.value for name, each in self.findings.items() if each.status in bad}


@asynccontextmanager
async def patient(
    folder: Path,
    *,
    env: Mapping[str, str] | None = None,
    hosts: Callable[[str, str], str] | None = None,
    limit: int = LIMIT,
    offline: bool = False,
    plan_hosts: Mapping[str, str] | None = None,
    **settings: object,
) -> AsyncIterator[Case]:
    """A case on an empty machine: no editors, no weights, no model servers nearby."""
    chosen, given = Settings(**settings), {"PATH": str(folder / "bin"), **(env or {})}
    http = Http(local_only=chosen.local_only, jitter=lambda: 0.0)
    effects = Effects(
        probe=http.get_json,
        regions=Regions(folder / "regions.json"),
        key_command=lambda command: run_key_command(command, given),
        weights=lambda name: weights.find(name, folder),
        engine=no_engine,
        ports=(),
        hosts=hosts or (lambda _region, _workspace: "http://127.0.0.1:9/compatible-mode/v1"),
        plan_hosts=plan_hosts or {"cn-beijing": "http://127.0.0.1:9/plan/v1"},
    )
    file = folder / "config.toml"
    configuration = Configuration(file, file.exists(), tuple(from_environment(given)[1]))
    asker = Asker(http, timeout=5, limit=limit)
    try:
        places = folder, folder / "state"
        yield Case(
            chosen, configuration, given, *places, effects, asker, lambda _name: machine(folder), offline=offline
        )
    finally:
        await http.close()


async def no_engine(_model: Path) -> object:
    raise AssertionError("the embedded engine is not to be started")


def machine(folder: Path) -> Machine:
    """Where editors' files would lie."""
    return Machine(
        env={}, home=folder, platform="linux", command="qwen-lsp", on_path=lambda _name: True, shipped=lambda _name: {}
    )


async def told(case: Case) -> Told:
    """All findings of a case."""
    found = {finding.check: finding async for finding in examine(case)}
    for finding in found.values():
        assert KEY not in f"{finding}"
        assert "\n" not in finding.said + finding.fix
        assert (finding.fix != "") is (finding.status in {Status.WARNING, Status.ERROR}), finding
    return Told(found, case)


async def seen_by(fake: FakeService, folder: Path, **settings: object) -> Told:
    """What the doctor says of a fake service as an OpenAI-compatible server."""
    given = {"base_url": fake.openai, "model": "qwen-coder-turbo", **settings}
    async with patient(folder, env={"QWEN_LSP_API_KEY": KEY}, **given) as case:
        return await told(case)
