"""Where one is in a text, and what a line opens or begins, for every language."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_lsp.core.grammars import ALIASES, GRAMMARS, grammar
from qwen_lsp.core.languages import _BY_NAME, _BY_SUFFIX
from qwen_lsp.core.syntax import (
    Mode,
    State,
    code_of,
    line_comment,
    mode_at,
    opens_block,
    scan,
    top_level_definition,
)

LANGUAGES = sorted([*GRAMMARS, *ALIASES, "plaintext", ""])
CODE, LINE, BLOCK, STRING = Mode.CODE, Mode.LINE_COMMENT, Mode.BLOCK_COMMENT, Mode.STRING

ENDS = [
    ("python", "x = 'it", STRING, "'"),
    ("python", "x = 'it\\'s", STRING, "'"),
    ("python", "x = 'it'", CODE, ""),
    ("python", "x = 'it\n", CODE, ""),  # never closed: the line's end ends it
    ("python", "x = 'it\\\ns", STRING, "'"),  # the line goes on
    ("python", "x = '# (", STRING, "'"),
    ("python", '"""It\'s "quoted" and\n', STRING, '"""'),
    ("python", '"""a"""', CODE, ""),
    ("python", "# it's (", LINE, ""),
    ("python", "# it's (\n", CODE, ""),
    ("javascript", "`a ${b", CODE, ""),
    ("javascript", "`a ${b} c", STRING, "`"),
    ("javascript", "`a ${f({x: `y`})} c", STRING, "`"),
    ("javascript", "`a\n` + '", STRING, "'"),
    ("javascript", "x.replace(/[\"'/]/g, y", CODE, ""),
    ("javascript", "x = a / b; y = 'c / ", STRING, "'"),
    ("javascript", "/* it's\n", BLOCK, "*/"),
    ("javascript", "/* it's */ x", CODE, ""),
    ("typescriptreact", "<p>Don't (", CODE, ""),
    ("go", "x := `a\\`", CODE, ""),
    ("go", "x := '\"'", CODE, ""),
    ("rust", "fn f<'a>(x: &'a str) -> char { '\"' ", CODE, ""),
    ("rust", 'r#"a "quoted" \\', STRING, '"#'),
    ("rust", 'r#"a"# ', CODE, ""),
    ("rust", 'r"a\\" ', CODE, ""),
    ("rust", '"a\n b', STRING, '"'),
    ("cpp", 'R"x(a)" )x" ', CODE, ""),
    ("cpp", "int x = 1'000'000; // ", LINE, ""),
    ("csharp", '@"a\\', STRING, '"'),
    ("csharp", '@"a ""b"" c" ', CODE, ""),
    ("java", '"""\n it\'s "', STRING, '"""'),
    ("lua", "--[[ a\n", BLOCK, "]]"),
    ("lua", "[==[ a ]] ", STRING, "]==]"),
    ("shellscript", "cat <<EOF\nit's (\n", STRING, "EOF"),
    ("shellscript", "cat <<EOF\nit's (\nEOF\n", CODE, ""),
    ("shellscript", "echo ${x#y} $# \\' ", CODE, ""),
    ("shellscript", 'x="$(f "$y")" # ', LINE, ""),
    ("ruby", "=begin\nit's\n", BLOCK, "\n=end"),
    ("ruby", "=begin\nit's\n=end\n", CODE, ""),
    ("ruby", "x = <<~SQL\n it's\n  SQL\n", CODE, ""),
    ("php", "$x = <<<EOT\nit's\nEOT;\n", CODE, ""),
    ("php", "#[Attribute(", CODE, ""),
    ("yaml", "key: don't # ", LINE, ""),
    ("yaml", "url: http://x#y 'z", STRING, "'"),
    ("sql", "select 'it''s' -- ", LINE, ""),
    ("sql", "as $body$ it's ", STRING, "$body$"),
    ("html", "<a href='x' title=\"it's", STRING, '"'),
    ("html", "Don't <!-- a", BLOCK, "-->"),
    ("haskell", "f' x = '\"' -- ", LINE, ""),
    ("haskell", "a --> b {- ", BLOCK, "-}"),
    ("ocaml", "(* it's", BLOCK, "*)"),
    ("nix", "x = '' a ''${b}", STRING, "''"),
    ("nix", "x = '' a ${b} ''' c'' ", CODE, ""),
    ("vim", "\" it's", LINE, ""),
    ("vim", 'let x = "a', STRING, '"'),
    ("powershell", '@"\n it\'s "x"\n', STRING, '\n"@'),
    ("powershell", '@"\n it\'s "x"\n"@ ', CODE, ""),
    ("julia", "A' * B' + 'c", CODE, ""),
    ("clojure", '(f \\" \\( ; ', LINE, ""),
    ("emacs-lisp", "(f ?\\; 'x \"", STRING, '"'),
    ("latex", "100\\% of % ", LINE, ""),
    ("perl", "=pod\n\nit's\n\n=cut\n", CODE, ""),
    ("toml", "x = '''it's", STRING, "'''"),
    ("unheard-of", "f('a', \"b", STRING, '"'),
]


