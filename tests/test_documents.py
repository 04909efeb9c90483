"""lsp/documents.py: what editors have open, told in messages that leave things out."""

from __future__ import annotations

import pytest
from lsprotocol import types

from qwen_lsp.core.model import Snapshot
from qwen_lsp.lsp.documents import Documents, Malformed


def opened(text: str, *, uri: str = "file:///a.py", encoding="utf-16", **more) -> Documents:
    documents = Documents(encoding)
    item = {"uri": uri, "text": text, "languageId": "python", "version": 3} | more
    documents.opened({"textDocument": item})
    return documents


def change(documents: Documents, *changes: object, uri: str = "file:///a.py", **more) -> None:
    documents.changed({"textDocument": {"uri": uri} | more, "contentChanges": list(changes)})


def span(l0: int, c0: int, l1: int, c1: int) -> dict:
    return {"start": {"line": l0, "character": c0}, "end": {"line": l1, "character": c1}}


def test_a_snapshot_is_the_document_at_one_moment():
    """Later edits do not reach a snapshot that is taken."""
    documents = opened("a\r\nb")
    before = documents.snapshot("file:///a.py")
    change(documents, {"range": span(0, 1, 0, 1), "text": "x"}, version=9)
    assert before == Snapshot("file:///a.py", "python", 3, ("a\r\n", "b"))
    assert documents.snapshot("file:///a.py") == Snapshot("file:///a.py", "python", 9, ("ax\r\n", "b"))


@pytest.mark.parametrize(
    ("encoding", "units"), [("utf-8", 4), ("utf-16", 2), ("utf-32", 1)], ids=["utf-8", "utf-16", "utf-32"]
)
def test_edits_count_in_the_units_agreed_on(encoding, units):
    """Behind an astral character the same place has another number in each encoding."""
    documents = opened("😋b\n", encoding=encoding)
    change(documents, {"range": span(0, units, 0, units), "text": "a"})
    assert documents.snapshot("file:///a.py").lines == ("😋ab\n", "")


@pytest.mark.parametrize(
    "uri",
    ["untitled:Untitled-1", "vscode-notebook-cell:/n.ipynb#W0", "git:/a?{%22x%22:1}", "http://[", "", "file:///a b"],
)
def test_any_uri_names_a_document(uri):
    """Schemes other than file, and URIs that can't be taken apart, are names like any other."""
    documents = opened("x", uri=uri)
    change(documents, {"text": "y\n"}, uri=uri)
    assert documents.snapshot(uri) == Snapshot(uri, "python", 0, ("y\n", ""))


def test_a_uri_and_its_encoded_form_are_one():
    """Editors encode differently in different messages."""
    documents = opened("x", uri="file:///a%20b%C3%A9.py")
    assert documents.snapshot("file:///a bé.py") is not None


def test_a_document_that_is_not_open_is_not_read_from_disk(tmp_path):
    """What the editor has not shown us does not exist."""
    path = tmp_path / "secret.py"
    path.write_text("x")
    assert Documents().snapshot(path.as_uri()) is None
    with pytest.raises(Malformed):
        change(Documents(), {"text": "y"}, uri=path.as_uri())


@pytest.mark.parametrize("item", [{"version": None}, {"version": "7", "languageId": None}, {"languageId": 3}])
def test_missing_details_do_not_keep_a_document_closed(item):
    """A version or a language that is missing or wrong counts as none."""
    assert opened("x", **item).snapshot("file:///a.py").lines == ("x",)


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        {},
        {"text": 3},
        {"text": "x", "range": {}},
        {"text": "x", "range": [1]},
        {"text": "x", "range": {"start": {"line": 0, "character": 0}, "end": {"line": "1", "character": 0}}},
    ],
    ids=str,
)
def test_a_change_that_can_not_be_understood_closes_the_document(wrong):
    """Text that may differ from the editor's is worse than none."""
    documents = opened("x")
    with pytest.raises(Malformed):
        change(documents, {"text": "y"}, wrong)
    assert documents.snapshot("file:///a.py") is None


def test_lone_surrogates_become_replacement_characters():
    """Half a pair can't be sent to any model; what replaces it is as wide, so positions stay right."""
    documents = opened("a\ud83d")
    change(documents, {"range": span(0, 2, 0, 2), "text": "\ude0b!"})
    assert documents.snapshot("file:///a.py").lines == ("a\ufffd\ufffd!",)


def test_a_range_as_a_list_is_a_range():
    """vscode-languageclient before 10 wrote VS Code's own form."""
    documents = opened("abc")
    change(documents, {"range": list(span(0, 1, 0, 2).values()), "text": "x"})
    assert documents.snapshot("file:///a.py").lines == ("axc",)


def test_pygls_own_edits_take_the_same_way():
    """Whatever pygls edits by itself goes through the same text."""
    documents = opened("a\fb")
    edit = types.TextDocumentContentChangePartial(
        text="x", range=types.Range(start=types.Position(0, 2), end=types.Position(0, 3))
    )
    identifier = types.VersionedTextDocumentIdentifier(uri="file:///a.py", version=4)
    documents.update_text_document(identifier, edit)
    assert documents.document("file:///a.py").source == "a\fx"
    documents.update_text_document(identifier, types.TextDocumentContentChangeWholeDocument(text="z"))
    assert documents.document("file:///a.py").lines == ["z"]


@pytest.mark.parametrize("spelling", ["file:///c%3A/a%20b.py", "file:///c:/a b.py"])
def test_a_document_is_closed_under_the_name_it_was_opened_by(spelling):
    """Editors spell an address in several ways; whoever else was told of the document knows the first."""
    documents = Documents()
    opened = "file:///c%3A/a%20b.py"
    documents.opened({"textDocument": {"uri": opened, "text": "x", "languageId": "python", "version": 1}})
    assert documents.closed({"textDocument": {"uri": spelling}}) == opened
    assert documents.document(opened) is None
