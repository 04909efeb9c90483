"""The table of models: names as people and servers write them."""

from __future__ import annotations

import pytest

from qwen_lsp.core.dialects import models
from qwen_lsp.core.model import Route


@pytest.mark.parametrize(
    "model",
    [
        "qwen-coder-turbo",
        "qwen-coder-turbo-latest",
        "qwen-coder-turbo-0919",
        "qwen2.5-coder-0.5b-instruct",
        "qwen2.5-coder-32b-instruct",
    ],
)
def test_dashscope_fills_in_the_middle_in_beijing_only(model):
    """The Completions API is Beijing's, for the models that Model Studio lists there."""
    assert models.fim_capable(model, "dashscope", "cn-beijing")
    assert not models.fim_capable(model, "dashscope", "ap-southeast-1")
    assert not models.fim_capable(model, "dashscope", None)


@pytest.mark.parametrize("model", ["qwen3-coder-flash", "qwen3-coder-plus", "qwen-coder-plus", "qwen-plus", "", "x"])
def test_other_dashscope_models_do_not(model):
    """Qwen3-Coder has FIM tokens, but DashScope does not serve it that way."""
    assert not models.fim_capable(model, "dashscope", "cn-beijing")


@pytest.mark.parametrize("provider", ["openai", "local"])
@pytest.mark.parametrize(
    ("model", "fim"),
    [
        ("Qwen/Qwen2.5-Coder-7B-Instruct-AWQ", True),
        ("qwen2.5-coder:1.5b", True),
        ("qwen2.5-coder-1.5b", True),
        ("qwen3-coder:30b-a3b-q4_K_M", True),
        ("hf.co/Qwen/Qwen2.5-Coder-3B-Instruct-GGUF:Q4_K_M", True),
        ("/home/me/models/qwen2.5-coder-0.5b-instruct-q4_k_m.gguf", True),
        ("C:\\models\\Qwen3-Coder-30B-A3B-Instruct-UD-Q4_K_XL.GGUF", True),
        ("qwen-coder-turbo", True),
        ("qwen3:8b", False),
        ("Qwen/Qwen3-8B", False),
        ("/home/qwen/coder/SmolLM2-135M-Instruct-Q4_1.gguf", False),
        ("deepseek-coder:6.7b", False),
        # FIM tokens of their own, without bars: to CodeQwen1.5 the prompt of Qwen2.5-Coder is plain text.
        ("codeqwen:7b-chat", False),
        ("CodeQwen1.5-7B", False),
    ],
)
def test_elsewhere_the_name_tells_a_qwen_coder(provider, model, fim):
    """Vendor, path, tag, quantisation and case don't count; a folder's name is no model's."""
    assert models.fim_capable(model, provider, None) is fim
    assert models.route_for("auto", provider, None, model) is (Route.FIM if fim else Route.PARTIAL)


def test_defaults_can_be_asked_by_the_route_they_get():
    """Each provider's default model has a route of its own accord."""
    regions = ["cn-beijing", "ap-southeast-1", "us-east-1", "cn-hongkong", "ap-northeast-1", None]
    found = {region: models.default_model("dashscope", region) for region in regions}
    assert found.pop("cn-beijing") == "qwen-coder-turbo"
    assert set(found.values()) == {"qwen3-coder-flash"}
    assert models.route_for("auto", "dashscope", "cn-beijing", "qwen-coder-turbo") is Route.FIM
    assert models.route_for("auto", "dashscope", "us-east-1", "qwen3-coder-flash") is Route.PARTIAL
    assert models.default_model("local", None) == "qwen2.5-coder-1.5b"
    assert models.default_model("openai", None) == ""


@pytest.mark.parametrize(
    ("model", "thinks"),
    [
        ("qwen3-8b", True),
        ("Qwen/Qwen3-30B-A3B-GPTQ-Int4", True),
        ("qwen3:30b", True),
        ("qwen3", True),
        ("qwen3.5-plus", True),
        ("Qwen3.6-35B-A3B-Q4_K_M.gguf", True),
        ("qwen3-30b-a3b-instruct-2507", False),
        ("qwen3-coder-flash", False),
        ("Qwen/Qwen3-Coder-30B-A3B-Instruct", False),
        ("qwen3-coder:30b", False),
        ("qwen2.5-coder-7b-instruct", False),
        ("qwen-coder-turbo", False),
        ("qwen-plus", False),
        ("qwen3-embedding:8b", False),
    ],
)
def test_who_thinks_unless_told_not_to(model, thinks):
    """Hybrid Qwen3 models think by default; coders and instruct models never do."""
    assert models.thinks(model) is thinks


@pytest.mark.parametrize(
    ("settings_route", "provider", "region", "model", "told"),
    [
        ("fim", "dashscope", "ap-southeast-1", "qwen-coder-turbo", ["cn-beijing", "qwen.region", "ap-southeast-1"]),
        ("fim", "dashscope", None, "qwen-coder-turbo", ["cn-beijing", "qwen.region", "not known"]),
        ("fim", "dashscope", "cn-beijing", "qwen3-coder-plus", ["qwen-coder-turbo", "qwen.model", "qwen.route"]),
        ("fim", "dashscope", "us-east-1", "qwen3-coder-plus", ["qwen-coder-turbo", "cn-beijing", "qwen.route"]),
        ("auto", "openai", None, "Qwen/QwQ-32B", ["thinks", "qwen.model"]),
        ("partial", "dashscope", "cn-beijing", "qwen3-30b-a3b-thinking-2507", ["thinks", "qwen.model"]),
    ],
)
def test_what_can_not_be_is_told_in_one_line(settings_route, provider, region, model, told):
    """The line names the model and what to set instead."""
    line = models.route_for(settings_route, provider, region, model)
    assert isinstance(line, str)
    assert "\n" not in line
    for part in [*told, model]:
        assert part in line


@pytest.mark.parametrize(
    ("settings_route", "provider", "region", "model", "route"),
    [
        ("auto", "dashscope", "ap-southeast-1", "qwen-coder-turbo", Route.PARTIAL),
        ("partial", "dashscope", "cn-beijing", "qwen-coder-turbo", Route.PARTIAL),
        ("partial", "local", None, "qwen2.5-coder-1.5b", Route.PARTIAL),
        ("fim", "openai", None, "our-deployment", Route.FIM),
        ("fim", "dashscope", "cn-beijing", "qwen-coder-turbo", Route.FIM),
    ],
)
def test_a_route_that_can_be_is_taken(settings_route, provider, region, model, route):
    """The settings win where the service has the route; the name of someone's own deployment proves nothing."""
    assert models.route_for(settings_route, provider, region, model) is route


def test_names_are_shown_on_one_line():
    """A model's name comes from a file that anyone may have written."""
    assert models.shown("a\nb\x1b[0m") == "a?b?[0m"
    assert len(models.shown("x" * 500)) == 80
