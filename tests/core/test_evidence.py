"""core/evidence.py: how far a name is looked for. What lines say is in test_expressions.py."""

from __future__ import annotations

import pytest

from qwen_lsp.core.evidence import _FOUND, _LOOKED, _MOST, evidence


@pytest.mark.parametrize(
    ("line", "most"),
    [("gen.begin(x)\n", _LOOKED), ("other.gen(y)\n", _LOOKED), ("# gen\n", _LOOKED), ("generate(it)\n", _FOUND)],
    ids=["used", "another's", "in a comment", "in a longer word"],
)
def test_a_name_is_not_looked_for_without_end(line: str, most: int) -> None:
    """20,000 uses that say nothing would take a tenth of a second, with the index locked."""
    given = "gen = Generator(model)\n"
    assert list(evidence("gen", given + line * (most - 1), "python")) == ["Generator(model)"]
    assert list(evidence("gen", given + line * most, "python")) == []


def test_no_more_is_given_than_anybody_uses() -> None:
    """The last places that tell, whatever stands between them."""
    text = "".join(f"gen = Generator({n})\ngen.begin()\n" for n in range(_MOST + 3))
    assert list(evidence("gen", text, "python")) == [f"Generator({n})" for n in range(_MOST + 2, 2, -1)]
