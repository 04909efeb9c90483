"""From settings and environment to a service: each row of these tables is a promise to the person who sets them."""

from __future__ import annotations

import asyncio
import json
import shlex
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from qwen_lsp.backend import nearby
from qwen_lsp.backend.http import Http
from qwen_lsp.backend.keys import _words, find_key, run_key_command
from qwen_lsp.backend.nearby import find_server, offered, preferred
from qwen_lsp.backend.regions import Regions, find_region, is_dashscope, region_of
from qwen_lsp.backend.resolve import Effects, configured, resolve
from qwen_lsp.core.config import Settings
from qwen_lsp.core.dialects import dashscope
from qwen_lsp.core.model import Api, BackendError, Kind, Route, Secret
from tests.fake_dashscope import Answer, FakeService

KEY = "sk-canary-4711"
WITH_KEY = {"DASHSCOPE_API_KEY": KEY}


class Place:
    base_url = "http://127.0.0.1:4711/v1"
    key = Secret("engine")


@dataclass
class World:
    """What the resolver is given in these tests: real HTTP to fakes, and a note of all it did."""

    http: Http
    regions: Regions
    ports: tuple[int, ...] = ()
    here: dict[str, Path] = field(default_factory=dict)
    fakes: dict[str, FakeService] = field(default_factory=dict)
    started: list[Path] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)

    def effects(self, **changes) -> Effects:
        async def engine(path: Path) -> Place:
            self.started.append(path)
            return Place()

        async def key_command(command: str) -> str:
            self.commands.append(command)
            return "sk-of-command"

        effects = Effects(
            probe=self.http.get_json,
            regions=self.regions,
            key_command=key_command,
            weights=self.here.get,
            engine=engine,
            ports=self.ports,
            hosts=self.host,
            plan_hosts={region: fake.openai for region, fake in self.fakes.items() if region in PLAN_REGIONS},
        )
        return replace(effects, **changes)

    def host(self, region: str, workspace_id: str) -> str:
        if region in self.fakes:
            return self.fakes[region].dashscope
        return dashscope.hosts(region, workspace_id)


PLAN_REGIONS = ("cn-beijing", "ap-southeast-1")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    http = Http()
    yield World(http, Regions(tmp_path / "state" / "regions.json"))
    await http.close()


@pytest.fixture
async def regions(world: World) -> AsyncIterator[dict[str, FakeService]]:
    """A fake in every region; none of them knows the key yet."""
    async with AsyncExitStack() as stack:
        for region in dashscope.REGIONS:
            fake = FakeService(region=region, key="sk-of-nobody")
            world.fakes[region] = await stack.enter_async_context(fake)
        yield world.fakes


async def failure(settings: Settings, env: dict[str, str], effects: Effects) -> BackendError:
    with pytest.raises(BackendError) as caught:
        await resolve(settings, env, effects)
    assert KEY not in caught.value.message
    assert caught.value.message.isprintable()
    return caught.value


# --- Who completes


@pytest.mark.parametrize(
    ("settings", "env", "provider"),
    [
        ({}, {}, None),
        ({}, WITH_KEY, "dashscope"),
        ({}, {"DASHSCOPE_API_KEY": "  "}, None),
        ({"local_only": True}, WITH_KEY, None),
        ({}, {"QWEN_LSP_API_KEY": KEY}, None),
        ({"provider": "local"}, WITH_KEY, "local"),
        ({"provider": "openai", "base_url": "https://dashscope.aliyuncs.com/v1"}, {}, "openai"),
        ({"base_url": "http://127.0.0.1:8080/v1"}, WITH_KEY, "openai"),
        ({"base_url": "https://dashscope-intl.aliyuncs.com/compatible-mode/v1"}, {}, "dashscope"),
        ({"base_url": "https://ws-1.us-east-1.maas.aliyuncs.com"}, {}, "dashscope"),
        ({"base_url": "https://dashscope.aliyuncs.com.evil.example/v1"}, WITH_KEY, "openai"),
        ({"region": "us-east-1"}, {}, "dashscope"),
        ({"workspace_id": "ws-1"}, {}, "dashscope"),
        ({"api_key_command": "pass show it"}, {}, "dashscope"),
        ({"model": "~/models/x.gguf"}, WITH_KEY, "local"),
        ({"model": "qwen2.5-coder-1.5b"}, WITH_KEY, "local"),
        ({"model": "qwen2.5-coder-1.5b", "base_url": "http://h/v1"}, {}, "openai"),
        ({"model": "qwen3-coder-plus"}, WITH_KEY, "dashscope"),
        ({"model": "qwen3-coder-plus"}, {}, None),
    ],
)
def test_what_is_configured_decides_who_completes(settings, env, provider):
    """An explicit provider wins, then an address, an embedded model, DashScope's settings, DashScope's key."""
    assert configured(Settings(**settings), env) == provider


