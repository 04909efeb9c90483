"""The settings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_lsp.core import config
from qwen_lsp.core.config import HELD, PriceSettings, Settings, from_environment, json_schema, merged, options, parse

WRONG = [
    ({"debounce": "slow"}, 'qwen.debounce: expected whole number or "auto", got "slow"'),
    ({"debounce": [1]}, 'qwen.debounce: expected whole number or "auto", got a list'),
    ({"debounce": -1}, 'qwen.debounce: expected whole number from 0 to 10000 or "auto", got -1'),
    ({"enabled": 1}, "qwen.enabled: expected true or false, got 1"),
    ({"maxTokens": 0}, "qwen.maxTokens: expected whole number from 1 to 8192, got 0"),
    ({"maxTokens": "9"}, 'qwen.maxTokens: expected whole number, got "9"'),
    ({"region": "mars"}, "qwen.region: expected"),
    ({"disabledLanguages": 7}, "qwen.disabledLanguages: expected list of strings, got 7"),
    ({"fallback": ["local", "nope"]}, 'qwen.fallback: expected list of "dashscope" or "openai" or "local", got "nope"'),
    ({"apiKey": "sk-x"}, "qwen.apiKey: a key is no setting: set DASHSCOPE_API_KEY"),
    ({"modle": "x"}, "qwen.modle: unknown setting; did you mean model?"),
    ({"local": {"threads": "many"}}, 'qwen.local.threads: expected whole number, got "many"'),
    ({"local": 3}, "qwen.local: expected object, got 3"),
    ({"model": ["x" * 90]}, "qwen.model: expected string, got a list"),
    ("nonsense", 'qwen: expected object, got "nonsense"'),
]


@pytest.mark.parametrize(("raw", "problem"), WRONG, ids=[problem[:40] for _, problem in WRONG])
def test_a_wrong_value_is_told_by_its_path_and_the_default_stands_in(raw: object, problem: str) -> None:
    """One line names the setting, what it may be and what it was; nothing else is lost."""
    layer, problems = parse(raw)
    assert len(problems) == 1
    assert problems[0].startswith(problem)
    assert merged(layer) == Settings(local_only=HELD in problems[0])


def test_right_values_apply_beside_wrong_ones() -> None:
    """A mistake in one setting leaves the others in force."""
    layer, problems = parse({"debounce": "slow", "model": "m", "local": {"threads": 0.5, "keepAlive": 7}})
    settings = merged(layer)
    assert (settings.model, settings.local.keep_alive, len(problems)) == ("m", 7, 2)


def test_later_layers_win_value_by_value() -> None:
    """What an upper layer does not name stays as the lower one says."""
    lower, _ = parse({"model": "a", "local": {"threads": 2, "context": 1024}})
    upper, _ = parse({"model": "b", "local": {"threads": 4}})
    settings = merged(lower, upper)
    assert (settings.model, settings.local.threads, settings.local.context) == ("b", 4, 1024)


def test_a_long_string_is_never_quoted() -> None:
    """A string in the wrong place may be a key, so a problem says only how long it is."""
    _, problems = parse({"maxTokens": "sk-" + "s" * 60})
    assert problems == ["qwen.maxTokens: expected whole number, got a string of 63 characters"]


def test_the_environment_names_any_setting() -> None:
    """`QWEN_LSP_` and the name in upper snake case, with numbers, booleans and lists as text."""
    env = {
        "QWEN_LSP_ENABLED": "false",
        "QWEN_LSP_BASE_URL": "http://127.0.0.1:1/v1",
        "QWEN_LSP_DEBOUNCE": "50",
        "QWEN_LSP_LOCAL_THREADS": "3",
        "QWEN_LSP_DISABLED_LANGUAGES": "go, rust",
        "QWEN_LSP_TEMPERATURE": "0.5",
        "QWEN_LSP_API_KEY": "sk-not-a-setting",
    }
    layer, problems = from_environment(env)
    settings = merged(layer)
    assert problems == []
    assert settings == Settings(
        enabled=False, base_url="http://127.0.0.1:1/v1", debounce=50, disabled_languages=["go", "rust"],
        temperature=0.5, local=config.LocalSettings(threads=3),
    )  # fmt: skip


@pytest.mark.parametrize(
    "raw",
    [
        {"localOnly": "yes"},
        {"localonly": False},
        {"exclude": 7},
        {"exclude": ["*.sql", 7]},
        {"excludes": ["*.sql"]},
        {"provider": "locl"},
        {"enabled": "no"},
        {"disabledLanguages": {}},
        {"budget": 5},
        {"budget": {"tokens": "1k"}},
        {"budget": {"token": 1000}},
    ],
)
def test_a_mistake_in_what_limits_what_is_sent_keeps_everything_here(raw: dict[str, object]) -> None:
    """Nobody can tell what was to be kept; the line says so. What the person says elsewhere still wins."""
    layer, (problem,) = parse(raw)
    assert merged(layer).local_only
    assert problem.endswith(f"; {HELD}")
    assert not merged(layer, {"local_only": False}).local_only


@pytest.mark.parametrize("raw", [{"maxTokens": "many"}, {"modle": "x"}, {"local": {"threads": "x"}}, "nonsense", []])
def test_other_mistakes_hold_nothing_back(raw: object) -> None:
    """The default stands in."""
    layer, problems = parse(raw)
    assert problems
    assert not merged(layer).local_only


@pytest.mark.parametrize(
    "raw", [{"provider": "sk-0123456789abcdef0123456789abcdef"}, {"sk-0123456789abcdef0123456789abcdef": 1}]
)
def test_what_may_be_a_key_is_not_quoted(raw: object) -> None:
    """Neither as a value nor as a name."""
    _, (problem,) = parse(raw)
    assert "0123456789" not in problem


def test_half_a_surrogate_pair_is_a_mistake_like_others() -> None:
    """JSON can spell it."""
    assert parse({"region": "\ud800", "\ud800": 1, "model": ["\ud800"]})[1]


def test_who_names_one_thing_means_a_list_of_it() -> None:
    """As in the environment."""
    assert parse({"exclude": "*.sql", "disabledLanguages": "go"}) == (
        {"exclude": ["*.sql"], "disabled_languages": ["go"]},
        [],
    )


@pytest.mark.parametrize(("text", "value"), [("yes", True), ("ON", True), ("1", True), ("no", False), ("Off", False)])
def test_a_switch_in_the_environment_has_many_words(text: str, *, value: bool) -> None:
    """People write what they are used to."""
    assert from_environment({"QWEN_LSP_LOCAL_ONLY": text}) == ({"local_only": value}, [])


def test_a_slip_in_a_variable_s_name_is_told_with_what_was_probably_meant() -> None:
    """Keys have the prefix too; a slip in the name of a limit holds all back."""
    env = {"QWEN_LSP_MODLE": "x", "QWEN_LSP_API_KEY": "sk", "QWEN_LSP_TCP_KEY": "k", "QWEN_LSP_EXCLUD": "*.sql"}
    layer, problems = from_environment(env)
    assert problems == [
        f"QWEN_LSP_EXCLUD: no setting is called that; did you mean QWEN_LSP_EXCLUDE?; {HELD}",
        "QWEN_LSP_MODLE: no setting is called that; did you mean QWEN_LSP_MODEL?",
    ]
    assert layer == {"local_only": True}


def test_prices_are_named_by_model_and_each_is_checked_by_itself() -> None:
    """What is wrong in one leaves the others; layers are joined model by model."""
    layer, problems = parse({"prices": {"a": {"input": 1, "output": 5, "asOf": "2026-11"}, "b": {"input": -1}, "c": 7}})
    assert layer["prices"] == {"a": PriceSettings(input=1, output=5, as_of="2026-11")}
    assert problems == [
        "qwen.prices.b.input: expected number of at least 0, got -1",
        "qwen.prices.c: expected object, got 7",
    ]
    other, _ = parse({"prices": {"d": {"input": 2}}})
    assert set(merged(layer, other).prices) == {"a", "d"}
    assert parse({"prices": []}) == ({"prices": {}}, ["qwen.prices: expected object, got a list"])


def test_prices_in_the_environment_are_json() -> None:
    """An object has no other form there."""
    layer, problems = from_environment({"QWEN_LSP_PRICES": '{"a": {"input": 1}}'})
    assert (layer["prices"]["a"].input, problems) == (1, [])
    assert from_environment({"QWEN_LSP_PRICES": "a=1"})[1] == ['QWEN_LSP_PRICES: expected object, got "a=1"']


def test_a_wrong_variable_is_told_by_its_own_name() -> None:
    """A person who set a variable is told about the variable."""
    _, problems = from_environment({"QWEN_LSP_MAX_TOKENS": "many"})
    assert problems == ['QWEN_LSP_MAX_TOKENS: expected whole number, got "many"']


def test_the_schema_knows_every_setting_and_its_default() -> None:
    """The JSON schema has what the README's table has."""
    schema = json_schema()
    assert schema["properties"]["maxTokens"]["default"] == Settings().max_tokens
    assert schema["properties"]["maxTokens"]["minimum"] == 1
    assert set(schema["properties"]) == {option.path.partition(".")[0] for option in options()}
    assert schema["$defs"]["LocalSettings"]["properties"]["threads"]["maximum"] == 512


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)
names = st.sampled_from([option.path for option in options() if "." not in option.path] + ["local", "other"])


@given(st.dictionaries(names, json_values, max_size=5) | json_values)
def test_parsing_never_fails(raw: object) -> None:
    """Whatever an editor sends as settings, settings come of it."""
    layer, _ = parse(raw)
    assert isinstance(merged(layer), Settings)


def test_settings_in_groups_are_merged_one_by_one() -> None:
    """Each group keeps what a later layer does not name."""
    layers = [
        config.parse(raw)[0]
        for raw in ({"budget": {"tokens": 5, "price": 2}, "local": {"threads": 3}}, {"budget": {"price": 1.5}})
    ]
    settings = config.merged(*layers)
    assert (settings.budget.tokens, settings.budget.price) == (5, 1.5)
    assert (settings.local.threads, settings.local.context) == (3, 4096)
