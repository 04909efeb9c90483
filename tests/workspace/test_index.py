"""What the index gives for a place: `█` is the cursor, files stand beside it by path."""

# ruff: noqa: E501 - whole documents stand on one line

from __future__ import annotations

import textwrap
import threading
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qwen_lsp.core.chunks import Chunk
from qwen_lsp.core.languages import language_of
from qwen_lsp.core.model import Snippet
from qwen_lsp.core.snippets import HEAD, Query
from qwen_lsp.workspace import stock
from qwen_lsp.workspace.index import Index

ROOM = 3000


def plain(text: str) -> str:
    return textwrap.dedent(text).lstrip("\n")


def index_of(files: Mapping[str, str]) -> Index:
    index = Index()
    for path, text in files.items():
        assert index.put(path, language_of(path), plain(text))
    return index


def query_at(path: str, text: str, **more: object) -> Query:
    prefix, _, suffix = plain(text).partition("█")
    return Query(path, language_of(path), prefix, suffix, prefix.count("\n"), prefix[:6000], **more)  # type: ignore[arg-type]


FILLER = {
    f"filler/{name}{number}.{ending}": "\n\n".join(f"{name}_{number}_{line} = {name}(thing{line}, {number})" for line in range(8))
    for number in range(12)
    for name, ending in (("alder", "py"), ("birch", "ts"), ("cedar", "go"), ("elder", "rs"), ("hazel", "java"), ("maple", "c"))
}  # fmt: skip
"""Other files that have nothing to do with it: what is rare is known by what is common."""


def search(files: Mapping[str, str], path: str, text: str, room: int = ROOM, **more: object) -> list[Snippet]:
    index = index_of({**FILLER, **files})
    index.put(path, language_of(path), plain(text).replace("█", ""))
    return index.search(query_at(path, text, **more), room)


def all_of(snippets: list[Snippet]) -> str:
    return "\n".join(snippet.text for snippet in snippets)


GENERATOR = """
class Generator(Base):
    def __init__(self, model, tokenizer):
        self.model = model
        self.sampler = Sampler()

    def begin(self, tokens, mask=None):
        return tokens

class Sampler:
    def pick(self, logits, temperature):
        pass

class Base:
    def reset(self):
        pass

def make(path) -> Generator:
    return Generator(path)
"""
LIBRARY = {"lib/generator.py": GENERATOR}


@pytest.mark.parametrize(
    "text",
    [
        "from lib.generator import Generator\ngen = Generator(m, t)\ngen.█",
        "from lib.generator import Generator\ndef f(gen: Generator):\n    gen.█",
        "from lib.generator import make\ngen = make('x')\ngen.█",
        "import lib.generator as g\ngen = g.Generator(m, t)\ngen.be█",
        "from lib import generator\ngenerator.make('x').█",
        "from lib.generator import Generator\nclass A:\n    def __init__(self, gen: Generator):\n        self.gen = gen\n\n    def f(self):\n        self.gen.█",
        "from lib.generator import Generator\nwith Generator(m, t) as gen:\n    gen.█",
        "from lib.generator import Generator\nif isinstance(x, Generator):\n    x.█",
        "from lib.generator import Generator\ndef f(generator):\n    generator.█",
        "from lib.generator import Generator\nrows: list[Generator] = []\nrows.pop().█",
        "from lib.generator import Generator as Gen\nx: list[Gen] = []\nfor y in x:\n    y.█",
    ],
)  # fmt: skip
def test_the_members_of_what_stands_before_the_dot_are_shown(text: str) -> None:
    """By assignment, annotation, result, module, attribute, `with`, narrowing, name or loop: the class is found."""
    (best, *_) = search(LIBRARY, "app.py", text)
    assert best.path == "lib/generator.py"
    assert best.source == "definition"
    assert "class Generator(Base)\n" in best.text
    assert "    def begin(self, tokens, mask=None)" in best.text


def test_what_is_typed_of_a_name_narrows_its_members() -> None:
    """After `gen.be` only what begins like it is asked for; where nothing does, all of it."""
    place = "from lib.generator import make\ngen = make(1)\ngen.{}█"
    assert "def begin" in all_of(search(LIBRARY, "app.py", place.format("be")))
    assert "class Base\n" not in all_of(search(LIBRARY, "app.py", place.format("be")))
    assert "def begin" in all_of(search(LIBRARY, "app.py", place.format("zz")))


