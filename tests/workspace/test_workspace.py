"""workspace/workspace.py: what of the folders and the open documents is given for a place, and what never is.

Every file holds a passage like the one that is being written, with a name of its own in it: the names that come are
the files that were looked at.
"""

from __future__ import annotations

import asyncio
import logging
import re
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from qwen_lsp.core.context import Window
from qwen_lsp.core.model import Reason, Request, Snapshot, Trigger
from qwen_lsp.core.text import split
from qwen_lsp.workspace.builder import AT_LAST, SCAN_REST
from qwen_lsp.workspace.workspace import Pace, Workspace
from tests.workspace.trees import tree

ROOM = 100_000
HERE = "def total_of_order(invoice, customer):\n    discount = customer.discount_for(invoice)\n    subtotal = invoice."


def passage(name: str) -> str:
    return (
        f"def total_{name}(invoice, customer):\n    discount = customer.discount_for(invoice)\n"
        f"    subtotal = invoice.subtotal_{name}()\n    canary_{name} = subtotal - discount\n"
        f"    log_{name}(canary_{name})\n    return canary_{name}\n"
    )


def document(path: Path | str, text: str, version: int = 1) -> Snapshot:
    uri = path if isinstance(path, str) else path.as_uri()
    return Snapshot(uri, "python", version, tuple(split(text)))


async def names(workspace: Workspace, where: Path | str, text: str = HERE) -> set[str]:
    """The files whose passages are given at the end of a text, by the names in them."""
    snapshot = document(where, text)
    request = Request(snapshot, len(snapshot.lines) - 1, len(snapshot.lines[-1]), Trigger.INVOKED)
    found = await workspace.snippets(request, Window(text, ""), ROOM)
    return {
        name
        for snippet in found
        for name in re.findall(r"_for_(\w+)|canary_(\w+)|subtotal_(\w+)", snippet.text)
        for name in name
        if name
    }


