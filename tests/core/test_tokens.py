"""How many tokens a text is, told without a tokenizer."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_lsp.core.tokens import Correction, common, density, estimate, stepped

# What Qwen2.5's own tokenizer counts.
COUNTED = [
    ("python", "def total(items: list[Item]) -> float:\n    return sum(item.price for item in items)\n" * 4, 84),
    ("indentation", "class A:\n    def f(self):\n        if self.x:\n            return self.x\n" * 4, 72),
    ("long names", "self.currentUserAccountRepository.findByUserIdentifier(userIdentifier)\n" * 4, 40),
    ("snake case", "max_retry_count = default_settings.max_retry_count or DEFAULT_RETRY_COUNT\n" * 4, 56),
    ("digits", "1234567890, 3.14159, 0x1F, 1e10\n" * 4, 128),
    ("minified", "function a(b,c){var d=b[c]||{};return d.e?f(d.e,c):g(d)}" * 4, 96),
    ("json", '{"id": 12, "name": "first", "tags": ["a", "b"], "ok": true}\n' * 4, 108),
    ("chinese", "# 读取配置文件如果不存在则返回默认值\n" * 6, 84),
    ("cyrillic", "# Возвращает значение по умолчанию, если файла нет\n" * 6, 84),
    ("emoji", "print('🚀 started ✅')\n" * 8, 56),
]


@pytest.mark.parametrize(("text", "counted"), [case[1:] for case in COUNTED], ids=[case[0] for case in COUNTED])
def test_an_estimate_is_near_what_the_tokenizer_counts(text: str, counted: int) -> None:
    """Within a half for any kind of text; single lines said over and over, as these, are the hardest."""
    assert estimate(text) == pytest.approx(counted, rel=0.52)


@given(st.text())
def test_every_text_has_an_estimate_in_proportion(text: str) -> None:
    """Nothing is free, nothing fails, and nothing is more than a few tokens a code point."""
    assert (estimate(text) == 0) is (text == "")
    assert len(text) / 40 <= estimate(text) <= 4 * len(text) + 1


def test_half_a_surrogate_pair_is_a_character_like_any_other() -> None:
    """Editors can send one, and no estimate may fail for it."""
    assert estimate("\ud83d" * 3) > 0


@given(st.text("abcXY_09 .()\n", max_size=200), st.text("abcXY_09 .()\n", max_size=200))
def test_the_parts_of_a_text_are_as_much_as_the_whole(one: str, other: str) -> None:
    """But for a few tokens at the seam, so budgets may be spent piece by piece."""
    assert abs(estimate(one) + estimate(other) - estimate(one + other)) <= 4


def test_dense_text_has_fewer_characters_a_token() -> None:
    """A budget of tokens is a longer window in prose than in digits or Chinese."""
    prose, chinese = "the quick brown fox jumps over the lazy dog\n" * 10, "读取配置文件如果不存在则返回默认值\n" * 10
    assert density(prose) > 1.3 * density(COUNTED[4][1]) > density(chinese) / 2
    assert density(prose) > 2 * density(chinese)
    assert density("") == pytest.approx(4)
    assert density(prose, correction=2.0) == pytest.approx(density(prose) / 2)


@given(st.floats(0.01, 1000), st.floats(0.01, 1000))
def test_a_step_holds_until_the_value_has_left_it(value: float, held: float) -> None:
    """The step that is given is near the value, and the one that holds is left only for one that is nearer by far."""
    given_step = stepped(value, 2, stepped(held, 2))
    assert abs(math.log2(value / given_step)) <= 0.75 + 1e-9
    assert stepped(value, 2, given_step) == given_step


def test_noise_moves_no_step() -> None:
    """A speed that wavers about the border of two steps stays at the first."""
    held = stepped(100, 2)
    for value in (90, 96, 80, 128, 91, 100):
        assert (held := stepped(value, 2, held)) == 128


def test_a_correction_follows_what_the_service_counts() -> None:
    """After a few replies an estimate that is always short is corrected; short prompts and mad figures are not."""
    correction = Correction()
    correction.heard(counted=30, estimated=10)
    assert correction.ratio == 1
    for _ in range(5):
        correction.heard(counted=1300, estimated=1000)
    assert correction.ratio == pytest.approx(1.3, rel=0.05)
    settled = correction.ratio
    for counted in (1320, 1280, 1310, 1260):
        correction.heard(counted, 1000)
        assert correction.ratio == settled
    for _ in range(20):
        correction.heard(counted=100_000, estimated=100)
    assert correction.ratio <= 2 * 2**0.125


@given(st.text("ab", max_size=40), st.text("ab", max_size=40))
def test_a_common_beginning_is_as_long_as_it_can_be(one: str, other: str) -> None:
    """What a prompt cache can use of a prompt is the beginning it shares with the one before."""
    size = common(one, other)
    assert one[:size] == other[:size]
    assert size == min(len(one), len(other)) or one[size] != other[size]