def test_inherited_members_come_with_their_own_class() -> None:
    """What a base class offers can be called as well."""
    found = all_of(search(LIBRARY, "app.py", "from lib.generator import Generator\ngen = Generator(m, t)\ngen.█"))
    assert "class Base\n    def reset(self)" in found


def test_an_attributes_members_are_those_of_what_it_is_given() -> None:
    """`gen.sampler.` is a Sampler, since its class says so."""
    (best, *_) = search(LIBRARY, "app.py", "from lib.generator import make\ngen = make(1)\ngen.sampler.█")
    assert "class Sampler\n    def pick(self, logits, temperature)" in best.text


def test_attributes_that_say_nothing_share_a_line() -> None:
    """Their names are what is worth showing."""
    lines = "".join(f"        self.a{number} = a{number}\n" for number in range(5))
    files = {"c.py": f"class Config:\n    def __init__(self):\n{lines}    def load(self): pass\n"}
    found = all_of(search(files, "app.py", "from c import Config\nconfig = Config()\nconfig.█"))
    assert "    self.a0, self.a1, self.a2, self.a3, self.a4\n" in found


@pytest.mark.parametrize(
    ("files", "path", "text", "expected"),
    [
        (
            {"src/buffer.ts": "export class ReadBuffer {\n    readMessage(): Message | null {\n    }\n}\n"},
            "src/stdio.ts",
            "import { ReadBuffer } from './buffer.js';\nclass A {\n    private _buffer: ReadBuffer = make();\n    run() {\n        const m = this._buffer.█\n    }\n}\n",
            "readMessage(): Message | null",
        ),
        (
            {"src/auth.ts": "export const InfoSchema = z.object({\n    issued_at: z.number(),\n});\nexport type Info = z.infer<typeof InfoSchema>;\n"},
            "src/use.ts",
            "import type { Info } from './auth';\nlet info: Omit<Info, 'id'> = load();\ninfo.█",
            "issued_at: z.number()",
        ),
        (
            {"auth/util.go": "package auth\n\nfunc IssuersEqual(a, b string) bool {\n\treturn a == b\n}\nfunc hidden() {}\n"},
            "cmd/main.go",
            'package main\n\nimport "x.org/sdk/auth"\n\nfunc main() {\n\tif !auth.█\n}\n',
            "func IssuersEqual(a, b string) bool",
        ),
        (
            {"kb/kb.go": "package kb\n\ntype Base struct {\n\tstore Store\n}\nfunc (b *Base) Remove(ids []string) error {\n\treturn nil\n}\n"},
            "kb/kb_test.go",
            "package kb\n\nfunc TestX(t *testing.T) {\n\tb := &Base{}\n\terr := b.█\n}\n",
            "    Remove(ids []string) error",
        ),
        (
            {"src/router.rs": "pub struct Router<S> {\n    size: usize,\n}\nimpl<S> Router<S>\nwhere\n    S: Send,\n{\n    pub fn has_route(&self, name: &str) -> bool {\n        true\n    }\n}\n"},
            "src/lib.rs",
            "use crate::router::Router;\nfn f() {\n    let r = Router::new();\n    r.█\n}\n",
            "    pub fn has_route(&self, name: &str) -> bool",
        ),
        (
            {"src/handler/common.rs": "pub fn schema_for_empty_input() -> Schema {\n    x\n}\n"},
            "src/tool.rs",
            "fn f() {\n    crate::handler::common::█\n}\n",
            "pub fn schema_for_empty_input() -> Schema",
        ),
        (
            {"a/Provider.java": "package a;\n\npublic class Provider {\n    public static Builder builder() { return null; }\n    public static class Builder {\n        public Builder baseUrl(String url) { return this; }\n    }\n}\n",
             "b/Other.java": "package b;\n\npublic class Other {\n    public static class Builder {\n        public Builder other(String url) { return this; }\n    }\n}\n"},
            "c/Test.java",
            "package c;\n\nimport a.Provider;\n\nclass Test {\n    void f() {\n        p = Provider.builder()\n            .█\n    }\n}\n",
            "public Builder baseUrl(String url)",
        ),
        (
            {"queue.h": "class Queue {\n public:\n  bool push(int item);\n};\n"},
            "main.cpp",
            '#include "queue.h"\nint main() {\n  Queue* queue = make();\n  queue->█\n}\n',
            "bool push(int item)",
        ),
    ],
)  # fmt: skip
def test_each_language_finds_its_own(files: dict[str, str], path: str, text: str, expected: str) -> None:
    """Fields, packages, receivers, bounds, paths, builders, headers."""
    found = search(files, path, text)
    assert expected in found[0].text
    assert "hidden" not in found[0].text
    assert "b/Other.java" not in {each.path for each in found if each.source == "definition"}


