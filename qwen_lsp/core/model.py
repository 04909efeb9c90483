"""The nouns every room shares: frozen values, nothing effectful.

A place in a document is a line number and a column, both from 0; a column counts *code points* in its line.
Only `lsp/` knows of UTF-16 or bytes. Times are seconds unless a name ends in `_ms`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Self, TypeAlias


class Trigger(Enum):
    """What made the editor ask (LSP 3.18, InlineCompletionTriggerKind)."""

    INVOKED = 1
    """A person pressed a key for it."""
    AUTOMATIC = 2
    """The editor asked by itself while the person typed."""


@dataclass(frozen=True, slots=True)
class Snippet:
    """Text from elsewhere that may help: whole lines with line feeds, the last without one."""

    path: str
    """As the model may see it: relative to its workspace folder, with slashes."""
    text: str
    score: float = 0.0
    """How sure its source is that it helps, 0 to 1; comparable across sources."""
    source: str = ""
    """"definition", "usage", "similar", "next", "recent" or "given"."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An open document at one version.

    `lines` keep their line ends (CRLF, LF or a lone CR); the last has none, so there is always at least one.
    `language` is the LSP language id ("python"), `uri` as the editor wrote it.
    """

    uri: str
    language: str
    version: int
    lines: Sequence[str]
    before: tuple[Snippet, ...] = ()
    """What precedes the document where it is a part of something: the cells above a notebook's cell, in their order."""
    after: tuple[Snippet, ...] = ()
    """What follows it: the cells below."""


@dataclass(frozen=True, slots=True)
class Selected:
    """The entry selected in the editor's completion menu: it will replace columns start to end with `text`.

    What is shown must use the same range and begin with `text` (LSP 3.18, SelectedCompletionInfo).
    """

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Request:
    """One question: what would come next at this line and column of this snapshot?"""

    snapshot: Snapshot
    line: int
    column: int
    trigger: Trigger = Trigger.AUTOMATIC
    selected: Selected | None = None
    once: bool = False
    """The editor keeps what it is given, as a menu does, and so is given all of it or nothing."""

    def asks_like(self, other: Request | None) -> bool:
        """Whether another request of the same document asks for the same place in the same text."""
        if self is other or other is None:
            return self is other
        here, there = (self.line, self.column), (other.line, other.column)
        return here == there and self.snapshot.lines == other.snapshot.lines


class Route(Enum):
    """How a model is asked to continue code."""

    FIM = "fim"
    """Raw fill-in-the-middle prompt: the model sees what follows the cursor as such."""
    PARTIAL = "partial"
    """Chat whose last assistant message is the prefix; what follows the cursor is described in the messages."""


class Api(Enum):
    """The HTTP interface a service is asked through."""

    COMPLETIONS = "completions"
    """OpenAI-compatible `/completions`."""
    CHAT = "chat"
    """OpenAI-compatible `/chat/completions`."""
    NATIVE = "native"
    """DashScope's own `/services/aigc/text-generation/generation`."""


@dataclass(frozen=True, slots=True)
class Secret:
    """An API key that can't be printed by accident: only `reveal()` gives it."""

    _value: str = field(repr=False)

    def reveal(self) -> str:
        """The key itself, for an Authorization header and nothing else."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__


@dataclass(frozen=True, slots=True)
class Service:
    """A model at an address, and the way it is asked: what `backend` resolves the settings to."""

    provider: str
    """"dashscope", "openai" or "local"."""
    base_url: str
    """Without a trailing slash; the paths of `api` are appended to it."""
    model: str
    route: Route
    api: Api
    key: Secret | None = None
    region: str | None = None
    disable_thinking: bool = False
    """The model thinks unless it is told not to."""
    has_suffix: bool = False
    """It puts the FIM prompt together itself, from `prompt` and `suffix` (OpenAI, Completions); else the raw text."""
    stops: int = 4
    """How many stop strings it takes in one request."""
    standing_in: str = ""
    """One line about who should answer and why they do not, where this one stands in for them."""

    @property
    def is_local(self) -> bool:
        """Runs on this machine's own processor: nothing is billed, and reading a prompt takes time."""
        return self.provider == "local"


class Format(Enum):
    """How text from elsewhere is shown to a model that fills in the middle."""

    COMMENTS = "comments"
    """As comments of the file's own language before it, each headed by its path."""
    REPOSITORY = "repository"
    """As files of a repository, with Qwen's own tokens (Qwen2.5-Coder, repository-level FIM)."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """Everything a model is asked, before it has the form that a service wants.

    `prefix` and `suffix` are what stands before and after the cursor, with line feeds as line ends, else as
    the person wrote them; special tokens in them are neutralised when the text for the model is made (core/prompt.py).
    """

    prefix: str
    suffix: str
    language: str
    path: str
    """The file's name as the model may see it, never an absolute path."""
    max_tokens: int
    temperature: float
    stop: tuple[str, ...] = ()
    """Sent to the server, at most four: services take no more."""
    snippets: tuple[Snippet, ...] = ()
    """Text from elsewhere, the most helpful last: nearest to the code."""
    format: Format = Format.COMMENTS
    repository: str = ""
    """The workspace folder's name."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the service counted them; `cached` of `prompt` came from its prompt cache."""

    prompt: int
    completion: int
    cached: int = 0


