"""The backend as the engine sees it: one service, found out once, and what happens when it goes away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from qwen_lsp.backend.backend import RETRY_PAUSE, ModelBackend
from qwen_lsp.backend.learned import Learned, LearnedStore
from qwen_lsp.core.config import Settings
from qwen_lsp.core.model import BackendError, Kind, Notice, Prompt, Route, Secret
from tests.fake_dashscope import FAILURES, Answer, FakeService

KEY = "sk-canary-4711"
PROMPT = Prompt(prefix="x = ", suffix="\n", language="python", path="x.py", max_tokens=8, temperature=0.2)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Place:
    base_url: str
    key: Secret


@dataclass
class FakeEngine:
    """An engine that is at `place`, or fails; it notes what was asked of it."""

    place: Place
    failure: BackendError | None = None
    ensured: int = 0
    lingered: list[bool] = field(default_factory=list)

    async def ensure(self) -> Place:
        self.ensured += 1
        await asyncio.sleep(0)
        if self.failure is not None:
            raise self.failure
        return self.place

    async def close(self, *, linger: bool) -> None:
        self.lingered.append(linger)


@dataclass
class Desk:
    """Makes backends, and closes them."""

    folder: Path
    clock: Clock = field(default_factory=Clock)
    notices: list[Notice] = field(default_factory=list)
    made: list[ModelBackend] = field(default_factory=list)

    def backend(self, env: dict[str, str] | None = None, **settings) -> ModelBackend:
        effects = {name: settings.pop(name) for name in ("make_engine", "ports", "hosts") if name in settings}
        backend = ModelBackend(
            Settings(**settings),
            env or {},
            state_dir=self.folder / "state",
            cache_dir=self.folder / "cache",
            on_notice=self.notices.append,
            clock=self.clock,
            **{"ports": (), **effects},
        )
        self.made.append(backend)
        return backend


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    for backend in desk.made:
        await backend.close()


@pytest.fixture
async def fake() -> AsyncIterator[FakeService]:
    async with FakeService(key=KEY) as service:
        yield service


async def text_of(exchange) -> str:
    return "".join([delta.text async for delta in exchange])


async def failure_of(awaitable) -> BackendError:
    with pytest.raises(BackendError) as caught:
        await awaitable
    return caught.value


async def test_from_settings_to_text(desk, fake):
    """The settings lead to a service, and the service to text; it is found out once."""
    backend = desk.backend({"QWEN_LSP_API_KEY": KEY}, base_url=fake.openai)
    fake.script("1 + 2", "3")

    texts = [await text_of(backend.generate(await backend.service(), PROMPT)) for _ in range(2)]

    assert texts == ["1 + 2", "3"]
    assert [request.path for request in fake.requests] == ["/v1/models", *["/v1/completions"] * 2]


async def test_callers_at_the_same_time_share_one_search(desk, fake):
    """Ten callers ask once; one that is cancelled does not cancel the search for the others."""
    gate = asyncio.Event()
    fake.overrides["/v1/models"] = Answer(body=b'{"object": "list", "data": [{"id": "m"}]}', hold=gate)
    backend = desk.backend(base_url=fake.openai)
    callers = [asyncio.ensure_future(backend.service()) for _ in range(10)]
    await asyncio.sleep(0)

    callers[0].cancel()
    await asyncio.gather(callers[0], return_exceptions=True)
    gate.set()
    services = await asyncio.gather(*callers[1:])

    assert callers[0].cancelled()
    assert {service.model for service in services} == {"m"}
    assert len(fake.requests) == 1


async def test_a_failed_search_is_repeated_after_a_pause(desk, fake):
    """A failure is remembered for ten seconds, so that keystrokes ask nobody, and then looked into again."""
    backend = desk.backend(base_url=fake.openai)
    fake.overrides["/v1/models"] = Answer(status=401, body=b"")

    first = await failure_of(backend.service())
    again = await failure_of(backend.service())
    assert (first.kind, again.message, len(fake.requests)) == (Kind.AUTH, first.message, 1)
    assert again is not first

    del fake.overrides["/v1/models"]
    fake.key = None
    desk.clock.now += RETRY_PAUSE
    assert (await backend.service()).model == fake.models[0]


@pytest.mark.parametrize("settings", [{}, {"provider": "local"}, {"model": "qwen2.5-coder-1.5b"}])
async def test_a_model_that_could_be_fetched_is_named_each_time(desk, settings):
    """For the editor's button; also while the search is not repeated."""
    backend = desk.backend(**settings)
    for _ in range(2):
        assert (await failure_of(backend.service())).lacks == "qwen2.5-coder-1.5b"


async def test_a_region_is_remembered_between_starts_and_forgotten_when_refused(desk, tmp_path):
    """A key's region is asked once in all; when the region refuses the key later, it is asked again."""
    async with FakeService(key=KEY) as fake, FakeService(key="sk-other", region="us-east-1") as other:
        places = {"cn-beijing": fake.dashscope}

        def hosts(region: str, _workspace: str) -> str:
            return places.get(region, other.dashscope)

        env = {"DASHSCOPE_API_KEY": KEY}
        assert (await desk.backend(env, hosts=hosts).service()).region == "cn-beijing"
        backend = desk.backend(env, hosts=hosts)
        service = await backend.service()
        assert len(fake.requests) == 1

        fake.script(FAILURES["key"])
        error = await failure_of(text_of(backend.generate(service, PROMPT)))
        assert error.kind is Kind.AUTH
        fake.key, other.key = "sk-other", KEY
        assert (await backend.service()).region == "ap-southeast-1"
    written = "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())
    assert "canary" not in written


# --- The embedded engine