def test_the_signature_of_the_call_is_shown() -> None:
    """Between the parentheses of a call its parameters are what is asked for."""
    files = {"lib.py": "def connect(host: str, port: int = 80, *, retries=3):\n    pass\n"}
    (best, *_) = search(files, "app.py", "from lib import connect\nconnection = connect(█")
    assert best.text == "def connect(host: str, port: int = 80, *, retries=3)"


def test_a_literals_fields_are_shown() -> None:
    """Within the braces of a value its type's fields are what is asked for."""
    files = {"wire.ts": "export interface WireOptions {\n    allowInput: boolean;\n    limit?: number;\n}\n"}
    (best, *_) = search(
        files, "app.ts", "import { WireOptions } from './wire';\nlet o: WireOptions = base;\no = { █ };\n"
    )
    assert "allowInput: boolean" in best.text


def test_an_import_is_shown_the_names_it_may_list() -> None:
    """Names alone; those that are listed already are left out, and a sorted list goes on in order."""
    names = ["Alpha", "InboundA", "InboundB", "InboundZ", "Zeta"]
    files = {"types.ts": "".join(f"export interface {name} {{\n    x: string;\n}}\n" for name in names)}
    (best, *_) = search(files, "index.ts", "export type {\n    Alpha,\n    InboundA,\n    █\n} from './types';\n")
    assert "InboundB, InboundZ, Zeta" in best.text.split("\n")


def test_a_sorted_list_of_imports_goes_on_in_its_order() -> None:
    """Where there is no room for all names, those that come next in the order are the ones shown."""
    names = [*(f"Alpha{number}" for number in range(20)), "Gamma"]
    files = {"types.ts": "".join(f"export interface {name} {{\n    x: string;\n}}\n" for name in names)}
    (best, *_) = search(
        files, "index.ts", "export type {\n    Aardvark,\n    Beta,\n    █\n} from './types';\n", room=90
    )
    assert best.text.startswith("Gamma")


def test_a_name_that_is_imported_and_used_nowhere_is_about_to_be() -> None:
    """Nobody imports for nothing."""
    files = {"m.py": "class Permissions(Model):\n    camera: bool = False\n\ndef other(x):\n    pass\n"}
    found = all_of(search(files, "app.py", "from m import Permissions, other\n\nother(1)\nother(2)\nvalue = █\n"))
    assert "class Permissions(Model)\n    camera: bool = False" in found
    assert "def other" not in found


def test_neighbours_that_the_place_is_about_are_shown() -> None:
    """In a package of Go, a type whose name is made of the line's words needs no import."""
    files = {
        "p/protocol.go": "package p\n\ntype ElicitationCompleteParams struct {\n\tID string\n}\ntype Unrelated struct {\n\tX int\n}\n"
    }
    found = all_of(search(files, "p/requests.go", "package p\n\ntype ElicitationCompleteRequest = Request[*█]\n"))
    assert "type ElicitationCompleteParams struct" in found
    assert "Unrelated" not in found


def test_what_others_wrote_after_the_same_words_is_shown() -> None:
    """Usage examples need no definition: the longest run of the same words counts."""
    files = {
        "other.py": "def run():\n    reply = session.send(payload, timeout=3)\n    return reply\n",
        "third.py": "def walk():\n    tree.send(nobody)\n",
    }
    above = "".join(f"    prepare_{number}(thing_{number}, other_{number})\n" for number in range(12))
    found = search(files | {"fourth.py": above}, "app.py", f"def go(payload):\n{above}    reply = session.█\n")
    usage = next(each for each in found if each.path == "other.py")
    assert (usage.source, usage.text) == ("usage", "reply = session.send(payload, timeout=3)")
    assert "third.py" not in {each.path for each in found}


