"""What comments, strings and blocks look like, language by language: a table, and nothing that reads text.

It promises a grammar for any language id, known or not, and does not claim to be complete: what is rare and needs a
parser (nested comments, code in heredocs, a regular expression after a blank) is left out. core/scanner.py reads
texts with it. Where a field is a regular expression, it says so.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final


@dataclass(frozen=True, slots=True)
class Quote:
    """A kind of string."""

    open: str
    """What opens it; a regular expression that begins with a literal character if `pattern` is set."""
    close: str = ""
    """What closes it; empty: the same as `open`. `{}` stands for the group of a `pattern`."""
    lines: bool = False
    """It may go over line ends."""
    escape: str = "\\"
    """The character that takes the one behind it for text; empty: none."""
    guard: str = ""
    """A regular expression of no width that must hold right behind the opener."""
    hole: str = ""
    """What opens code inside it, closed by `}`. Only for strings whose closer is one character."""
    inner: str = ""
    """A regular expression, beginning like `close`, of what only looks like a closer."""
    pattern: bool = False
    """The closer depends on the opener (raw strings, heredocs); no escapes, and it may go over line ends."""

    @property
    def closer(self) -> str:
        """What closes it."""
        return self.close or self.open


@dataclass(frozen=True, slots=True)
class Grammar:
    """A language's tokens, as far as one must know them to tell code from what is not, and blocks from lines."""

    line_comments: tuple[str, ...] = ()
    """What opens a comment up to the line's end; the first is the one to write."""
    block_comments: tuple[tuple[str, str], ...] = ()
    """Openers and closers. A line feed in front stands for a line's beginning."""
    strings: tuple[Quote, ...] = ()
    by_indentation: bool = False
    """Blocks are told by their indentation and end without a closer."""
    guard: str = ""
    """A regular expression of no width that must hold right behind the opener of a line comment."""
    comment: str = ""
    """A regular expression, beginning with a literal, that opens a line comment where a token can't tell."""
    skipped: tuple[str, ...] = ()
    """Regular expressions, beginning with a literal, of what is passed over: char literals, escapes."""
    lone: str = ""
    """Brackets that close without an opener: the patterns of a shell's `case`."""
    block_ends: str = ""
    """A regular expression of what opens a block at a line's end, beside an opening bracket."""
    block_lines: str = ""
    """A regular expression, from a line's first character to its end, of what opens a block without a sign for it."""
    markup: bool = False
    """A line that ends with an opening tag opens a block."""
    lists: bool = False
    """Any bracket left open on a line opens a block."""
    definitions: str = ""
    """A regular expression of what begins a definition, an import or the like in column 0."""


# fmt: off
_CHAR: Final = r"'(?:[^'\\\n]|\\[^\n]{1,10}?)'"
"""A character: a lone apostrophe is a lifetime, a quote, a prime or a digit separator."""
_PRIMED: Final = r"'(?<![\w)\].']')(?:[^'\\\n]|\\[^\n]{1,10}?)'"
_ESCAPE: Final = r"\\."
_REGEX: Final = (r"/(?:(?<=[(,=:\[!&|?{};\n]/)|(?<=[(,=:\[!&|?{};>~] /)|(?<=return /))(?![*/])"
                 r"(?:[^\\/\[\n]|\\[^\n]|\[(?:[^\]\\\n]|\\[^\n]){0,100}+\])++/")
"""A regular expression where an operand is due: behind an operator or an opening bracket."""
_APART: Final = r"(?<!\w')"
"""An apostrophe inside a word opens nothing: "don't" in markup, in a plain YAML scalar."""
_DOUBLE: Final = Quote('"')
_DOUBLE_LINES: Final = Quote('"', lines=True)
_SINGLE: Final = Quote("'", guard=_APART)
_SINGLE_LINES: Final = Quote("'", lines=True, guard=_APART)
_TRIPLE: Final = Quote('"""', lines=True)
_TRIPLE_SINGLE: Final = Quote("'''", lines=True)
_TRIPLE_RAW: Final = Quote('"""', lines=True, escape="")
_HEREDOC: Final = Quote(r"""<(?<!<<)<(?!<)[-~]?[ \t]*["'\\]?([A-Za-z_]\w*)(?=["']?[ \t]*(?:[|;&>\n]|\Z))""",
                        "{}", pattern=True)