class Clock:
    """Real threads, made-up time."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


Make = Callable[..., Workspace]


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    """Makes workspaces over folders, and ends them after the test."""
    made: list[Workspace] = []

    def of(*folders: Path, deadline: float = 30.0, clock: Clock | None = None, **options: Any) -> Workspace:
        pace = Pace(settle=0.0, deadline=deadline, clock=clock or time.monotonic)
        workspace = Workspace(**({"home": "/nowhere", "pace": pace} | options))
        workspace.folders([folder.as_uri() for folder in folders])
        made.append(workspace)
        return workspace

    yield of
    for workspace in made:
        workspace.close()


def files(*given: str) -> Mapping[str, str]:
    return {name: passage(re.sub(r"\W", "_", name)) for name in given}


async def test_passages_of_the_folder_s_files_are_given(make, tmp_path):
    """With paths relative to the folder."""
    tree(tmp_path, {**files("a.py", "sub/b.py"), "here.py": HERE})
    workspace = make(tmp_path)
    workspace.opened(document(tmp_path / "here.py", HERE))
    await workspace.ready()
    assert await names(workspace, tmp_path / "here.py") == {"a_py", "sub_b_py"}
    snapshot = document(tmp_path / "here.py", HERE)
    found = await workspace.snippets(Request(snapshot, 2, 23), Window(HERE, ""), ROOM)
    assert {snippet.path for snippet in found} == {"a.py", "sub/b.py"}
    assert workspace.repository((tmp_path / "sub/b.py").as_uri()) == (tmp_path.name, "sub/b.py")


async def test_an_open_document_counts_in_place_of_its_file(make, tmp_path):
    """From the moment it is opened, through its changes, until it is closed."""
    tree(tmp_path, {**files("a.py"), "here.py": HERE})
    workspace = make(tmp_path)
    workspace.opened(document(tmp_path / "here.py", HERE))
    await workspace.ready()
    workspace.opened(document(tmp_path / "a.py", passage("opened")))
    assert await names(workspace, tmp_path / "here.py") == {"opened"}
    workspace.changed(document(tmp_path / "a.py", passage("changed"), 2), 0)
    await workspace.ready()
    assert "changed" in await names(workspace, tmp_path / "here.py")
    workspace.closed((tmp_path / "a.py").as_uri())
    await workspace.ready()
    assert "a_py" in await names(workspace, tmp_path / "here.py")


async def test_a_new_document_is_a_source_before_it_is_saved(make, tmp_path):
    """And none once it is closed without that."""
    workspace = make(tree(tmp_path, {"here.py": HERE}))
    await workspace.ready()
    workspace.opened(document(tmp_path / "new.py", passage("new")))
    assert await names(workspace, tmp_path / "here.py") == {"new"}
    workspace.closed((tmp_path / "new.py").as_uri())
    await workspace.ready()
    assert await names(workspace, tmp_path / "here.py") == set()


async def test_places_that_were_edited_are_given(make, tmp_path):
    """Those of other documents in this session, from before a file was closed and undone; none that became private."""
    tree(tmp_path, {"a.py": "x = 1\n", "here.py": HERE})
    workspace = make(tmp_path)
    a, here = document(tmp_path / "a.py", passage("edited")), document(tmp_path / "here.py", HERE)
    for snapshot in (a, here):
        workspace.opened(snapshot)
        workspace.changed(snapshot, 2)
        workspace.asked(Request(snapshot, 2, 0))
    workspace.closed(a.uri)
    await workspace.ready()
    assert await names(workspace, tmp_path / "here.py") == {"edited"}
    tree(tmp_path, {".qwenignore": "a.py"})
    workspace.saved((tmp_path / ".qwenignore").as_uri())
    assert await names(workspace, tmp_path / "here.py") == set()


PRIVATE = {
    ".env": Reason.PRIVATE,
    "deploy/credentials.py": Reason.PRIVATE,
    "ignored.py": Reason.IGNORED,
    "qwen/ignored.py": Reason.IGNORED,
}


@pytest.mark.parametrize("opened", [False, True], ids=["on the disk", "open in the editor"])
async def test_private_and_ignored_files_are_never_given(make, tmp_path, opened):
    """Neither read from the disk nor taken from the editor; asked about, they are refused."""
    tree(tmp_path, {**files("a.py", *PRIVATE), ".gitignore": "/ignored.py", "qwen/.qwenignore": "*", "here.py": HERE})
    workspace = make(tmp_path)
    for name in PRIVATE if opened else ():
        workspace.opened(document(tmp_path / name, passage(f"open_{name[-4:-3]}")))
        workspace.changed(document(tmp_path / name, passage(f"open_{name[-4:-3]}"), 2), 1)
    await workspace.ready()
    assert await names(workspace, tmp_path / "here.py") == {"a_py"}
    for name, reason in PRIVATE.items():
        refused = workspace.refusal((tmp_path / name).as_uri())
        assert refused is not None
        assert refused.reason is reason
        assert await names(workspace, tmp_path / name) == set()


async def test_a_file_that_becomes_ignored_is_not_given_any_more(make, tmp_path):
    """From the next question on, read anew or not; an open document comes back with the rule's end."""
    clock = Clock()
    tree(tmp_path, {**files("a.py", "b.py"), "here.py": HERE})
    workspace = make(tmp_path, clock=clock)
    workspace.opened(document(tmp_path / "b.py", passage("open")))
    await workspace.ready()
    assert await names(workspace, tmp_path / "here.py") == {"a_py", "open"}
    tree(tmp_path, {".qwenignore": "a.py\nb.py"})
    clock.now += 1.0
    assert await names(workspace, tmp_path / "here.py") == set()
    workspace.saved((tmp_path / ".qwenignore").as_uri())
    clock.now += 100
    await ready(workspace, clock)
    assert scope(workspace).index.sizes["files"] == 1
    tree(tmp_path, {".qwenignore": "a.py"})
    workspace.touched([(tmp_path / ".qwenignore").as_uri()])
    await ready(workspace, clock)
    assert await names(workspace, tmp_path / "here.py") == {"open"}


