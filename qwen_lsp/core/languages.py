"""LSP language ids by file name, for when no editor says (LSP 3.18, TextDocumentItem)."""

from __future__ import annotations

from pathlib import PurePath

_BY_SUFFIX = {
    "bash": "shellscript", "c": "c", "cc": "cpp", "clj": "clojure", "cpp": "cpp", "cs": "csharp", "css": "css",
    "cxx": "cpp", "dart": "dart", "el": "emacs-lisp", "ex": "elixir", "exs": "elixir", "go": "go", "h": "c",
    "hpp": "cpp", "hs": "haskell", "html": "html", "java": "java", "js": "javascript", "json": "json",
    "jsx": "javascriptreact", "jl": "julia", "kt": "kotlin", "lua": "lua", "m": "objective-c", "md": "markdown",
    "mjs": "javascript", "ml": "ocaml", "nix": "nix", "php": "php", "pl": "perl", "ps1": "powershell", "py": "python",
    "pyi": "python", "r": "r", "rb": "ruby", "rs": "rust", "scala": "scala", "scss": "scss", "sh": "shellscript",
    "sql": "sql", "svelte": "svelte", "swift": "swift", "tex": "latex", "toml": "toml", "ts": "typescript",
    "tsx": "typescriptreact", "vim": "vim", "vue": "vue", "xml": "xml", "yaml": "yaml", "yml": "yaml", "zig": "zig",
    "zsh": "shellscript",
}  # fmt: skip
_BY_NAME = {"dockerfile": "dockerfile", "makefile": "makefile", "cmakelists.txt": "cmake", "gemfile": "ruby"}


def language_of(path: str) -> str:
    """The language id of a file name; "plaintext" when it says nothing."""
    name = PurePath(path).name.lower()
    return _BY_NAME.get(name) or _BY_SUFFIX.get(name.rpartition(".")[2], "plaintext")
