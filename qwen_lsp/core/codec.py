"""JSON in and out, at the speed of every key.

msgspec reads and writes what is JSON, several times faster than the standard library; what only nearly is, the
standard library: half an emoji in a string, as editors send it between two keys, or NaN.
"""

from __future__ import annotations

import json

import msgspec

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


def decode(text: bytes | str) -> object:
    """The value that a JSON text says. Control characters in strings are let pass.

    Raises:
        ValueError: it is no JSON.
        RecursionError: it is nested too deeply.
    """
    try:
        value: object = _decode(text)
    except (msgspec.MsgspecError, UnicodeError):
        value = json.loads(text, strict=False)
    return value


def encode(value: object, *, exact: bool = True) -> bytes:
    """The JSON text of dicts, lists and scalars, as short as can be.

    Half a surrogate pair is no text: it is written as the escape it came as, or, since not all services take that,
    as a question mark when the text need not be `exact`.

    Raises:
        TypeError: there is something else in it.
    """
    try:
        return _encode(value)
    except UnicodeEncodeError:
        return json.dumps(value, ensure_ascii=exact, separators=(",", ":")).encode("utf-8", "replace")
