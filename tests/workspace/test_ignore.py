"""workspace/ignore.py: ignore files, read as git reads its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from qwen_lsp.workspace.ignore import FRESH, Rules
from tests.workspace.trees import tree


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def ignored(folder: Path, path: str, rules: Rules | None = None) -> str:
    directory = path.endswith("/")
    return (rules or Rules(env={})).ignored_by(str(folder / path), str(folder), directory=directory)


# (rule files, path, ignored): each line was checked with `git check-ignore --no-index`.
AS_GIT = [
    ({".gitignore": "*.log"}, "a.log", True),
    ({".gitignore": "*.log"}, "deep/er/a.log", True),
    ({".gitignore": "*.log"}, "a.py", False),
    ({".gitignore": "/a.py"}, "deep/a.py", False),
    ({".gitignore": "/a.py"}, "a.py", True),
    ({".gitignore": "deep/a.py"}, "x/deep/a.py", False),
    ({".gitignore": "out/"}, "out/a.py", True),
    ({".gitignore": "out/"}, "x/out/y/a.py", True),
    ({".gitignore": "out/"}, "out", False),
    ({".gitignore": "a/**/z.py"}, "a/z.py", True),
    ({".gitignore": "a/**/z.py"}, "a/b/c/z.py", True),
    ({".gitignore": "**/z/*.py"}, "b/z/a.py", True),
    ({".gitignore": "a/**\n!a/keep.py"}, "a/keep.py", False),
    ({".gitignore": "a/**\n!a/keep.py"}, "a/other.py", True),
    ({".gitignore": "a/\n!a/keep.py"}, "a/keep.py", True),
    ({".gitignore": "a/*\n!a/keep.py"}, "a/keep.py", False),
    ({".gitignore": "*\n!*/\n!*.py"}, "x/y.py", False),
    ({".gitignore": "*\n!*/\n!*.py"}, "x/y.txt", True),
    ({".gitignore": "*.py\n!a.py\na.py"}, "a.py", True),
    ({".gitignore": "*.py", "sub/.gitignore": "!a.py"}, "sub/a.py", False),
    ({".gitignore": "*.py", "sub/.gitignore": "!a.py"}, "a.py", True),
    ({".gitignore": "sub/", "sub/.gitignore": "!a.py"}, "sub/a.py", True),
    ({".gitignore": "*.secret", "sub/.gitignore": "!x/"}, "sub/x/a.secret", True),
    ({"sub/.gitignore": "/a.py"}, "a.py", False),
    ({"sub/.gitignore": "/a.py"}, "sub/a.py", True),
    ({".git/info/exclude": "a.py"}, "sub/a.py", True),
    ({".git/info/exclude": "a.py", ".gitignore": "!a.py"}, "a.py", False),
    ({".gitignore": "\\#a\n\\!b\n# c"}, "#a", True),
    ({".gitignore": "\\#a\n\\!b\n# c"}, "!b", True),
    ({".gitignore": "\\#a\n\\!b\n# c"}, "# c", False),
    ({".gitignore": "a.py  \r\n\r\nb.py"}, "a.py", True),
    ({".gitignore": "a\\ "}, "a ", True),
    ({".gitignore": "\ufeffa.py"}, "a.py", True),
    ({".gitignore": "[ab].py\n[!x].txt"}, "b.py", True),
    ({".gitignore": "[ab].py\n[!x].txt"}, "x.txt", False),
    ({".gitignore": "[\n!\n/\na.py"}, "a.py", True),
    ({".gitignore": "!!\n!!a.py"}, "a.py", False),
]


@pytest.mark.parametrize(("files", "path", "expected"), AS_GIT, ids=[f"{case[0]} {case[1]}" for case in AS_GIT])
def test_rules_are_read_as_git_reads_them(tmp_path: Path, files: dict[str, str], path: str, expected: bool) -> None:  # noqa: FBT001 - a table's column
    """Nesting, anchors, negation, directories, escapes: the same files are ignored as git ignores."""
    tree(tmp_path, {".git/": "", **files})
    assert bool(ignored(tmp_path, path)) is expected


@pytest.mark.parametrize(
    ("files", "by"),
    [
        ({".ignore": "a.py"}, ".ignore"),
        ({".qwenignore": "a.py"}, ".qwenignore"),
        ({".gitignore": "a.py", ".qwenignore": "!a.py"}, ""),
        ({".gitignore": "a.py", ".ignore": "!a.py"}, ""),
        ({".ignore": "!a.py", ".qwenignore": "*.py"}, ".qwenignore"),
        ({".qwenignore": "!b.py", ".gitignore": "a.py"}, ".gitignore"),
    ],
    ids=str,
)
def test_the_more_particular_kind_has_the_last_word(tmp_path: Path, files: dict[str, str], by: str) -> None:
    """`.qwenignore` over `.ignore` over git's, both to forbid and to allow; the kind that forbids is named."""
    assert ignored(tree(tmp_path, files), "a.py") == by


