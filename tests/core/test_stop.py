"""When an answer has said enough."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_lsp.core.model import Route
from qwen_lsp.core.prompt import SPECIAL_TOKENS
from qwen_lsp.core.stop import MAX_LINES, Stopper, cut
from tests.marks import around

CASES = [
    ("ends with the stream", "x = █\n", "1 + 2", "1 + 2", None),
    ("a control token", "x = █\n", "1<|endoftext|>junk", "1", "control token"),
    ("code stands right of the cursor", "f(█, 2)\n", "1\n2", "1", "one line"),
    ("a bracket the editor closed", "f(█)\n", "a,\n    b", "a,", "one line"),
    ("the braces of an empty block may be torn open", "f() {█}\n", "\n  g();\n", "\n  g();\n", None),
    (
        "the next line of the document",
        "def f():\n    █\n    return y\n",
        "y = 1\n    return y\n",
        "y = 1",
        "repeats what follows",
    ),
    (
        "the same words deeper down are not the next line",
        "def f(x):\n    █\n    return y\n",
        "if x:\n        return y\n    y = 1",
        "if x:\n        return y\n    y = 1",
        None,
    ),
    ("the closer that is there", "f() {\n  █\n}\n", "g();\n}\n", "g();", "repeats what follows"),
    ("a fence", "x = █\n", "1\n```\nThis sets", "1", "fence"),
    ("two blank lines", "x = █\n", "1\ny = 2\n\n\nz = 3", "1\ny = 2\n", "two blank lines"),
    (
        "the end of an indented block",
        "def f():\n    return █\n",
        "1\n\ndef g():\n    pass",
        "1\n",
        "end of the block",
    ),
    ("a closer in column 0 belongs to the block", "x = [\n    █\n", "1,\n]\n", "1,\n]\n", None),
    ("a loop", "█\n", "run(1)\nrun(1)\nrun(1)\nrun(1)\n", "run(1)\nrun(1)", "repeats itself"),
    ("closers that come again are no loop", "█\n", "[[[\n]\n]\n]", "[[[\n]\n]\n]", None),
]


@pytest.mark.parametrize(("before", "answer", "kept", "rule"), [case[1:] for case in CASES], ids=[c[0] for c in CASES])
def test_an_answer_is_kept_up_to_where_it_has_said_enough(
    before: str, answer: str, kept: str, rule: str | None
) -> None:
    """Each rule ends an answer at its place, and lets through what a person would keep."""
    result = cut(answer, around(before), ended=True)
    assert (result.text, result.rule) == (kept, rule)


def test_nothing_longer_than_a_person_reads_is_shown() -> None:
    """An answer of many different lines is cut at the most that is shown."""
    answer = "\n".join(f"x{n} = {n}" for n in range(30))
    assert len(cut(answer, around("█\n")).text.split("\n")) == MAX_LINES


pieces = st.lists(
    st.sampled_from(
        [
            *SPECIAL_TOKENS,
            "```",
            "```py\n",
            "<think>",
            "</think>",
            "\n",
            "\n\n",
            "    ",
            "def f():\n",
            "f(",
            "return y",
            "run(1)",
            "}",
            ")",
            "x",
            "é😋",
            "<|fim_",
            "pad|>",
        ]
    ),
    max_size=25,
).map("".join)
documents = st.sampled_from(["█\n", "f(█)\n", "def f():\n    █\n    return y\n", "f() {\n  █\n}\n", "f() {█}\n"])


@given(documents, pieces, st.sampled_from(Route), st.data())
def test_every_chunking_of_an_answer_is_cut_alike(before: str, answer: str, route: Route, data: st.DataObject) -> None:
    """How a service cuts its stream into pieces changes nothing (invariant 5)."""
    scene = around(before, route=route)
    whole, parts = Stopper(scene), Stopper(scene)
    whole.feed(answer)
    whole.end()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(answer)), max_size=8)))
    for start, end in zip([0, *cuts], [*cuts, len(answer)], strict=True):
        parts.feed(answer[start:end])
    parts.end()
    assert (parts.text, parts.rule) == (whole.text, whole.rule)
