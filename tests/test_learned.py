"""What is remembered of endpoints: whole or unknown, private, by address and model."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from qwen_lsp.backend.learned import MOST, Learned, LearnedStore, fitted
from qwen_lsp.core.model import Api, Route, Secret, Service

SERVICE = Service("openai", "http://127.0.0.1:8080/v1", "m", Route.FIM, Api.COMPLETIONS, Secret("sk-canary-key-4711"))
TODAY = date(2026, 11, 22)
LEARNED = Learned(fim=True, partial=False, stops=4, leaks=False, streams=True, cached=0, seen="2026-11-22")


def store_at(path: Path) -> LearnedStore:
    return LearnedStore(path, lambda: TODAY)


def test_what_was_learned_is_known_to_the_next_start(tmp_path: Path) -> None:
    """By base URL and model; another model there is unknown."""
    path = tmp_path / "state/learned.json"
    assert store_at(path).keep(SERVICE, LEARNED)
    assert store_at(path).recall(SERVICE) == LEARNED
    assert store_at(path).recall(replace(SERVICE, model="other")) is None
    assert store_at(path).recall(replace(SERVICE, base_url="http://127.0.0.1:8081/v1")) is None


def test_the_file_is_private_and_holds_no_secret(tmp_path: Path) -> None:
    """Mode 0600; neither the key nor a password in the address is in it."""
    path = tmp_path / "learned.json"
    store_at(path).keep(replace(SERVICE, base_url="https://me:sk-canary-key-4711@host.example/v1"), LEARNED)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "canary" not in path.read_text()


def test_the_embedded_model_is_known_wherever_its_engine_listens(tmp_path: Path) -> None:
    """Its port is another at each start."""
    store = store_at(tmp_path / "learned.json")
    store.keep(replace(SERVICE, provider="local"), LEARNED)
    assert store.recall(replace(SERVICE, provider="local", base_url="http://127.0.0.1:4711/v1")) == LEARNED


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b'{"http://127.0.0.1:8080/v1 m": 7}', b"[" * 100_000])
def test_what_makes_no_sense_is_unknown(tmp_path: Path, content: bytes) -> None:
    """And is written anew."""
    path = tmp_path / "learned.json"
    path.write_bytes(content)
    store = store_at(path)
    assert store.recall(SERVICE) is None
    assert store.keep(SERVICE, LEARNED)
    assert store.recall(SERVICE) == LEARNED


def test_a_value_of_the_wrong_kind_is_unknown_and_the_others_are_not(tmp_path: Path) -> None:
    """Field by field; a field of a newer version is passed over."""
    path = tmp_path / "learned.json"
    path.write_text(json.dumps({"http://127.0.0.1:8080/v1 m": {"fim": 1, "stops": True, "cached": 3, "new": 1}}))
    assert store_at(path).recall(SERVICE) == Learned(cached=3)


def test_a_place_that_cannot_be_written_costs_the_memory_only(tmp_path: Path) -> None:
    """Told by False, without an exception."""
    (tmp_path / "file").write_text("")
    assert store_at(tmp_path / "file/learned.json").keep(SERVICE, LEARNED) is False


def test_the_oldest_endpoint_goes_first(tmp_path: Path) -> None:
    """The file does not grow for ever."""
    store = store_at(tmp_path / "learned.json")
    for number in range(MOST + 1):
        store.keep(replace(SERVICE, model=f"m{number}"), LEARNED)
    assert store.recall(replace(SERVICE, model="m0")) is None
    assert store.recall(replace(SERVICE, model="m1")) == LEARNED


def test_a_route_that_was_seen_not_to_work_gives_way_to_one_that_was_seen_to() -> None:
    """Never on half of the knowledge, and DashScope is never asked for an interface it may not have."""
    chat = replace(SERVICE, route=Route.PARTIAL, api=Api.CHAT)
    assert fitted(SERVICE, Learned(fim=False, partial=True), reroute=True) == chat
    assert fitted(chat, Learned(fim=True, partial=False), reroute=True) == SERVICE
    for unmoved in (None, Learned(), Learned(fim=False), Learned(fim=False, partial=False), Learned(partial=True)):
        assert fitted(SERVICE, unmoved, reroute=True) is SERVICE
    cloud = replace(chat, provider="dashscope")
    assert fitted(cloud, Learned(fim=True, partial=False), reroute=True) is cloud


def test_who_chose_a_route_is_believed() -> None:
    """The other way of the same route is taken, another route is not."""
    assert fitted(SERVICE, Learned(fim=False, partial=True), reroute=False) is SERVICE
    assert fitted(SERVICE, Learned(fim=False, suffix=True), reroute=False) == replace(SERVICE, has_suffix=True)


def test_a_server_that_puts_the_prompt_together_itself_is_asked_so() -> None:
    """FIM by `suffix` comes before partial mode, which sees less of what follows."""
    by_suffix = replace(SERVICE, has_suffix=True)
    chat = replace(SERVICE, route=Route.PARTIAL, api=Api.CHAT)
    assert fitted(SERVICE, Learned(fim=False, suffix=True, partial=True), reroute=True) == by_suffix
    assert fitted(chat, Learned(fim=False, suffix=True, partial=False), reroute=True) == by_suffix
    assert fitted(SERVICE, Learned(fim=True, suffix=True), reroute=True) is SERVICE


@pytest.mark.parametrize("count", [0, 1, 4])
def test_no_more_stops_are_sent_than_are_honoured(count: int) -> None:
    """Some servers refuse a request with four."""
    assert fitted(SERVICE, Learned(stops=count), reroute=False).stops == count