_SLASHES: Final = (("/*", "*/"),)
_MARKUP: Final = (("<!--", "-->"),)
_NOT_IN_URL: Final = r"(?<!:\/\/)"
_HASH_APART: Final = r"(?<![^\s;&|()]#)"
_C_WORDS: Final = (r"struct|enum|union|typedef|static|extern|inline|const|void|int|char|unsigned|long|float|double|"
                   r"bool|size_t|u?int\d+_t|#(?:include|define|if|ifdef|ifndef|pragma)")
_JVM_WORDS: Final = (r"package|import|public|private|protected|internal|abstract|final|sealed|static|class|interface|"
                     r"enum|record|@")
_JS_WORDS: Final = (r"import|export|function|async|class|const|let|var|interface|type|enum|declare|namespace|module|"
                    r"abstract|(?:describe|test|it)\(|@")
_SQL_WORDS: Final = r"(?i:select|insert|update|delete|create|alter|drop|with|grant|begin)"

_C: Final = Grammar(("//",), _SLASHES, (_DOUBLE,), skipped=(_CHAR,), block_ends="else|do", definitions=_C_WORDS)
_CPP_WORDS: Final = rf"{_C_WORDS}|class|namespace|template|using|public:|private:|protected:|constexpr|auto|friend"
_CPP: Final = replace(_C, strings=(Quote(r'"(?<=R")([^()\\\s"]{0,16})\(', '){}"', pattern=True), _DOUBLE),
                      definitions=_CPP_WORDS)
_JS: Final = Grammar(("//",), _SLASHES, (_DOUBLE, _SINGLE, Quote("`", lines=True, hole="${")), skipped=(_REGEX,),
                     block_ends="=>|else|do", definitions=_JS_WORDS)
_HTML: Final = Grammar((), _MARKUP, (Quote('"', lines=True, escape="", guard='(?<==")'),
                                     Quote("'", lines=True, escape="", guard="(?<==')")), markup=True)
# Markup, scripts and styles in one file.
_COMPONENT: Final = replace(_JS, block_comments=(*_MARKUP, *_SLASHES), guard=_NOT_IN_URL, markup=True,
                            definitions=rf"{_JS_WORDS}|<(?:template|script|style)")
_SHELL: Final = Grammar(("#",), (), (_HEREDOC, _DOUBLE_LINES, Quote("'", lines=True, escape="")), guard=_HASH_APART,
                        skipped=(_ESCAPE,), lone=")", block_ends="then|do|else|in", definitions=r"function|\w+\(\)")
_HASH: Final = Grammar(("#",), (), (_DOUBLE, _SINGLE), guard=_HASH_APART)
_CSS: Final = Grammar((), _SLASHES, (_DOUBLE, _SINGLE), skipped=(_ESCAPE,), definitions=r"[@.#:*]")
_SCSS: Final = replace(_CSS, line_comments=("//",), guard=_NOT_IN_URL, definitions=r"[@.#:*$]")
_LISP: Final = Grammar((";",), (), (_DOUBLE_LINES,), skipped=(_ESCAPE,), lists=True, definitions=r"\(")
_LISP_BLOCKS: Final = replace(_LISP, block_comments=(("#|", "|#"),), definitions=r"\(|#lang")
_ML: Final = Grammar((), (("(*", "*)"),), (Quote("{|", "|}", lines=True, escape=""), _DOUBLE_LINES),
                     by_indentation=True, skipped=(_PRIMED,),
                     block_ends="=|->|struct|sig|begin|with|then|else|in|do|function|object",
                     definitions="let|type|module|open|exception|external|class|val|and|include")
_FUNCTION: Final = r"(?:.*\W)?function[ \w.:]{0,80}\([^()]*\)"
_BODY: Final = r"(?!\w)(?!.*\bend\w*$).*"

