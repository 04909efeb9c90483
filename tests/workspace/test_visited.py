"""The ring of places that were edited in this session."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from qwen_lsp.workspace.visited import JUMP, LINES, MOST, Visited


def document(name: str, lines: int = 300) -> list[str]:
    return [f"{name}_{number}()\n" for number in range(lines)]


def firsts(visited: Visited, path: str) -> list[str]:
    return [chunk.text.partition("\n")[0] for chunk in visited.recent(path)]


def test_where_one_types_is_no_place_to_show() -> None:
    """The cursor's surroundings are in the prompt anyway."""
    visited = Visited()
    for line in range(50, 60):
        visited.edited("a.py", "python", document("a"), line)
    assert visited.recent("a.py") == ()


def test_a_jump_leaves_a_place_behind() -> None:
    """Going far away in a document takes up the lines around the place that was left."""
    visited = Visited()
    visited.edited("a.py", "python", document("a"), 50)
    visited.edited("a.py", "python", document("a"), 50 + JUMP)
    assert visited.recent("a.py") == ()
    visited.edited("a.py", "python", document("a"), 200)
    (chunk,) = visited.recent("a.py")
    assert (chunk.path, chunk.language) == ("a.py", "python")
    assert chunk.text.split("\n") == [f"a_{number}()" for number in range(50, 50 + LINES)]


def test_another_document_sees_where_one_was_just_now() -> None:
    """What was typed a moment ago counts at once, before it is left for good."""
    visited = Visited()
    visited.edited("a.py", "python", document("a"), 10)
    assert firsts(visited, "b.py") == ["a_0()"]
    visited.edited("b.py", "python", document("b"), 10)
    assert firsts(visited, "b.py") == ["a_0()"]
    assert firsts(visited, "c.py") == ["b_0()", "a_0()"]


def test_saving_or_closing_takes_the_place_up() -> None:
    """It is worth keeping, once."""
    visited = Visited()
    visited.edited("a.py", "python", document("a"), 10)
    visited.left("a.py")
    visited.left("a.py")
    visited.left("b.py")
    assert firsts(visited, "a.py") == ["a_0()"]
    assert firsts(visited, "b.py") == ["a_0()"]


def test_a_place_replaces_what_it_looked_like_before() -> None:
    """The same passage after a few keys is not a second one."""
    visited = Visited()
    lines = document("a")
    for text in ("x", "y", "z"):
        lines = [*lines[:12], f"{text}\n", *lines[13:]]
        visited.edited("a.py", "python", lines, 12)
        visited.edited("a.py", "python", lines, 250)
    assert [chunk.text for chunk in visited.recent("c.py") if "z" in chunk.text.split("\n")] != []
    assert len(visited.recent("c.py")) == 2


def test_a_document_that_must_not_be_shown_is_forgotten() -> None:
    """All of its places go at once."""
    visited = Visited()
    visited.edited("a.py", "python", document("a"), 10)
    visited.edited("b.py", "python", document("b"), 10)
    visited.dropped("a.py")
    visited.dropped("b.py")
    assert visited.recent("c.py") == ()


def test_next_to_nothing_is_no_place() -> None:
    """Two lines tell nobody anything."""
    visited = Visited()
    visited.edited("a.py", "python", ["x\n", "y"], 0)
    visited.left("a.py")
    assert visited.recent("b.py") == ()


def test_the_oldest_places_make_room() -> None:
    """Sixteen are remembered, not all that a day brings."""
    visited = Visited()
    for number in range(40):
        visited.edited(f"{number}.py", "python", document(f"d{number}"), 10)
    assert [chunk.path for chunk in visited.recent("39.py")] == [f"{number}.py" for number in range(38, 38 - MOST, -1)]
    assert len(visited._ring) == MOST


@given(st.lists(st.tuples(st.sampled_from("abcdefghijklmnopqrst"), st.integers(0, 299), st.booleans())))
def test_the_ring_is_bounded(steps: list[tuple[str, int, bool]]) -> None:
    """However one wanders, sixteen places of sixty-four lines are the most."""
    visited = Visited()
    for name, line, saved in steps:
        visited.edited(name, "python", document(name), line)
        if saved:
            visited.left(name)
    found = visited.recent("elsewhere")
    assert len(found) <= MOST
    assert all(chunk.text.count("\n") < LINES for chunk in found)
    if steps:
        assert found[0].path == steps[-1][0]