@dataclass(frozen=True, slots=True)
class Delta:
    """One piece of a streamed answer. `finish` ("stop", "length") and `usage` come with the last ones."""

    text: str = ""
    finish: str | None = None
    usage: Usage | None = None


class Kind(Enum):
    """What went wrong with a service; core/dialects/errors.py maps replies to these."""

    AUTH = "auth"
    """The key is wrong, missing, or of another region."""
    QUOTA = "quota"
    """The account is overdue or its quota is used up: waiting does not help."""
    RATE = "rate"
    """Too many requests or tokens a minute or second: waiting helps."""
    OVERLOADED = "overloaded"
    """The service can't serve anyone right now (500, 503)."""
    BAD_REQUEST = "bad request"
    """The service does not take this request (parameters, length, content inspection)."""
    MODEL = "model"
    """No such model here, or its weights or engine are missing or broken."""
    TIMEOUT = "timeout"
    """No answer within the deadline."""
    NETWORK = "network"
    """No connection, or it broke."""
    PROTOCOL = "protocol"
    """The reply is not what the interface promises."""
    CONFIG = "config"
    """The settings name nothing that can be asked."""


class BackendError(Exception):
    """A service failed. `message` is one line for a person, without key or code, and names what to do."""

    def __init__(self, kind: Kind, message: str, *, retry_after: float | None = None, lacks: str = "") -> None:
        super().__init__(message)
        self.lacks = lacks
        """The embedded model that would have to be fetched, if that would help."""
        self.kind = kind
        self.message = message
        self.retry_after = retry_after
        """Seconds the service asked us to wait, if it did."""


class Reason(Enum):
    """Why nothing is shown: the name that logs and `--json` carry, and what a person reads."""

    sentence: str
    """What it means, as the README's table has it too."""

    def __new__(cls, name: str, sentence: str) -> Self:
        """A member whose value is its name."""
        reason = object.__new__(cls)
        reason._value_, reason.sentence = name, sentence
        return reason

    @property
    def setting(self) -> str | None:
        """The setting that would change it, with its section, if there is one: the sentence names it."""
        named = re.search(r"`(qwen\.\w+)`", self.sentence)
        return named[1] if named else None

    DISABLED = "disabled", "Completion is turned off in the settings (`qwen.enabled`)."
    PAUSED = "paused", "Completion is paused, for this session or for some minutes; resume it."
    LANGUAGE = "language", "Completion is turned off for this language (`qwen.disabledLanguages`)."
    FILE = "file", "Completion is turned off for this file, for this session."
    NOT_OPEN = "not-open", "The editor asked about a document it has not opened."
    PRIVATE = "private", "The file's name says that it holds secrets; such files are never sent."
    TOO_LARGE = "too-large", "The document is too large to be code a person types."
    BINARY = "binary", "The document holds NUL characters: it is not text."
    MID_WORD = "mid-word", "The cursor stands inside a word."
    REST_OF_LINE = "rest-of-line", "There is code right of the cursor on this line."
    COMMENT = "comment", "The cursor stands in a comment, where completion is turned off (`qwen.disableIn`)."
    STRING = "string", "The cursor stands in a string, where completion is turned off (`qwen.disableIn`)."
    READ_ONLY = "read-only", "The document can't be edited."
    IGNORED = "ignored", "The file is ignored (`.gitignore`, `.qwenignore`); such files are never sent."
    JUST_ACCEPTED = "just-accepted", "A suggestion was accepted here a moment ago and the line is complete."
    SELECTED = "selected", "The completion menu's selected entry can't be continued here."
    NO_PROVIDER = "no-provider", "No provider is set up (`qwen.provider`)."
    BUDGET = "budget", "The day's budget is used up (`qwen.budget`)."
    COOLING_DOWN = "cooling-down", "The service failed a moment ago and is left alone for a while."
    RATE_LIMITED = (
        "rate-limited",
        "Another request would exceed the rate that the service has shown to allow; in a moment there is room again.",
    )
    ERROR = "error", "The service failed."
    SUPERSEDED = "superseded", "A newer request for the same document took its place."
    CANCELLED = "cancelled", "The editor took the request back."
    EMPTY = "empty", "The model had nothing to add."
    FILTERED = "filtered", "What the model wrote is nothing to show: blanks, or what already stands there."
    STALE = "stale", "The document changed while the model wrote, and the text no longer fits."


@dataclass(frozen=True, slots=True)
class Ghost:
    """Text to show: it replaces columns `start` to `end` of `line`, which the cursor lies within.

    `insert` begins with what stands between `start` and the cursor; `filter` begins with what stands in the
    range, so that every editor keeps it (LSP 3.18, InlineCompletionItem).
    """

    line: int
    start: int
    end: int
    insert: str
    filter: str
    source: str = "model"
    """"model" or "cache"."""


@dataclass(frozen=True, slots=True)
class Skip:
    """Nothing to show, and why. `detail` is one line, without code or key."""

    reason: Reason
    detail: str = ""


Outcome: TypeAlias = Ghost | Skip


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to tell the person once. The same `key` is not told again until the settings change."""

    key: str
    level: str
    """"error", "warning" or "info"."""
    text: str