GRAMMARS: Final[dict[str, Grammar]] = {
    "python": Grammar(("#",), (), (_TRIPLE, _TRIPLE_SINGLE, _DOUBLE, Quote("'")), by_indentation=True, block_ends=":",
                      definitions="def|class|async def|import|from|@|if __name__"),
    "javascript": _JS, "javascriptreact": replace(_JS, markup=True),
    "typescript": _JS, "typescriptreact": replace(_JS, markup=True),
    "go": Grammar(("//",), _SLASHES, (Quote("`", lines=True, escape=""), _DOUBLE), skipped=(_CHAR,),
                  definitions="func|type|var|const|import|package"),
    "rust": Grammar(("//",), _SLASHES, (Quote(r'#(?<=r#)(#*)"', '"#{}', pattern=True),
                                        Quote(r'"(?<=r")()', '"', pattern=True), _DOUBLE_LINES),
                    skipped=(_CHAR,), block_ends="=>|else",
                    definitions="fn|pub|impl|struct|enum|trait|mod|use|const|static|type|unsafe|async|extern|"
                                r"macro_rules!|#!?\["),
    "java": Grammar(("//",), _SLASHES, (_TRIPLE, _DOUBLE), skipped=(_CHAR,), block_ends="->|else|do",
                    definitions=_JVM_WORDS),
    "groovy": Grammar(("//",), _SLASHES, (_TRIPLE, _TRIPLE_SINGLE, _DOUBLE, _SINGLE), block_ends="->|else",
                      definitions=rf"{_JVM_WORDS}|def"),
    "c": _C, "cpp": _CPP, "cuda-cpp": _CPP,
    "objective-c": replace(_C, definitions=rf"{_C_WORDS}|@|[-+] ?\(|#import"),
    "objective-cpp": replace(_CPP, definitions=rf"{_CPP_WORDS}|@|[-+] ?\(|#import"),
    "csharp": Grammar(("//",), _SLASHES, (_TRIPLE_RAW, Quote(r'"(?:(?<=@")|(?<=@\$"))()', '"', pattern=True), _DOUBLE),
                      skipped=(_CHAR,), block_ends="=>|else|do",
                      definitions=rf"{_JVM_WORDS}|using|namespace|struct|delegate|\["),
    "fsharp": replace(_ML, line_comments=("//",), strings=(_TRIPLE_RAW, _DOUBLE_LINES)),
    "kotlin": Grammar(("//",), _SLASHES, (_TRIPLE_RAW, _DOUBLE), skipped=(_CHAR,), block_ends="->|else|=",
                      definitions=rf"{_JVM_WORDS}|fun|val|var|object|data|suspend|override|open|typealias"),
    "swift": Grammar(("//",), _SLASHES, (_TRIPLE, Quote('#"', '"#', escape=""), _DOUBLE),
                     definitions=rf"{_JVM_WORDS}|func|let|var|struct|extension|protocol|fileprivate|open|actor"),
    "scala": Grammar(("//",), _SLASHES, (_TRIPLE_RAW, _DOUBLE), skipped=(_CHAR,),
                     block_ends="=>|=|:|then|do|else|yield|match",
                     definitions=rf"{_JVM_WORDS}|def|val|var|object|trait|case|implicit|given|extension"),
    "php": Grammar(("//", "#"), _SLASHES, (Quote(r"""<<<["']?([A-Za-z_]\w*)""", "{}", pattern=True), _DOUBLE_LINES,
                                           _SINGLE_LINES), guard=rf"(?!\[){_NOT_IN_URL}", block_ends="=>|else|do",
                   definitions=r"function|class|interface|trait|enum|abstract|final|namespace|use|#\[|<\?php"),
    "ruby": Grammar(("#",), (("\n=begin", "\n=end"),),
                    (Quote(r"""<<[~-]["'`]?([A-Za-z_]\w*)""", "{}", pattern=True), _DOUBLE_LINES, _SINGLE_LINES),
                    guard=r"(?<![^\s;)]#)", skipped=(_REGEX,), block_ends=r"do|then|=>|do \|[^|]*\||\{ \|[^|]*\|",
                    block_lines=rf"(?:def|class|module|if|unless|while|until|case|for|begin|else|elsif|when|rescue|"
                                rf"ensure){_BODY}",
                    definitions=r"def|class|module|require|require_relative|describe|RSpec\.describe"),
    "lua": Grammar(("--",), (("--[[", "]]"),), (Quote(r"\[(=*)\[", "]{}]", pattern=True), _DOUBLE, Quote("'")),
                   block_ends="then|do|else|repeat", block_lines=_FUNCTION,
                   definitions="function|local function|local|return"),
    "shellscript": _SHELL,
    "fish": replace(_SHELL, lone="", strings=_SHELL.strings[1:],
                    block_lines=rf"(?:if|else|for|while|function|switch|case|begin){_BODY}"),
    "yaml": replace(_HASH, by_indentation=True, block_ends=r":|[|>][-+]?", definitions="---"),
    "toml": Grammar(("#",), (), (_TRIPLE, Quote("'''", lines=True, escape=""), _DOUBLE, Quote("'", escape="")),
                    definitions=r"\["),
    "ini": Grammar((";", "#"), (), (_DOUBLE,), guard=r"(?<![^\s][;#])", definitions=r"\["),
    "properties": Grammar(("#", "!"), guard=r"(?<![^\n][#!])"),
    "json": Grammar((), (), (_DOUBLE,)), "jsonc": Grammar(("//",), _SLASHES, (_DOUBLE,)),
    "json5": Grammar(("//",), _SLASHES, (_DOUBLE, _SINGLE)),
    "html": _HTML, "xml": _HTML, "handlebars": _HTML,
    "css": _CSS, "scss": _SCSS, "less": _SCSS, "sass": replace(_SCSS, by_indentation=True),
    "vue": _COMPONENT, "svelte": _COMPONENT, "astro": _COMPONENT,
    "sql": Grammar(("--",), _SLASHES, (Quote(r"\$([A-Za-z_]*)\$", "${}$", pattern=True),
                                       Quote("'", lines=True, escape=""), Quote('"', escape="")),
                   block_ends="(?i:begin|then|loop|else|as)", definitions=_SQL_WORDS),
    "markdown": Grammar((), _MARKUP, definitions="#"),
    "mdx": Grammar((), (("{/*", "*/}"),), definitions="#|import|export", markup=True),
    "restructuredtext": Grammar(("..",), guard=r"(?<![^\n]\.\.)(?= )", by_indentation=True, block_ends="::"),
    "dockerfile": replace(_HASH, strings=(_HEREDOC, _DOUBLE, _SINGLE), skipped=(_ESCAPE,),
                          definitions="FROM|RUN|COPY|ADD|CMD|ENTRYPOINT|ENV|ARG|WORKDIR|EXPOSE|USER"),
    "makefile": replace(_HASH, skipped=(_ESCAPE,), block_lines=r"[^\s#:=][^#:=]*::?(?!=)[^=]*",
                        definitions=r"\.PHONY|include|define|ifeq|ifneq|ifdef|[\w./%$(){}-]+ ?:(?!=)"),
    "cmake": Grammar(("#",), (("#[[", "]]"),), (_DOUBLE_LINES,), skipped=(_ESCAPE,),
                     block_lines=r"(?i:if|foreach|while|function|macro|else|elseif) ?\(.*\)", definitions=r"\w+ ?\("),
    "haskell": Grammar(("--",), (("{-", "-}"),), (_DOUBLE,), by_indentation=True, skipped=(_PRIMED,),
                       guard=r"(?![!#$%&*+./<=>?@\\^|~:])", block_ends="where|of|do|=|->|let|then|else",
                       definitions="module|import|data|newtype|type|class|instance|infix[lr]|deriving|\\w+ ::"),
    "elm": Grammar(("--",), (("{-", "-}"),), (_TRIPLE, _DOUBLE), by_indentation=True, skipped=(_PRIMED,),
                   block_ends="of|=|->|let|in|then|else", definitions="module|import|type|port|\\w+ :"),
    "elixir": Grammar(("#",), (), (_TRIPLE, _TRIPLE_SINGLE, _DOUBLE_LINES, _SINGLE_LINES), guard=r"(?<![^\s(,;]#)",
                      skipped=(r"~[a-zA-Z]/(?:[^\\/\n]|\\[^\n])*+/",), block_ends="do|->|else|fn|after|rescue",
                      definitions="defmodule|defp?|defmacro|import|alias|use|@"),
    "erlang": Grammar(("%",), (), (_DOUBLE_LINES,), guard=r"(?<!\$%)", block_ends="->|of", definitions=r"-\w|\w+\("),
    "clojure": _LISP, "emacs-lisp": replace(_LISP, guard=r"(?<!\?;)"),
    "commonlisp": _LISP_BLOCKS, "lisp": _LISP_BLOCKS, "scheme": _LISP_BLOCKS, "racket": _LISP_BLOCKS,
    "r": Grammar(("#",), (), (_DOUBLE_LINES, Quote("'", lines=True), Quote("`")), block_ends="else|repeat|<-",
                 definitions=r"library\(|require\(|[\w.]+ (?:<-|=) function"),
    "julia": Grammar(("#",), (("#=", "=#"),), (_TRIPLE, _DOUBLE_LINES), skipped=(_PRIMED,), block_ends="do|begin|else",
                     block_lines=rf"(?:function|if|elseif|for|while|begin|let|struct|mutable struct|module|try|catch|"
                                 rf"macro|quote){_BODY}",
                     definitions="function|struct|mutable struct|module|macro|using|import|export|const|abstract|@"),
    "perl": Grammar(("#",), tuple((f"\n={word}", "\n=cut") for word in ("pod", "head", "over", "item", "begin")),
                    (Quote(r"""<<~?["']?([A-Z_]\w*)""", "{}", pattern=True), _DOUBLE_LINES, _SINGLE_LINES),
                    guard=r"(?<![$\\]#)", skipped=(_REGEX, _ESCAPE), block_ends="else",
                    definitions="sub|package|use|require|our|my"),
    "powershell": Grammar(("#",), (("<#", "#>"),),
                          (Quote('@"', '\n"@', lines=True, escape="", guard=r"(?=\s)"),
                           Quote("@'", "\n'@", lines=True, escape="", guard=r"(?=\s)"),
                           Quote('"', lines=True, escape="`"), Quote("'", lines=True, escape="")),
                          guard=r"(?<![^\s;({]#)", definitions="(?i:function|class|param|enum|filter)"),
    "zig": Grammar(("//",), (), (_DOUBLE,), skipped=(_CHAR, r"\\\\[^\n]*+"), block_ends="=>|else",
                   definitions="pub|fn|const|var|test|export|extern|comptime"),
    "dart": Grammar(("//",), _SLASHES, (_TRIPLE, _TRIPLE_SINGLE, _DOUBLE, Quote("'")), block_ends="=>|else|do",
                    definitions=rf"{_JVM_WORDS}|void|mixin|extension|typedef|const|var|Future"),
    "nix": Grammar(("#",), _SLASHES, (Quote("''", lines=True, escape="", inner=r"''['$\\]"), _DOUBLE_LINES),
                   block_ends="=|:|let|in"),
    "vim": Grammar((), (), (_DOUBLE, Quote("'", escape="")), comment=r'\n[ \t]*+"',
                   block_lines=rf"(?:function!?|if|else|elseif|for|while|try|catch|augroup|def){_BODY}",
                   definitions="function|command|augroup|let|autocmd|def"),
    "ocaml": _ML,
    "latex": Grammar(("%",), guard=r"(?<!\\%)", skipped=(_ESCAPE,), block_lines=r"\\begin\{.*",
                     definitions=r"\\(?:(?:sub)*section|chapter|begin|end|documentclass|usepackage|newcommand)"),
    "terraform": Grammar(("#", "//"), _SLASHES, (_HEREDOC, _DOUBLE), guard=_NOT_IN_URL,
                         definitions="resource|variable|output|module|provider|data|locals|terraform"),
    "proto3": Grammar(("//",), _SLASHES, (_DOUBLE, _SINGLE),
                      definitions="syntax|package|import|option|message|service|enum"),
    "graphql": Grammar(("#",), (), (_TRIPLE_RAW, _DOUBLE), definitions="type|input|enum|interface|union|scalar|query|"
                                                                       "mutation|fragment|extend|directive"),
    "solidity": Grammar(("//",), _SLASHES, (_DOUBLE, _SINGLE),
                        definitions="pragma|import|contract|interface|library|abstract"),
    "nim": Grammar(("#",), (("#[", "]#"),), (_TRIPLE_RAW, _DOUBLE), by_indentation=True, skipped=(_CHAR,),
                   block_ends=":|=|of", definitions="proc|func|type|import|from|var|let|const|template|macro"),
    "matlab": Grammar(("%",), (("%{", "%}"),), (_DOUBLE,), skipped=(r"'(?<![\w)\].']')[^'\n]*+'",),
                      block_lines=rf"(?:function|if|elseif|else|for|while|switch|case|try|classdef){_BODY}",
                      definitions="function|classdef"),
    "coffeescript": Grammar(("#",), (("###", "###"),), (_TRIPLE, _TRIPLE_SINGLE, _DOUBLE_LINES, _SINGLE),
                            by_indentation=True, block_ends="->|=>|then|=",
                            definitions=r"class|module\.exports|export|import"),
    "gdscript": Grammar(("#",), (), (_TRIPLE, _DOUBLE, Quote("'")), by_indentation=True, block_ends=":",
                        definitions="func|class|class_name|extends|var|const|signal|enum|static|@"),
    "bat": Grammar((), (), (Quote('"', escape=""),), comment=r"\n[ \t]*+(?:::|@?(?i:rem)\b)", definitions=r":\w"),
}
"""By LSP language id (LSP 3.17, TextDocumentItem), and by those that editors use beside them."""

