"""Which passages are chosen, how they fit, and how alike passages are."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from qwen_lsp.core.chunks import LINES, alike, contained, passages, tokens, words
from qwen_lsp.core.snippets import HEAD, Piece, Query, chosen


def piece(text: str, score: float = 0.5, path: str = "a.py", line: int = 0) -> Piece:
    return Piece(path, line, text, score, "similar")


def test_the_best_come_first_and_a_files_pieces_together() -> None:
    """One snippet a file, its pieces in the file's order, by the best of them."""
    found = chosen([piece("low()", 0.3, "b.py"), piece("later()", 0.9, line=9), piece("early()", 0.4, line=2)], 1000)
    assert [(each.path, each.text, each.score) for each in found] == [
        ("a.py", "early()\nlater()", 0.9),
        ("b.py", "low()", 0.3),
    ]


def test_what_scores_low_is_not_shown() -> None:
    """Context that does not fit does harm."""
    assert chosen([piece("x()", 0.1)], 1000, least=0.2) == []


def test_what_the_model_sees_anyway_is_left_out() -> None:
    """A passage more than half of whose lines stand around the cursor would only be repeated."""
    text = "one()\ntwo()\nthree()"
    assert chosen([piece(text)], 1000, "zero()\none()\ntwo()\n") == []
    assert chosen([piece(text)], 1000, "zero()\none()\n") != []


def test_near_duplicates_are_shown_once() -> None:
    """Copies of a passage in several files cost one."""
    text = "\n".join(f"line{number}()" for number in range(20))
    found = chosen([piece(text, 0.5), piece(text.replace("line7", "line8"), 0.4, "b.py")], 10_000)
    assert [each.path for each in found] == ["a.py"]


def test_a_passage_that_does_not_fit_leaves_room_for_smaller_ones() -> None:
    """Nothing is cut in the middle; what is next best and fits is taken."""
    found = chosen([piece("x" * 100, 0.9), piece("small()", 0.5, "b.py")], 60)
    assert [each.path for each in found] == ["b.py"]


PIECES = st.lists(
    st.builds(
        Piece,
        st.sampled_from(["a.py", "b/c.py"]),
        st.integers(0, 50),
        st.text(alphabet="abc()\n ", max_size=60),
        st.floats(0, 1),
        st.just("next"),
    ),
    max_size=12,
)


@given(PIECES, st.integers(0, 300), st.text(alphabet="abc()\n", max_size=50))
def test_the_room_is_never_exceeded(pieces: list[Piece], room: int, shown: str) -> None:
    """With paths and the marks of comments, all that is shown fits."""
    found = chosen(pieces, room, shown)
    cost = sum(len(each.text) + 3 * (each.text.count("\n") + 1) + HEAD + len(each.path) for each in found)
    assert cost <= room or not found
    assert len({each.path for each in found}) == len(found)
    assert [each.score for each in found] == sorted((each.score for each in found), reverse=True)


def test_a_query_knows_its_line() -> None:
    """What stands left and right of the cursor on its line."""
    query = Query("a.py", "python", "x\ny = f(", ")\nz")
    assert (query.head, query.rest) == ("y = f(", ")")


def test_likeness_is_by_lines_and_blind_to_blanks() -> None:
    """Twice the common lines by all lines."""
    assert alike(["  one", "two", ""], ["one", "three"]) == 0.5
    assert alike([], []) == 0.0
    assert contained(["one", "two"], ["two", "three"]) == 0.5
    assert contained([], ["x"]) == 1.0


def test_words_are_identifiers_that_tell_something() -> None:
    """Keywords and single letters stand everywhere."""
    assert words("def find(self, größe: int) -> Row_2: return x") == {"find", "größe", "Row_2"}
    assert tokens("a.b (c)") == ["a", ".", "b", "(", "c", ")"]


@given(st.text(alphabet="ab\n ", max_size=400))
def test_passages_are_the_text_in_order(text: str) -> None:
    """Cut into passages of a bounded number of lines, nothing is lost and nothing is twice."""
    spans = list(passages(text))
    assert "".join(text[begin:end] for _, begin, end in spans) == text
    for first, begin, end in spans:
        assert first == text.count("\n", 0, begin)
        assert text[begin:end].count("\n") <= LINES
