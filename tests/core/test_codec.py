"""JSON as editors and services write it: fast where it is JSON, forgiving where it only nearly is."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_lsp.core.codec import decode, encode

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=8)


@given(VALUES)
def test_what_is_encoded_decodes_to_itself(value):
    """Encoding and decoding gives the value back, and agrees with the standard library both ways."""
    assert decode(encode(value)) == value
    assert decode(json.dumps(value)) == value
    assert json.loads(encode(value)) == value


@given(st.dictionaries(ANY_TEXT, ANY_TEXT, max_size=3))
def test_half_a_surrogate_pair_comes_through(value):
    """Half an emoji is decoded as it came and encoded as it is; where it must be text it is a question mark."""
    assert decode(json.dumps(value)) == value
    assert decode(encode(value)) == value
    encode(value, exact=False).decode("utf-8")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b'"a\x01b"', "a\x01b"),
        (b"\xef\xbb\xbf{}", {}),
        (b"1e999", math.inf),
        (b'{"a": 1, "a": 2}', {"a": 2}),
    ],
)
def test_what_is_nearly_json_is_read(text, value):
    """Control characters in strings, a byte order mark, numbers without bound: peers send them, so they are read."""
    assert decode(text) == value


@pytest.mark.parametrize("text", [b"", b"{", b"data: {}", b'"\xff"', b"{'a': 1}", b"[1,]"])
def test_what_is_no_json_is_a_value_error(text):
    """Anything else is a ValueError."""
    with pytest.raises(ValueError):  # noqa: PT011 - the kinds differ, their base does not
        decode(text)


def test_deep_nesting_is_told():
    """Nesting without end is a RecursionError, not a crash."""
    with pytest.raises(RecursionError):
        decode(b"[" * 1_000_000)


def test_only_json_is_encoded():
    """A value that is none of JSON's is a TypeError."""
    with pytest.raises(TypeError):
        encode(object())