ALIASES: Final = {
    "c-sharp": "csharp",
    "bash": "shellscript", "bibtex": "latex", "dockercompose": "yaml", "elisp": "emacs-lisp", "erb": "html",
    "github-actions-workflow": "yaml", "gitignore": "properties", "hcl": "terraform",
    "javascript.jsx": "javascriptreact", "js": "javascript", "jsx": "javascriptreact", "make": "makefile",
    "objc": "objective-c", "objcpp": "objective-cpp", "plaintex": "latex", "postcss": "css", "proto": "proto3",
    "protobuf": "proto3", "ps1": "powershell", "py": "python", "quarto": "markdown", "razor": "html",
    "rst": "restructuredtext", "sh": "shellscript", "starlark": "python", "svg": "xml", "tex": "latex",
    "tf": "terraform", "ts": "typescript", "tsx": "typescriptreact", "typescript.tsx": "typescriptreact", "viml": "vim",
    "xsl": "xml", "zsh": "shellscript",
}
"""Other names of the same: Neovim's and Helix' file types, and what people write."""
# fmt: on

UNKNOWN: Final = Grammar((), (), (_DOUBLE, _SINGLE))
"""Brackets and strings on one line are nearly universal; a sign that is a comment here is an operator there."""
_TO_WRITE: Final = {"vim": ('"', ""), "bat": ("rem", ""), "json": ("//", ""), "vue": _MARKUP[0]}
_TO_WRITE.update(dict.fromkeys(("svelte", "astro"), _MARKUP[0]))
"""Comments to write where the table's first is not the one, or a language has none and readers take this for one."""


def grammar(language: str) -> Grammar:
    """The grammar of a language id; one that knows brackets and plain strings for those that are not known."""
    known = GRAMMARS.get(language)
    return known if known is not None else GRAMMARS.get(ALIASES.get(language, ""), UNKNOWN)


def line_comment(language: str) -> tuple[str, str]:
    """What to put before and behind a line's text to comment it out; the second is empty where a line's end does."""
    rules = grammar(language)
    written = _TO_WRITE.get(ALIASES.get(language, language))
    if written or not (rules.line_comments or rules.block_comments):
        return written or ("#", "")
    return (rules.line_comments[0], "") if rules.line_comments else rules.block_comments[0]
