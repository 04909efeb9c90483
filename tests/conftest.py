"""Real weights for the tests that run the real engine; everything else builds what it needs."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

from qwen_lsp.backend import download, weights
from qwen_lsp.cli import paths

# Tests that count what a server is asked count no questions to get to know it (tests/test_probing.py asks them).
os.environ["QWEN_LSP_PROBE"] = "false"

# How long an example takes is no property of the code here: CI's machines are busy ones.
settings.register_profile("busy", deadline=None)
settings.load_profile("busy")


def _model(name: str) -> Path:
    """The weights: pulled where CI runs, else a skip that says how to get them."""
    cache = paths.cache_dir(os.environ)
    path = weights.find(name, cache)
    if path is None and os.environ.get("CI"):
        path = download.pull(name, cache, on_progress=lambda _done, _total: None)
    if path is None:
        pytest.skip(f"{name} is not here; run `qwen-lsp model pull {name}`")
    return path


@pytest.fixture(scope="session")
def model_05b() -> Path:
    return _model("qwen2.5-coder-0.5b")


@pytest.fixture(scope="session")
def model_15b() -> Path:
    return _model("qwen2.5-coder-1.5b")


@pytest.fixture(scope="session")
def model_smollm2() -> Path:
    return _model("smollm2-135m")
