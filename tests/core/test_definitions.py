"""What files define, language by language, as `owner.name: signature`."""

# ruff: noqa: E501 - whole documents stand on one line

from __future__ import annotations

import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_lsp.core.declares import family
from qwen_lsp.core.definitions import Definition, definitions, walk

LANGUAGES = (
    "python",
    "typescript",
    "javascript",
    "go",
    "rust",
    "java",
    "csharp",
    "kotlin",
    "c",
    "cpp",
    "ruby",
    "php",
    "swift",
)


def defined(text: str, language: str) -> list[Definition]:
    return list(definitions(textwrap.dedent(text).strip("\n").split("\n"), language))


def shown(text: str, language: str) -> list[str]:
    return [f"{each.owner}.{each.name}: {each.text}" if each.owner else each.text for each in defined(text, language)]


def test_python_gives_signatures_attributes_and_no_bodies() -> None:
    """A class of Python is its methods on one line each, and its attributes wherever a method first sets them."""
    text = '''
    """A module."""
    LIMIT: int = 3  # of all

    class Cart(Base, Generic[T]):
        """Holds lines.

        class NotOne: this is prose
        """

        lines: list[Line] = []

        def __init__(self, repo: Repo,
                     # where they come from
                     limit: int = LIMIT,
                     ) -> None:
            self.repo = repo
            self.size = 0  # so far
            self.lines = []

        @property
        def total(self) -> int:
            def inner(): ...
            return inner()

    async def load(path): return path
    '''
    assert shown(text, "python") == [
        "LIMIT: int = 3",
        "class Cart(Base, Generic[T])",
        "Cart.lines: lines: list[Line] = []",
        "Cart.__init__: def __init__(self, repo: Repo, limit: int = LIMIT) -> None",
        "Cart.repo: self.repo = repo",
        "Cart.size: self.size = 0",
        "Cart.total: @property def total(self) -> int",
        "async def load(path): return path",
    ]


def test_typescript_gives_members_enumerations_and_tables() -> None:
    """Interfaces, classes, enumerations, schemas and constants of TypeScript come with what can be taken from them."""
    text = """
    export interface Options extends Base<string> {
        path?: string;
        send(data: Buffer): Promise<void>;
    }
    export class Client<T> extends Protocol<T> implements Api, Other {
        private readonly _size = 3;
        constructor(
            private options: Options,
            limit?: number, // most
        ) {
            super();
            this.limit = limit;
        }
        get size(): number { return 1; }
        override async call<R>(name: string): Promise<R> {
            if (name) {
                return other(name);
            }
        }
    }
    export enum Code { A = 'a' }
    const Schema = z
        .object({
            client_id: z.string(),
        })
        .strip();
    export const pick = (a: string, b: number): boolean => {
        const inner = 1;
        return true;
    };
    export type Mode = 'on' | 'off';
    """
    assert shown(text, "typescript") == [
        "export interface Options extends Base<string>",
        "Options.path: path?: string",
        "Options.send: send(data: Buffer): Promise<void>",
        "export class Client<T> extends Protocol<T> implements Api, Other",
        "Client._size: private readonly _size = 3",
        "Client.constructor: constructor(private options: Options, limit?: number)",
        "Client.limit: this.limit = limit",
        "Client.size: get size(): number",
        "Client.call: override async call<R>(name: string): Promise<R>",
        "export enum Code { A = 'a' }",
        "export const Schema = z".removeprefix("export "),
        "Schema.client_id: client_id: z.string()",
        "export const pick = (a: string, b: number): boolean =>",
        "export type Mode = 'on' | 'off'",
    ]


def test_go_gives_methods_to_their_types_and_fields_without_tags() -> None:
    """A method of Go belongs to its receiver's type, wherever it stands."""
    text = """
    package cart

    const (
    \tRed Color = iota
    \tGreen
    )
    type Cart struct {
    \tsync.Mutex
    \tLines []Line `json:"lines"`
    \tsize  int // so far
    }
    type Store interface {
    \tGet(ctx context.Context, id string) (*Line, error)
    }
    func NewCart(store Store, opts ...Option) *Cart {
    \tx := 1
    \treturn nil
    }
    func (c *Cart) Add(
    \tline Line,
    ) error {
    \treturn nil
    }
    """
    assert shown(text, "go") == [
        "Red Color = iota",
        "Green",
        "type Cart struct",
        "Cart.Mutex: sync.Mutex",
        "Cart.Lines: Lines []Line",
        "Cart.size: size int",
        "type Store interface",
        "Store.Get: Get(ctx context.Context, id string) (*Line, error)",
        "func NewCart(store Store, opts ...Option) *Cart",
        "Cart.Add: Add(line Line) error",
    ]