def test_rules_above_the_folder_count(tmp_path: Path) -> None:
    """Those of git from the top of the repository, ours from any directory above."""
    tree(tmp_path, {".qwenignore": "q.py", ".gitignore": "outside.py", "repo/.git/": "", "repo/.gitignore": "g.py"})
    folder = tree(tmp_path / "repo/package", {})
    assert ignored(folder, "g.py") == ".gitignore"
    assert ignored(folder, "q.py") == ".qwenignore"
    assert ignored(folder, "outside.py") == ""


def test_a_folder_without_a_repository_has_its_own_gitignore(tmp_path: Path) -> None:
    """Where git is not used, or not yet, the file means the same."""
    tree(tmp_path, {".gitignore": "above.py", "folder/.gitignore": "a.py"})
    assert ignored(tmp_path / "folder", "a.py") == ".gitignore"
    assert ignored(tmp_path / "folder", "above.py") == ""


def test_a_file_in_no_folder_follows_its_own_repository(tmp_path: Path) -> None:
    """A single file that is opened is judged like any other."""
    tree(tmp_path, {".gitignore": "*", "repo/.git/": "", "repo/.gitignore": "a.py"})
    assert Rules(env={}).ignored_by(str(tmp_path / "repo/x/a.py")) == ".gitignore"
    assert Rules(env={}).ignored_by(str(tmp_path / "repo/x/b.py")) == ""
    assert Rules(env={}).ignored_by(str(tmp_path / "b.py")) == ""


def test_the_excludes_of_a_worktree_are_those_of_its_repository(tmp_path: Path) -> None:
    """There `.git` is a file that says where the rest is."""
    tree(
        tmp_path,
        {
            "main/.git/info/exclude": "a.py",
            "main/.git/worktrees/w/commondir": "../..\n",
            "w/.git": f"gitdir: {tmp_path}/main/.git/worktrees/w\n",
        },
    )
    assert ignored(tmp_path / "w", "a.py") == ".git/info/exclude"


def test_a_changed_ignore_file_is_noticed(tmp_path: Path) -> None:
    """Within a second by itself, at once when somebody says so; made, changed and removed."""
    clock = Clock()
    rules = Rules(clock, {})
    tree(tmp_path, {"sub/a.py": ""})
    assert ignored(tmp_path, "sub/a.py", rules) == ""
    tree(tmp_path, {".qwenignore": "a.py"})
    assert ignored(tmp_path, "sub/a.py", rules) == ""
    clock.now += FRESH
    assert ignored(tmp_path, "sub/a.py", rules) == ".qwenignore"
    tree(tmp_path, {".qwenignore": "other.py"})
    rules.forget()
    assert ignored(tmp_path, "sub/a.py", rules) == ""
    tree(tmp_path, {".git/": "", ".git/info/exclude": "sub"})
    rules.forget()
    assert ignored(tmp_path, "sub/a.py", rules) == ".git/info/exclude"
    (tmp_path / ".git/info/exclude").unlink()
    rules.forget()
    assert ignored(tmp_path, "sub/a.py", rules) == ""


def test_what_can_not_be_read_forbids_all_below_it(tmp_path: Path) -> None:
    """Rules that are there and not known must not be broken."""
    tree(tmp_path, {"sub/.qwenignore": b"x" * (1 << 20) + b"x", "sub/x/a.py": "", "a.py": ""})
    assert ignored(tmp_path, "sub/x/a.py") == "unreadable .qwenignore"
    assert ignored(tmp_path, "a.py") == ""


