"""lsp/clients.py, greeting.py and answers.py: what each editor is told, and in which form it gets a completion."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_lsp.core import text
from qwen_lsp.core.model import Ghost
from qwen_lsp.lsp import answers, clients
from qwen_lsp.lsp.greeting import greet, greet_early
from qwen_lsp.lsp.questions import Question
from qwen_lsp.lsp.settings import Layers
from qwen_lsp.lsp.transport import FrameDecoder, framed
from tests.marks import at

COMMAND = {"title": "t", "command": "qwen.accepted", "arguments": ["u", "1"]}


def hello(name=None, version=None, *, inline=..., encodings=None, options=None, item=None) -> dict:
    document = {"completion": {"completionItem": item or {}}}
    if inline is not ...:
        document["inlineCompletion"] = inline
    capabilities = {"general": {"positionEncodings": encodings}, "textDocument": document}
    info = {"name": name, "version": version} if name else None
    return {"capabilities": capabilities, "clientInfo": info, "initializationOptions": options}


NEOVIM_12 = hello("Neovim", "0.12.4", inline={"dynamicRegistration": False}, encodings=["utf-8", "utf-16", "utf-32"])
NEOVIM_11 = hello("Neovim", "0.11.4+v0.11.4", encodings=["utf-8", "utf-16"], item={"snippetSupport": True})
VSCODE = hello("Visual Studio Code", "1.139.1", inline={"dynamicRegistration": True}, encodings=["utf-16"])
MARKDOWN = {"documentationFormat": ["markdown", "plaintext"], "snippetSupport": True}
HELIX = hello("helix", "25.07.1", encodings=["utf-8", "utf-32", "utf-16"], item=MARKDOWN)
EGLOT = hello("Eglot", "1.17.30", encodings=["utf-32", "utf-8", "utf-16"], item=MARKDOWN)
OLD_EGLOT = hello()
LSP_MODE = hello("emacs", "GNU Emacs 30.2", inline=None, encodings=["utf-32", "utf-8", "utf-16"])


@pytest.mark.parametrize(
    ("params", "encoding", "menu"),
    [
        pytest.param(NEOVIM_12, "utf-8", False, id="Neovim 0.12"),
        pytest.param(NEOVIM_11, "utf-8", True, id="Neovim 0.11"),
        pytest.param(hello("Neovim", "0.11.4", inline={}), "utf-16", False, id="Neovim 0.11 with our plugin"),
        pytest.param(VSCODE, "utf-16", False, id="VS Code"),
        pytest.param(HELIX, "utf-8", True, id="Helix"),
        pytest.param(EGLOT, "utf-32", True, id="eglot"),
        pytest.param(OLD_EGLOT, "utf-16", True, id="eglot of Emacs 28"),
        pytest.param(LSP_MODE, "utf-32", False, id="lsp-mode"),
        pytest.param(hello("coc.nvim", "0.0.82", inline={}), "utf-16", False, id="coc"),
        pytest.param(hello("Zed", "1.0"), "utf-16", True, id="Zed"),
    ],
)
def test_each_editor_is_greeted_in_its_own_way(params, encoding, menu):
    """Editors with inline completion get ghost text alone, others the completion menu too; all their own units."""
    _, wants_menu, result = greet(params, Layers())
    announced = result["capabilities"]
    assert (announced["positionEncoding"], wants_menu, "completionProvider" in announced) == (encoding, menu, menu)
    assert announced["inlineCompletionProvider"] == {"workDoneProgress": False}


@pytest.mark.parametrize(("setting", "menu"), [("on", True), ("off", False)])
@pytest.mark.parametrize("params", [NEOVIM_12, HELIX], ids=["Neovim", "Helix"])
def test_the_setting_wins_over_the_table(params, setting, menu):
    """`qwen.completionFallback` says whether the menu is served, whatever the editor."""
    assert greet(params | {"initializationOptions": {"completionFallback": setting}}, Layers())[1] is menu


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "capabilities",
                    "general",
                    "positionEncodings",
                    "textDocument",
                    "completion",
                    "clientInfo",
                    "name",
                    "qwen",
                ]
            ),
            inner,
            max_size=3,
        )
    ),
)


@given(st.dictionaries(st.sampled_from(["capabilities", "clientInfo", "initializationOptions"]), JSON))
def test_any_params_can_be_greeted(params):
    """Whatever a client says of itself, it gets an answer."""
    assert greet(params, Layers())[2]["serverInfo"]["name"] == "qwen-lsp"


def early(*chunks: bytes) -> tuple[list[bytes], list[bytes], dict | None]:
    """What is answered early, what is left for the server, and the params."""
    reads, written = iter([*chunks, b""]), []
    start = greet_early(lambda: next(reads), written.append, Layers())
    return [body for data in written for body in FrameDecoder().feed(data)], start.bodies, start.params


def test_initialize_is_answered_before_the_server_is_loaded():
    """The reply to a first `initialize` is the server's own; what follows it is kept for the server."""
    message = {"jsonrpc": "2.0", "id": 7, "method": "initialize", "params": HELIX}
    stream = framed(json.dumps(message).encode()) + framed(b"second") + b"Content-"
    answered, left, params = early(stream[:30], stream[30:])
    assert json.loads(answered[0]) == {"jsonrpc": "2.0", "id": 7, "result": greet(HELIX, Layers())[2]}
    assert (left, params) == ([b"second"], HELIX)


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":[]}', b""])
def test_any_other_first_message_is_left_to_the_server(body):
    """Nothing is answered twice: only a right `initialize` is answered early."""
    assert early(framed(body)) == ([], [body], None)
    assert early(b"Content-Le") == ([], [], None)