def test_rust_gives_what_implementations_add() -> None:
    """What an `impl` adds belongs to its type, and the trait is one of its bases; bounds are no members."""
    text = """
    pub struct Router<S> {
        pub map: HashMap<String, Route<S>>,
        size: usize,
    }
    pub enum Mode { Fast }
    impl<S: Send + 'static> Service for Router<S>
    where
        S: Clone,
    {
        type Output = u8;
        async fn call(&self, name: &str) -> Result<(), Error> {
            let x = 1;
            Ok(())
        }
    }
    impl Router<()> {
        pub const LIMIT: usize = 3;
        pub fn new() -> Self { Self::default() }
    }
    pub(crate) fn helper<T>(value: T) -> T where T: Clone { value }
    macro_rules! object { () => {} }
    """
    found = defined(text, "rust")
    assert [f"{each.owner}.{each.name}" for each in found] == [
        ".Router", "Router.map", "Router.size", ".Mode", ".Router", "Router.Output", "Router.call",
        ".Router", "Router.LIMIT", "Router.new", ".helper", ".object",
    ]  # fmt: skip
    assert [each.bases for each in found if each.name == "Router"] == [(), ("Service",), ()]
    assert found[6].text == "async fn call(&self, name: &str) -> Result<(), Error>"


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        (
            "java",
            """
            public class Client extends Base implements Api<String> {
                private static final int LIMIT = 16 * 1024;
                /** Prose. */
                @Override
                public <T> T read(Object data,
                        Type<T> type) throws IOException {
                    int local = 1;
                    return null;
                }
                public static class Builder {
                    public Builder path(String path) { return this; }
                }
            }
            """,
            [
                "public class Client extends Base implements Api<String>",
                "Client.LIMIT: private static final int LIMIT = 16 * 1024",
                "Client.read: public <T> T read(Object data, Type<T> type) throws IOException",
                "Client.Builder: public static class Builder",
                "Builder.path: public Builder path(String path)",
            ],
        ),
        (
            "csharp",
            """
            namespace Shop
            {
                public class Orders : IOrders
                {
                    public string Name { get; set; }
                    public Orders(ILogger logger)
                    {
                        _logger = logger;
                    }
                    public async Task<Order> FindAsync(Guid id) => null;
                }
            }
            """,
            [
                "public class Orders : IOrders",
                "Orders.Name: public string Name { get; set; }",
                "Orders.Orders: public Orders(ILogger logger)",
                "Orders.FindAsync: public async Task<Order> FindAsync(Guid id) => null",
            ],
        ),
        (
            "kotlin",
            """
            class Cart(private val repo: Repo) : Base(), Closeable {
                suspend fun add(line: Line, times: Int = 1): Boolean {
                    val local = 3
                }
                companion object {
                    fun empty(): Cart = Cart(Repo())
                }
            }
            """,
            [
                "class Cart(private val repo: Repo) : Base(), Closeable",
                "Cart.add: suspend fun add(line: Line, times: Int = 1): Boolean",
                "Cart.empty: fun empty(): Cart = Cart(Repo())",
            ],
        ),
        (
            "c",
            """
            #define MOST 10
            struct node {
                struct node *next;
                int value;
            };
            int list_push(struct list *list,
                          int value)
            {
                return list_grow(list);
            }
            """,
            [
                "#define MOST 10",
                "struct node",
                "node.next: struct node *next",
                "node.value: int value",
                "int list_push(struct list *list, int value)",
            ],
        ),
        (
            "cpp",
            """
            namespace net {
            class Queue : public Base<int> {
             public:
              explicit Queue(size_t room);
              bool push(int item) { return true; }

             private:
              int count_ = 0;
            };
            int Queue::size() const {
              return 1;
            }
            }
            """,
            [
                "class Queue : public Base<int>",
                "Queue.Queue: explicit Queue(size_t room)",
                "Queue.push: bool push(int item)",
                "Queue.count_: int count_ = 0",
                "Queue.size: int Queue::size() const",
            ],
        ),
        (
            "ruby",
            """
            module Shop
              class Cart < Base
                def initialize(repo)
                  @repo = repo
                end
                def self.build(x)
                end
              end
            end
            """,
            [
                "module Shop",
                "Shop.Cart: class Cart < Base",
                "Cart.initialize: def initialize(repo)",
                "Cart.repo: @repo = repo",
                "Cart.build: def self.build(x)",
            ],
        ),
        (
            "php",
            """
            final class Cart extends Base
            {
                private array $lines = [];
                public static function build(string $x): self
                {
                }
            }
            """,
            [
                "final class Cart extends Base",
                "Cart.lines: private array $lines = []",
                "Cart.build: public static function build(string $x): self",
            ],
        ),
        (
            "swift",
            """
            struct Cart: Codable {
                let lines: [Line]
                func add(_ line: Line) -> Bool {
                    let local = 3
                }
            }
            extension Cart {
                static func empty() -> Cart {
                }
            }
            """,
            [
                "struct Cart: Codable",
                "Cart.lines: let lines: [Line]",
                "Cart.add: func add(_ line: Line) -> Bool",
                "",
                "Cart.empty: static func empty() -> Cart",
            ],
        ),
        ("javascript", "export async function load(url, { retries = 3 } = {}) {\n}", ["export async function load(url, { retries = 3 } = {})"]),
        ("some-new-language", "fn main(args) {\n}\nstruct A {\n}", ["fn main(args)", "struct A"]),
        ("markdown", "# class A\n", []),
    ],
)  # fmt: skip
def test_each_language_gives_what_a_person_would_list(language: str, text: str, expected: list[str]) -> None:
    """Signatures of what stands outside of bodies, members under their classes."""
    assert shown(text, language) == expected


