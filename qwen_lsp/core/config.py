"""The settings: one schema, from which defaults, checks, the JSON schema and the README's table come.

`parse` never fails: a wrong value is a problem with its path and the default stands in, but what is wrong in a setting
that limits what is sent or spent keeps everything on this machine (`localOnly`). Names are camelCase in JSON, TOML and
the editor's settings (section `qwen`), and `QWEN_LSP_` + upper snake case in the environment.
"""

from __future__ import annotations

import json
import re
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal

import msgspec

PREFIX = "QWEN_LSP_"
"""Of the variables in the environment that are settings."""
OTHERS = frozenset(PREFIX + name for name in ("API_KEY", "TCP_KEY", "EDITORS", "EVAL_SETS", "PICTURES", "SCREENSHOTS"))
"""Variables with the prefix that are no settings: keys, and those of the tests."""
HELD = "nothing leaves this machine until it is mended"
"""What is said of a mistake that might else let out, or spend, what a person wanted to keep."""
_SHORT = 24
"""Characters of what is quoted: keys are longer."""
_LIMITING = {"enabled", "provider", "baseUrl", "localOnly", "exclude", "disabledLanguages", "budget"}
_NO_SETTINGS = {"apikey": "a key is no setting: set DASHSCOPE_API_KEY or QWEN_LSP_API_KEY, or qwen.apiKeyCommand"}

Region = Literal["auto", "cn-beijing", "ap-southeast-1", "us-east-1", "cn-hongkong", "ap-northeast-1"]


def _described(text: str, **limits: Any) -> msgspec.Meta:  # noqa: ANN401 - int or float, as the field is
    return msgspec.Meta(description=text, **limits)