async def test_auto_takes_a_server_on_this_machine_before_the_embedded_model(world, tmp_path):
    """With nothing configured: a running model server, else the embedded model, else an error with both fixes."""
    world.here["qwen2.5-coder-1.5b"] = tmp_path / "x.gguf"
    async with FakeService(models=["llama3", "qwen2.5-coder:3b"]) as server:
        service = await resolve(Settings(), {}, world.effects(ports=(server.port,)))
        assert (service.provider, service.base_url, service.model) == (
            "openai",
            server.openai,
            "qwen2.5-coder:3b",
        )
        assert (service.route, service.api, service.key) == (Route.FIM, Api.COMPLETIONS, None)
    assert world.started == []

    service = await resolve(Settings(), {}, world.effects(ports=(server.port,)))
    assert (service.provider, service.model, service.key) == (
        "local",
        "qwen2.5-coder-1.5b",
        Secret("engine"),
    )
    assert world.started == [tmp_path / "x.gguf"]

    world.here.clear()
    error = await failure(Settings(), {}, world.effects())
    assert error.kind is Kind.CONFIG
    assert "qwen-lsp model pull" in error.message
    assert "DASHSCOPE_API_KEY" in error.message


async def test_auto_never_sends_a_key_to_a_server_it_found(world):
    """Servers that were merely found are asked without any key."""
    async with FakeService() as server:
        await resolve(Settings(), {"QWEN_LSP_API_KEY": KEY}, world.effects(ports=(server.port,)))
        assert "authorization" not in server.requests[0].headers


async def test_auto_with_a_model_wants_a_server_that_has_it(world, tmp_path):
    """A model that no server here has is not replaced by another, not even by the embedded one."""
    world.here["qwen2.5-coder-1.5b"] = tmp_path / "x.gguf"
    settings = Settings(model="my-coder")
    async with FakeService(models=["qwen-coder"]) as other, FakeService(models=["x", "my-coder"]) as right:
        service = await resolve(settings, {}, world.effects(ports=(other.port, right.port)))
        assert (service.base_url, service.model) == (right.openai, "my-coder")

        error = await failure(settings, {}, world.effects(ports=(other.port,)))
        assert (error.kind, "my-coder" in error.message) == (Kind.CONFIG, True)


# --- Servers on this machine


@pytest.fixture
def patient(monkeypatch):
    """Time enough for a server on a machine as loaded as those get on which tests run."""
    monkeypatch.setattr(nearby, "PROBE_SECONDS", 1.5)


@pytest.mark.usefixtures("patient")
async def test_the_first_port_in_order_wins_though_it_is_slower(world):
    """The order of the ports decides, not who answers first."""

    def slow(_):
        return Answer([], delay=0, body=json.dumps(listed("qwen-coder-a")).encode(), hold=gate)

    gate = asyncio.Event()
    async with FakeService() as first, FakeService(models=["qwen-coder-b"]) as second:
        first.overrides["/v1/models"] = slow
        asyncio.get_running_loop().call_later(0.03, gate.set)
        found = await find_server("", (first.port, second.port), world.http.get_json)
    assert found is not None
    assert found.model == "qwen-coder-a"