def test_a_passage_like_this_one_comes_with_what_follows_it() -> None:
    """What others wrote next is what is about to be written here."""
    block = "    parse_header(stream)\n    check_magic(stream)\n    count = read_count(stream)\n    version = read_version(stream)\n\n"
    filler = "".join(f"    filler_{number}(a_{number}, b_{number})\n" for number in range(14))
    files = {
        "old.py": f"def load_old(stream):\n{block}    return decode_entries(them)\n\n{filler}",
        "x.py": filler,
    }
    found = search(files, "new.py", f"def load_new(stream):\n{block}    return █\n")
    assert "decode_entries(them)" in all_of(found)


def test_the_file_itself_helps_where_it_is_out_of_sight() -> None:
    """Only what the model does not see anyway is shown of it."""
    far = "class Far:\n    def measure(self, unit):\n        a = unit\n        b = a\n        return b\n\n"
    prefix = "far = Far()\nfar."
    index = index_of({"app.py": far + "x = 1\n" * 200 + prefix})
    found = index.search(Query("app.py", "python", prefix, "", 207), ROOM)
    assert [each.path for each in found] == ["app.py"]
    assert found[0].text.startswith("class Far\n    def measure(self, unit)\n")
    assert "measure" not in all_of(index.search(Query("app.py", "python", far + prefix, "", 7), ROOM))


def test_what_was_read_of_the_file_before_an_edit_is_not_shown_beside_it() -> None:
    """The line as it was a key ago would be the best example there is of how to go on."""
    index = index_of({"calls.py": "import m\n\ntotal(add())\n", "other.py": "total(add(2, 3))\n"})
    found = index.search(Query("calls.py", "python", "import m\n\ntotal(add(1", "))\n", 2), ROOM)
    assert [each.path for each in found] == ["other.py"]


def test_visited_places_are_shown_where_they_share_words() -> None:
    """A place of this session is one more source; one that has nothing to do with this one is none."""
    seen = Chunk("notes.py", "def shipping_cost(order, region):\n    return order.weight * RATES[region]\n", "python")
    other = Chunk("misc.py", "def unrelated():\n    pass\n    nothing()\n", "python")
    found = search({}, "app.py", "def total(order, region):\n    cost = shipping_cost█", recent=(other, seen))
    assert [(each.path, each.source) for each in found] == [("notes.py", "recent")]


def test_open_files_come_first() -> None:
    """Of two passages that are alike the one in an open file is worth more."""
    text = "def {}(stream):\n    parse_header(stream)\n    check_magic(stream)\n    {}(stream)\n"
    files = {"a.py": text.format("one", "first"), "b.py": text.format("two", "second")}
    place = "def new(stream):\n    parse_header(stream)\n    check_magic(stream)\n    █\n"
    files |= {"c.py": "class Other:\n    pass\n" * 9}
    assert search(files, "new.py", place, open=("b.py",))[0].path == "b.py"
    assert search(files, "new.py", place, open=("a.py",))[0].path == "a.py"


def test_another_language_is_no_help() -> None:
    """Python is not shown what Go defines, though the names agree."""
    files = {"a.go": "package a\n\ntype Client struct {\n\tName string\n}\nfunc (c *Client) Send() {}\n"}
    assert search(files, "app.py", "client = Client()\nclient.█") == []


def test_nothing_fits_and_nothing_is_shown() -> None:
    """Context that does not fit costs time and does harm."""
    assert search({"a.py": "def alpha():\n    beta()\n"}, "app.py", "zeta = █") == []
    assert search(LIBRARY, "app.py", "from lib.generator import make\nmake(1).█", room=20) == []


def test_a_file_counts_as_it_was_put_last() -> None:
    """A changed file's old names are gone, and a dropped file is as if it had never been."""
    index = index_of({"m.py": "class Old:\n    def gone(self): pass\n"})
    index.put("m.py", "python", "class New:\n    def there(self): pass\n")
    index.put("n.py", "python", "class Extra:\n    def x(self): pass\n")
    query = query_at("app.py", "from m import New\nnew = New()\nnew.█")
    assert "there" in all_of(index.search(query, ROOM))
    assert index.search(query_at("app.py", "from m import Old\nold = Old()\nold.gone█"), ROOM) == []
    index.drop("m.py")
    index.drop("n.py")
    index.drop("never.py")
    assert index.search(query, ROOM) == []
    assert index.sizes == {"files": 0, "characters": 0, "words": 0}