class LocalSettings(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The embedded model's engine."""

    threads: Annotated[
        int, _described("Processor threads of the embedded engine; 0 takes the physical cores.", ge=0, le=512)
    ] = 0
    gpu_layers: Annotated[
        int, _described("Layers the embedded engine puts on a GPU; -1 leaves the choice to it.", ge=-1)
    ] = -1
    context: Annotated[int, _described("Tokens of context the embedded engine holds.", ge=512, le=32768)] = 4096
    keep_alive: Annotated[
        int,
        _described("Seconds the embedded engine stays loaded after its last editor has closed.", ge=0, le=86400),
    ] = 120


class BudgetSettings(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """What a day of paid services may cost."""

    tokens: Annotated[
        int, _described("Tokens that paid services may read and write in a day; 0 sets no limit.", ge=0)
    ] = 0
    price: Annotated[
        float,
        _described(
            "What they may cost in a day, by the list of prices, in the service's currency; 0 sets no limit.", ge=0
        ),
    ] = 0.0


class PriceSettings(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """What a model costs, as its service's list has it."""

    input: Annotated[float, _described("A million tokens of prompt.", ge=0)] = 0.0
    output: Annotated[float, _described("A million generated tokens.", ge=0)] = 0.0
    cached: Annotated[
        float, _described("What a token from the service's cache costs, as a share of one that was read.", ge=0, le=1)
    ] = 0.2
    currency: Annotated[str, _described("Its sign.")] = "$"
    as_of: Annotated[str, _described("When the list was read, e.g. `2026-11`.")] = ""


class Settings(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """What a person can choose. Every field's description is its line in the README."""

    enabled: Annotated[bool, _described("Offer completions at all.")] = True
    provider: Annotated[
        Literal["auto", "dashscope", "openai", "local"],
        _described(
            "Who completes. `auto`: what is configured, else DashScope if its key is there, else a model server on "
            "this machine, else the embedded model if its weights are there."
        ),
    ] = "auto"
    model: Annotated[
        str,
        _described(
            "The model's name; for `local` also the path of a `.gguf` file. Empty: the provider's default "
            "(`qwen-coder-turbo` in cn-beijing, `qwen3-coder-flash` elsewhere, `qwen2.5-coder-1.5b` embedded, the "
            "server's first model)."
        ),
    ] = ""
    base_url: Annotated[
        str,
        _described(
            "Address of an OpenAI-compatible server, up to and with `/v1`, or of another DashScope host. Alone, it "
            "makes `auto` mean `openai`."
        ),
    ] = ""
    region: Annotated[
        Region, _described("The region the DashScope key belongs to. `auto` finds it by one free request.")
    ] = "auto"
    workspace_id: Annotated[str, _described("DashScope workspace, for the hosts that carry its name.")] = ""
    api_key_command: Annotated[
        str,
        _described(
            "Command whose first line of output is the API key, e.g. `pass show dashscope`. Before it come "
            "`DASHSCOPE_API_KEY` (DashScope) and `QWEN_LSP_API_KEY`."
        ),
    ] = ""
    api_style: Annotated[
        Literal["compatible", "native"],
        _described("DashScope's interface for partial mode: OpenAI-compatible, or its own."),
    ] = "compatible"
    route: Annotated[
        Literal["auto", "fim", "partial"],
        _described("Ask by fill-in-the-middle or by partial mode (chat). `auto`: FIM where model and region have it."),
    ] = "auto"
    probe: Annotated[
        bool,
        _described(
            "Ask a server that is met for the first time, once for each of its models, a few short questions: how it "
            "wants to be asked. Not DashScope, where documents tell."
        ),
    ] = True
    max_tokens: Annotated[int, _described("Most tokens the model may write for one completion.", ge=1, le=8192)] = 128
    temperature: Annotated[float, _described("0 is the likeliest text; higher is more varied.", ge=0, lt=2)] = 0.0
    timeout: Annotated[int, _described("Milliseconds until an unanswered request is given up.", ge=100, le=600_000)] = (
        30_000
    )
    debounce: Annotated[
        Annotated[int, msgspec.Meta(ge=0, le=10_000)] | Literal["auto"],
        _described("Milliseconds of rest before the model is asked; `auto` chooses."),
    ] = "auto"
    prefetch: Annotated[
        bool | Literal["auto"],
        _described(
            "Ask for what follows a suggestion while it is shown. `auto`: with the embedded model only, where it costs "
            "nothing."
        ),
    ] = "auto"
    completion_fallback: Annotated[
        Literal["auto", "on", "off"],
        _described(
            "Offer the completion as an entry of the ordinary completion menu. `auto`: for editors without inline "
            "completion (Helix, eglot, old Neovim)."
        ),
    ] = "auto"
    prompt_tokens: Annotated[
        Annotated[int, msgspec.Meta(ge=256, le=32_768)] | Literal["auto"],
        _described(
            "Most tokens of a prompt. `auto`: what the embedded model can read in time on this machine, and "
            "a price tier's worth for a service."
        ),
    ] = "auto"
    candidates: Annotated[
        int, _described("Different suggestions to offer when asked by hand; editors cycle through them.", ge=1, le=5)
    ] = 3
    snippets: Annotated[
        bool, _described("Show the model passages of other files of the workspace that fit the place.")
    ] = True
    snippet_format: Annotated[
        Literal["auto", "comments", "repository"],
        _described(
            "How passages of other files stand in a FIM prompt: as comments, or with Qwen's tokens for repositories. "
            "`auto`: what measured best with the model."
        ),
    ] = "auto"
    disable_in: Annotated[
        list[Literal["comments", "strings"]], _described("Where nothing is suggested while typing.")
    ] = msgspec.field(default_factory=list)
    local_only: Annotated[
        bool,
        _described("Send nothing to another machine, whatever the other settings say; `auto` then looks here only."),
    ] = False
    exclude: Annotated[
        list[str],
        _described(
            "Files that are never sent, as the current one or as a passage: patterns as in `.gitignore`, from the "
            'workspace folder on, e.g. `["internal/**", "*.sql"]`.'
        ),
    ] = msgspec.field(default_factory=list)
    fallback: Annotated[
        list[Literal["dashscope", "openai", "local"]],
        _described("Who answers, in this order, while the provider fails. Only who is named: nobody paid by surprise."),
    ] = msgspec.field(default_factory=list)
    disabled_languages: Annotated[
        list[str], _described("LSP language ids that are never completed, e.g. `markdown`.")
    ] = msgspec.field(default_factory=list)
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        _described("How much is written to standard error. Never code or keys."),
    ] = "info"
    log_file: Annotated[
        str, _described("File that the log is also written to, for all editors; made private (0600).")
    ] = ""
    prices: Annotated[
        dict[str, PriceSettings],
        _described(
            "What models cost, by name, where the built-in list (DashScope, 2025-10) lacks them or is out of date: a "
            'million tokens\' price and the list\'s date, e.g. `{"qwen3-coder-plus": {"input": 1, "output": 5, '
            '"currency": "$", "asOf": "2026-11"}}`.'
        ),
    ] = msgspec.field(default_factory=dict)
    budget: Annotated[BudgetSettings, _described("What a day may cost.")] = BudgetSettings()
    local: Annotated[LocalSettings, _described("The embedded model's engine.")] = LocalSettings()


class Option(msgspec.Struct, frozen=True):
    """One setting as documents show it; `path` is dotted camelCase, `expected` its type in words."""

    path: str
    expected: str
    default: Any
    description: str
    attribute: tuple[str, ...]
    """Where it stands in `Settings`, in Python's names."""


def options(struct: type[msgspec.Struct] = Settings, prefix: tuple[str, ...] = ()) -> Iterator[Option]:
    """Every setting, nested ones flattened, in the order of the schema."""
    for item in msgspec.structs.fields(struct):
        inner, description = _unwrapped(item.type)
        attribute = (*prefix, item.name)
        if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
            yield from options(inner, attribute)
            continue
        default = item.default if item.default is not msgspec.NODEFAULT else item.default_factory()
        path = ".".join(_camel(name) for name in attribute)
        yield Option(path, expected(item.type), default, description, attribute)


def parse(raw: object, where: str = "qwen") -> tuple[dict[str, Any], list[str]]:
    """The right values of one source as a tree of `Settings`' own names, and a line for each wrong one.

    Layers are joined with `merged`. `where` names the source in the problems: "qwen.debounce: expected …". With a
    mistake in what limits what is sent or spent the layer says `localOnly`.
    """
    tree, problems = _parse(raw, Settings, where)
    held = [problem for problem in problems if problem.setting in _LIMITING]
    lines = [f"{problem.path}: {problem.said}{f'; {HELD}' if problem in held else ''}" for problem in problems]
    return tree | ({"local_only": True} if held else {}), lines


def replaced(settings: Settings, **changes: Any) -> Settings:  # noqa: ANN401 - the fields' own types
    """The settings with other values for some attributes."""
    return msgspec.structs.replace(settings, **changes)


def merged(*layers: Mapping[str, Any]) -> Settings:
    """The settings that result when later layers win over earlier ones, value by value."""
    tree = joined(*layers)
    for item in msgspec.structs.fields(Settings):
        inner, _ = _unwrapped(item.type)
        if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
            tree[item.name] = inner(**tree.get(item.name, {}))
    return Settings(**tree)


def joined(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """One layer that says what all of these say, later ones winning."""
    tree: dict[str, Any] = {}
    for layer in layers:
        _merge(tree, layer)
    return tree


def from_environment(env: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """The settings that `QWEN_LSP_*` variables name. `QWEN_LSP_API_KEY` is a key, not a setting."""
    tree: dict[str, Any] = {}
    problems: list[str] = []
    known = {PREFIX + "_".join(option.attribute).upper(): option for option in options()}
    for variable in sorted(name for name in env if name.startswith(PREFIX) and name not in OTHERS):
        option = known.get(variable)
        if option is None:
            close, guess = _nearest(variable, known)
            limits = close is not None and known[close].path.partition(".")[0] in _LIMITING
            tree |= {"local_only": True} if limits else {}
            problems.append(f"{variable}: no setting is called that{guess}{f'; {HELD}' if limits else ''}")
            continue
        raw: Any = _from_text(env[variable], option.default)
        for name in reversed(option.path.split(".")):
            raw = {name: raw}
        layer, wrong = parse(raw)
        _merge(tree, layer)
        problems += [f"{variable}: {line.partition(': ')[2]}" for line in wrong]
    return tree, problems


def json_schema() -> dict[str, Any]:
    """The JSON schema of the section `qwen`, as `qwen-lsp schema` prints it."""
    (_, components) = msgspec.json.schema_components([Settings], ref_template="#/$defs/{name}")
    schema = dict(components.pop("Settings"))
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "qwen-lsp settings (section `qwen`)"
    schema["additionalProperties"] = False
    schema["$defs"] = components
    return schema


def markdown_table() -> str:
    """The README's settings table."""
    rows = ["| setting | value | default | what it does |", "| --- | --- | --- | --- |"]
    for option in options():
        default = msgspec.json.encode(option.default).decode()
        allowed = option.expected.replace("|", "\\|")
        rows.append(f"| `qwen.{option.path}` | {allowed} | `{default}` | {option.description} |")
    return "\n".join(rows) + "\n"


def expected(kind: Any, *, limits: bool = True) -> str:  # noqa: ANN401 - any annotation
    """A type in words: `int or "auto"`; with `limits`, `int from 0 to 10000 or "auto"`."""
    inner, _ = _unwrapped(kind)
    origin = typing.get_origin(inner)
    if origin is Literal:
        return " or ".join(f'"{value}"' for value in typing.get_args(inner))
    if origin in (types.UnionType, typing.Union):
        return " or ".join(expected(part, limits=limits) for part in typing.get_args(inner))
    if origin is list:
        (item,) = typing.get_args(inner)
        return f"list of {expected(item)}" + ("s" if item is str else "")
    if origin is dict:
        return "object of " + expected(typing.get_args(inner)[1]) + "s"
    names = {int: "whole number", float: "number", bool: "true or false", str: "string"}
    bounds = _limits(kind) if limits else ""
    return names.get(inner, "object") + (f" {bounds}" if bounds else "")


class _Problem(msgspec.Struct, frozen=True):
    """A mistake: where, what, and in which setting, as far as that can be guessed."""

    path: str
    said: str
    setting: str | None


def _parse(
    raw: object, struct: type[msgspec.Struct], where: str, within: str | None = None
) -> tuple[dict[str, Any], list[_Problem]]:
    if raw is None:
        return {}, []
    if not isinstance(raw, Mapping):
        return {}, [_Problem(where, f"expected object, got {_shown(raw)}", within)]
    tree: dict[str, Any] = {}
    problems: list[_Problem] = []
    known = {item.encode_name: item for item in msgspec.structs.fields(struct)}
    for name, value in raw.items():
        path = f"{where}.{name if len(str(name)) <= _SHORT else '…'}"
        item = known.get(str(name))
        if item is None:
            close, guess = _nearest(str(name), known)
            said = _NO_SETTINGS.get(str(name).lower(), f"unknown setting{guess}")
            problems.append(_Problem(path, said, within or close))
            continue
        inner, _ = _unwrapped(item.type)
        setting = within or str(name)
        if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
            tree[item.name], nested = _parse(value, inner, path, setting)
            problems += nested
            continue
        if value is None:
            continue
        if typing.get_origin(inner) is dict:
            tree[item.name], nested = _parse_named(value, typing.get_args(inner)[1], path, setting)
            problems += nested
            continue
        if typing.get_origin(inner) is list and isinstance(value, str):
            value = [value]  # noqa: PLW2901 - who names one thing means a list of it
        try:
            tree[item.name] = msgspec.convert(value, item.type)
        except (msgspec.ValidationError, UnicodeError):
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            wrong = f"expected {expected(item.type, limits=is_number)}, got {_shown(_wrong_in(value, inner))}"
            problems.append(_Problem(path, wrong, setting))
    return tree, problems


def _wrong_in(value: object, kind: Any) -> object:  # noqa: ANN401 - any annotation
    """The first element of a list that is none of its kind; else the value."""
    if not isinstance(value, list) or typing.get_origin(kind) is not list:
        return value
    for element in value:
        try:
            msgspec.convert(element, typing.get_args(kind)[0])
        except (msgspec.ValidationError, UnicodeError):
            return element
    return value


def _parse_named(
    raw: object, struct: type[msgspec.Struct], where: str, within: str
) -> tuple[dict[str, Any], list[_Problem]]:
    """Values of one kind by names that people choose; what is wrong in one leaves the others."""
    if not isinstance(raw, Mapping):
        return {}, [_Problem(where, f"expected object, got {_shown(raw)}", within)]
    found, problems = {}, []
    for name, value in raw.items():
        tree, wrong = _parse(value, struct, f"{where}.{name}", within)
        problems += wrong
        if tree:
            found[str(name)] = struct(**tree)
    return found, problems


def _merge(tree: dict[str, Any], layer: Mapping[str, Any]) -> None:
    for name, value in layer.items():
        if isinstance(value, Mapping):
            _merge(tree.setdefault(name, {}), value)
        else:
            tree[name] = value


def _unwrapped(kind: Any) -> tuple[Any, str]:  # noqa: ANN401 - any annotation
    """The type inside `Annotated`, and its description."""
    if typing.get_origin(kind) is not Annotated:
        return kind, ""
    inner, *notes = typing.get_args(kind)
    description = next((note.description for note in notes if note.description), "")
    return inner, description


def _limits(kind: Any) -> str:  # noqa: ANN401 - any annotation
    notes = typing.get_args(kind)[1:] if typing.get_origin(kind) is Annotated else ()
    low = next((note.ge for note in notes if note.ge is not None), None)
    high = next((note.le if note.le is not None else note.lt for note in notes), None)
    if low is None:
        return ""
    return f"of at least {low:g}" if high is None else f"from {low:g} to {high:g}"


def _shown(value: object) -> str:
    """A wrong value, short and on one line. Long strings might be anything, even a key, so only their kind is told."""
    if isinstance(value, str) and len(value) > _SHORT:
        return f"a string of {len(value)} characters"
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    # Not msgspec: JSON can spell half a surrogate pair, which has no UTF-8.
    return json.dumps(value)


def _nearest(name: str, known: Iterable[str]) -> tuple[str | None, str]:
    """The known name that was probably meant, and the question whether it was."""
    import difflib  # noqa: PLC0415 - only for mistakes

    spelled = {each.lower(): each for each in known}
    for close in difflib.get_close_matches(name.lower(), spelled, n=1):
        return spelled[close], f"; did you mean {spelled[close]}?"
    return None, ""


def _camel(name: str) -> str:
    return re.sub(r"_([a-z])", lambda match: match[1].upper(), name)


def _from_text(text: str, default: object) -> object:
    """An environment variable's text as the JSON-like value its setting is likely to want."""
    if (word := {"true": True, "false": False}.get(text.lower())) is not None:
        return word
    if isinstance(default, bool):
        return {"1": True, "yes": True, "on": True, "0": False, "no": False, "off": False}.get(text.lower(), text)
    if isinstance(default, list):
        return [part.strip() for part in text.split(",") if part.strip()]
    if isinstance(default, str) and default != "auto":
        return text
    if isinstance(default, dict):
        try:
            return msgspec.json.decode(text)
        except msgspec.DecodeError:
            return text
    try:
        return float(text) if isinstance(default, float) else int(text)
    except ValueError:
        return text