def listed(*names: str) -> dict:
    return {"object": "list", "data": [{"id": name, "object": "model"} for name in names]}


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize(
    "answer",
    [
        Answer(body=b"<html>hello</html>", headers={"Content-Type": "text/html"}),
        Answer(body=b'{"data": [{"id": "row-1"}]}'),
        Answer(body=b'{"object": "list", "data": "x"}'),
        Answer(body=b'{"object": "list", "data": [{"id": 1}, null]}'),
        Answer(body=b"[]"),
        Answer(body=json.dumps(listed()).encode()),
        Answer(body=json.dumps(listed("nomic-embed-text")).encode()),
        Answer(status=401, body=json.dumps(listed("qwen-coder")).encode()),
        Answer(status=404, body=b""),
        Answer(cut=True),
        Answer(hold=asyncio.Event()),
    ],
    ids=["html", "rows", "no list", "no ids", "array", "no model", "embeddings", "401", "404", "cut", "silent"],
)
async def test_what_is_no_model_server_is_not_mistaken_for_one(world, answer):
    """Whatever else listens on a usual port is passed over; who is silent, after a moment."""
    async with FakeService() as other, FakeService(models=["qwen-coder"]) as server:
        other.overrides["/v1/models"] = answer
        found = await find_server("", (other.port, server.port), world.http.get_json)
        assert found is not None
        assert found.base_url == server.openai


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["llama3", "qwen3:8b", "Qwen2.5-Coder-7B"], "Qwen2.5-Coder-7B"),
        (["llama3", "qwen3:8b"], "qwen3:8b"),
        (["qwen3-embedding", "llama3", "codellama"], "llama3"),
        (["bge-reranker", "nomic-embed"], ""),
        ([], ""),
    ],
)
def test_which_of_a_servers_models_is_taken(names, chosen):
    """A Qwen coder, else a Qwen, else the first model that writes text."""
    assert preferred(offered(listed(*names))) == chosen


# --- DashScope


async def test_the_region_of_a_key_is_asked_once_and_remembered(world, regions):
    """`auto` asks every region's host for its models; the one that takes the key is kept for the next start."""
    regions["cn-beijing"].key = KEY

    for _ in range(2):
        service = await resolve(Settings(), WITH_KEY, world.effects())
        assert (service.region, service.base_url) == ("cn-beijing", regions["cn-beijing"].dashscope)
        assert (service.model, service.route) == ("qwen-coder-turbo", Route.FIM)

    assert [(r.method, r.path) for r in regions["cn-beijing"].requests] == [("GET", "/compatible-mode/v1/models")]
    # Tokyo has hosts for workspaces only.
    assert regions["ap-northeast-1"].requests == []
    path = world.regions._path
    assert KEY not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_with_a_workspace_every_region_is_asked(world, regions):
    """A workspace's key may belong to Tokyo, which has workspace hosts only."""
    regions["ap-northeast-1"].key = KEY

    service = await resolve(Settings(workspace_id="ws-1"), WITH_KEY, world.effects())

    assert (service.region, service.model, service.route, service.api) == (
        "ap-northeast-1",
        "qwen3-coder-flash",
        Route.PARTIAL,
        Api.CHAT,
    )


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"a": 1}', b"\xff\xfe", b"[" * 100_000])
def test_a_corrupt_memory_is_ignored_and_replaced(tmp_path, content):
    """Whatever stands in the file of regions, it costs one request at most."""
    path = tmp_path / "regions.json"
    path.write_bytes(content)
    regions = Regions(path)

    assert regions.recall(Secret(KEY)) is None
    regions.remember(Secret(KEY), "us-east-1")
    assert Regions(path).recall(Secret(KEY)) == "us-east-1"
    assert regions.recall(Secret("sk-other")) is None
    regions.forget(Secret(KEY))
    assert regions.recall(Secret(KEY)) is None


def test_a_remembered_region_that_does_not_exist_is_ignored(tmp_path):
    """A region's name that DashScope does not have is not used as one."""
    regions = Regions(tmp_path / "regions.json")
    regions.remember(Secret(KEY), "mars")
    assert regions.recall(Secret(KEY)) is None


def test_a_memory_that_cannot_be_written_is_no_failure(tmp_path):
    """A state directory that can't be written costs the memory, no more."""
    (tmp_path / "file").write_text("")
    regions = Regions(tmp_path / "file" / "regions.json")
    regions.remember(Secret(KEY), "us-east-1")
    assert regions.recall(Secret(KEY)) is None