@pytest.mark.parametrize(("language", "text", "mode", "delimiter"), ENDS)
def test_the_end_of_a_text_is_in_code_a_comment_or_a_string(
    language: str, text: str, mode: Mode, delimiter: str
) -> None:
    """Each language's own quotes, escapes, raw strings and comments."""
    end = scan(text, language)
    assert (end.mode, end.delimiter) == (mode, delimiter)
    assert not (end.raw and mode is CODE)


BRACKETS = [
    ("f(a, [b", "([", 0),
    ("f(a, [b])", "", 0),
    ("f('(', # [\n", "(", 0),
    ("a) b] }", "", 3),
    ("{ f(a, }", "", 0),  # the block's end ends what was left open in it
    ("f({ a )", "({", 1),  # a parenthesis does not end a block
    ("(]", "(", 1),
]


@pytest.mark.parametrize(("text", "brackets", "unopened"), BRACKETS)
def test_brackets_are_counted_outside_strings_and_comments(text: str, brackets: str, unopened: int) -> None:
    """Those still open, outermost first, and how many closers had no opener."""
    end = scan(text, "python")
    assert (end.brackets, end.unopened) == (brackets, unopened)


def test_the_patterns_of_a_shells_case_close_nothing() -> None:
    """`a)` opens a branch; `}` without an opener is still one too many."""
    end = scan("case $x in\n  a) f ;;\n  *) g ;;\nesac }\n", "shellscript")
    assert (end.brackets, end.unopened) == ("", 1)


def test_code_in_a_template_is_told_by_its_bracket() -> None:
    """Its closing brace leads back into the string."""
    inside = scan("f(`a ${g(", "typescript")
    assert inside.brackets == "(`("
    assert scan(") }", "typescript", inside) == State(STRING, "`", "(")


TOKENS = st.sampled_from(
    [
        *"()[]{}\"'`#/\\\n\n ax=-;%<", '"""', "'''", "//", "/*", "*/", "${", "<!--", "-->", "--", "--[[", "]]",
        'r#"', '"#', "<<EOF", "EOF", "\n=begin", "\n=end", '@"', "{-", "-}", "(*", "*)", "return ", "$$", 'R"(', "''",
        "~a/",
    ]
)  # fmt: skip
TEXTS = st.lists(TOKENS, max_size=40).map("".join) | st.text(max_size=60)


@given(TEXTS, TEXTS, st.sampled_from(LANGUAGES))
def test_scanning_is_a_fold_over_lines(a: str, b: str, language: str) -> None:
    """A text in two parts, parted where a line ends, is read like the whole."""
    a += "\n"
    assert scan(b, language, scan(a, language)) == scan(a + b, language)


@given(st.lists(st.sampled_from([*"()[]{}\"'#", "//", "x", "\n", '"""', "\\"]).map("{} ".format)), st.data())
def test_scanning_is_a_fold_wherever_no_token_is_split(tokens: list[str], data: st.DataObject) -> None:
    """Also within a line, a string or a comment."""
    at = data.draw(st.integers(0, len(tokens)))
    a, b = "".join(tokens[:at]), "".join(tokens[at:])
    for language in ("python", "go", "c", "kotlin", "yaml"):
        assert scan(b, language, scan(a, language)) == scan(a + b, language)


@given(TEXTS, st.sampled_from(LANGUAGES))
def test_no_text_is_too_odd(text: str, language: str) -> None:
    """Nothing raises, and what one says of a text holds together."""
    end = scan(text, language)
    assert (end.mode is CODE) <= (end.delimiter == "" and not end.raw)
    assert set(end.brackets) <= set("([{`")
    assert 0 <= end.unopened <= sum(text.count(closer) for closer in ")]}")
    assert isinstance(mode_at(text, language), State)
    for line in text.split("\n"):
        assert line.startswith(code_of(line, language))
        assert opens_block(line, language) in {True, False}
        assert top_level_definition(line, language) in {True, False}


