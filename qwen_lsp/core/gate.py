"""Whether to ask at all: each `no` is a named reason. Knows nothing of services or time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import unquote, urlsplit

from qwen_lsp.core.config import Settings
from qwen_lsp.core.grammars import grammar
from qwen_lsp.core.model import Reason, Request, Skip, Trigger
from qwen_lsp.core.syntax import Mode, mode_at, opens_block, scan

MAX_LINES = 50_000
MAX_LINE = 20_000
"""Code points of the cursor's line. Documents beyond these are generated or data, and no person types in them; both
are told in constant time, which the whole size is not."""
_NEAR = 20
"""Lines on either side of the cursor that are searched for a NUL: all that was ever sent of a binary file."""
_ABOVE = 200
"""Lines above the cursor that tell whether it stands in a comment or a string."""

# Names that say "secrets inside". Such files are never sent, not even when asked by hand.
_PRIVATE = re.compile(
    r"""^( \.env([.\-_].*)? | .+\.env | \.?envrc | \.netrc | _netrc | \.pgpass | \.npmrc | \.pypirc | \.htpasswd
       | \.git-credentials | \.my\.cnf | \.s3cfg | \.boto | \.dockercfg | \.vault[-_](token|pass(word)?)(\..*)?
       | \.terraformrc | terraform\.rc | (.+[.\-_])?kubeconfig(\.ya?ml)? | \.\w+_history
       | credentials?(\..*)? | .*[.\-_]credentials?(\.(json|csv|ini|toml|txt|xml|ya?ml))? | secrets?(\..*)?
       | (client[-_]secrets?|service[-_]?accounts?).*\.json
       | (.+[.\-_])?id_(rsa|dsa|ecdsa|ed25519)(_sk)?(\.pub)? | authorized_keys | known_hosts | wallet\.dat
       | .*\.(pem|key|p8|p12|p7b|pfx|jks|jceks|keystore|truststore|keychain(-db)?|kdbx?|ppk|asc|gpg|age|crt|cer|der|csr
         |ovpn|mobileprovision|tfvars(\.json)?|tfstate(\.backup)?) )$""",
    re.VERBOSE | re.IGNORECASE,
)
# ".env.example" and the like are made to be shared.
_SHARED_EXAMPLE = re.compile(
    r"^(\.env[.\-_](.+[.\-_])?(example|sample|template|dist)|\.?(example|sample|template)\.env)$", re.IGNORECASE
)
# Folders in which programs keep keys and tokens under names that say nothing.
_PRIVATE_PATH = re.compile(
    r"""/( \.(ssh|aws|azure|gnupg|password-store)(/|$) | \.kube/(config|cache/) | \.docker/config\.json$
       | \.config/(gcloud|gh|glab-cli|hub|rclone|op|doctl|sops)(/|$) | \.m2/settings[^/]*\.xml$ | \.git/config$
       | etc/(shadow|gshadow|sudoers)\b | (etc/ssl|etc/pki|pki/tls|letsencrypt)/(private|archive|live)/
       | run/secrets/ )""",
    re.VERBOSE | re.IGNORECASE,
)

# Documents that an editor shows and no one types in: other versions, listings, logs (VS Code, Neovim plugins, jdtls).
_SHOWN_ONLY = frozenset(
    (
        "chat-editing-snapshot-text-model", "debug", "deno", "diffview", "fugitive", "git", "gitfs", "gitlens",
        "gitsigns", "jar", "jdt", "man", "merge-conflict.conflict-diff", "output", "svn", "term",
        "vscode-local-history", "vscode-scm", "walkthrough", "zipfile",
    )
)  # fmt: skip

_CLOSERS_ONLY = re.compile(r"""^[\s)\]}>"'`;,:]*$""")
_CLOSERS: Final = " \t)]}>\"'`;,:"

_DUE = re.compile(
    r"(?:[(\[{,=:+\-*/%&|<>!?~^;]|\b(?:and|as|assert|await|case|const|elif|else|extends|for|from|if|implements|import|"
    r"in|is|lambda|let|match|new|not|of|or|raise|return|throw|typeof|unless|until|var|when|where|while|with|yield)\s)"
    r"\s*\w*$"
)
"""Something is still to come at the end of this text, or a word of it has been begun."""
_GOES_ON = re.compile(
    r"\s*(?:[)\]},;:.?]|</)"
    r"|\s+(?:[-+*/%&|<>=^]{1,3}|!==?|\?\??|:=)\s"
    r"|\s+(?:and|as|else|extends|for|from|if|implements|import|in|instanceof|is|not|of|or|where)\b"
)
"""What begins like this has something in front of it."""
_REACH = 60
"""Code points before the cursor in which `_DUE` is looked for: a word, and what stands before it."""
_WORD_END = re.compile(r"\w$")
_COMPLETE: Final = (";", "}", ")", "]", '"', "'", "`", ">")


@dataclass(frozen=True, slots=True)
class Accepted:
    """Where the text of an accepted suggestion ended, in the document as it then was."""

    uri: str
    line: int
    column: int