def test_line_ends_do_not_matter() -> None:
    """Files come as they are; what is shown has line feeds."""
    index = Index()
    index.put("m.py", "python", "class A:\r\n    def f(self):\r\n        pass\r\n")
    assert all_of(index.search(query_at("app.py", "from m import A\na = A()\na.█"), ROOM)) == "class A\n    def f(self)"


def test_the_index_is_bounded() -> None:
    """A file that is too large, or one too many, is turned away; what was known of it is forgotten."""
    index = index_of({"a.py": "class A:\n    def f(self): pass\n"})
    assert not index.put("a.py", "python", "x" * (stock.MOST_IN_FILE + 1))
    assert index.sizes["files"] == 0
    for number in range(90):
        index.put(f"{number}.py", "python", "x" * 395_000)
    assert index.sizes["characters"] <= stock.MOST_TEXT
    assert not index.put("last.py", "python", "x" * 395_000)
    assert index.put("0.py", "python", "y" * 395_000)


def test_reading_rests() -> None:
    """A large file is read in steps, with a rest about every millisecond and no lock held in it."""
    index = Index()
    rests = 0

    def pause() -> None:
        nonlocal rests
        rests += 1
        assert index.sizes["files"] == 0

    index.put("a.py", "python", "value = compute(other, thing)\n" * 8000, pause)
    assert rests > 40


def test_a_deadline_ends_the_search_with_what_was_found() -> None:
    """The outline of the receiver is looked for first, the rest while there is time."""
    moments = iter([0.0, 1.0])
    index = Index(clock=lambda: next(moments))
    index.put("lib/generator.py", "python", plain(GENERATOR))
    index.put("other.py", "python", "gen.begin(tokens)\n")
    query = query_at("app.py", "from lib.generator import make\ngen = make(1)\ngen.█")
    assert [each.source for each in index.search(query, ROOM, deadline=0.5)] == ["definition"]
    index = Index(clock=lambda: 2.0)
    assert index.search(query, ROOM, deadline=0.5) == []


def test_one_may_search_while_another_puts() -> None:
    """A builder's thread and readers share an index; every search sees whole files."""
    index = index_of(LIBRARY)
    query = query_at("app.py", "from lib.generator import make\ngen = make(1)\ngen.█")
    faults: list[BaseException] = []

    def build() -> None:
        try:
            for number in range(120):
                index.put("lib/generator.py", "python", plain(GENERATOR) + f"x{number} = 1\n")
                index.put(f"{number}.py", "python", plain(GENERATOR).replace("Generator", f"Other{number}"))
        except BaseException as fault:  # noqa: BLE001 - reported by the test's own thread
            faults.append(fault)

    builder = threading.Thread(target=build)
    builder.start()
    while builder.is_alive():
        assert "def begin" in all_of(index.search(query, ROOM))
    builder.join()
    assert faults == []


CODE = st.lists(
    st.sampled_from(
        ["class A(B):", "    def f(self, x):", "        self.y = A()", "a = A()", "a.", "a.f(", "from m import A, ", "import m as a",
         "x: A = ", "return self.", "for a in A:", "use a::{b, ", "a.b().c.", "{", "type A = B", "B = A", "", "\t", "}"]
    )
    | st.text(max_size=20),
    max_size=15,
).map("\n".join)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(["m.py", "a/b.ts", "c.go", "d.rs", "E.java"]), CODE, max_size=4), CODE, CODE, st.sampled_from(["m.py", "z.ts", "c.go", "e.rs", "F.java", "g.c"]), st.integers(0, 600))  # fmt: skip
def test_whatever_stands_there_nothing_fails_and_the_room_is_kept(
    files: dict[str, str], prefix: str, suffix: str, path: str, room: int
) -> None:
    """Half-written code, circles of names and empty files are what an index lives with."""
    index = Index()
    for name, text in files.items():
        index.put(name, language_of(name), text)
    found = index.search(Query(path, language_of(path), prefix, suffix, prefix.count("\n"), prefix), room)
    cost = sum(len(each.text) + 3 * (each.text.count("\n") + 1) + HEAD + len(each.path) for each in found)
    assert cost <= room or not found
    assert all(each.path in files and 0 <= each.score <= 1.5 for each in found)
    for name in files:
        index.drop(name)
    assert index.sizes == {"files": 0, "characters": 0, "words": 0}
