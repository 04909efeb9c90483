"""Whether to ask at all."""

from __future__ import annotations

import pytest

from qwen_lsp.core.config import Settings
from qwen_lsp.core.gate import MAX_LINE, MAX_LINES, Accepted, gate, is_private
from qwen_lsp.core.model import Reason, Trigger
from tests.marks import at

AUTOMATIC = [
    ("the end of a line", "x = █\n", None),
    ("an empty line", "def f():\n    █\n", None),
    ("before a closing bracket", "f(█)\n", None),
    ("before blanks", "x = █   \n", None),
    ("inside a word", "pri█nt\n", Reason.MID_WORD),
    ("before a word", "x █y\n", Reason.REST_OF_LINE),
    ("before code, in the indentation", "  █x = 1\n", None),
    ("before an operator", "x█ + 1\n", Reason.REST_OF_LINE),
    ("before more arguments", "f(█, y)\n", None),
    ("in a word before more arguments", "f(na█, y)\n", None),
    ("where an operand is missing", "total = █ + 1\n", None),
    ("where an object is missing", "x = █.strip()\n", None),
    ("behind a whole receiver", "    self█.strip()\n", Reason.REST_OF_LINE),
    ("behind a whole call", "f(g(x)█, y)\n", Reason.REST_OF_LINE),
    ("before a closer and what follows it", "def f(█) -> int:\n", None),
    ("before a comprehension's clause", "[█ for x in y]\n", None),
    ("between keywords", "from █ import y\n", None),
    ("before a comment", "x = 1█  # one\n", None),
    ("in a string before more arguments", "f('na█', y)\n", None),
    ("before a string", "f(█'na', y)\n", Reason.REST_OF_LINE),
    ("before an argument", "f(█y)\n", Reason.REST_OF_LINE),
    ("before a prefix operator", "f(█*y)\n", Reason.REST_OF_LINE),
    ("between tags", "<p>█</p>\n", None),
    ("a NUL", "x = █\0\n", Reason.BINARY),
    ("a NUL on a line near by", "\0\n\nx = █\n", Reason.BINARY),
    ("a line too long", "x" * MAX_LINE + "█x\n", Reason.TOO_LARGE),
    ("too many lines", "\n" * MAX_LINES + "█", Reason.TOO_LARGE),
]


@pytest.mark.parametrize(("text", "reason"), [case[1:] for case in AUTOMATIC], ids=[case[0] for case in AUTOMATIC])
def test_while_typing_the_model_is_asked_where_an_answer_would_be_taken(text: str, reason: Reason | None) -> None:
    """Each place where nobody wants text has a named reason."""
    skip = gate(at(text), Settings())
    assert (skip.reason if skip else None) is reason


@pytest.mark.parametrize("text", ["pri█nt\n", "x = █ + 1\n"])
def test_asked_by_hand_any_place_is_right(text: str) -> None:
    """A person who presses the key wants an answer here."""
    assert gate(at(text, trigger=Trigger.INVOKED), Settings()) is None


@pytest.mark.parametrize("trigger", Trigger)
def test_settings_and_privacy_hold_however_it_was_asked(trigger: Trigger) -> None:
    """Turned off is off, and a private file stays private, by hand too."""
    off = gate(at("x█", trigger=trigger), Settings(enabled=False))
    language = gate(at("x█", trigger=trigger), Settings(disabled_languages=["python"]))
    private = gate(at("x█", uri="file:///src/.env", trigger=trigger), Settings())
    assert off is not None
    assert off.reason is Reason.DISABLED
    assert language is not None
    assert language.reason is Reason.LANGUAGE
    assert private is not None
    assert private.reason is Reason.PRIVATE


