"""The names that a file imports, where they come from, and the import that the cursor may stand in.

By regular expressions over the text; relative modules are made absolute within the workspace. It knows no files:
`module_parts` gives the last parts of a path, and who has the files finds those that end like it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from qwen_lsp.core.declares import family


@dataclass(frozen=True, slots=True)
class Imported:
    """A name that a file takes from elsewhere."""

    name: str
    """As this file calls it."""
    original: str
    """As the module calls it; "" where the name stands for the module itself."""
    module: str
    """As the import writes it."""


_PYTHON = re.compile(
    r"^[ \t]*from[ \t]+(?P<module>[\w.]+)[ \t]+import[ \t]*(?:\((?P<block>[^)]*)\)?|(?P<list>[^\n(]+))"
    r"|^[ \t]*import[ \t]+(?P<plain>[\w., \t]+)",
    re.MULTILINE,
)
_SCRIPT = re.compile(
    r"^[ \t]*(?:import|export)\s+(?:type\s+)?(?P<what>[\w$*{},\s]+?)\s*\bfrom\s*['\"](?P<module>[^'\"\n]+)['\"]"
    r"|^[ \t]*(?:const|let|var)\s+(?P<names>\{[^}=]*\}|[\w$]+)\s*="
    r"\s*(?:await\s+import|require)\(\s*['\"](?P<required>[^'\"\n]+)",
    re.MULTILINE,
)
_GO_BLOCK = re.compile(r"^import\s*(?:\((?P<block>[^)]*)\)?|(?P<one>[^\n(]+))", re.MULTILINE)
_GO_LINE = re.compile(r"(?P<alias>[\w.]+)?[ \t]*\"(?P<module>[^\"\n]+)\"")
_RUST = re.compile(r"^[ \t]*(?:pub(?:\([^)]*\))?[ \t]+)?use[ \t]+(?P<tree>[^;]{1,2000});", re.MULTILINE)
_DOTTED = re.compile(
    r"^[ \t]*(?:import|using)[ \t]+(?:static[ \t]+)?(?P<module>[\w.*]+)(?:[ \t]+as[ \t]+(?P<alias>\w+))?", re.MULTILINE
)
_INCLUDE = re.compile(r"^[ \t]*#[ \t]*(?:include|import)[ \t]*[\"<](?P<module>[^\">\n]+)", re.MULTILINE)
_ITEM = re.compile(r"(?:type\s+)?(?P<original>[\w$*]+)(?:\s+as\s+(?P<name>[\w$]+))?")


def imports(text: str, language: str) -> tuple[Imported, ...]:
    """What a text imports, in its order."""
    match family(language):
        case "python":
            return tuple(_python(text))
        case "script":
            return tuple(_script(text))
        case "go":
            return tuple(_go(text))
        case "rust":
            return tuple(name for found in _RUST.finditer(text) for name in _rust(found["tree"], ""))
        case "c":
            return tuple(Imported("", "", found["module"]) for found in _INCLUDE.finditer(text))
        case _:
            return tuple(_dotted(text))


def _python(text: str) -> Iterator[Imported]:
    for found in _PYTHON.finditer(text):
        if found["plain"]:
            for item in _ITEM.finditer(found["plain"].replace(".", "$")):
                module = item["original"].replace("$", ".")
                yield Imported(item["name"] or module, "", module)
            continue
        listed = re.sub(r"#[^\n]*", "", found["block"] or found["list"] or "")
        for item in _ITEM.finditer(listed):
            yield Imported(item["name"] or item["original"], item["original"], found["module"])


def _script(text: str) -> Iterator[Imported]:
    for found in _SCRIPT.finditer(text):
        module = found["module"] or found["required"]
        what = found["what"] or found["names"] or ""
        whole, brace, listed = what.partition("{")
        for item in _ITEM.finditer(whole):
            if item["original"] == "*":
                yield Imported(item["name"] or "", "", module)
            else:
                yield Imported(item["original"], "" if found["required"] else "default", module)
        for item in _ITEM.finditer(listed if brace else ""):
            yield Imported(item["name"] or item["original"], item["original"], module)


def _go(text: str) -> Iterator[Imported]:
    for block in _GO_BLOCK.finditer(text):
        for found in _GO_LINE.finditer(block["block"] or block["one"] or ""):
            module = found["module"]
            parts = [part for part in module.split("/") if not re.fullmatch(r"v\d+", part)]
            yield Imported(found["alias"] or parts[-1].removeprefix("go-"), "", module)


def _rust(tree: str, base: str) -> Iterator[Imported]:
    """The names of one `use`, whose tree may have branches in braces."""
    head, brace, rest = tree.strip().partition("{")
    if brace:
        base += head.strip()
        for branch in _branches(rest.rpartition("}")[0] or rest):
            yield from _rust(branch, base)
        return
    path, _, alias = head.partition(" as ")
    module, _, name = (base + path.strip()).rpartition("::")
    if name == "self":
        module, _, name = module.rpartition("::")
    if name and name != "*":
        yield Imported(alias.strip() or name, name, module)


def _branches(text: str) -> Iterator[str]:
    """The parts between the commas of a list, those in inner braces aside."""
    depth, begin = 0, 0
    for at, char in enumerate(text):
        if char == "{":
            depth += 1
        elif char == "}":
            depth -= 1
        elif char == "," and not depth:
            yield text[begin:at]
            begin = at + 1
    if text[begin:].strip():
        yield text[begin:]


def _dotted(text: str) -> Iterator[Imported]:
    for found in _DOTTED.finditer(text):
        module, _, name = found["module"].rpartition(".")
        if name and name != "*":
            yield Imported(found["alias"] or name, name, module)


def module_parts(module: str, path: str, language: str) -> tuple[str, ...]:
    """The last parts of the path of a module's file or folder, without its extension.

    >>> module_parts("..shared.auth", "src/mcp/server/app.py", "python")
    ('src', 'mcp', 'shared', 'auth')
    >>> module_parts("./stdio.js", "client/src/index.ts", "typescript")
    ('client', 'src', 'stdio')
    """
    folder = path.split("/")[:-1]
    match family(language):
        case "python":
            dots = len(module) - len(module.lstrip("."))
            own = folder[: len(folder) - dots + 1] if dots else []
            return (*own, *(part for part in module.lstrip(".").split(".") if part))
        case "script" | "go" | "c":
            parts = _without_extension(module).split("/")
            if parts[0] in {".", ".."}:
                for part in parts:
                    folder = folder[:-1] if part == ".." else folder if part == "." else [*folder, part]
                return tuple(folder)
            return tuple(part for part in parts if part and not re.fullmatch(r"v\d+", part))
        case "rust":
            parts = module.split("::")
            while parts and parts[0] in {"crate", "self", "super"}:
                parts = parts[1:]
            return tuple(parts)
        case _:
            return tuple(re.split(r"\.|::|/|\\", module))


def _without_extension(module: str) -> str:
    return re.sub(r"\.(?:js|ts|jsx|tsx|mjs|cjs|mts|cts|h|hpp|hh|vue|svelte)$", "", module)


_IN_PYTHON = re.compile(r"^[ \t]*from[ \t]+(?P<module>[\w.]+)[ \t]+import[ \t]*(?:\([^)]*|[^\n(]*)\Z", re.MULTILINE)
_IN_SCRIPT = re.compile(r"^[ \t]*(?:import|export)\s+(?:type\s+)?(?:[\w$]+\s*,\s*)?\{[^}]*\Z", re.MULTILINE)
_FROM = re.compile(r"[^};]*\}\s*from\s*['\"](?P<module>[^'\"\n]+)['\"]")
_IN_RUST = re.compile(r"^[ \t]*(?:pub(?:\([^)]*\))?[ \t]+)?use[ \t]+(?P<tree>[^;]*)\Z", re.MULTILINE)
_IN_DOTTED = re.compile(r"^[ \t]*import[ \t]+(?:static[ \t]+)?(?P<module>[\w.]*)\.\w*\Z", re.MULTILINE)


def import_at(prefix: str, suffix: str, language: str) -> str | None:
    """The module whose names are being listed at the cursor; None when the cursor is in no import."""
    near = prefix[-2000:]
    match family(language):
        case "python":
            found = _IN_PYTHON.search(near)
            return found["module"] if found else None
        case "script":
            if _IN_SCRIPT.search(near) is None:
                return None
            found = _FROM.match(suffix)
            return found["module"] if found else None
        case "rust":
            found = _IN_RUST.search(near)
            return _rust_branch(found["tree"]) if found else None
        case "jvm":
            found = _IN_DOTTED.search(near)
            return found["module"] if found else None
        case _:
            return None


def _rust_branch(tree: str) -> str:
    """The path of the branch that an unfinished tree ends in."""
    path: list[str] = []
    begin = 0
    for at, char in enumerate(tree):
        if char == "{":
            path.append(tree[begin:at].strip())
            begin = at + 1
        elif char == ",":
            begin = at + 1
        elif char == "}":
            path = path[:-1]
            begin = at + 1
    path.append(tree[begin:].strip().rpartition("::")[0])
    return "::".join(part.removesuffix("::") for part in path if part)