async def test_a_key_that_every_region_refuses_is_an_auth_error(world, regions):
    """A key that no region takes: the message names the variable, nothing is remembered."""
    error = await failure(Settings(), WITH_KEY, world.effects())

    assert (error.kind, "DASHSCOPE_API_KEY" in error.message) == (Kind.AUTH, True)
    assert not world.regions._path.exists()


async def test_a_region_that_does_not_answer_leaves_the_question_open(world, regions):
    """When some refuse and one is silent, the person is told which, and to set qwen.region."""
    await regions["cn-beijing"].stop()
    regions["us-east-1"].overrides["/compatible-mode/v1/models"] = Answer(status=500, body=b"")

    error = await failure(Settings(), WITH_KEY, world.effects())

    assert error.kind is Kind.NETWORK
    assert "cn-beijing, us-east-1 gave no answer; set qwen.region" in error.message


async def test_nobody_answers(world, regions):
    """Without a network the message speaks of the network, not of the key."""
    for fake in regions.values():
        await fake.stop()
    error = await failure(Settings(), WITH_KEY, world.effects())
    assert (error.kind, "DASHSCOPE_API_KEY" in error.message) == (Kind.NETWORK, False)


def test_a_key_with_odd_bytes_is_unknown_and_no_fault(tmp_path):
    """An environment's strings need not be text; that such a key can't be one is said where it is sent."""
    memory = Regions(tmp_path / "regions.json")
    assert memory.recall(Secret("sk-\udcff")) is None
    memory.remember(Secret("sk-\udcff"), "us-east-1")
    assert memory.recall(Secret("sk-\udcff")) == "us-east-1"


def test_backslashes_part_folders_on_windows():
    """Elsewhere they quote."""
    assert _words(r'C:\tools\pass.exe show "my key"', windows=True) == [r"C:\tools\pass.exe", "show", "my key"]
    assert _words(r"pass show my\ key", windows=False) == ["pass", "show", "my key"]


async def test_the_region_that_takes_the_key_need_not_wait_for_the_others(world, regions):
    """One region's yes is enough; a silent one is hung up on."""
    regions["us-east-1"].key = KEY
    regions["cn-beijing"].overrides["/compatible-mode/v1/models"] = Answer(hold=asyncio.Event())
    candidates = {name: fake.dashscope for name, fake in regions.items()}

    region = await asyncio.wait_for(find_region(Secret(KEY), candidates, world.http.get_json), 2)

    assert region == "us-east-1"


@pytest.mark.parametrize(
    ("settings", "base_url", "region", "model", "route", "api"),
    [
        (
            {"region": "cn-beijing"},
            "https://dashscope.aliyuncs.com/compatible-mode/v1",
            "cn-beijing",
            "qwen-coder-turbo",
            Route.FIM,
            Api.COMPLETIONS,
        ),
        (
            {"region": "us-east-1", "workspace_id": "ws-1"},
            "https://ws-1.us-east-1.maas.aliyuncs.com/compatible-mode/v1",
            "us-east-1",
            "qwen3-coder-flash",
            Route.PARTIAL,
            Api.CHAT,
        ),
        (
            {"region": "cn-beijing", "model": "qwen3-coder-plus", "api_style": "native"},
            "https://dashscope.aliyuncs.com/compatible-mode/v1",
            "cn-beijing",
            "qwen3-coder-plus",
            Route.PARTIAL,
            Api.NATIVE,
        ),
        (
            {"base_url": "https://dashscope.aliyuncs.com/"},
            "https://dashscope.aliyuncs.com/compatible-mode/v1",
            "cn-beijing",
            "qwen-coder-turbo",
            Route.FIM,
            Api.COMPLETIONS,
        ),
        (
            {"base_url": "https://ws-1.ap-southeast-1.maas.aliyuncs.com/compatible-mode/v1"},
            "https://ws-1.ap-southeast-1.maas.aliyuncs.com/compatible-mode/v1",
            "ap-southeast-1",
            "qwen3-coder-flash",
            Route.PARTIAL,
            Api.CHAT,
        ),
        (
            {"provider": "dashscope", "base_url": "https://gateway.example/qwen/v1"},
            "https://gateway.example/qwen/v1",
            None,
            "qwen3-coder-flash",
            Route.PARTIAL,
            Api.CHAT,
        ),
        (
            {"provider": "dashscope", "base_url": "https://gateway.example/v1", "region": "cn-beijing"},
            "https://gateway.example/v1",
            "cn-beijing",
            "qwen-coder-turbo",
            Route.FIM,
            Api.COMPLETIONS,
        ),
    ],
)
async def test_where_and_how_dashscope_is_asked(  # noqa: PLR0917 - a table's columns
    world, settings, base_url, region, model, route, api
):
    """Region, workspace and address decide host, default model and route, and nothing is probed."""

    async def probe(url: str, **_: object):
        pytest.fail(f"{url} was asked")

    service = await resolve(Settings(**settings), WITH_KEY, world.effects(probe=probe))

    assert (service.provider, service.base_url, service.region) == ("dashscope", base_url, region)
    assert (service.model, service.route, service.api) == (model, route, api)
    assert service.key == Secret(KEY)


