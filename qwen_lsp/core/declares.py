"""How languages declare things: regular expressions that look at one line at a time.

Each says what a line declares when it stands where declarations stand (core/definitions.py sees to that by
indentation), so none has to be a parser. They promise speed and usefulness on code as formatters leave it; they do not
promise to be right on code that is laid out to fool them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_NEVER = re.compile(r"(?!)(?P<name>)")


@dataclass(frozen=True, slots=True)
class Declares:
    """What the lines of a language declare. Every pattern has a group `name`."""

    container: re.Pattern[str]
    """What has members: a class, a struct, an interface, an enumeration, a table of constants.

    Its optional group `bases` names what it takes members from, `extends` says that it adds to a container that is
    declared elsewhere (Rust's `impl`). Without a name its members are declared where it stands (a namespace).
    """
    function: re.Pattern[str]
    """A function that stands by itself, or a method with its class's name in the group `owner`."""
    value: re.Pattern[str]
    """A constant, a variable or a type that stands by itself."""
    member: re.Pattern[str]
    """What a line directly in a container's body declares."""
    attribute: re.Pattern[str] = _NEVER
    """What a line anywhere in a container's methods declares: `self.name = `."""
    comments: tuple[str, ...] = ("//", "/*", "*")
    """What a line of comment begins with."""
    by_colon: bool = False
    """A body follows a colon, not a brace."""


def _re(text: str) -> re.Pattern[str]:
    return re.compile(text, re.VERBOSE)


_PYTHON = Declares(
    container=_re(r"class\s+(?P<name>\w+)\s*(?:\((?P<bases>[^)]*))?"),
    function=_re(r"(?:async\s+)?def\s+(?P<name>\w+)"),
    value=_re(r"(?P<name>[A-Za-z_]\w*)\s*(?::[^=]+)?=(?!=) | type\s+(?P<alias>\w+)"),
    member=_re(r"(?:async\s+)?def\s+(?P<name>\w+) | (?P<field>[A-Za-z_]\w*)\s*(?::(?!=)|=(?!=))"),
    attribute=_re(r"self\.(?P<name>\w+)\s*(?::[^=]+)?=(?!=)"),
    comments=("#", '"""', "'''", "@"),
    by_colon=True,
)

_SCRIPT_MODIFIERS = r"(?:(?:export|default|declare|abstract|async)\s+)*"
_SCRIPT_NOT = (
    r"(?!(?:if|for|while|switch|return|throw|await|catch|else|do|try|new|delete|typeof|case|super|import|yield)\b)"
)
_SCRIPT = Declares(
    container=_re(
        rf"""{_SCRIPT_MODIFIERS}(?:(?:const\s+)?enum|class|interface|namespace)\s+(?P<name>[\w$]+)
            (?:.*?\b(?:extends|implements)\s+(?P<bases>[^{{]*))?
        | {_SCRIPT_MODIFIERS}(?:const|let|var|type)\s+(?P<table>[\w$]+)[^=]*=(?:.*[{{]\s*$(?<!=>\s{{)|\s*[\w$.]+\s*$)"""
    ),
    function=_re(rf"{_SCRIPT_MODIFIERS}function\s*\*?\s*(?P<name>[\w$]+)"),
    value=_re(rf"{_SCRIPT_MODIFIERS}(?:const|let|var|type)\s+(?P<name>[\w$]+)"),
    member=_re(
        rf"""{_SCRIPT_NOT}(?:(?:public|private|protected|static|readonly|async|override|abstract|get|set|declare)\s+)*
            \*?\s*(?P<name>\#?[\w$]+)\s*[?!]?\s*(?:[(:=;<,]|$)"""
    ),
    attribute=_re(r"this\.(?P<name>\#?[\w$]+)\s*=(?!=)"),
    comments=("//", "/*", "*", "@"),
)

_GO = Declares(
    container=_re(
        r"type\s+(?P<name>\w+)(?:\[[^\]]*\])?\s+(?:struct|interface)\b | (?:const|var|type)\s*\((?P<open>)\s*$"
    ),
    function=_re(r"func\s+(?:\(\s*(?:\w+\s+)?\*?\s*(?P<owner>\w+)[^)]*\)\s*)?(?P<name>\w+)"),
    value=_re(r"(?:const|var|type)\s+(?P<name>\w+)"),
    member=_re(r"(?P<name>\w+)\s*(?:,\s*\w+\s*)*(?:[\s(=\[]|$) | \*?(?:\w+\.)?(?P<field>\w+)\s*$"),
)

_RUST_SEEN = r"(?:pub(?:\([^)]*\))?\s+)?"
_RUST = Declares(
    container=_re(
        rf"""{_RUST_SEEN}(?:unsafe\s+)?(?:struct|enum|union|trait)\s+(?P<name>\w+)(?:[^:{{;]*:\s*(?P<bases>[^{{;]*))?[^;]*$
        | (?:unsafe\s+)?impl\b\s*(?:<.*?>\s*(?=[\w:&'(]))?(?:!?(?P<trait>[\w:]+)(?:<.*?>)?\s+for\s+)?
            &?(?:'\w+\s+)?(?:dyn\s+)?(?:\w+::)*(?P<extends>\w+)
        | {_RUST_SEEN}mod\s+\w+\s*(?P<open>)\{{"""
    ),
    function=_re(
        rf"""{_RUST_SEEN}(?:(?:default|const|async|unsafe|extern\s+"[^"]*")\s+)*fn\s+(?P<name>\w+)
        | macro_rules!\s*(?P<macro>\w+)"""
    ),
    value=_re(rf"{_RUST_SEEN}(?:const|static|type|struct|enum)\s+(?:mut\s+)?(?P<name>\w+)"),
    member=_re(
        rf"""{_RUST_SEEN}(?:(?:default|const|async|unsafe|extern\s+"[^"]*")\s+)*fn\s+(?P<name>\w+)
        | {_RUST_SEEN}(?:const|type)\s+(?P<constant>\w+) | {_RUST_SEEN}(?P<field>\w+)\s*(?:[:({{,]|=|$)"""
    ),
    comments=("//", "/*", "*", "#["),
)

_JAVA_MODIFIERS = (
    r"(?:(?:public|private|protected|internal|static|final|abstract|sealed|non-sealed|default|synchronized|native|"
    r"strictfp|transient|volatile|override|virtual|async|readonly|const|partial|extern|unsafe|new|required|open|data|"
    r"inner|companion|inline|suspend|operator|infix|lateinit|implicit|lazy|case|file|ref|value|annotation|tailrec|"
    r"external|actual|expect|vararg)\s+|@\w+(?:\([^)]*\))?\s+|\[\w+[^\]]*\]\s*)*"
)
_JAVA_NOT = r"(?!(?:return|throw|else|new|if|for|while|switch|case|package|import|using|assert|yield|await|do|try)\b)"
_JAVA_TYPE = r"[\w.$]+(?:<[^=;()]*?>)?(?:\[\])*\??"
_JAVA = Declares(
    container=_re(
        rf"""{_JAVA_MODIFIERS}(?:class|interface|enum(?:\s+class)?|record(?:\s+(?:class|struct))?|@interface|struct|
            object|trait)\s+(?P<name>\w+)(?:\s*<[^>]*>)?+(?:\s*\([^)]*\))?+(?:.*?(?:\bextends|\bimplements|:)\s*(?P<bases>[^{{]*))?
        | (?:namespace\s+[\w.]+|companion\s+object)(?P<open>)\s*(?:\{{|$)"""
    ),
    function=_re(
        rf"""{_JAVA_MODIFIERS}(?:fun|def|val|var)\s+(?:<[^>]*>\s*)?(?:(?P<owner>\w+)(?:<[^>]*>)?\??\.)?(?P<name>\w+)"""
    ),
    value=_NEVER,
    member=_re(
        rf"""{_JAVA_NOT}{_JAVA_MODIFIERS}(?:
              (?:fun|def|val|var)\s+(?:<[^>]*>\s*)?(?:\w+\.)?(?P<name>\w+)
            | (?:<[^=;()]*?>\s*)?{_JAVA_TYPE}\s+(?P<field>\w+)\s*(?:[(=;{{,]|$|=>)
            | (?P<constructor>[A-Z]\w*)\s*(?:[({{,;]|$))"""
    ),
    comments=("//", "/*", "*"),
)

_C_NOT = r"(?!(?:return|if|for|while|switch|else|case|using|goto|delete|new|throw|do|public|private|protected)\b)"
_C = Declares(
    container=_re(
        r"""(?:template\s*<.*?>\s*)?(?:typedef\s+)?(?:class|struct|union|enum(?:\s+(?:class|struct))?)\s+
            (?:\w+\([^)]*\)\s*|\[\[.*?\]\]\s*)*(?P<name>\w+)(?:\s+final)?
            \s*(?::\s*(?P<bases>[^{;]*))?(?=\s*(?:\{|$))
        | (?:typedef\s+)?(?:struct|union|enum)(?P<unnamed>)\s*(?:\{|$)
        | (?:inline\s+)?(?:namespace\b[\w\s:]*|extern\s+"C"\s*)(?P<open>)(?:\{|$)
        | @(?:interface|protocol|implementation)\s+(?P<objc>\w+)(?:\s*:\s*(?P<objcbase>\w+))?"""
    ),
    function=_re(
        rf"""{_C_NOT}(?:template\s*<.*?>\s*)?(?:[\w:<>,*&\[\]]+\s+)*[*&]*
            (?:(?P<owner>\w+)(?:<[^>]*>)?::)?(?P<name>~?\w+|operator\S+)\s*\((?!\s*\*)[^;=]*[;{{,)\w]\s*$"""
    ),
    value=_re(
        rf"""\#\s*define\s+(?P<name>\w+) | typedef\s+.*?(?P<alias>\w+)\s*(?:\[[^\]]*\])?;
        | using\s+(?P<using>\w+)\s*= | {_C_NOT}(?:[\w:<>,]+[\s*&]+)+(?P<field>\w+)\s*(?:\[[^\]]*\])*\s*(?:=|;|\{{)"""
    ),
    member=_re(
        rf"""{_C_NOT}(?:[\w:<>,*&\[\]]+\s+)*[*&]*(?P<name>~?\w+|operator\S+)\s*\((?!\s*\*)
        | {_C_NOT}(?:[\w:<>,]+[\s*&]+)+(?P<field>\w+)\s*(?:\[[^\]]*\])*\s*(?:[=;{{,:])
        | (?P<constant>[A-Za-z_]\w*)\s*(?:=[^=].*|,.*)?$ | [-+]\s*\([^)]*\)\s*(?P<objc>\w+)"""
    ),
    comments=("//", "/*", "*"),
)

_RUBY = Declares(
    container=_re(r"(?:class|module)\s+(?:\w+::)*(?P<name>\w+)(?:\s*<\s*(?P<bases>[\w:]+))?"),
    function=_re(r"def\s+(?:self\.)?(?P<name>\w+[?!=]?)"),
    value=_re(r"(?P<name>[A-Z]\w*)\s*="),
    member=_re(
        r"""def\s+(?:self\.)?(?P<name>\w+[?!=]?) | (?:attr_\w+|scope|has_\w+|belongs_to)\s+:(?P<field>\w+)
        | (?P<constant>[A-Z]\w*)\s*="""
    ),
    attribute=_re(r"@(?P<name>\w+)\s*\|?\|?=(?!=)"),
    comments=("#",),
)

_PHP_MODIFIERS = r"(?:(?:public|private|protected|static|final|abstract|readonly|var)\s+)*"
_PHP = Declares(
    container=_re(
        rf"""{_PHP_MODIFIERS}(?:class|interface|trait|enum)\s+(?P<name>\w+)
            (?:.*?\b(?:extends|implements)\s+(?P<bases>[^{{]*))?"""
    ),
    function=_re(r"function\s+&?(?P<name>\w+)"),
    value=_re(r"const\s+(?P<name>\w+) | define\(\s*['\"](?P<field>\w+)"),
    member=_re(
        rf"""{_PHP_MODIFIERS}(?:function\s+&?(?P<name>\w+) | const\s+(?:\w+\s+)?(?P<constant>\w+)\s*=
            | case\s+(?P<case>\w+) | (?:[?\w|\\]+\s+)?\$(?P<field>\w+))"""
    ),
    attribute=_re(r"\$this->(?P<name>\w+)\s*=(?!=)"),
    comments=("//", "/*", "*", "#"),
)

_ANY_MODIFIERS = (
    r"(?:(?:public|private|protected|internal|fileprivate|open|final|static|override|mutating|pub|export|local|"
    r"abstract|sealed|lazy|weak|implicit|inline|async|mut|shared|@\w+)\s+)*"
)
_ANY = Declares(
    container=_re(
        rf"""{_ANY_MODIFIERS}(?:class|struct|interface|trait|enum|protocol|actor|object|module|defmodule|type|record|mixin)
            \s+(?P<name>\w+)(?:\s*(?::|<|extends|with)\s*(?P<bases>[^{{]*))?
        | {_ANY_MODIFIERS}extension\s+(?P<extends>\w+)"""
    ),
    function=_re(
        rf"""{_ANY_MODIFIERS}(?:def|defp|defmacro|fn|func|function|fun|sub|proc|method|init)\s+
            (?:(?P<owner>\w+)[.:])?(?P<name>\w+[?!]?)"""
    ),
    value=_re(rf"{_ANY_MODIFIERS}(?:let|var|val|const|local|define|typealias|type|data|newtype)\s+(?P<name>\w+)"),
    member=_re(
        rf"""{_ANY_MODIFIERS}(?:def|defp|defmacro|fn|func|function|fun|sub|proc|method|let|var|val|const|case|property)\s+
            (?P<name>\w+[?!]?) | (?P<constructor>init)\b"""
    ),
    comments=("//", "/*", "*", "#", "--", ";"),
)

_BY_LANGUAGE = {
    "python": _PYTHON,
    "javascript": _SCRIPT,
    "javascriptreact": _SCRIPT,
    "typescript": _SCRIPT,
    "typescriptreact": _SCRIPT,
    "vue": _SCRIPT,
    "svelte": _SCRIPT,
    "go": _GO,
    "rust": _RUST,
    "java": _JAVA,
    "csharp": _JAVA,
    "kotlin": _JAVA,
    "scala": _JAVA,
    "groovy": _JAVA,
    "c": _C,
    "cpp": _C,
    "cuda-cpp": _C,
    "objective-c": _C,
    "objective-cpp": _C,
    "ruby": _RUBY,
    "php": _PHP,
}

_WITHOUT = frozenset(
    {"markdown", "plaintext", "json", "jsonc", "yaml", "toml", "xml", "html", "css", "scss", "less", "latex", "diff",
     "restructuredtext", "git-commit", "git-rebase", "ini", "properties", "dockerfile", "csv", "log"}
)  # fmt: skip
"""Languages that declare nothing that another file would name."""

_FAMILIES = {
    "javascript": "script",
    "javascriptreact": "script",
    "typescript": "script",
    "typescriptreact": "script",
    "vue": "script",
    "svelte": "script",
    "c": "c",
    "cpp": "c",
    "cuda-cpp": "c",
    "objective-c": "c",
    "objective-cpp": "c",
    "java": "jvm",
    "kotlin": "jvm",
    "groovy": "jvm",
    "scala": "jvm",
    "scss": "css",
    "less": "css",
    "jsonc": "json",
}


def declares(language: str) -> Declares | None:
    """How a language declares things; None for one that declares nothing. Unknown ones get common keywords."""
    return None if language in _WITHOUT else _BY_LANGUAGE.get(language, _ANY)


def family(language: str) -> str:
    """Languages whose files use each other's definitions share a family; else it is the language itself."""
    return _FAMILIES.get(language, language)