async def test_excluded_files_are_not_even_read(make, tmp_path):
    """What `qwen.exclude` fits takes no room in the index; a changed setting counts at once, in a scan too."""
    tree(tmp_path, {**files("own.py", "made/a.py", "made/b.py"), "here.py": HERE})
    workspace = make()
    workspace.exclude(["made/"])
    workspace.folders([tmp_path.as_uri()])
    await workspace.ready()
    assert sorted(scope(workspace).disk) == ["here.py", "own.py"]
    assert scope(workspace).index.sizes["files"] == 2
    workspace.exclude(["own.py"])
    await workspace.ready()
    assert sorted(scope(workspace).disk) == ["here.py", "made/a.py", "made/b.py"]
    assert await names(workspace, tmp_path / "here.py") == {"made_a_py", "made_b_py"}


async def test_the_same_exclusions_again_are_no_reason_to_look(make, tmp_path):
    """Every change of the settings tells them."""
    workspace = make(tree(tmp_path, files("a.py")))
    workspace.exclude(["b.py"])
    await workspace.ready()
    workspace.exclude(["b.py"])
    assert workspace._builder._scan_due is None


async def test_a_notebook_s_cells_are_refused_with_it(make, tmp_path):
    """Whatever their own URIs say; and they are no source for other documents."""
    tree(tmp_path, {".gitignore": "mine.ipynb", "here.py": HERE})
    workspace = make(tmp_path)
    for book in ("mine.ipynb", "open.ipynb"):
        cell = document(f"jupyter-cell:{book}", passage("cell"))
        workspace.opened(cell, within=(tmp_path / book).as_uri())
    await workspace.ready()
    assert workspace.refusal("jupyter-cell:mine.ipynb").reason is Reason.IGNORED
    assert workspace.refusal("jupyter-cell:open.ipynb") is None
    assert workspace.repository("jupyter-cell:open.ipynb") == (tmp_path.name, "open.ipynb")
    assert await names(workspace, tmp_path / "here.py") == set()
    workspace.closed("jupyter-cell:mine.ipynb")
    assert workspace.refusal("jupyter-cell:mine.ipynb") is None


async def test_a_document_outside_every_folder_is_shown_open_documents_only(make, tmp_path):
    """Nothing of the disk, not even of its neighbours; and it is no source for those inside."""
    inside = tree(tmp_path / "inside", {**files("a.py", "b.py"), "here.py": HERE})
    outside = tree(tmp_path / "outside", files("c.py"))
    workspace = make(inside)
    workspace.opened(document(inside / "b.py", passage("open")))
    workspace.opened(document("untitled:Untitled-1", passage("untitled")))
    await workspace.ready()
    assert await names(workspace, outside / "new.py") == {"open", "untitled"}
    assert await names(workspace, inside / "here.py") == {"a_py", "open"}
    workspace.closed("untitled:Untitled-1")
    await workspace.ready()
    assert await names(workspace, outside / "new.py") == set()


async def test_without_folders_the_open_documents_are_what_there_is(make, tmp_path):
    """A single file that is opened has the others that are open; equal names do not collide."""
    workspace = make()
    tree(tmp_path, files("on_disk.py"))
    for folder in ("one", "two", "three"):
        workspace.opened(document(tmp_path / folder / "x.py", passage(folder)))
    workspace.opened(document(tmp_path / "here.py", HERE))
    await workspace.ready()
    assert await names(workspace, tmp_path / "here.py") == {"one", "two", "three"}
    assert await names(workspace, tmp_path / "one/x.py") >= {"two", "three"}
    assert workspace.repository((tmp_path / "one/x.py").as_uri()) == ("", "x.py")


