"""backend/probing.py: how an endpoint wants to be asked, found out when it is met for the first time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from qwen_lsp.backend.backend import ModelBackend
from qwen_lsp.backend.learned import Learned, LearnedStore
from qwen_lsp.backend.probing import find_out
from qwen_lsp.core.config import Settings
from qwen_lsp.core.model import Api, BackendError, Kind, Notice, Prompt, Route, Service
from qwen_lsp.core.questions import opening
from tests.fake_dashscope import FAILURES, Answer, FakeService, Received

SERVICE = Service("openai", "http://127.0.0.1:8080/v1", "qwen2.5-coder", Route.FIM, Api.COMPLETIONS)
RIGHT = {Route.FIM: " 4711", Route.PARTIAL: " + b"}
PROSE = "Sure! Here is the code:\n```python\nharbour = 1\n```"


class Endpoint:
    """One that answers well where `is_good` and talks elsewhere; what it has no interface for, it refuses."""

    def __init__(
        self,
        is_good: Callable[[Service], bool] = lambda _way: True,
        *,
        refuses: Callable[[Service], bool] = lambda _way: False,
        kind: Kind = Kind.BAD_REQUEST,
    ) -> None:
        self.asked: list[Service] = []
        self._is_good, self._refuses, self._kind = is_good, refuses, kind

    async def __call__(self, way: Service, prompt: Prompt) -> str:
        assert prompt == opening(way.route)
        self.asked.append(way)
        if self._refuses(way):
            raise BackendError(self._kind, "no")
        return RIGHT[way.route] if self._is_good(way) else PROSE


async def test_one_question_is_enough_where_the_usual_way_works() -> None:
    """And the answer's form is looked at."""
    endpoint = Endpoint()
    assert await find_out(SERVICE, endpoint, reroute=True) == Learned(fim=True, leaks=False, echoes=False, fences=False)
    assert endpoint.asked == [SERVICE]


async def test_a_server_with_a_template_of_its_own_is_asked_by_suffix() -> None:
    """As Ollama, which wraps a raw prompt into a chat's."""
    endpoint = Endpoint(lambda way: way.has_suffix)
    learned = await find_out(SERVICE, endpoint, reroute=True)
    assert (learned.fim, learned.suffix, learned.partial, learned.fences) == (False, True, None, False)


async def test_a_chat_model_is_asked_to_continue_where_fim_is_not_understood() -> None:
    """After both ways of FIM."""
    endpoint = Endpoint(lambda way: way.route is Route.PARTIAL)
    learned = await find_out(SERVICE, endpoint, reroute=True)
    assert (learned.fim, learned.suffix, learned.partial) == (False, False, True)
    assert [way.route for way in endpoint.asked] == [Route.FIM, Route.FIM, Route.PARTIAL]


async def test_an_unknown_name_may_hide_a_coder() -> None:
    """Partial mode first, for that is what names without "coder" mean; FIM if that does not work."""
    chat = replace(SERVICE, model="house-model", route=Route.PARTIAL, api=Api.CHAT)
    learned = await find_out(chat, Endpoint(lambda way: way.route is Route.FIM), reroute=True)
    assert (learned.partial, learned.fim) == (False, True)
    assert (await find_out(chat, Endpoint(), reroute=True)).fim is None


async def test_who_chose_a_route_is_asked_by_no_other() -> None:
    """`qwen.route` is believed."""
    endpoint = Endpoint(lambda _way: False)
    learned = await find_out(SERVICE, endpoint, reroute=False)
    assert (learned.fim, learned.suffix, learned.partial) == (False, False, None)


async def test_a_server_that_takes_one_stop_string_is_asked_with_one() -> None:
    """It refuses the request with four, and not the interface."""
    endpoint = Endpoint(lambda way: way.has_suffix, refuses=lambda way: way.stops > 1)
    learned = await find_out(SERVICE, endpoint, reroute=True)
    assert (learned.stops, learned.fim, learned.suffix) == (1, False, True)
    assert [way.stops for way in endpoint.asked] == [4, 1, 1]


async def test_an_interface_that_is_not_there_does_not_work() -> None:
    """VLLM refuses `suffix`."""
    endpoint = Endpoint(lambda way: way.route is Route.PARTIAL, refuses=lambda way: way.has_suffix)
    learned = await find_out(SERVICE, endpoint, reroute=True)
    assert (learned.suffix, learned.partial, learned.stops) == (False, True, None)


@pytest.mark.parametrize("kind", [Kind.AUTH, Kind.RATE, Kind.NETWORK, Kind.TIMEOUT, Kind.OVERLOADED, Kind.QUOTA])
async def test_nothing_is_concluded_from_a_service_that_is_not_well(kind: Kind) -> None:
    """It says nothing of what the service can do."""
    with pytest.raises(BackendError):
        await find_out(SERVICE, Endpoint(refuses=lambda _way: True, kind=kind), reroute=True)