async def test_a_coding_plan_key_goes_to_the_plans_hosts(world, regions):
    """Keys that begin with sk-sp- are asked for at hosts of their own, in partial mode."""
    env = {"DASHSCOPE_API_KEY": "sk-sp-4711"}
    regions["ap-southeast-1"].key = "sk-sp-4711"

    service = await resolve(Settings(), env, world.effects())
    assert (service.base_url, service.route) == (regions["ap-southeast-1"].openai, Route.PARTIAL)
    assert service.model == "qwen3-coder-plus"

    error = await failure(Settings(region="us-east-1"), env, world.effects())
    assert (error.kind, "sk-sp-" in error.message) == (Kind.CONFIG, True)


async def test_a_thinking_model_is_told_not_to(world):
    """A model that thinks unless told is told, in partial mode."""
    settings = Settings(region="cn-beijing", model="qwen3-32b")
    assert (await resolve(settings, WITH_KEY, world.effects())).disable_thinking


async def test_what_may_not_be_asked_is_not_told_as_a_network_that_is_down(world):
    """`qwen.localOnly` with DashScope: the regions' hosts were never asked."""
    http = Http(local_only=True)
    effects = world.effects(probe=http.get_json, hosts=dashscope.hosts)
    error = await failure(Settings(provider="dashscope"), WITH_KEY, effects)
    await http.close()
    assert error.kind is Kind.CONFIG
    assert "qwen.localOnly is on" in error.message


@pytest.mark.parametrize(
    ("settings", "env", "kind", "words"),
    [
        ({"provider": "dashscope"}, {}, Kind.AUTH, ["DASHSCOPE_API_KEY", "qwen.apiKeyCommand"]),
        ({"region": "ap-northeast-1"}, WITH_KEY, Kind.CONFIG, ["qwen.workspaceId"]),
        ({"region": "us-east-1", "workspace_id": "a.evil.example/"}, WITH_KEY, Kind.CONFIG, ["workspaceId"]),
        ({"base_url": "http://dashscope.aliyuncs.com/v1"}, WITH_KEY, Kind.CONFIG, ["https://"]),
        ({"base_url": "127.0.0.1:8080/v1"}, {}, Kind.CONFIG, ["qwen.baseUrl: expected a URL such as"]),
        ({"region": "us-east-1", "route": "fim"}, WITH_KEY, Kind.CONFIG, ["qwen.route"]),
        ({"provider": "openai"}, {}, Kind.CONFIG, ["qwen.baseUrl"]),
        ({"provider": "local"}, {}, Kind.MODEL, ["run `qwen-lsp model pull qwen2.5-coder-1.5b`"]),
        ({"provider": "local", "model": "0.5b"}, {}, Kind.MODEL, ["run `qwen-lsp model pull qwen2.5-coder-0.5b`"]),
        ({"model": "/no/such.gguf"}, {}, Kind.MODEL, ["there is no file /no/such.gguf"]),
        ({"provider": "local", "model": "gpt"}, {}, Kind.MODEL, ["gpt", "qwen2.5-coder-1.5b"]),
        ({"model": "qwen3-coder-plus"}, {}, Kind.CONFIG, ["qwen3-coder-plus", "correct qwen.model"]),
    ],
)
async def test_what_is_missing_is_named_with_the_fix(world, settings, env, kind, words):
    """Every way to be set up wrongly is one line that names the setting, variable or command to use."""
    error = await failure(Settings(**settings), env, world.effects())
    assert error.kind is kind
    assert all(word in error.message for word in words), error.message