def question(document: str, params: dict) -> Question:
    return Question(at(document), clients.read(params), COMMAND)


def ghost(asked: Question, insert: str, *, before: int = 0, after: int = 0) -> Ghost:
    """A ghost over `before` columns left and `after` columns right of the cursor."""
    request, line = asked.request, asked.line
    start, end = request.column - before, request.column + after
    whole = line[start : request.column] + insert
    covered = line[start:end]
    return Ghost(request.line, start, end, whole, whole if whole.startswith(covered) else covered + whole)


def inline(document: str, insert: str, params: dict = NEOVIM_12, **where: int) -> dict | None:
    asked = question(document, params)
    return answers.inline_item(asked, ghost(asked, insert, **where))


def menu(document: str, insert: str, params: dict, **where: int) -> dict | None:
    asked = question(document, params)
    return answers.menu_item(asked, ghost(asked, insert, **where))


@pytest.mark.parametrize(
    ("params", "start", "end"),
    [(NEOVIM_12, 6, 7), (VSCODE, 4, 5), (EGLOT, 3, 4)],
    ids=["utf-8", "utf-16", "utf-32"],
)
def test_ranges_count_in_the_editor_s_units(params, start, end):
    """Behind an astral character the range is where the editor counts it to be."""
    item = inline("'😋'█)\n", "x)", params, after=1)
    assert item["range"] == {"start": {"line": 0, "character": start}, "end": {"line": 0, "character": end}}


def test_ghost_text_is_plain_with_lf_line_ends_and_no_control_characters():
    """NUL, carriage returns and half surrogate pairs never leave; a pair in two halves is joined."""
    item = inline("x = █\r\n", "a\0\r\n\tb\r\x1b[0m\ud83d\ude0b\ud83d")
    assert item["insertText"] == "a\n\tb\n[0m😋\ufffd"
    assert item["insertText"] == item["filterText"]
    assert item["command"] == COMMAND


def test_further_suggestions_follow_the_best():
    """Editors cycle through the list in its order; one that can't be shown is left out, and none comes alone."""
    asked = question("print(█)\n", NEOVIM_12)
    first, other, nothing = ghost(asked, "a"), ghost(asked, "b"), ghost(asked, ")", after=1)
    items = answers.inline_list(asked, first, (nothing, other))["items"]
    assert [item["insertText"] for item in items] == ["a", "b"]
    assert answers.inline_list(asked, None, (other,)) == {"items": []}
    assert answers.inline_list(asked, first)["items"] == items[:1]


def test_a_ghost_over_control_characters_is_not_shown():
    """What stands in the document can't be changed by an insertion that leaves it out."""
    assert inline("\f█x", "y", before=1, after=1) is None


def test_a_ghost_that_adds_nothing_is_not_shown():
    """Text that already stands there, and nothing else, is no suggestion."""
    assert inline("print(█)\n", ")", after=1) is None
    assert inline("x█\n", "\0") is None


def test_a_menu_entry_replaces_the_word_it_continues():
    """Helix keeps an entry while its filter text starts with what is typed: so it begins with the word."""
    item = menu("def f():\n    res█\n", "ult = 1\n    return result", HELIX)
    assert item["label"] == "result = 1"
    assert item["filterText"] == "result = 1"
    assert item["textEdit"]["newText"] == "result = 1\n    return result"
    assert item["textEdit"]["range"]["start"] == {"line": 1, "character": 4}
    assert item["insertTextFormat"] == 1
    assert item["preselect"] is True
    assert item["documentation"]["value"].startswith("```python\nresult = 1\n")


def test_helix_gets_no_command_and_the_document_s_line_ends():
    """It never runs a command, and inserts line ends as they come."""
    item = menu("if x:\r\n    █\r\n", "a()\nb()", HELIX)
    assert item["textEdit"]["newText"] == "a()\r\nb()"
    assert "command" not in item
    assert menu("if x:\n    █\n", "a()\nb()", HELIX)["textEdit"]["newText"] == "a()\nb()"


def test_old_neovim_gets_a_snippet_with_the_indentation_taken_off():
    """Of plain text it inserts the first line only; to each line of a snippet it adds the indentation again."""
    item = menu("if x:\n    pri█\n", "nt('${x} \\\\n')\n    done\n        y", NEOVIM_11)
    assert item["insertTextFormat"] == 2
    assert item["textEdit"]["newText"] == "print('\\${x\\} \\\\\\\\n')\ndone\n    y"
    assert item["command"] == COMMAND