WORST = [
    "(", "'", '"', "`${", "/[", " /", "/*", "<!--", "<a ", "function ", "<<A ", "\\", "f(a) ", 'r#"', 'R"a',
    "a b ", "'\\", "=", "~a/", "\n ", "end ", "$a$", "[=", "```\n", '"""\n', "if end", "a:", "(/[",
]  # fmt: skip


@pytest.mark.parametrize("piece", WORST)
def test_no_text_takes_more_than_linear_time(piece: str) -> None:
    """20,000 characters of the worst there is take milliseconds; quadratic time would take seconds."""
    text = piece * (20_000 // len(piece))
    for language in ("python", "typescriptreact", "cpp", "rust", "shellscript", "lua", "ruby", "makefile", "elixir"):
        begun = time.process_time()
        mode_at(text, language)
        opens_block(text.replace("\n", " "), language)
        top_level_definition(text, language)
        assert time.process_time() - begun < 0.5


WINDOWS = [
    ("inside a docstring", "python", 'the number of them all.\n    """\n    return f(x)\n\n\ndef g(y):\n    ', CODE),
    ("between two docstrings", "python", '    """\n    return f(x)\n\n\ndef g(y):\n    """Counts all of ', STRING),
    ("in code", "python", 'x = 1\n\n\ndef g(y):\n    """Counts all of them.\n\n    And ', STRING),
    ("in code, with code in a string", "python", 'x = f(1)\ny = g(2)\nSQL = """\nselect(a)\n"""\nz = ', CODE),
    ("inside a block comment", "java", " * Counts all of them.\n */\nint x = ", CODE),
    ("inside a block comment that goes on", "java", " * Counts all of them.\n *\n * It's ", BLOCK),
    ("in code, with a pattern that looks like an end", "typescript", "const x = '*/5 * * * *';\nconst y = ", CODE),
    ("in code, with a comment", "go", "x := 1 /* one\n", BLOCK),
    ("inside a template", "typescript", "Dear madam or sir there,\n`;\nconst x = 1;\nf(x);\n", CODE),
    ("in code, with a template", "typescript", "const x = 1;\nconst y = `\n  if (x) {\n", STRING),
]  # fmt: skip


@pytest.mark.parametrize(
    ("language", "text", "mode"), [case[1:] for case in WINDOWS], ids=[case[0] for case in WINDOWS]
)
def test_a_window_may_begin_anywhere(language: str, text: str, mode: Mode) -> None:
    """What it begins inside is guessed from what reads like code."""
    assert mode_at(text, language).mode is mode


def test_what_only_looks_like_a_comments_end_leaves_the_code_as_it_is() -> None:
    """A comment's end is the end of its line, or stands alone on it."""
    assert mode_at("f(a */b,\n", "java").brackets == "("


def test_a_whole_document_begins_in_code() -> None:
    """Nothing is guessed where there is nothing above."""
    text = '"""\nreturn f(x)\nx = 1\n"""\nSome words of prose here\n'
    assert mode_at(text, "python", whole=True) == scan(text, "python")


def test_closers_are_counted_that_nothing_has_opened() -> None:
    """From where the text begins on: in a string none counts."""
    assert scan("a) + f(b) }", "typescript").unopened == 2
    assert scan("a) + b", "typescript", State(STRING, "'")).unopened == 0
    assert scan("')", "typescript", State(STRING, "'")).unopened == 1


OPENERS = [
    ("python", "if x:", True), ("python", "if x:  # why?", True), ("python", "x = '#:'", False),
    ("python", "x = {'a': 1}", False), ("python", "f(", True), ("python", "", False), ("python", "# if x:", False),
    ("typescript", "if (x) {", True), ("typescript", "const f = (x) =>", True), ("typescript", "a >= b", False),
    ("typescript", "f(x); // {", False), ("typescript", "case 1:", True), ("typescript", "} else {", True),
    ("typescriptreact", "<div className='a'>", True), ("typescriptreact", "<br />", False),
    ("typescriptreact", "x: Promise<void>", False),
    ("go", "func f() {", True), ("go", "x := 1", False), ("rust", "Some(x) =>", True), ("java", "default:", True),
    ("c", "do", True), ("c", "undo", False), ("ruby", "def f(x)", True), ("ruby", "xs.each do |x|", True),
    ("ruby", "if x then y end", False), ("ruby", "x = a | b", False), ("lua", "if x then -- why", True),
    ("lua", "local f = function(a, b)", True), ("lua", "return f(a, b)", False), ("html", "a -->", False),
    ("shellscript", "for x in y; do", True), ("shellscript", "echo redo", False), ("yaml", "key:", True),
    ("yaml", "key: |", True), ("yaml", "key: a", False),
    ("html", "<p class='a'>", True), ("html", "<p>a</p>", False), ("html", "<img src='a'>", False),
    ("haskell", "f x = do", True), ("haskell", "x == ", False), ("elixir", "def f(x) do", True),
    ("elixir", "fn x ->", True), ("clojure", "(defn f [x]", True), ("clojure", "(f x)", False),
    ("makefile", "all: a b", True), ("makefile", "X := a", False), ("latex", "\\begin{itemize}", True),
    ("julia", "function f(x)", True), ("julia", "if x y end", False), ("vim", "function! s:f() abort", True),
    ("scala", "def f(x: Int) =", True), ("scala", "x != ", False), ("make", "all: a b", True),
    ("unheard-of", "f {", True), ("unheard-of", "x:", False),
]  # fmt: skip


@pytest.mark.parametrize(("language", "line", "opens"), OPENERS)
def test_a_line_that_opens_a_block_is_known(language: str, line: str, opens: bool) -> None:  # noqa: FBT001 - a table's column
    """By its end or its first word; a comment behind it says nothing."""
    assert opens_block(line, language) is opens
    assert opens_block(f"    {line}\r\n", language) is opens


DEFINITIONS = [
    ("python", "def f():", True), ("python", "default = 1", False), ("python", "    def f():", False),
    ("python", "@property", True), ("python", "async def f():", True), ("python", "from_ = 1", False),
    ("typescript", "export const x = 1", True), ("typescript", "constant(x)", False), ("typescript", "}", False),
    ("typescript", "describe('x', () => {", True), ("go", "func f() {", True), ("rust", "pub(crate) fn f() {", True),
    ("rust", "#[test]", True), ("rust", "implement!()", False), ("java", "public class A {", True),
    ("java", "publicity();", False), ("c", "#include <a.h>", True), ("c", "static int x;", True),
    ("cpp", "template <class T>", True), ("ruby", "class A < B", True), ("shellscript", "main() {", True),
    ("sql", "SELECT a", True), ("haskell", "main :: IO ()", True), ("css", ".a {", True), ("makefile", "all: a", True),
    ("clojure", "(defn f [x]", True), ("markdown", "# A", True), ("json", "{", False), ("", "def", False),
]  # fmt: skip


@pytest.mark.parametrize(("language", "line", "begins"), DEFINITIONS)
def test_a_top_level_definition_is_known(language: str, line: str, begins: bool) -> None:  # noqa: FBT001 - a table's column
    """In column 0, by whole words."""
    assert top_level_definition(line, language) is begins


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("python", ("#", "")), ("typescript", ("//", "")), ("css", ("/*", "*/")), ("html", ("<!--", "-->")),
        ("vue", ("<!--", "-->")), ("ocaml", ("(*", "*)")), ("lua", ("--", "")), ("vim", ('"', "")),
        ("json", ("//", "")), ("tex", ("%", "")), ("markdown", ("<!--", "-->")), ("unheard-of", ("#", "")),
    ],
)  # fmt: skip
def test_lines_are_commented_out_as_the_language_does(language: str, expected: tuple[str, str]) -> None:
    """With the sign for a line, or a pair where there is none."""
    assert line_comment(language) == expected


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_commented_out_is_a_comment(language: str) -> None:
    """The writing agrees with the reading, for every language that has comments."""
    opener, closer = line_comment(language)
    rules = grammar(language)
    if rules.line_comments or rules.block_comments or rules.comment:
        assert scan(f"{opener} x (", language).mode in {LINE, BLOCK}
        assert scan(f"{opener} x ( {closer}\n", language) == State()


def test_every_language_id_that_a_file_name_leads_to_is_known() -> None:
    """No language is in one table and not in the other."""
    named = {*_BY_SUFFIX.values(), *_BY_NAME.values()}
    assert {language for language in named if language not in GRAMMARS} == set()


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("x = 1  # one\n", "x = 1"), ("x = '#'  # one", "x = '#'"), ("# one", ""), ("x = '#'", "x = '#'"),
        ("x = 1\r\n", "x = 1"),
    ],
)  # fmt: skip
def test_the_comment_at_a_lines_end_is_no_code(line: str, code: str) -> None:
    """A sign in a string is none of a comment."""
    assert code_of(line, "python") == code
