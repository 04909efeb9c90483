"""The walls between the rooms, read off the imports (see qwen_lsp/ARCHITECTURE.md)."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import qwen_lsp

PACKAGE = Path(qwen_lsp.__file__).parent
ALLOWED: dict[str, set[str]] = {
    "core": {"qwen_lsp.core", "msgspec", "cachetools"},
    "engine": {"qwen_lsp.core", "qwen_lsp.engine"},
    "usage": {"qwen_lsp.core", "qwen_lsp.usage", "qwen_lsp.private", "qwen_lsp.processes"},
    "workspace": {"qwen_lsp.core", "qwen_lsp.workspace", "pathspec"},
    "evaluation": {"qwen_lsp.core", "qwen_lsp.engine", "qwen_lsp.evaluation"},
    "backend": {
        "qwen_lsp.core",
        "qwen_lsp.backend",
        "qwen_lsp.private",
        "httpx",
        "httpcore",
        "xllamacpp",
        "huggingface_hub",
        "tqdm",
    },
    "lsp": {
        "qwen_lsp.core",
        "qwen_lsp.engine",
        "qwen_lsp.lsp",
        "qwen_lsp.processes",
        "pygls",
        "lsprotocol",
        "cattrs",
        "attrs",
    },
    "setup": {"qwen_lsp.core", "qwen_lsp.setup"},
    "doctor": {"qwen_lsp.core", "qwen_lsp.backend", "qwen_lsp.setup", "qwen_lsp.doctor", "qwen_lsp.private"},
    "cli": {"qwen_lsp", "msgspec"},
}
"""What a room may import beside the standard library; a prefix allows all below it."""
EFFECTS = {"asyncio", "os", "time", "logging", "socket", "subprocess", "threading", "pathlib.Path", "random"}
MSGSPEC_MAY = {"core/config.py", "core/codec.py"}
CACHETOOLS_MAY = {"core/reuse.py"}
HTTPX_MAY = {"backend/httpx_wire.py"}
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if len(path.relative_to(PACKAGE).parts) > 1)


def imports(path: Path, *, top_only: bool = False) -> Iterator[str]:
    """The modules that a file imports, by full name; those for annotations only are left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside_checks = {
        node
        for check in ast.walk(tree)
        if isinstance(check, ast.If) and ast.unparse(check.test) == "TYPE_CHECKING"
        for node in ast.walk(check)
    }
    nodes = tree.body if top_only else ast.walk(tree)
    for node in nodes:
        if node in inside_checks:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_room_imports_only_what_it_may(path: Path) -> None:
    """Each room knows the standard library, itself, and the few rooms and packages it is allowed."""
    room = path.relative_to(PACKAGE).parts[0]
    for module in imports(path):
        if module.partition(".")[0] in sys.stdlib_module_names:
            continue
        if module == "qwen_lsp":  # the version
            continue
        assert any(module == name or module.startswith(f"{name}.") for name in ALLOWED[room]), module


@pytest.mark.parametrize("path", [p for p in MODULES if name_of(p).startswith("core/")], ids=name_of)
def test_the_core_imports_nothing_effectful(path: Path) -> None:
    """Values in, values out (invariant 1)."""
    found = {module for module in imports(path) if module in EFFECTS or module.partition(".")[0] in EFFECTS}
    assert found == set()


@pytest.mark.parametrize(
    ("package", "homes"),
    [("httpx", HTTPX_MAY), ("msgspec", MSGSPEC_MAY), ("cachetools", CACHETOOLS_MAY)],
)
def test_a_package_that_may_be_changed_has_one_home(package: str, homes: set[str]) -> None:
    """Swapping the HTTP client, the settings library or the cache touches one module."""
    users = {name_of(path) for path in MODULES if package in set(imports(path))}
    assert {user for user in users if not user.startswith("cli/")} <= homes


@pytest.mark.parametrize("path", [p for p in MODULES if name_of(p).startswith("cli/")], ids=name_of)
def test_commands_import_nothing_heavy_at_their_top(path: Path) -> None:
    """`qwen-lsp --version` and the start of `serve` pay for no package they do not use."""
    heavy = {"pygls", "lsprotocol", "httpx", "xllamacpp", "huggingface_hub", "asyncio"}
    assert heavy.isdisjoint(module.partition(".")[0] for module in imports(path, top_only=True))


@pytest.mark.parametrize("path", [p for p in MODULES if not name_of(p).startswith("cli/")], ids=name_of)
def test_nothing_prints_but_the_command_line(path: Path) -> None:
    """Standard output is the protocol's: a stray print breaks the editor's connection."""
    calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    assert not [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "print"]


def test_the_top_level_holds_nothing_else() -> None:
    """The layout is fixed: these entries and dot-files."""
    root = PACKAGE.parent
    if not (root / "pyproject.toml").exists():
        root = Path(__file__).parent.parent
    allowed = {"pyproject.toml", "qwen_lsp", "tests", "editors", "README.md", "LICENSE", "CHANGELOG.md"}
    made = {"build", "dist", "qwen_lsp.egg-info"}
    assert {entry.name for entry in root.iterdir() if not entry.name.startswith(".")} <= allowed | made