def test_long_values_and_generated_lines_are_cut() -> None:
    """A table shows its shape, and a line of 400 characters is nobody's signature."""
    (long,) = definitions(["NAMES = " + '"word", ' * 40], "python")
    assert len(long.text) < 260
    assert long.text.endswith("…")
    assert definitions(["class A" + "a" * 500], "python") == ()


def test_a_large_file_lets_its_reader_rest() -> None:
    """Every few hundred lines there is nothing, so that a thread can sleep."""
    assert list(walk(["x(1)"] * 2000, "python")).count(None) == 4


def test_families_share_definitions() -> None:
    """TypeScript uses what JavaScript defines, C++ what C does; Go nobody's but its own."""
    assert family("typescriptreact") == family("javascript")
    assert family("cpp") == family("c")
    assert family("go") == "go"


LINES = st.lists(
    st.sampled_from(
        ["class A(B):", "    def f(self):", "        self.x = 1", "}", "type A struct {", "\tb int", "impl A for B {", "where",
         "    fn f() {", '"""', "int f(int a, * b & c) {", "public:", "", "a <b <c", "((((", "x = {", ".y({", "fun (", "@property"]
    )
    | st.text(max_size=60),
    max_size=30,
)  # fmt: skip


@given(LINES, st.sampled_from(LANGUAGES))
def test_nothing_fails_and_signatures_stay_short(lines: list[str], language: str) -> None:
    """Whatever stands in a file: definitions have a name and a line of it, and fit on a line."""
    for each in definitions(lines, language):
        assert each.name
        assert 0 <= each.line < len(lines)
        assert len(each.text) <= 320
        assert "\n" not in each.text


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("unit", ["a* ", "a &", "a<", "a::", "a, ", "[a] ", "@a ", "public ", "(a", "impl<"])
def test_no_line_takes_long(language: str, unit: str) -> None:
    """A line made to fool the patterns costs no more than others: nothing in them is tried twice over."""
    line = (unit * 400)[:399]
    assert len(definitions([line] * 20, language)) <= 20
