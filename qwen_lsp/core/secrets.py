"""Secrets inside code that may otherwise be sent: each is replaced by a stand-in before, and put back in the answer.

Promises: the same secret has the same stand-in for as long as a `Vault` lives, so prompts keep their common beginnings
and a model can copy it; text without secrets stays as it is; putting back gives the same however the answer is cut into
pieces. Finds what is known by its form (keys of well-known services, key blocks, passwords in URLs) and values that a
name calls secret; it can't know a secret that looks like any other word.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

_BLOCK = re.compile(r"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY-----(.*?)(?:-----END|\Z)", re.DOTALL)
_BY_FORM = re.compile(
    r"""(?P<token>
          (?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b
        | gh[pousr]_[A-Za-z0-9]{36,255} | github_pat_\w{40,255} | gl(?:pat|ptt|rt|dt)-[\w-]{20,255}
        | xox[abeoprs]-[\w-]{10,255} | xapp-[\w-]{20,255}
        | \bsk-[A-Za-z0-9][\w-]{18,255} | \b[sr]k_(?:live|test)_[A-Za-z0-9]{16,255} | \bwhsec_[A-Za-z0-9]{20,255}
        | AIza[\w-]{35} | \bya29\.[\w-]{20,255} | GOCSPX-[\w-]{20,255}
        | \bnpm_[A-Za-z0-9]{36} | \bpypi-[\w-]{40,255} | \bhf_[A-Za-z0-9]{30,255} | \bdop_v1_[a-f0-9]{40,255}
        | \bLTAI[A-Za-z0-9]{12,26} | \bSG\.[\w-]{16,99}\.[\w-]{16,99} | \bkey-[a-f0-9]{32} | \b(?:AC|SK)[a-f0-9]{32}
        | \beyJ[\w-]{8,2000}\.eyJ[\w-]{8,2000}\.[\w-]{8,2000}
        )
      | ://[^\s:/@'"]{0,99}:(?P<url>[^\s:/@'"]{3,255})@
      | (?:[Bb]earer|[Bb]asic)\ (?P<header>[A-Za-z0-9+/=_.~-]{16,2000})""",
    re.VERBOSE,
)
"""Forms that the services document, or that scanners of repositories look for. A group is what is secret of it."""
_NAMES = ("passw", "passphrase", "pwd", "secret", "token", "credential", "key")
"""What a name that calls its value secret has in it; a key is one of the kinds in `_KINDS_OF_KEY`."""
_KINDS_OF_KEY = re.compile(r"(?:api|access|private|auth|encryption|signing|account)[_\-.]?$", re.IGNORECASE)
_VALUE = re.compile(
    r"""[\w.\-]{0,40}["'\]]{0,2}[ \t]{0,40}(?::[ \t]{0,9}[\w.<>\[\]&|? ]{1,30}=|:=|=>|=|:)[ \t]{0,40}
        (?: [bru]{0,2}(?P<quote>["'`])(?P<quoted>[^"'`\r\n]{6,200})(?:(?P=quote)|$)
          | (?P<bare>[^\s"'`,;(){}\[\]<>]{12,200})(?=[\s,]|$) )""",
    re.VERBOSE,
)
"""The rest of a name and what it is given, as languages and configuration files write it; unquoted only what can be
no expression."""
_PASSWORD = re.compile(r"(?:passw(?:or)?d|passphrase|pwd|secret)(?![\w.\-])", re.IGNORECASE)
_HARMLESS = re.compile(
    r"""\$\{.*\} | \$\w+ | %\(?\w.* | \{\{.*\}\} | \{\w*\} | <.*> | [*x•\-_.]+
      | .*\b(?:env|environ|getenv|config|settings|vault)\b.*
      | (?:your|my|the|some|an?|enter|change|example|dummy|fake|placeholder|secret|password|token|none|null|true|false)
        (?:[\s_\-.].*|me|)""",
    re.VERBOSE | re.IGNORECASE,
)
"""Values that stand where a secret will be."""
_STAND_IN = "REDACTED"
_LENGTH = len(_STAND_IN) + 1 + 10
_WHOLE = re.compile(rf"{_STAND_IN}_[0-9a-f]{{10}}")
_WORDS = re.compile(r"[\W_]*(?:(?:[A-Za-z]+\d{0,4}|\d{1,4})(?:[\W_]+|$))*")
"""Words, perhaps numbered, with something between them."""
_LEAST_ENTROPY = 3.0
"""Bits a code point: English words and identifiers of a dozen letters lie below, random letters and digits above."""


@dataclass(slots=True)
class Vault:
    """What was replaced in one session."""

    _secrets: dict[str, str] = field(default_factory=dict, repr=False)
    """By their stand-ins."""

    @property
    def used(self) -> bool:
        """Whether anything was replaced so far."""
        return bool(self._secrets)

    def mask(self, text: str) -> str:
        """The text with stand-ins in place of its secrets."""
        everywhere = _blocks(text)
        lines = text.split("\n")
        for number, line in enumerate(lines):
            for begin, end in reversed(_spans(line)):
                secret = line[begin:end]
                lines[number] = lines[number][:begin] + self._stand_in(secret) + lines[number][end:]
                # A password may be a word that code is full of.
                everywhere += [secret] if _looks_random(secret) else []
        masked = "\n".join(lines)
        for secret in sorted(everywhere, key=len, reverse=True):
            masked = masked.replace(secret, self._stand_in(secret))
        return masked

    def unmask(self, text: str) -> str:
        """The text with secrets in place of the stand-ins that this vault has made."""
        return _WHOLE.sub(lambda found: self._secrets.get(found[0], found[0]), text) if self._secrets else text

    def _stand_in(self, secret: str) -> str:
        name = f"{_STAND_IN}_{hashlib.sha256(secret.encode(errors='surrogatepass')).hexdigest()[:10]}"
        self._secrets[name] = secret
        return name


@dataclass(slots=True)
class Unmasker:
    """Puts secrets back into an answer that comes in pieces; a stand-in may begin in one and end in another."""

    vault: Vault
    _held: str = ""

    def feed(self, piece: str) -> str:
        """What can be said with this piece: all but the beginning of what may become a stand-in."""
        text = self._held + piece
        begin = next((at for at in range(max(len(text) - _LENGTH + 1, 0), len(text)) if _begins(text[at:])), len(text))
        self._held = text[begin:]
        return self.vault.unmask(text[:begin])

    def end(self) -> str:
        """What was held back."""
        held, self._held = self._held, ""
        return held


def _blocks(text: str) -> list[str]:
    """What stands in the key blocks of a text."""
    return [block for block in map(str.strip, _BLOCK.findall(text)) if block] if "-----BEGIN" in text else []


@lru_cache(maxsize=4096)
def _spans(line: str) -> tuple[tuple[int, int], ...]:
    """Where secrets stand in a line, in order, none in another.

    Most lines of a prompt stood in the one before it too, and are not looked through again.
    """
    found = [match.span(match.lastgroup) for match in _BY_FORM.finditer(line) if match.lastgroup]
    apart: list[tuple[int, int]] = []
    for begin, end in sorted([*found, *_named(line)]):
        if not apart or begin >= apart[-1][1]:
            apart.append((begin, end))
    return tuple(apart)


def _named(line: str) -> Iterator[tuple[int, int]]:
    """The values of names that call them secret."""
    small = line.lower()
    for name in _NAMES if len(small) == len(line) else ():
        at = small.find(name)
        while at >= 0:
            if name != "key" or _KINDS_OF_KEY.search(line, max(at - 12, 0), at):
                match = _VALUE.match(line, at + len(name))
                value = (match["quoted"] or match["bare"]) if match else ""
                if match and not _HARMLESS.fullmatch(value) and (_is_password(match, at) or _looks_random(value)):
                    yield match.span("quoted" if match["quoted"] else "bare")
            at = small.find(name, at + len(name))


def _is_password(match: re.Match[str], begin: int) -> bool:
    """A quoted value of a name that ends in "password" need not be random; a sentence about it has blanks."""
    value = match["quoted"]
    return bool(value and not re.search(r"\s", value) and _PASSWORD.match(match.string, begin))


def _looks_random(value: str) -> bool:
    """Letters and digits in no order that a word or a path has."""
    if len(value) < 12 or value.isdigit() or re.search(r"\s", value) or _WORDS.fullmatch(value):
        return False
    counts = Counter(value)
    entropy = -sum(count / len(value) * math.log2(count / len(value)) for count in counts.values())
    return entropy >= _LEAST_ENTROPY


def _begins(text: str) -> bool:
    """Whether a stand-in may begin with this text."""
    whole = f"{_STAND_IN}_"
    if len(text) <= len(whole):
        return whole.startswith(text)
    return (
        len(text) < _LENGTH
        and text.startswith(whole)
        and all(digit in "0123456789abcdef" for digit in text[len(whole) :])
    )