async def test_each_folder_has_its_own(make, tmp_path):
    """Folders come and go; a document belongs to the innermost one, and what is left behind is forgotten."""
    one = tree(tmp_path / "one", {**files("a.py"), "here.py": HERE})
    two = tree(tmp_path / "two", {**files("b.py"), "here.py": HERE})
    tree(one / "inner", files("c.py"))
    workspace = make(one, two)
    workspace.opened(document(two / "open.py", passage("open")))
    await workspace.ready()
    assert await names(workspace, one / "here.py") == {"a_py", "c_py"}
    assert await names(workspace, two / "here.py") == {"b_py", "open"}
    workspace.folders([str(one), (one / "inner").as_uri()])
    await workspace.ready()
    assert await names(workspace, one / "here.py") == {"a_py"}
    assert await names(workspace, one / "inner/new.py") == {"c_py"}
    assert await names(workspace, two / "here.py") == {"open"}


async def test_links_out_of_the_folder_lead_nowhere(make, tmp_path):
    """Neither a link nor a document opened through one is a source; a link to the folder itself is the folder."""
    outside = tree(tmp_path / "outside", files("o.py"))
    inside = tree(tmp_path / "inside", {**files("a.py"), "here.py": HERE})
    (inside / "link.py").symlink_to(outside / "o.py")
    (inside / "linked").symlink_to(outside)
    (tmp_path / "alias").symlink_to(inside)
    workspace = make(tmp_path / "alias")
    workspace.opened(document(inside / "link.py", passage("through_link")))
    await workspace.ready()
    assert await names(workspace, inside / "here.py") == {"a_py"}
    assert await names(workspace, tmp_path / "alias/here.py") == {"a_py"}


async def test_without_snippets_nothing_is_read(make, tmp_path):
    """No file is opened and no thread runs, yet the refusals hold; turned on, all is read, turned off, forgotten."""
    tree(tmp_path, {**files("a.py", ".env"), "here.py": HERE})
    before = threading.active_count()
    workspace = make(tmp_path, snippets=False)
    workspace.opened(document(tmp_path / "b.py", passage("open")))
    workspace.touched([(tmp_path / "a.py").as_uri()])
    assert await names(workspace, tmp_path / "here.py") == set()
    assert threading.active_count() == before
    assert workspace.refusal((tmp_path / ".env").as_uri()).reason is Reason.PRIVATE
    workspace.use(snippets=True)
    await workspace.ready()
    assert await names(workspace, tmp_path / "here.py") == {"a_py", "open"}
    workspace.use(snippets=False)
    await workspace.ready()
    assert await names(workspace, tmp_path / "here.py") == set()
    assert scope(workspace).index.sizes["files"] == 0


async def ready(workspace: Workspace, clock: Clock) -> None:
    """Lets time pass until all is read."""
    while not workspace._builder.ready(0.01):
        clock.now += 10
        with workspace._builder._news:  # the thread looks at the clock again
            workspace._builder._news.notify_all()
    await asyncio.sleep(0)


def scope(workspace: Workspace) -> Any:
    (only,) = workspace._desk.scopes.values()
    return only


async def test_the_disk_is_looked_at_again(make, tmp_path):
    """After half a minute of typing, or when the editor tells: new, changed and removed files are noticed."""
    clock = Clock()
    tree(tmp_path, {**files("a.py", "gone.py"), "here.py": HERE})
    workspace = make(tmp_path, clock=clock)
    here = document(tmp_path / "here.py", HERE)
    workspace.opened(here)
    await workspace.ready()
    tree(tmp_path, {"a.py": passage("a_changed_now"), "new.py": passage("new")})
    (tmp_path / "gone.py").unlink()
    workspace.asked(Request(here, 2, 0))
    await workspace.ready()
    assert await names(workspace, tmp_path / "here.py") == {"a_py", "gone_py"}
    clock.now += 31
    workspace.asked(Request(here, 2, 0))
    await ready(workspace, clock)
    assert await names(workspace, tmp_path / "here.py") == {"a_changed_now", "new"}
    tree(tmp_path, files("told.py"))
    workspace.touched([(tmp_path / "told.py").as_uri()])
    await ready(workspace, clock)
    assert "told_py" in await names(workspace, tmp_path / "here.py")


