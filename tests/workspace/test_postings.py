"""Which passages hold a word, against a plain table of sets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_lsp.workspace.postings import Postings

WORDS = st.sets(st.sampled_from(["alpha", "beta", "gamma", "delta"]))


@given(st.lists(st.lists(WORDS, max_size=3), max_size=6), st.sets(st.integers(0, 5)))
def test_postings_hold_what_was_added_and_not_removed(files: list[list[set[str]]], removed: set[int]) -> None:
    """Files come and go as runs of passages; what is left is exactly theirs."""
    postings = Postings()
    known: dict[int, set[str]] = {}
    runs: list[tuple[int, int, set[str]]] = []
    number = 0
    for passages in files:
        first = number
        for words in passages:
            postings.add(number, words)
            known[number] = words
            number += 1
        runs.append((first, number, set().union(*passages)))
    for index in removed:
        if index < len(runs):
            first, after, words = runs[index]
            postings.remove(first, after, words | {"never"})
            for gone in range(first, after):
                known.pop(gone, None)
    for word in ("alpha", "beta", "gamma", "delta", "never"):
        assert list(postings.holding(word)) == [each for each, words in known.items() if word in words]
    assert len(postings) == len(set().union(*known.values()))


def test_rare_words_weigh_more() -> None:
    """What everybody has tells little, what nobody has nothing."""
    postings = Postings()
    for number in range(10):
        postings.add(number, {"common", f"rare{number}"})
    assert postings.rarity("rare3") > postings.rarity("common") > postings.rarity("nobody") == 0.0


def test_scores_add_up_and_pass_over_what_is_everywhere() -> None:
    """A passage scores by the weights and rarities of the words it holds."""
    postings = Postings()
    postings.add(0, {"one", "two", "common"})
    postings.add(1, {"one", "common"})
    postings.add(2, {"common"})
    scores = postings.scores({"one": 1.0, "two": 2.0, "common": 9.0, "none": 1.0}, 2)
    assert scores.keys() == {0, 1}
    assert scores[0] - scores[1] == pytest.approx(2.0 * postings.rarity("two"))