def test_an_editor_without_snippets_gets_plain_text():
    """A snippet is sent to whoever claims to take one."""
    assert menu("x█\n", "y", NEOVIM_11 | hello("Neovim", "0.11.4"))["insertTextFormat"] == 1


@pytest.mark.parametrize(("params", "new", "end"), [(HELIX, "f(a", 3), (NEOVIM_11, "f(a", 3)], ids=["Helix", "Neovim"])
def test_a_menu_entry_leaves_what_follows_the_cursor(params, new, end):
    """What the text ends with and what stands there already is not replaced by itself."""
    item = menu("f(a█)\n", "b)", params, after=1)
    assert item["textEdit"]["newText"].endswith("ab")
    assert item["textEdit"]["range"]["end"]["character"] == end


def test_a_menu_that_can_not_replace_what_follows_shows_nothing_there():
    """Text in which the covered rest is not the end fits only editors that replace it."""
    assert menu("f(█)\n", "a) + g(b", NEOVIM_11, after=1) is None
    assert menu("f(█)\n", "a) + g(b", HELIX, after=1)["textEdit"]["newText"] == "a) + g(b"


def test_code_that_holds_a_fence_is_fenced_by_a_longer_one():
    """The documentation beside the menu shows all of the code."""
    value = menu("x█\n", "y\n```\nz", EGLOT)["documentation"]["value"]
    assert value.startswith("````python\n")
    assert value.endswith("\n````")
    assert menu("x█\n", "y", OLD_EGLOT)["documentation"] == "xy"


@given(
    st.text(st.sampled_from("ab _(é😋\t"), max_size=6),
    st.text(st.sampled_from("ab)é😋 "), max_size=6),
    st.text(st.sampled_from("ab)é😋\n\r\0 "), max_size=8),
    st.tuples(st.integers(0, 6), st.integers(0, 6)),
    st.sampled_from([NEOVIM_12, NEOVIM_11, VSCODE, HELIX, EGLOT]),
)
def test_every_item_is_one_that_its_editor_keeps(left, right, insert, reach, params):
    """The range lies on the cursor's line and contains the cursor; the text in it is how the filter text begins."""
    asked = question(f"\n{left}█{right}\n", params)
    column = asked.request.column
    made = ghost(asked, insert, before=min(reach[0], len(left)), after=min(reach[1], len(right)))
    encoding = asked.client.encoding
    units = text.units(asked.line, column, encoding)
    item = answers.inline_item(asked, made)
    if item is not None:
        start, end = item["range"]["start"], item["range"]["end"]
        assert start["line"] == end["line"] == 1
        assert start["character"] <= units <= end["character"]
        assert item["filterText"].startswith(asked.line[made.start : made.end])
        assert not set(item["insertText"]) & {"\0", "\r"}
    entry = answers.menu_item(asked, made)
    if entry is not None:
        edit = entry["textEdit"]
        assert edit["range"]["start"]["character"] <= units <= edit["range"]["end"]["character"]
        word = asked.line[text.column(asked.line, edit["range"]["start"]["character"], encoding) : column]
        assert edit["newText"].startswith(word)
        assert entry["filterText"].startswith(word)


@pytest.mark.parametrize(
    ("raw", "model"),
    [
        ({"model": "m"}, "m"),
        ({"qwen": {"model": "m"}}, "m"),
        ({"qwen": {"model": "m", "trace": {"server": "off"}}}, "m"),
        ({"python": {"model": "x"}, "rust": {}}, ""),
        ({"qwen": None}, ""),
        (None, ""),
    ],
)
def test_settings_are_found_however_they_are_wrapped(raw, model):
    """Editors send the section itself, or all sections, or other tools' alone; none of that is a mistake."""
    layers = Layers()
    layers.put("workspace/didChangeConfiguration", raw)
    assert layers.merged().model == model
    assert layers.news() == []


def test_later_sources_win_value_by_value():
    """The file and the environment, then `initializationOptions`, the pulled and the pushed settings."""
    layers = Layers({"model": "file", "debounce": 5, "region": "us-east-1"})
    layers.put("workspace/didChangeConfiguration", {"model": "pushed"})
    layers.put("workspace/configuration", {"model": "pulled", "debounce": 7})
    layers.put("initializationOptions", {"model": "options", "debounce": 6})
    merged = layers.merged()
    assert (merged.model, merged.debounce, merged.region) == ("pushed", 7, "us-east-1")


def test_a_mistake_is_told_once_and_many_are_summed_up():
    """A wrong settings file must not bury the editor in messages."""
    layers = Layers(problems=["config.toml: is not TOML"])
    layers.put("initializationOptions", {"maxTokens": "many"})
    assert len(layers.news()) == 2
    layers.put("initializationOptions", {"maxTokens": "many"})
    assert layers.news() == []
    layers.put("initializationOptions", {f"wrong{number}": number for number in range(9)})
    assert len(layers.news()) == 6
