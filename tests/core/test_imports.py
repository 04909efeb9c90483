"""What files import, and where a cursor stands in an import."""

# ruff: noqa: E501 - whole documents stand on one line

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_lsp.core.imports import import_at, imports, module_parts


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("python", "from a.b import (x as y,  # why\n    z,\n)\n", ["y=a.b:x", "z=a.b:z"]),
        ("python", "import os, a.b as c\nfrom . import q\n", ["os=os:", "c=a.b:", "q=.:q"]),
        ("typescript", "import A, { B as C, type D } from './x';", ["A=./x:default", "C=./x:B", "D=./x:D"]),
        ("typescript", "import * as ns from '@s/y'\nexport { Z } from \"m\"", ["ns=@s/y:", "Z=m:Z"]),
        ("javascript", "const { a, b } = require('q')\nconst whole = require('w')", ["a=q:a", "b=q:b", "whole=w:"]),
        ("go", 'import (\n\t"fmt"\n\tm "x.org/y/v2"\n\t"x.org/go-sdk/auth"\n)', ["fmt=fmt:", "m=x.org/y/v2:", "auth=x.org/go-sdk/auth:"]),
        ("go", 'import "x.org/tool/v3"', ["tool=x.org/tool/v3:"]),
        ("rust", "pub use a::{b::C, d::{self, E as F}};\nuse super::x::*;", ["C=a::b:C", "d=a:d", "F=a::d:E"]),
        ("java", "import static a.b.C.d;\nimport a.b.E;\nimport a.c.*;", ["d=a.b.C:d", "E=a.b:E"]),
        ("kotlin", "import a.b.C as D", ["D=a.b:C"]),
        ("c", '#include "x/y.h"', ["=x/y.h:"]),
    ],
)  # fmt: skip
def test_imports_are_read_in_every_form(language: str, text: str, expected: list[str]) -> None:
    """Lists over several lines, aliases, whole modules, nested trees."""
    assert [f"{each.name}={each.module}:{each.original}" for each in imports(text, language)] == expected


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("python", "from a.b import x, █", "a.b"),
        ("python", "from .m import (\n    x,\n    █\n)", ".m"),
        ("python", "from a import x\ny = █", None),
        ("typescript", "import {\n  A,\n  █\n} from './x'", "./x"),
        ("typescript", "export type { █ } from './x'", "./x"),
        ("typescript", "const a = { █ }", None),
        ("rust", "use a::{b::C, d::{E, █}};", "a::d"),
        ("rust", "use crate::service::█;", "crate::service"),
        ("java", "import a.b.█;", "a.b"),
        ("java", "class A { █ }", None),
        ("go", 'import "█"', None),
    ],
)
def test_a_cursor_in_an_import_names_its_module(language: str, text: str, expected: str | None) -> None:
    """The module whose names are listed is known, even where it stands after the cursor."""
    prefix, _, suffix = text.partition("█")
    assert import_at(prefix, suffix, language) == expected


@pytest.mark.parametrize(
    ("module", "path", "language", "parts"),
    [
        (".auth", "src/mcp/app.py", "python", ("src", "mcp", "auth")),
        ("..auth", "src/mcp/app.py", "python", ("src", "auth")),
        ("a.b", "src/x.py", "python", ("a", "b")),
        ("../lib/x.js", "client/src/i.ts", "typescript", ("client", "lib", "x")),
        ("@scope/core", "a.ts", "typescript", ("@scope", "core")),
        ("x.org/sdk/auth/v2", "a.go", "go", ("x.org", "sdk", "auth")),
        ("crate::model::tool", "src/a.rs", "rust", ("model", "tool")),
        ("a.b.C", "A.java", "java", ("a", "b", "C")),
        ("net/queue.h", "a.c", "c", ("net", "queue")),
    ],
)
def test_a_module_is_the_end_of_a_path(module: str, path: str, language: str, parts: tuple[str, ...]) -> None:
    """Relative modules begin at the importing file's folder."""
    assert module_parts(module, path, language) == parts


@given(
    st.text(alphabet="import from use {}();,.:*'\"\na as", max_size=200),
    st.sampled_from(["python", "typescript", "go", "rust", "java", "c"]),
)
def test_no_text_fails(text: str, language: str) -> None:
    """Half-written imports are what a person has while typing."""
    for each in imports(text, language):
        module_parts(each.module, "a/b.x", language)
    import_at(text, text, language)