@pytest.mark.parametrize(
    ("base_url", "region", "own"),
    [
        ("https://dashscope.aliyuncs.com/compatible-mode/v1", "cn-beijing", True),
        ("https://DashScope-US.aliyuncs.com", "us-east-1", True),
        ("https://ws_1.cn-hongkong.maas.aliyuncs.com/v1", "cn-hongkong", True),
        ("https://coding-intl.dashscope.aliyuncs.com/v1", None, True),
        ("https://evil.example/dashscope.aliyuncs.com", None, False),
        ("https://dashscope.aliyuncs.com@evil.example/", None, False),
        ("https://a.b.cn-beijing.maas.aliyuncs.com/", None, False),
        ("https://oss-cn-beijing.aliyuncs.com/", None, False),
        ("http://[::1", None, False),
        ("", None, False),
    ],
)
def test_which_hosts_are_dashscopes_own(base_url, region, own):
    """A DashScope key goes by itself to these hosts only, and a host's name tells the region."""
    assert (region_of(base_url), is_dashscope(base_url)) == (region, own)


# --- OpenAI-compatible servers


async def test_an_empty_model_is_the_servers_first(world):
    """With `openai` and no model, the server's first model is taken; its key is QWEN_LSP_API_KEY alone."""
    async with FakeService(key="sk-own", models=["some-model", "qwen-coder"]) as server:
        env = {"DASHSCOPE_API_KEY": KEY, "QWEN_LSP_API_KEY": "sk-own"}
        service = await resolve(Settings(base_url=server.url), env, world.effects())

        assert (service.provider, service.base_url) == ("openai", server.openai)
        assert (service.model, service.route, service.api) == ("some-model", Route.PARTIAL, Api.CHAT)
        assert service.key == Secret("sk-own")
        assert all(KEY not in str(request.headers) for request in server.requests)


async def test_a_dashscope_key_never_goes_to_another_host(world):
    """With only DASHSCOPE_API_KEY set, a host that is not DashScope's is asked without a key."""
    settings = Settings(base_url="https://models.example/v1", model="qwen-coder")
    assert (await resolve(settings, WITH_KEY, world.effects())).key is None

    settings = Settings(provider="openai", base_url="https://dashscope.aliyuncs.com/v1", model="qwen-coder")
    assert (await resolve(settings, WITH_KEY, world.effects())).key == Secret(KEY)


async def test_an_unknown_model_is_left_to_the_server(world):
    """A model that is named is not looked up: the server knows best what it serves."""
    async with FakeService(models=["a"]) as server:
        service = await resolve(Settings(base_url=server.openai, model="b"), {}, world.effects())
        assert service.model == "b"
        assert server.requests == []


@pytest.mark.parametrize(
    ("answer", "kind", "word"),
    [
        (Answer(status=401, body=b""), Kind.AUTH, "QWEN_LSP_API_KEY"),
        (Answer(status=404, body=b""), Kind.MODEL, "qwen.model"),
        (Answer(body=b"{}"), Kind.MODEL, "qwen.model"),
        (Answer(body=json.dumps(listed()).encode()), Kind.MODEL, "qwen.model"),
    ],
)
async def test_a_server_that_names_no_model(world, answer, kind, word):
    """Without a model in the settings and in the server's list, the person is told what to set."""
    async with FakeService() as server:
        server.overrides["/v1/models"] = answer
        error = await failure(Settings(base_url=server.openai), {}, world.effects())
    assert (error.kind, word in error.message) == (kind, True)


async def test_an_openai_server_that_is_not_running(world):
    """A server that is not there is named with its address."""
    async with FakeService() as server:
        pass
    error = await failure(Settings(base_url=server.openai), {}, world.effects())
    assert (error.kind, f"nothing answers at {server.url}" in error.message) == (Kind.NETWORK, True)