def weights_in(folder: Path) -> Path:
    path = folder / "cache" / "models" / "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"GGUF")
    return path


async def test_the_embedded_engine_starts_when_it_is_needed_and_again_after_a_crash(desk, tmp_path, fake):
    """The engine starts with the first search; one that crashed comes back at another address."""
    path = weights_in(tmp_path)
    engine = FakeEngine(Place("http://127.0.0.1:9/v1", Secret("sk-gone")))
    started: list[Path] = []

    def make_engine(model: Path) -> FakeEngine:
        started.append(model)
        return engine

    fake.models = ("qwen2.5-coder-1.5b",)
    backend = desk.backend(make_engine=make_engine, provider="local")
    assert started == []
    service = await backend.service()
    assert (await failure_of(text_of(backend.generate(service, PROMPT)))).kind is Kind.NETWORK

    engine.place = Place(fake.openai, Secret(KEY))
    service = await backend.service()

    assert await text_of(backend.generate(service, PROMPT)) == "pass"
    assert started == [path]
    assert engine.ensured == 2
    assert (await backend.service()) == service


async def test_an_engine_that_moved_is_followed_without_a_failure(desk, tmp_path, fake):
    """When the engine has noticed its crash by itself, the next question already goes to the new one."""
    weights_in(tmp_path)
    engine = FakeEngine(Place("http://127.0.0.1:9/v1", Secret("a")))
    backend = desk.backend(make_engine=lambda _: engine, provider="local")
    await backend.service()

    engine.place = Place(fake.openai, Secret(KEY))

    assert (await backend.service()).base_url == fake.openai
    engine.failure = BackendError(Kind.OVERLOADED, "it stopped", retry_after=1)
    assert (await failure_of(backend.service())).message == "it stopped"
    engine.failure = None
    assert (await backend.service()).key == Secret(KEY)


async def test_an_engine_that_asks_for_a_short_pause_is_asked_after_it(desk, tmp_path, fake):
    """An engine in its pause after a crash is not left alone for longer than it asks."""
    weights_in(tmp_path)
    engine = FakeEngine(Place(fake.openai, Secret(KEY)), BackendError(Kind.OVERLOADED, "x", retry_after=1))
    backend = desk.backend(make_engine=lambda _: engine, provider="local")
    await failure_of(backend.service())
    engine.failure = None

    desk.clock.now += 0.5
    await failure_of(backend.service())
    desk.clock.now += 0.5
    assert (await backend.service()).is_local


async def test_a_found_server_that_went_away_is_looked_for_again(desk, fake):
    """With `auto`, a server on this machine that has gone is replaced by the next one that is there."""
    fake.key = None
    async with FakeService(models=["qwen-coder-b"]) as first:
        backend = desk.backend(ports=(first.port, fake.port))
        service = await backend.service()
        assert service.base_url == first.openai
    await failure_of(text_of(backend.generate(service, PROMPT)))

    assert (await backend.service()).base_url == fake.openai


# --- Closing


@pytest.mark.parametrize("linger", [False, True])
async def test_close_ends_exchanges_and_lets_go_of_the_engine(desk, tmp_path, fake, linger):
    """Closing ends iteration, hangs up, and tells the engine whether to stay; a second time does nothing."""
    weights_in(tmp_path)
    fake.models = ("qwen2.5-coder-1.5b",)
    engine = FakeEngine(Place(fake.openai, Secret(KEY)))
    backend = desk.backend(make_engine=lambda _: engine, provider="local")
    fake.script(Answer("never", hold=asyncio.Event()))
    exchange = backend.generate(await backend.service(), PROMPT)
    request = await fake.until(1)

    await asyncio.wait_for(backend.close(linger=linger), 2)
    await backend.close()

    assert await text_of(exchange) == ""
    await asyncio.wait_for(request.gone.wait(), 2)
    assert engine.lingered == [linger]
    assert (await failure_of(backend.service())).kind is Kind.CONFIG


async def test_close_does_not_wait_for_a_search(desk, fake):
    """A search that is under way ends with the backend; whoever waits for it is told, and no task is left."""
    fake.overrides["/v1/models"] = Answer(hold=asyncio.Event())
    backend = desk.backend(base_url=fake.openai)
    caller = asyncio.ensure_future(backend.service())
    while not fake.requests:  # noqa: ASYNC110 - the fake tells of posts only
        await asyncio.sleep(0)

    await asyncio.wait_for(backend.close(), 2)
    assert (await failure_of(caller)).kind is Kind.CONFIG
    await fake.stop()

    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_the_timeout_is_the_settings(desk, fake):
    """`qwen.timeout`, in milliseconds, bounds a whole exchange."""
    backend = desk.backend({"QWEN_LSP_API_KEY": KEY}, base_url=fake.openai, timeout=150)
    fake.script(Answer("never", hold=asyncio.Event()))

    error = await failure_of(text_of(backend.generate(await backend.service(), PROMPT)))

    assert (error.kind, "0.15 s" in error.message) == (Kind.TIMEOUT, True)


async def test_what_the_doctor_has_learned_of_an_endpoint_decides_the_route(desk, tmp_path, fake):
    """Where FIM was seen to fail and partial mode to work; a route that a person has chosen is believed."""
    settings = {"provider": "openai", "base_url": fake.openai, "model": "qwen2.5-coder-7b-instruct"}
    service = await desk.backend(**settings).service()
    assert service.route is Route.FIM
    LearnedStore(tmp_path / "state" / "learned.json").keep(service, Learned(fim=False, partial=True))
    assert (await desk.backend(**settings).service()).route is Route.PARTIAL
    assert (await desk.backend(**settings, route="fim").service()).route is Route.FIM