@pytest.mark.parametrize(
    ("name", "private"),
    [
        (".env", True), (".env.production", True), (".env.example", False), ("id_rsa", True), ("server.pem", True),
        ("credentials.json", True), ("My%20Secrets.yaml", False), ("secrets.yaml", True), ("key.py", False),
        (".NETRC", True), ("terraform.tfstate", True), ("environment.py", False), ("monkey.py", False),
    ],
)  # fmt: skip
def test_names_that_say_secrets_are_private(name: str, private: bool) -> None:  # noqa: FBT001 - a table's column
    """Files whose names say that they hold secrets are never sent; names that only sound so are."""
    assert is_private(f"file:///home/me/{name}") is private


@pytest.mark.parametrize("trigger", Trigger)
@pytest.mark.parametrize(
    "uri", ["git:/src/app.py?ref", "vscode-scm:git/input", "output:tasks", "jdt://contents/A.class"]
)
def test_documents_that_no_one_types_in_are_read_only(uri: str, trigger: Trigger) -> None:
    """Other versions of a file, logs and listings have schemes of their own."""
    skip = gate(at("x = █\n", uri=uri, trigger=trigger), Settings())
    assert skip is not None
    assert (skip.reason, skip.detail) == (Reason.READ_ONLY, uri.partition(":")[0])


@pytest.mark.parametrize(
    "uri", ["untitled:Untitled-1", "file:///src/app.py", "vscode-notebook-cell:/a.ipynb#1", "app.py"]
)
def test_documents_without_a_file_can_be_typed_in(uri: str) -> None:
    """New documents and notebook cells are completed like files."""
    assert gate(at("x = █\n", uri=uri), Settings()) is None


PLACES = [
    ("code", "x = █\n", None),
    ("a comment", "# the num█\n", Reason.COMMENT),
    ("before a comment", "x = █  # the number\n", None),
    ("a string", "x = 'the num█'\n", Reason.STRING),
    ("a docstring", 'def f():\n    """Counts.\n\n    All of █\n    """\n', Reason.STRING),
    ("behind a docstring", 'def f():\n    """Counts."""\n    █\n', None),
    ("behind code in a docstring", '"""\nreturn f(x)\nx = 1\n"""\n█\n', None),
    ("a sign of a comment in a string", "x = '#', █\n", None),
    ("the line after a comment", "# it's\n█\n", None),
]


@pytest.mark.parametrize(("text", "reason"), [case[1:] for case in PLACES], ids=[case[0] for case in PLACES])
def test_comments_and_strings_are_left_alone_where_the_settings_say_so(text: str, reason: Reason | None) -> None:
    """`disableIn` holds while typing; asked by hand, and without the setting, any place is right."""
    off = Settings(disable_in=["comments", "strings"])
    skip = gate(at(text), off)
    assert (skip.reason if skip else None) is reason
    assert gate(at(text), Settings()) is None
    assert gate(at(text, trigger=Trigger.INVOKED), off) is None


def test_code_behind_a_long_docstring_is_code() -> None:
    """The lines that are read begin inside the docstring, and what reads like prose is taken for one."""
    text = '"""\n' + "Some more words about this module\n" * 250 + '"""\nx = f(1)\ny = g(2)\n█\n'
    assert gate(at(text), Settings(disable_in=["strings"])) is None


def test_each_kind_of_place_is_turned_off_by_its_own_name() -> None:
    """Without comments there may still be strings."""
    assert gate(at("# the num█\n"), Settings(disable_in=["strings"])) is None
    assert gate(at("x = 'the num█'\n"), Settings(disable_in=["comments"])) is None


@pytest.mark.parametrize("above", [0, 5, 500])
def test_a_docstring_is_known_however_far_up_the_file_begins(above: int) -> None:
    """Only some lines above the cursor are read; a string that ends in them has not begun there."""
    text = "x = f(1)\n" * above + 'def f():\n    """Counts all of them.\n    █\n    """\n'
    skip = gate(at(text), Settings(disable_in=["strings"]))
    assert skip is not None
    assert skip.reason is Reason.STRING