def test_what_stands_in_an_ignore_file_s_place_is_no_rule(tmp_path: Path) -> None:
    """A directory of that name, a link to nowhere, bytes that are no text."""
    tree(tmp_path, {".gitignore/": "", "sub/.gitignore": b"\xff\xfe\na.py"})
    (tmp_path / ".qwenignore").symlink_to(tmp_path / "nowhere")
    assert ignored(tmp_path, "b.py") == ""
    assert ignored(tmp_path, "sub/a.py") == ".gitignore"


def test_a_name_that_no_pattern_could_hold_is_ignored(tmp_path: Path) -> None:
    """Patterns stop at line ends, so a name with one might slip through."""
    assert ignored(tmp_path, "a\nb.py") == "odd name"


def test_many_directories_do_not_fill_the_memory(tmp_path: Path) -> None:
    """What is remembered is bounded, and forgetting changes no answer."""
    tree(tmp_path, {".qwenignore": "a.py"})
    rules = Rules(env={})
    for number in range(2000):
        assert rules.ignored_by(f"{tmp_path}/{number}/a.py", str(tmp_path)) == ".qwenignore"
    assert len(rules._directories) <= 1502


@pytest.mark.parametrize(
    ("files", "name", "rule"),
    [
        ({".config/git/ignore": "*.own"}, "a.own", "core.excludesFile"),
        (
            {".gitconfig": "[user]\n\tname = x\n[Core]\n\teditor = vi\n\texcludesFile = ~/mine\n", "mine": "*.own"},
            "a.own",
            "core.excludesFile",
        ),
        ({".config/git/config": '[core]\nexcludesfile = "HOME/mine"\n', "mine": "*.own"}, "a.own", "core.excludesFile"),
        ({".gitconfig": "[other]\nexcludesFile = ~/mine\n", "mine": "*.own"}, "a.own", ""),
        ({".config/git/ignore": "*.own", "repo/.gitignore": "!a.own"}, "a.own", ""),
        ({".config/git/ignore": "/deep/a.own"}, "deep/a.own", "core.excludesFile"),
    ],
)
def test_a_person_s_own_excludes_hold_in_every_repository(tmp_path: Path, files, name: str, rule: str) -> None:
    """Those that git's configuration names, else those where git looks; a repository's own rules win over them."""
    tree(tmp_path, {path: text.replace("HOME", str(tmp_path)) for path, text in files.items()})
    (tmp_path / "repo" / ".git").mkdir(parents=True)
    rules = Rules(env={"HOME": str(tmp_path)})
    assert rules.ignored_by(str(tmp_path / "repo" / name), str(tmp_path / "repo")) == rule


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("*.sql", "deep/er/a.sql", True),
        ("internal/**", "internal/x/a.py", True),
        ("internal/", "internal/x/a.py", True),
        ("internal/**", "src/internal/a.py", False),
        ("/a.py", "src/a.py", False),
        ("src", "src/a.py", True),
        ("# a.py", "a.py", False),
    ],
)
def test_a_person_s_own_patterns_have_the_first_word(tmp_path: Path, pattern, path, fits) -> None:
    """As in an ignore file at the top of the workspace folder; what the repository says is no exception to them."""
    tree(tmp_path, {".gitignore": "!a.sql\n!internal/\n", ".git/HEAD": ""})
    rules = Rules(env={})
    rules.exclude([pattern])
    assert ignored(tmp_path, path, rules) == ("qwen.exclude" if fits else "")


def test_the_last_pattern_that_fits_decides(tmp_path: Path) -> None:
    """So that exceptions can be made; but for what lies in an excluded directory."""
    rules = Rules(env={})
    rules.exclude(["*.py", "!keep.py", "out/"])
    assert ignored(tmp_path, "a.py", rules) == "qwen.exclude"
    assert ignored(tmp_path, "keep.py", rules) == ""
    assert ignored(tmp_path, "out/keep.py", rules) == "qwen.exclude"
    rules.exclude([])
    assert ignored(tmp_path, "a.py", rules) == ""