@lru_cache(maxsize=64)
def file_name(uri: str) -> str:
    """The last part of a URI's path, decoded: "a b.py" for "file:///x/a%20b.py"."""
    return PurePosixPath(unquote(urlsplit(uri).path)).name


@lru_cache(maxsize=64)
def is_private(uri: str) -> bool:
    """Whether a file's name, or a folder it lies in, says that it holds keys, passwords or certificates."""
    path = unquote(urlsplit(uri).path)
    name = PurePosixPath(path).name
    if _PRIVATE_PATH.search(path):
        return True
    return bool(_PRIVATE.match(name)) and not _SHARED_EXAMPLE.match(name)


def rest_of_line(request: Request) -> str:
    """What stands right of the cursor on its line, without the line end."""
    return request.snapshot.lines[request.line][request.column :].rstrip("\r\n")


def only_closers(text: str) -> bool:
    """Whether nothing but brackets, quotes and punctuation that editors close by themselves stands here."""
    return bool(_CLOSERS_ONLY.match(text))


def gate(request: Request, settings: Settings, *, accepted: Accepted | None = None) -> Skip | None:
    """None when the model may be asked. `accepted` is what the person took last."""
    snapshot = request.snapshot
    if not settings.enabled:
        return Skip(Reason.DISABLED)
    if snapshot.language in settings.disabled_languages:
        return Skip(Reason.LANGUAGE, snapshot.language)
    if named := _by_uri(snapshot.uri):
        return named
    lines, number = snapshot.lines, request.line
    line = lines[number]
    if len(lines) > MAX_LINES:
        return Skip(Reason.TOO_LARGE, f"{len(lines)} lines, the most is {MAX_LINES}")
    if len(line) > MAX_LINE:
        return Skip(Reason.TOO_LARGE, f"a line of {len(line)} characters, the most is {MAX_LINE}")
    if "\0" in "".join(lines[max(0, number - _NEAR) : number + _NEAR]):
        return Skip(Reason.BINARY)
    if request.selected is not None and request.selected.start > request.column:
        return Skip(Reason.SELECTED)
    if request.trigger is not Trigger.AUTOMATIC:
        return None
    return (
        _by_place(request, line)
        or (_by_mode(request, settings) if settings.disable_in else None)
        or (_by_acceptance(request, line, accepted) if accepted else None)
    )


@lru_cache(maxsize=64)
def _by_uri(uri: str) -> Skip | None:
    """What a document's name alone forbids, whoever asks."""
    if is_private(uri):
        return Skip(Reason.PRIVATE, file_name(uri))
    scheme = uri.partition(":")[0].lower()
    return Skip(Reason.READ_ONLY, scheme) if scheme in _SHOWN_ONLY else None


def _by_place(request: Request, line: str) -> Skip | None:
    """What holds only while the person types: asked by hand, any place is right."""
    if request.selected is not None:
        return None
    rest = line[request.column :].rstrip("\r\n")
    if not rest or _CLOSERS_ONLY.match(rest):
        return None
    head = line[: request.column]
    if _is_word(rest[0]) and _is_word(head[-1:]):
        return Skip(Reason.MID_WORD)
    if not head.strip() or _lacks_something(head, rest, request.snapshot.language):
        return None
    return Skip(Reason.REST_OF_LINE)


def _lacks_something(head: str, rest: str, language: str) -> bool:
    """Whether what stands right of the cursor is what follows the missing text, and not more of what is there.

    So it is in `f(█, b)`, `x = █ + 1`, `if (█) {`, `<p>█</p>`, in a string that is closed, and before a comment.
    """
    if rest.lstrip(_CLOSERS).startswith(grammar(language).line_comments or ("//",)):
        return True
    if rest[0] in "\"'`" and head.count(rest[0]) % 2:
        return True
    return bool(_DUE.search(head[-_REACH:]) and _GOES_ON.match(rest))


def _by_mode(request: Request, settings: Settings) -> Skip | None:
    """The places that the settings exclude."""
    snapshot, number = request.snapshot, request.line
    first = max(0, number - _ABOVE)
    above = "".join(snapshot.lines[first:number])
    head = snapshot.lines[number][: request.column]
    mode = mode_at(above + head, snapshot.language, whole=first == 0).mode
    if mode is Mode.STRING and "strings" in settings.disable_in:
        return Skip(Reason.STRING)
    if mode in {Mode.LINE_COMMENT, Mode.BLOCK_COMMENT} and "comments" in settings.disable_in:
        return Skip(Reason.COMMENT)
    return None


def _by_acceptance(request: Request, line: str, accepted: Accepted) -> Skip | None:
    """A suggestion that was taken a moment ago has said what there was to say, if it has completed its line."""
    snapshot, column = request.snapshot, request.column
    if (accepted.line, accepted.column, accepted.uri) != (request.line, column, snapshot.uri):
        return None
    head, language = line[:column].rstrip(), snapshot.language
    # Where no sign ends a statement, a word may.
    ends = head.endswith(_COMPLETE) or (grammar(language).by_indentation and _WORD_END.search(head))
    if not ends or opens_block(head, language):
        return None
    state = scan(head, language)
    return None if state.brackets or state.mode is Mode.STRING else Skip(Reason.JUST_ACCEPTED)


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_"
