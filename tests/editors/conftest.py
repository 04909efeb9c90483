"""Every test in this folder has a real editor in it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.editors.home import Home, settle
from tests.fake_dashscope import FakeService

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.editors)


@pytest_asyncio.fixture
async def service() -> AsyncIterator[FakeService]:
    """The model; says nothing until its `default` is set to what it shall write (`writer.writes`)."""
    async with FakeService(default="") as fake:
        yield fake


@pytest.fixture
def home(tmp_path: Path, service: FakeService) -> Home:
    return settle(tmp_path, service)