# --- In the backend


def template(request: Received) -> str:
    """A server with a template of its own."""
    body = request.json
    if "suffix" in body:
        return " 4711" if "harbour" in body["prompt"] else "by suffix"
    return PROSE


class Desk:
    def __init__(self, folder: Path, service: FakeService) -> None:
        self.folder, self.service = folder, service
        self.notices: list[Notice] = []
        self.made: list[ModelBackend] = []
        self.spent: list[tuple[Route, bool]] = []

    def backend(self, *, probing: bool = True, **settings: object) -> ModelBackend:
        chosen = Settings(base_url=self.service.openai, model="qwen2.5-coder-7b-instruct", **settings)
        folders = {"state_dir": self.folder, "cache_dir": self.folder}
        made = ModelBackend(
            chosen,
            {},
            on_notice=self.notices.append,
            ports=(),
            probing=probing,
            on_spent=lambda service, usage: self.spent.append((service.route, usage.prompt > 0)),
            **folders,
        )
        self.made.append(made)
        return made

    async def until_probed(self, backend: ModelBackend) -> None:
        await backend.service()
        assert backend._probe is not None
        await asyncio.wait({backend._probe})

    @property
    def known(self) -> dict[str, object]:
        path = self.folder / "learned.json"
        return next(iter(json.loads(path.read_text()).values())) if path.exists() else {}


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with FakeService(default=" 4711") as service:
        desk = Desk(tmp_path, service)
        yield desk
        for backend in desk.made:
            await backend.close()


async def test_a_new_endpoint_is_looked_into_once_and_remembered(desk: Desk) -> None:
    """One question; the next start asks none."""
    await desk.until_probed(desk.backend())
    assert len(desk.service.generations) == 1
    assert desk.known["fim"] is True
    assert desk.spent == [(Route.FIM, True)]
    again = desk.backend()
    await again.service()
    assert again._probe is None
    assert desk.notices == []


async def test_what_was_found_out_holds_from_the_next_request_on(desk: Desk) -> None:
    """The first completion is not kept waiting: it goes the usual way."""
    desk.service.default = template
    backend = desk.backend()
    first = await backend.service()
    assert not first.has_suffix
    await desk.until_probed(backend)
    then = await backend.service()
    assert then == replace(first, has_suffix=True)
    prompt = replace(opening(Route.FIM), prefix="x = ", suffix="\n")
    assert "".join([delta.text async for delta in backend.generate(then, prompt)]) == "by suffix"
    assert desk.service.generations[-1].json["suffix"] == "\n"


async def test_a_model_that_completes_in_no_way_is_told_once(desk: Desk) -> None:
    """One line, which names where more is said."""
    desk.service.default = PROSE
    backend = desk.backend()
    await desk.until_probed(backend)
    assert [notice.key for notice in desk.notices] == ["probe"]
    assert "qwen-lsp doctor" in desk.notices[0].text
    assert (desk.known["fim"], desk.known["suffix"], desk.known["partial"]) == (False, False, False)
    assert (await backend.service()).route is Route.FIM


async def test_a_failure_teaches_nothing_and_is_tried_again_with_the_next_start(desk: Desk) -> None:
    """Nothing is kept, nobody is told: the completions themselves will tell."""
    desk.service.default = FAILURES["overloaded"]
    await desk.until_probed(first := desk.backend())
    assert (desk.known, desk.notices, first._probe) == ({}, [], None)
    desk.service.default = " 4711"
    await desk.until_probed(desk.backend())
    assert desk.known["fim"] is True


@pytest.mark.parametrize("given", [{"probing": False}, {"probe": False}])
async def test_nobody_is_asked_where_it_is_turned_off(desk: Desk, given: dict[str, bool]) -> None:
    """By `qwen.probe`, and in commands that are over in a moment."""
    backend = desk.backend(**given)
    await backend.service()
    assert backend._probe is None


async def test_dashscope_is_not_asked_what_its_documents_tell(desk: Desk) -> None:
    """It would be billed."""
    settings = Settings(base_url=desk.service.dashscope, provider="dashscope", region="cn-beijing")
    env, folder = {"DASHSCOPE_API_KEY": "sk-x"}, desk.folder
    backend = ModelBackend(settings, env, state_dir=folder, cache_dir=folder, on_notice=print, probing=True)
    desk.made.append(backend)
    await backend.service()
    assert backend._probe is None


async def test_closing_does_not_wait_for_the_answer(desk: Desk) -> None:
    """A service that says nothing holds nobody."""
    desk.service.default = Answer(hold=asyncio.Event())
    backend = desk.backend()
    await backend.service()
    await desk.service.until(1)
    async with asyncio.timeout(3):
        await backend.close()
    assert desk.known == {}
    assert LearnedStore(desk.folder / "learned.json").recall(SERVICE) is None
