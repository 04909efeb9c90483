"""The decoder of event streams: every chunking of the same bytes gives the same events."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_lsp.core.sse import SseDecoder


def decode(*chunks: bytes) -> list[str]:
    decoder = SseDecoder()
    return [event for chunk in chunks for event in decoder.feed(chunk)] + decoder.close()


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: a\n\ndata: b\n\n", ["a", "b"]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", ["a", "b"]),
        (b"data: a\r\rdata: b\r\r", ["a", "b"]),
        (b"data: a\r\n\ndata: b\n\r\n", ["a", "b"]),
        (b"data:a\n\n", ["a"]),
        (b"data:  a\n\n", [" a"]),
        (b"data: a\ndata: b\n\n", ["a\nb"]),
        (b"data\n\n", [""]),
        (b"data: a: b\n\n", ["a: b"]),
        (b": comment\n\ndata: a\n\n", ["a"]),
        (b"id:1\nevent:result\n:HTTP_STATUS/200\ndata:{}\n\n", ["{}"]),
        (b"retry: 10\n\n\n\n", []),
        (b"database: a\n\n", []),
        (b"\xef\xbb\xbfdata: a\n\n", ["a"]),
        (b"data: a\n\n\xef\xbb\xbfdata: b\n\n", ["a"]),
        ("data: x\u2028y\x85z\u2029\x0b\x0c\n\n".encode(), ["x\u2028y\x85z\u2029\x0b\x0c"]),
        (b"data: \xff\xe4\xbd\n\n", ["\ufffd\ufffd"]),
        (b"data: a\x00b\n\n", ["a\x00b"]),
        (b"data: [DONE]", ["[DONE]"]),
        (b"data: [DONE]\n", ["[DONE]"]),
        (b'{"an": "object"}\n\n<html>\n\n', []),
    ],
)
def test_the_standards_cases(stream, events):
    """Lines end at LF, CR LF or CR only; one blank after the colon goes; comments and other fields are no data."""
    assert decode(stream) == events


LINES = st.one_of(
    st.sampled_from([b"data: ", b"data", b":", b"", b"event: x", b"\xef\xbb\xbf"]),
    st.text(alphabet='a{}:"\u2028\x85你😋\x00 \x0c', max_size=8).map(lambda text: b"data: " + text.encode()),
    st.binary(max_size=6),
)
STREAMS = st.lists(st.tuples(LINES, st.sampled_from([b"\n", b"\r\n", b"\r", b""])), max_size=14).map(
    lambda parts: b"".join(line + end for line, end in parts)
)


@given(STREAMS, st.data())
def test_every_chunking_of_the_same_bytes_gives_the_same_events(stream, data):
    """Cut anywhere, in UTF-8 sequences and between CR and LF, with empty chunks in between: nothing changes."""
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    edges = [0, *cuts, len(stream)]
    chunks = [stream[start:end] for start, end in pairwise(edges)]
    single = [stream[index : index + 1] for index in range(len(stream))]
    assert decode(*chunks) == decode(*single) == decode(stream)


@given(st.lists(st.text(alphabet=st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), min_size=1)))
def test_what_was_sent_arrives(texts):
    """Any text without CR and LF survives the way through an event."""
    assert decode("".join(f"data: {text}\n\n" for text in texts).encode()) == texts


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\r\r"])
def test_an_event_is_there_with_its_last_byte(end):
    """No event waits for the next chunk, not even after a CR that an LF might follow."""
    decoder = SseDecoder()
    assert decoder.feed(b"data: a" + end[:-1]) == ([] if end != b"\r\n\r\n" else ["a"])
    assert decoder.feed(end[-1:]) == ([] if end == b"\r\n\r\n" else ["a"])
    assert decoder.feed(b"data: b" + end) == ["b"]


@pytest.mark.parametrize("piece", [b"x" * 7, b"data: " + b"x" * 7 + b"\n"])
def test_memory_is_bounded(piece):
    """A line without end, or an event of endless lines, is an error once it is past the limit."""
    decoder = SseDecoder(limit=100)
    with pytest.raises(ValueError, match="100 bytes"):
        list(map(decoder.feed, [piece] * 100))
    with pytest.raises(ValueError, match="100 bytes"):
        SseDecoder(limit=100).feed(piece * 100)


def test_the_limit_is_for_one_event():
    """Many events may be larger together than one may be."""
    decoder = SseDecoder(limit=100)
    assert len(decoder.feed((b"data: " + b"x" * 60 + b"\n\n") * 50)) == 50
