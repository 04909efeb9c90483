"""One HTTP/1.1 reply out of bytes (RFC 9112). Sans-IO.

Promises the same reply for every way of cutting its bytes into pieces, and bounded memory: of what is not yet
whole at most `LONGEST_HEAD` bytes are kept. Reads chunked bodies, those with a Content-Length and those that end
with the connection; undoes no compression, since none is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

LONGEST_HEAD = 64 * 1024
"""Bytes of a reply's head, and of the trailers after it."""
_LONGEST_SIZE_LINE = 4096

_STATUS = re.compile(rb"HTTP/1\.(\d) (\d{3})(?: .*)?")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*", re.DOTALL)
_NUMBER = re.compile(r"[0-9]{1,18}")
_FOLD = re.compile(rb"\r?\n[ \t]+")
_LINE_END = re.compile(rb"\r?\n")
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
_LONGEST_BLANK = len(b"\r\n\r\n")
_FIRST_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\n]*)?\r?\n")
_NEXT_SIZE = re.compile(rb"\r?\n" + _FIRST_SIZE.pattern)


class NotHttp(Exception):  # noqa: N818 - a verdict on the other side
    """The bytes are no HTTP/1.1 reply."""


@dataclass(frozen=True, slots=True)
class Head:
    """What stands before a reply's body."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case; a field that comes more than once is joined with commas."""
    persistent: bool
    """The server means to keep the connection."""


class ReplyDecoder:
    """One reply's decoder."""

    def __init__(self) -> None:
        self.head: Head | None = None
        """None until all of it has come. Interim replies (100, 103) are passed over."""
        self.complete = False
        """The whole reply has come."""
        self._unread = b""
        self._seen = 0
        """Bytes of a head or of trailers in which no empty line begins."""
        self._left: int | None = 0
        """Bytes that are left of the body or of a chunk; None when it ends with the connection."""
        self._size = _FIRST_SIZE
        self._chunked = False
        self._in_trailers = False

    @property
    def reusable(self) -> bool:
        """Whether the connection can carry another request now."""
        return self.complete and not self._unread and self.head is not None and self.head.persistent

    def feed(self, data: bytes) -> bytes:
        """Takes the next bytes, and gives what of the body is among them.

        Raises:
            NotHttp: the reply can't be read any further.
        """
        self._unread += data
        if self.complete or (self.head is None and not self._take_head()):
            return b""
        return self._take_chunks() if self._chunked else self._take_plain()

    def end(self) -> None:
        """The connection has ended: so has a reply that did not say how long it is."""
        if self.head is not None and self._left is None:
            self.complete = True

    def _take_head(self) -> bool:
        while self.head is None:
            if not self._unread.startswith(b"HTTP/1."[: len(self._unread)]):
                raise NotHttp
            end = self._blank_line()
            if end is None:
                return False
            head = _head(self._unread[: end.start()])
            self._unread = self._unread[end.end() :]
            if head.status >= 200:
                self.head = head
                self._frame(head)
        return True

    def _frame(self, head: Head) -> None:
        """How the body's end will be known (RFC 9112, section 6.3)."""
        coding = head.headers.get("transfer-encoding")
        if coding is not None:
            if coding.lower() != "chunked":
                raise NotHttp
            self._chunked = True
        elif head.status in (204, 304):
            self.complete = True
        else:
            self._left = _length(head.headers.get("content-length"))
            self.complete = self._left == 0

    def _take_plain(self) -> bytes:
        part, self._unread = self._unread[: self._left], self._unread[self._left :] if self._left is not None else b""
        if self._left is not None:
            self._left -= len(part)
            self.complete = not self._left
        return part

    def _take_chunks(self) -> bytes:
        parts, at = [], 0
        while not self._in_trailers:
            if self._left:
                part = self._unread[at : at + self._left]
                parts.append(part)
                at += len(part)
                self._left -= len(part)
                if self._left:
                    break
            line = self._size.match(self._unread, at)
            if line is None:
                # Two bytes may be the end of the chunk before.
                if len(self._unread) - at > _LONGEST_SIZE_LINE or b"\n" in self._unread[at + 2 :]:
                    raise NotHttp
                break
            self._left, self._size = int(line[1], 16), _NEXT_SIZE
            self._in_trailers = not self._left
            # The last one's line end stays: trailers, if there are any, lie between it and an empty line.
            at = line.end(1) if self._in_trailers else line.end()
        self._unread = self._unread[at:]
        if self._in_trailers:
            self._end_trailers()
        return b"".join(parts)

    def _end_trailers(self) -> None:
        end = self._blank_line()
        if end is not None:
            self._unread = self._unread[end.end() :]
            self.complete = True

    def _blank_line(self) -> re.Match[bytes] | None:
        """The first empty line, looked for once in each byte, however few come at a time."""
        end = _BLANK_LINE.search(self._unread, self._seen)
        self._seen = 0 if end is not None else max(0, len(self._unread) - _LONGEST_BLANK + 1)
        if end is None and len(self._unread) > LONGEST_HEAD:
            raise NotHttp
        return end


def _head(raw: bytes) -> Head:
    first, *lines = _LINE_END.split(_FOLD.sub(b" ", raw))
    status = _STATUS.fullmatch(first)
    if status is None or status[2] == b"101":
        raise NotHttp
    headers: dict[str, str] = {}
    for line in lines:
        field = _FIELD.fullmatch(line)
        if field is None:
            raise NotHttp
        name, value = field[1].decode("ascii").lower(), field[2].decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    options = headers.get("connection", "").lower().replace(" ", "").split(",")
    return Head(int(status[2]), headers, persistent=status[1] == b"1" and "close" not in options)


def _length(value: str | None) -> int | None:
    """A Content-Length; the same number twice is one."""
    if value is None:
        return None
    numbers = {number.strip() for number in value.split(",")}
    number = numbers.pop()
    if numbers or _NUMBER.fullmatch(number) is None:
        raise NotHttp
    return int(number)
