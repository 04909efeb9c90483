"""workspace/desk.py: where documents lie. What that means for what is given is in test_workspace.py."""

from __future__ import annotations

from pathlib import Path

from qwen_lsp.workspace.desk import Desk
from qwen_lsp.workspace.places import folders_of


def test_what_is_remembered_of_places_is_bounded(tmp_path: Path) -> None:
    """A build that changes a hundred thousand files tells of each of them."""
    desk = Desk(lambda _scope, _path: None)
    desk.folders(folders_of([str(tmp_path)], home="/nowhere"))
    for number in range(2500):
        folder, path = desk.locate((tmp_path / f"{number}.py").as_uri())
        assert folder is not None
        assert path == f"{number}.py"
    assert len(desk._located) <= 1000