@pytest.mark.parametrize(
    ("name", "looked"),
    [
        ("a.py", True), ("sub/a.py", True), ("sub", True), ("sub/.gitignore", True), (".git/info/exclude", True),
        ("a.log", False), (".git/index", False), ("node_modules/a.py", False), ("../outside.py", False),
    ],
)  # fmt: skip
async def test_only_changes_that_may_matter_lead_to_another_look(make, tmp_path, name, looked):
    """Builds and version control change files all the time."""
    workspace = make(tree(tmp_path, files("a.py")))
    await workspace.ready()
    workspace.touched([(tmp_path / name).resolve().as_uri()])
    assert (workspace._builder._scan_due is not None) is looked


async def test_progress_ends_where_it_began_and_is_told_in_the_log(make, tmp_path, caplog):
    """The last figures are equal; the line names counts and milliseconds, no path."""
    heard: list[tuple[int, int]] = []
    tree(tmp_path, {**files("a.py", "b.py"), "here.py": HERE})
    with caplog.at_level(logging.INFO, "qwen_lsp"):
        workspace = make(tmp_path, on_progress=lambda done, total: heard.append((done, total)))
        await workspace.ready()
    assert heard[-1] == (3, 3)
    (line,) = [record.getMessage() for record in caplog.records]
    assert re.fullmatch(r"indexed files=3 ms=\d+", line)


async def test_the_home_directory_is_not_read(make, tmp_path):
    """Who opens their whole home directory is shown open documents only."""
    workspace = make(tree(tmp_path, {**files("a.py"), "here.py": HERE}), home=str(tmp_path))
    workspace.opened(document(tmp_path / "b.py", passage("open")))
    await workspace.ready()
    assert await names(workspace, tmp_path / "here.py") == {"open"}


async def test_a_search_that_takes_too_long_gives_nothing(make, tmp_path):
    """Completions never wait for context longer than a tenth of a second, nor fail for it."""
    workspace = make(tree(tmp_path, {**files("a.py"), "here.py": HERE}), deadline=0.1)
    await workspace.ready()
    go = threading.Event()
    only = scope(workspace)
    search = only.index.search
    only.index.search = lambda *given: go.wait(5) and search(*given)
    assert await names(workspace, tmp_path / "here.py") == set()
    go.set()
    only.index.search = lambda *_given: 1 / 0
    assert await names(workspace, tmp_path / "here.py") == set()


async def test_the_thread_sleeps_without_a_timer_and_ends_when_told(make, tmp_path):
    """An idle editor costs nothing, and a closed one leaves nothing."""
    workspace = make(tree(tmp_path, files("a.py")))
    await workspace.ready()
    builder = workspace._builder
    waits: list[float | None] = []
    wait = builder._news.wait
    builder._news.wait = lambda timeout=None: (waits.append(timeout), wait(timeout))[1]
    workspace.opened(document(tmp_path / "b.py", passage("b")))
    await workspace.ready()
    assert waits[-1] is None
    workspace.close()
    builder._thread.join(2)
    assert not builder._thread.is_alive()


class Faulty:
    """An index that can't take the files of some names."""

    def __init__(self, index: Any, *paths: str) -> None:
        self.put, index.put = index.put, self._put
        self.paths = {*paths}
        self.tried: list[str] = []

    def _put(self, path: str, *given: Any) -> None:
        self.tried.append(path)
        if path in self.paths:
            raise ZeroDivisionError("canary")
        self.put(path, *given)