ACCEPTED = [
    ("a statement", "typescript", "const x = f(1);█\n", Reason.JUST_ACCEPTED),
    ("a call", "python", "x = f(1)█\n", Reason.JUST_ACCEPTED),
    ("a line of Python that ends with a word", "python", "return total█\n", Reason.JUST_ACCEPTED),
    ("a line that wants a semicolon", "java", "return total█\n", None),
    ("a block's end", "go", "}█\n", Reason.JUST_ACCEPTED),
    ("before a semicolon", "java", "int x = f(1)█;\n", Reason.JUST_ACCEPTED),
    ("before more of the line", "python", "x = total█ + 1\n", Reason.JUST_ACCEPTED),
    ("in brackets", "python", "x = f(total█)\n", None),
    ("blanks behind it", "python", "x = f(1)█  \n", Reason.JUST_ACCEPTED),
    ("an opened block", "typescript", "if (x) {█\n", None),
    ("an opened block of Python", "python", "if x:█\n", None),
    ("a block opened before a comment", "python", "if x:  # (maybe)█\n", None),
    ("an argument with more to come", "python", "f(a,█\n", None),
    ("a call within a call that is open", "python", "f(a, g(b)█\n", None),
    ("an operator", "python", "x = 1 +█\n", None),
    ("an open string", "python", "x = 'a)█\n", None),
    ("code behind the cursor", "python", "f(g(1)█, 2)\n", Reason.REST_OF_LINE),
]


@pytest.mark.parametrize(
    ("language", "text", "reason"), [case[1:] for case in ACCEPTED], ids=[case[0] for case in ACCEPTED]
)
def test_a_complete_line_that_was_just_accepted_is_left_at_that(
    language: str, text: str, reason: Reason | None
) -> None:
    """What was accepted has said it; where it opened something there is more to say."""
    request = at(text, language=language)
    here = Accepted(request.snapshot.uri, request.line, request.column)
    skip = gate(request, Settings(), accepted=here)
    assert (skip.reason if skip else None) is reason


@pytest.mark.parametrize(
    "elsewhere",
    [
        Accepted("file:///src/app.py", 1, 8), Accepted("file:///src/app.py", 0, 7), Accepted("file:///src/b.py", 0, 8),
    ],
)  # fmt: skip
def test_a_suggestion_accepted_elsewhere_says_nothing(elsewhere: Accepted) -> None:
    """Another line, column or document, and the next character typed, are new places."""
    assert gate(at("x = f(1)█\n"), Settings(), accepted=elsewhere) is None


def test_asked_by_hand_an_accepted_line_is_continued() -> None:
    """A person who presses the key wants more."""
    request = at("x = f(1)█\n", trigger=Trigger.INVOKED)
    assert gate(request, Settings(), accepted=Accepted(request.snapshot.uri, 0, 8)) is None


@pytest.mark.parametrize(
    ("path", "private"),
    [
        (".ssh/config", True), (".aws/credentials", True), (".aws/config", True), (".gnupg/gpg.conf", True),
        (".kube/config", True), (".kube/deployment.yaml", False), (".docker/config.json", True),
        (".docker/nginx.conf", False), (".config/gcloud/properties", True), (".git/config", True),
        (".git/COMMIT_EDITMSG", False), ("ssh/config", False), (".SSH/config", True), ("%2Essh/config", True),
        (".env.local", True), (".env-staging", True), ("production.env", True), ("example.env", False),
        (".env.prod.example", False), ("main.tfvars.json", True), ("main.tf", False),
        ("terraform.tfstate.backup", True), ("service-account-key.json", True), ("client_secret_1.json", True),
        ("application_default_credentials.json", True), ("client_credentials.py", False), ("staging.kubeconfig", True),
        (".bash_history", True), ("signing.p8", True), ("deploy_id_ed25519", True), ("idea_rsa.md", False),
        ("certificates.py", False), (".envoy.yaml", False),
    ],
)  # fmt: skip
def test_places_where_programs_keep_secrets_are_private(path: str, private: bool) -> None:  # noqa: FBT001 - a table's column
    """Folders of keys and tokens, certificates, cloud credentials and environments are never sent."""
    assert is_private(f"file:///home/me/{path}") is private
