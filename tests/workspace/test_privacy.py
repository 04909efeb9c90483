"""workspace/privacy.py: the judgement that every file goes through."""

from __future__ import annotations

import pytest

from qwen_lsp.core.model import Reason
from qwen_lsp.workspace.ignore import FRESH
from qwen_lsp.workspace.places import folders_of
from qwen_lsp.workspace.privacy import Privacy
from tests.workspace.trees import tree


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def reason(privacy: Privacy, uri: str) -> Reason | None:
    skip = privacy.refusal(uri)
    return skip.reason if skip else None


@pytest.fixture
def privacy(tmp_path):
    tree(tmp_path, {"ws/.gitignore": "ignored.py\nnotes/", "ws/.env": "", "ws/a.py": "", "ws/ignored.py": ""})
    made = Privacy()
    made.within(folders_of([str(tmp_path / "ws")], home="/nowhere"))
    return made


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.py", None),
        ("new%20file.py", None),
        (".env", Reason.PRIVATE),
        ("ignored.py", Reason.IGNORED),
        ("notes/deep/x.md", Reason.IGNORED),
        ("x%00y.py", None),
    ],
)
def test_a_file_is_judged_by_its_name_and_its_place(privacy, tmp_path, name, expected):
    """Private by name, ignored by a rule file, or free."""
    for scheme in ("file", "vscode-notebook-cell", "git"):
        assert reason(privacy, f"{scheme}://{tmp_path}/ws/{name}") is expected


def test_a_link_is_judged_by_what_it_shows_too(privacy, tmp_path):
    """A harmless name does not open a private or an ignored file."""
    for target, expected in ((".env", Reason.PRIVATE), ("ignored.py", Reason.IGNORED), ("a.py", None)):
        link = tmp_path / "ws" / f"link to {target}.py"
        link.symlink_to(tmp_path / "ws" / target)
        assert reason(privacy, link.as_uri()) is expected
    (tmp_path / "outside").symlink_to(tmp_path / "ws")
    assert reason(privacy, (tmp_path / "outside" / "ignored.py").as_uri()) is Reason.IGNORED


@pytest.mark.parametrize("uri", ["untitled:Untitled-1", "untitled:", "", "x" * 100_000])
def test_what_lies_nowhere_is_free(privacy, uri):
    """A document that was never saved has no rules but those for its name."""
    assert reason(privacy, uri) is None


@pytest.mark.parametrize("uri", ["http://[", "file:///" + "x/" * 5000])
def test_what_can_not_be_judged_is_refused(privacy, uri):
    """A URI that nobody can take apart, a path that no disk takes: it might be any file's."""
    assert reason(privacy, uri) is Reason.IGNORED


def test_a_judgement_is_renewed(tmp_path):
    """An ignore file that is written while the document is open counts a second later, or when it is told."""
    clock = Clock()
    privacy = Privacy(clock)
    privacy.within(folders_of([str(tmp_path)], home="/nowhere"))
    uri = tree(tmp_path, {"a.py": ""}).joinpath("a.py").as_uri()
    assert reason(privacy, uri) is None
    tree(tmp_path, {".qwenignore": "a.py"})
    assert reason(privacy, uri) is None
    clock.now += FRESH
    assert reason(privacy, uri) is Reason.IGNORED
    tree(tmp_path, {".qwenignore": "b.py"})
    privacy.forget()
    assert reason(privacy, uri) is None


def test_what_is_remembered_is_bounded(privacy):
    """Sessions are long."""
    for number in range(2000):
        privacy.refusal(f"untitled:{number}")
    assert len(privacy._judged) <= 500