async def test_a_fault_in_a_document_costs_that_document_only(make, tmp_path, caplog):
    """It is one line in the log, without the message, which might quote code; those that wait with it are read."""
    workspace = make(tree(tmp_path, {**files("a.py"), "here.py": HERE}))
    await workspace.ready()
    faulty = Faulty(scope(workspace).index, "b.py")
    looks: list[float] = []
    workspace._builder.scan = looks.append
    with workspace._builder._news:  # all three wait together
        for name in "abc":
            workspace.opened(document(tmp_path / f"{name}.py", passage(f"open_{name}")))
    await workspace.ready()
    assert (faulty.tried, looks) == (["a.py", "b.py", "c.py"], [])
    assert [r.getMessage() for r in caplog.records if r.levelname == "ERROR"] == [
        "reading the workspace failed: ZeroDivisionError"
    ]
    assert await names(workspace, tmp_path / "here.py") == {"open_a", "open_c"}
    faulty.paths.clear()
    workspace.changed(document(tmp_path / "b.py", passage("open_b"), 2), 0)
    await workspace.ready()
    assert "open_b" in await names(workspace, tmp_path / "here.py")


async def test_a_look_at_the_disk_that_fails_is_begun_anew(make, tmp_path):
    """After a rest, and later each time; what failed is left out, so that it comes to an end. Progress is ended."""
    clock = Clock()
    heard: list[tuple[int, int]] = []
    workspace = make(on_progress=lambda done, total: heard.append((done, total)), clock=clock)
    workspace.folders([tree(tmp_path / "empty", {}).as_uri(), tree(tmp_path / "work", {}).as_uri()])
    await workspace.ready()
    tree(tmp_path / "work", files("a.py", "b.py", "c.py", "d.py"))
    work = workspace._desk.scopes[str((tmp_path / "work").resolve())]
    faulty = Faulty(work.index, "b.py", "c.py")
    rests: list[float] = []
    scan = workspace._builder.scan
    workspace._builder.scan = lambda after=0.0: (rests.append(after), scan(after))[1]
    workspace.touched([(tmp_path / "work/a.py").as_uri()])
    rests.clear()
    heard.clear()
    await ready(workspace, clock)
    assert rests == [SCAN_REST, 2 * SCAN_REST]
    assert [(done, total) for done, total in heard if done == total] == [(0, 0), (0, 0), (1, 1)]
    assert sorted(faulty.tried) == ["a.py", "b.py", "c.py", "d.py"]
    assert await names(workspace, tmp_path / "work/here.py") == {"a_py", "d_py"}
    tree(tmp_path / "work", files("e.py"))
    faulty.paths.add("e.py")
    workspace.touched([(tmp_path / "work/e.py").as_uri()])
    rests.clear()
    await ready(workspace, clock)
    assert rests == [SCAN_REST]


async def test_documents_may_come_and_go_while_the_disk_is_looked_at(make, tmp_path, caplog):
    """The scan looks at the open ones from a thread of its own."""
    workspace = make(tree(tmp_path, files("a.py")))
    await workspace.ready()

    only = scope(workspace)

    class Moving(str):
        """A path; while it is looked at another document is opened."""

        __slots__ = ()

        def rpartition(self, sep: str) -> tuple[str, str, str]:
            only.open[f"{len(only.open)}.py"] = opened
            return super().rpartition(sep)

    workspace.opened(document(tmp_path / "b.py", passage("b")))
    opened = only.open.pop("b.py")
    only.open[Moving("b.py")] = opened
    workspace.folders([tmp_path.as_uri()])
    assert workspace._builder.ready(5)
    assert len(only.open) > 1
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_a_document_that_never_settles_is_read_after_a_while(make, tmp_path):
    """Others see what a person types for minutes without a pause, not only once they are done."""
    clock = Clock()
    workspace = make(tree(tmp_path, {"here.py": HERE}), pace=Pace(settle=1.0, deadline=30.0, clock=clock))
    workspace.opened(document(tmp_path / "b.py", passage("before")))
    await ready(workspace, clock)
    index = Faulty(scope(workspace).index)
    typed = 0.0
    while not index.tried:
        assert typed <= AT_LAST
        workspace.changed(document(tmp_path / "b.py", passage("typed")), 0)
        clock.now += 0.5
        typed += 0.5
        with workspace._builder._news:  # the thread looks at the clock again
            workspace._builder._news.notify_all()
        assert workspace._builder.caught_up(5)
    assert typed == AT_LAST