# --- The embedded model


@pytest.mark.parametrize(
    ("model", "name", "route"),
    [
        ("", "qwen2.5-coder-1.5b", Route.FIM),
        ("0.5b", "qwen2.5-coder-0.5b", Route.FIM),
        ("/m/My-Qwen-Coder.gguf", "My-Qwen-Coder", Route.FIM),
        ("smollm2-135m", "smollm2-135m", Route.PARTIAL),
    ],
)
async def test_the_embedded_model_is_started_from_its_file(world, model, name, route):
    """A name of ours or a file: the engine starts with it, and its address and key make the service."""
    world.here[model or "qwen2.5-coder-1.5b"] = Path("/m/file.gguf") if "/" not in model else Path(model)

    service = await resolve(Settings(provider="local", model=model), {}, world.effects())

    assert (service.provider, service.model, service.route) == ("local", name, route)
    assert (service.base_url, service.key) == (Place.base_url, Secret("engine"))
    assert len(world.started) == 1


# --- Keys


@pytest.mark.parametrize(
    ("env", "key", "asked"),
    [
        ({"DASHSCOPE_API_KEY": "a", "QWEN_LSP_API_KEY": "b"}, "a", False),
        ({"QWEN_LSP_API_KEY": " b\n"}, "b", False),
        ({"DASHSCOPE_API_KEY": ""}, "sk-of-command", True),
    ],
)
async def test_where_a_key_comes_from(world, env, key, asked):
    """The environment wins, in order; the command runs only when it has nothing."""
    effects = world.effects()
    found = await find_key(("DASHSCOPE_API_KEY", "QWEN_LSP_API_KEY"), env, "show key", effects.key_command)
    assert (found, bool(world.commands)) == (Secret(key), asked)


def python(code: str) -> str:
    return shlex.join([sys.executable, "-c", code])


async def test_the_key_is_the_commands_first_line():
    """The first line of output is the key; the rest and the error output are nobody's business."""
    command = python("import sys; print(' sk-1 '); print('x' * 300_000); print('oops', file=sys.stderr)")
    assert await run_key_command(command, {}) == "sk-1"


async def test_the_command_runs_without_a_shell():
    """Nothing in a command is expanded or chained."""
    command = python("import sys; print(sys.argv[1:])") + " '$HOME' ; echo x"
    assert await run_key_command(command, {}) == "['$HOME', ';', 'echo', 'x']"


@pytest.mark.parametrize(
    ("command", "how"),
    [
        ("/no/such/program --key", "can't be run"),
        ("echo 'open", "quote"),
        ("   ", "is empty"),
        (python("print('sk-canary'); raise SystemExit(3)"), "exit code 3"),
        (python("pass"), "printed nothing"),
        (python("print('x' * 1_000_000, end='')"), "no key"),
        (python(r"import sys; sys.stdout.buffer.write(b'\xff\xfe\n')"), "no key"),
        (python("import time; print('sk-canary', flush=True); time.sleep(60)"), "did not end within 0.5 s"),
        (
            python("import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])"),
            "did not end within 0.5 s",
        ),
    ],
    ids=["missing", "quote", "blank", "fails", "silent", "endless", "binary", "hangs", "child hangs"],
)
async def test_a_command_that_gives_no_key_is_told_by_the_setting(command, how):
    """However the command fails, the error names the setting, never the output; its children end with it."""
    with pytest.raises(BackendError) as caught:
        await run_key_command(command, {}, timeout=0.5 if "0.5" in how else 10)

    assert caught.value.kind is Kind.AUTH
    assert caught.value.message.startswith("qwen.apiKeyCommand: the command ")
    assert how in caught.value.message
    assert "canary" not in caught.value.message


async def test_a_failing_command_is_an_auth_error_of_the_service(world):
    """The command's failure is what the person is told when DashScope is wanted."""

    async def run(command: str) -> str:
        return await run_key_command(command, {})

    settings = Settings(api_key_command="/no/such/program")
    error = await failure(settings, {}, world.effects(key_command=run))
    assert (error.kind, "qwen.apiKeyCommand" in error.message) == (Kind.AUTH, True)
