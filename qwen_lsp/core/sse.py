"""Server-sent events: bytes in, the data of complete events out (WHATWG HTML, section 9.2.6).

Promises the same events for every way of cutting the bytes into chunks, and an event as soon as its last
byte is there. Lines end at LF, CR LF or CR and nowhere else: U+2028 or U+0085 inside JSON is text. Does no
IO and doesn't look at event names, ids or retry times: model services put all they say into the data.
"""

from __future__ import annotations

import re

_LINE_END = re.compile(rb"\r\n|\r|\n")
_BOM = b"\xef\xbb\xbf"
_CR, _LF = b"\r", b"\n"
_DATA = b"data:"


class SseDecoder:
    """One stream's decoder. Holds at most `limit` bytes each of an unfinished line and event."""

    def __init__(self, limit: int = 1 << 20) -> None:
        self._limit = limit
        self._line = bytearray()
        self._data: list[bytes] = []
        self._size = 0
        self._skip_lf = False
        self._at_start = True

    def feed(self, chunk: bytes) -> list[str]:
        """The data of every event that `chunk` completes, in order.

        Raises:
            ValueError: an event is larger than the limit. The stream can't be decoded any further.
        """
        events: list[str] = []
        if self._skip_lf and chunk:
            # A lone CR ends a line at once, so that no event waits for the next chunk; an LF after it is
            # its second half.
            chunk, self._skip_lf = chunk.removeprefix(_LF), False
        first, *others = _LINE_END.split(chunk)
        self._hold(first)
        if others:
            self._end_line(bytes(self._line), events)
            for line in others[:-1]:
                self._end_line(line, events)
            self._line.clear()
            self._hold(others[-1])
        self._skip_lf = self._skip_lf or chunk.endswith(_CR)
        return events

    def close(self) -> list[str]:
        """The data of an event that the end of the stream cut off from its empty line.

        The standard drops it; some servers end with `data: [DONE]` and nothing more.
        """
        events: list[str] = []
        if self._line:
            self._end_line(bytes(self._line), events)
            self._line.clear()
        self._dispatch(events)
        return events

    def _hold(self, part: bytes) -> None:
        self._line += part
        if len(self._line) > self._limit:
            raise ValueError(f"a line of the event stream is longer than {self._limit} bytes")

    def _end_line(self, line: bytes, events: list[str]) -> None:
        if self._at_start:
            self._at_start = False
            line = line.removeprefix(_BOM)
        if not line:
            self._dispatch(events)
        elif line.startswith(_DATA) or line == _DATA[:-1]:
            value = line[len(_DATA) :].removeprefix(b" ")
            self._data.append(value)
            self._size += len(value) + 1
            if self._size > self._limit:
                raise ValueError(f"an event is larger than {self._limit} bytes")

    def _dispatch(self, events: list[str]) -> None:
        if self._data:
            events.append(b"\n".join(self._data).decode("utf-8", "replace"))
        self._data.clear()
        self._size = 0
