"""core/hosts.py: one notion of where an address leads, for privacy, prompts and bills."""

from __future__ import annotations

import pytest

from qwen_lsp.core.context import is_near
from qwen_lsp.core.hosts import is_loopback, is_private
from qwen_lsp.core.model import Api, Route, Service
from qwen_lsp.core.prices import is_paid

ADDRESSES = {
    "http://127.0.0.1:8080/v1": (True, True),
    "http://127.0.0.2/v1": (True, True),
    "http://LOCALHOST.:1234": (True, True),
    "http://[::1]:1/v1": (True, True),
    "http://192.168.1.7/v1": (False, True),
    "http://[fd00::1]/v1": (False, True),
    "http://llm.localhost:11434": (False, False),
    "https://8.8.8.8/v1": (False, False),
    "https://api.example.com/v1": (False, False),
    "http://[::1": (False, False),
    "": (False, False),
}


@pytest.mark.parametrize(("url", "where"), ADDRESSES.items())
def test_an_address_is_on_this_machine_or_in_its_network_or_elsewhere(url: str, where: tuple[bool, bool]) -> None:
    """By its spelling: a name other than localhost may lead anywhere."""
    assert (is_loopback(url), is_private(url)) == where


@pytest.mark.parametrize("url", ADDRESSES)
def test_prompts_and_bills_have_the_same_notion(url: str) -> None:
    """What is on this machine gets a prompt for a model near by, and sends no bill."""
    service = Service("openai", url, "m", Route.FIM, Api.COMPLETIONS)
    assert is_near(service) is is_loopback(url)
    assert is_paid(service) is not is_private(url)
