"""Whether to ask at all: each `no` is a named reason. Knows nothing of services or time."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from qwen_lsp.core.config import Settings
from qwen_lsp.core.model import Reason, Request, Skip, Trigger

MAX_LINES = 50_000
MAX_LINE = 20_000
"""Code points of the cursor's line. Documents beyond these are generated or data, and no person types in them; both
are told in constant time, which the whole size is not."""

# Names that say "secrets inside". Such files are never sent, not even when asked by hand.
_PRIVATE = re.compile(
    r"""^( \.env(\..*)? | \.?envrc | \.netrc | _netrc | \.pgpass | \.npmrc | \.pypirc | \.htpasswd | \.git-credentials
       | credentials(\..*)? | secrets?(\..*)? | id_(rsa|dsa|ecdsa|ed25519)(\.pub)? | authorized_keys | known_hosts
       | .*\.(pem|key|p12|pfx|jks|keystore|kdbx|ppk|asc|gpg|crt|cer|der|tfvars|tfstate) )$""",
    re.VERBOSE | re.IGNORECASE,
)
# ".env.example" and the like are made to be shared.
_SHARED_EXAMPLE = re.compile(r"^\.env\.(example|sample|template|dist)$", re.IGNORECASE)

_CLOSERS_ONLY = re.compile(r"""^[\s)\]}>"'`;,:]*$""")


@lru_cache(maxsize=64)
def file_name(uri: str) -> str:
    """The last part of a URI's path, decoded: "a b.py" for "file:///x/a%20b.py"."""
    return PurePosixPath(unquote(urlsplit(uri).path)).name


@lru_cache(maxsize=64)
def is_private(uri: str) -> bool:
    """Whether a file's name says that it holds keys, passwords or certificates."""
    name = file_name(uri)
    return bool(_PRIVATE.match(name)) and not _SHARED_EXAMPLE.match(name)


def rest_of_line(request: Request) -> str:
    """What stands right of the cursor on its line, without the line end."""
    return request.snapshot.lines[request.line][request.column :].rstrip("\r\n")


def only_closers(text: str) -> bool:
    """Whether nothing but brackets, quotes and punctuation that editors close by themselves stands here."""
    return bool(_CLOSERS_ONLY.match(text))


def gate(request: Request, settings: Settings) -> Skip | None:
    """None when the model may be asked."""
    snapshot = request.snapshot
    if not settings.enabled:
        return Skip(Reason.DISABLED)
    if snapshot.language in settings.disabled_languages:
        return Skip(Reason.LANGUAGE, snapshot.language)
    if is_private(snapshot.uri):
        return Skip(Reason.PRIVATE, file_name(snapshot.uri))
    line = snapshot.lines[request.line]
    if len(snapshot.lines) > MAX_LINES:
        return Skip(Reason.TOO_LARGE, f"{len(snapshot.lines)} lines, the most is {MAX_LINES}")
    if len(line) > MAX_LINE:
        return Skip(Reason.TOO_LARGE, f"a line of {len(line)} characters, the most is {MAX_LINE}")
    if "\0" in line or "\0" in "".join(snapshot.lines[:200]):
        return Skip(Reason.BINARY)
    return _by_place(request, line) if request.trigger is Trigger.AUTOMATIC else None


def _by_place(request: Request, line: str) -> Skip | None:
    """What holds only while the person types: asked by hand, any place is right."""
    if request.selected is not None:
        return None
    rest = rest_of_line(request)
    before = line[request.column - 1 : request.column]
    if rest and _is_word(rest[0]) and _is_word(before):
        return Skip(Reason.MID_WORD)
    if not only_closers(rest) and line[: request.column].strip():
        return Skip(Reason.REST_OF_LINE)
    return None


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_"
