"""The text a model is asked with."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from qwen_lsp.core.model import Format, Prompt, Snippet
from qwen_lsp.core.prompt import (
    FIM_MIDDLE,
    FIM_PREFIX,
    FIM_SUFFIX,
    SPECIAL_TOKENS,
    fim_parts,
    fim_text,
    neutralised,
    partial_messages,
    prefix_only_text,
    restored,
)

hostile = st.lists(st.sampled_from([*SPECIAL_TOKENS, "<|", "|>", "fim_prefix", "x", "\n", "<|tool_call|>"])).map(
    "".join
)


def prompt(prefix: str, suffix: str = "") -> Prompt:
    return Prompt(prefix, suffix, "python", "app.py", max_tokens=64, temperature=0)


def test_fim_prompt_is_prefix_suffix_middle() -> None:
    """The FIM prompt holds what stands before the cursor, what follows it, and asks for the middle."""
    assert fim_text(prompt("def f(", "):\n")) == "<|fim_prefix|>def f(<|fim_suffix|>):\n<|fim_middle|>"


def test_a_server_that_makes_the_prompt_gets_what_stands_before_and_after() -> None:
    """Passages are comments above, whatever format was chosen: Qwen's tokens belong to the server there."""
    asked = with_snippets(UNITS, form=Format.REPOSITORY)
    before, after = fim_parts(asked)
    assert after == asked.suffix
    assert before.endswith("x = ")
    assert "# METRE = 1\n" in before


def test_prefix_only_prompt_ends_with_the_suffix_token() -> None:
    """With nothing after the cursor DashScope's documented template leaves the middle token out."""
    assert prefix_only_text(prompt("def f(")) == "<|fim_prefix|>def f(<|fim_suffix|>"


SHAPES = Snippet("lib/shapes.py", "class Square(Shape)\n    def area(self) -> float")
UNITS = Snippet("units.py", "METRE = 1")


def with_snippets(*snippets: Snippet, form: Format = Format.COMMENTS, language: str = "python") -> Prompt:
    return Prompt("x = ", "\n", language, "src/app.py", 64, 0, snippets=snippets, format=form, repository="geometry")


def test_snippets_stand_before_the_code_as_comments_of_its_language() -> None:
    """Each is headed by its path; the last stands next to the code."""
    assert fim_text(with_snippets(UNITS, SHAPES)) == snapshot(
        """\
<|fim_prefix|># Path: units.py
# METRE = 1
# Path: lib/shapes.py
# class Square(Shape)
#     def area(self) -> float
x = <|fim_suffix|>
<|fim_middle|>\
"""
    )
    assert "<!-- METRE = 1 -->\n" in fim_text(with_snippets(UNITS, language="html"))


def test_snippets_stand_as_files_of_a_repository() -> None:
    """Qwen's own form for repositories: its name, each file by its path, and the open file last."""
    assert fim_text(with_snippets(UNITS, form=Format.REPOSITORY)) == snapshot(
        """\
<|repo_name|>geometry
<|file_sep|>units.py
METRE = 1
<|file_sep|>src/app.py
<|fim_prefix|>x = <|fim_suffix|>
<|fim_middle|>\
"""
    )


def test_snippets_are_excerpts_in_partial_mode() -> None:
    """The message before the last tells where each is from."""
    about = partial_messages(with_snippets(UNITS))[1]["content"]
    assert "From units.py:\n<excerpt>\nMETRE = 1\n</excerpt>" in about


@given(hostile, hostile, hostile, st.sampled_from(Format))
def test_no_snippet_changes_the_structure_of_a_prompt(path: str, text: str, name: str, form: Format) -> None:
    """Other files are data too: their text, their paths and the folder's name bring no token in (invariant 11)."""
    plain = fim_text(with_snippets(Snippet("a", "b"), form=form))
    asked = Prompt("x = ", "\n", "python", "a", 64, 0, snippets=(Snippet(path, text),), format=form, repository=name)
    assert re.findall(r"<\|\w+\|>", fim_text(asked)) == re.findall(r"<\|\w+\|>", plain)


def test_partial_mode_tells_what_follows_and_ends_with_the_prefix() -> None:
    """In partial mode the last message is the prefix, and the one before says what follows the cursor."""
    *before, last = partial_messages(prompt("def f(", "):\n    return 1\n"))
    assert last == {"role": "assistant", "content": "def f("}
    assert [message["role"] for message in before] == ["system", "user"]
    assert before[1]["content"] == snapshot(
        """\
Language: python
File: app.py
What stands after the cursor, and must not be written again (stop right before it):
<after_cursor>
):
    return 1

</after_cursor>\
"""
    )


def test_nothing_before_the_cursor_is_never_sent_as_nothing() -> None:
    """DashScope takes no suffix alone, so an empty prefix becomes a line end."""
    assert fim_text(prompt("", "x = 1\n")).startswith("<|fim_prefix|>\n<|fim_suffix|>")
    assert partial_messages(prompt("", "x = 1\n"))[-1]["content"] == "\n"


@given(hostile, hostile)
def test_user_text_never_changes_the_structure(prefix: str, suffix: str) -> None:
    """Whatever control tokens a file holds, the prompt's own are the only ones in it (invariant 11)."""
    found = re.findall(r"<\|[A-Za-z0-9_]+\|>", fim_text(prompt(prefix, suffix)))
    assert found == [FIM_PREFIX, FIM_SUFFIX, FIM_MIDDLE]
    assert not re.search(r"<\|[A-Za-z0-9_]+\|>", "".join(fim_parts(prompt(prefix, suffix))))
    for message in partial_messages(prompt(prefix, suffix)):
        assert not re.search(r"<\|[A-Za-z0-9_]+\|>", message["content"])


@given(hostile)
def test_what_was_neutralised_comes_back_as_it_was(text: str) -> None:
    """A model that writes a person's own token gives it back in its true spelling."""
    assert restored(neutralised(text)) == text
