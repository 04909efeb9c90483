"""usage/report.py and `qwen-lsp stats`: the ledger, told."""

from __future__ import annotations

import json
from collections.abc import Callable
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest

from qwen_lsp.cli import main
from qwen_lsp.cli.paths import ledger_file
from qwen_lsp.core.counts import Key
from qwen_lsp.engine.tally import today
from qwen_lsp.usage.ledger import Latency, Ledger, Row
from qwen_lsp.usage.legend import LEGEND, sentence
from qwen_lsp.usage.report import _HEAD, Statistics, as_text, quantile, used

CLOUD = Key("2026-11-21", "dashscope", "qwen-coder-turbo", "¥", "python")
HERE = Key("2026-11-22", "local", "qwen2.5-coder-1.5b", "", "rust")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def counted(home: Path) -> Callable[..., None]:
    def count(key: Key, ms: float | None = None, **counts: float) -> None:
        ledger = Ledger(ledger_file({"XDG_STATE_HOME": str(home)}))
        ledger.add(key, ms=ms, **counts)
        ledger.close()

    return count


def test_everything_that_helped_counts_as_used() -> None:
    """Taken whole, by word, by line, or typed to its end."""
    counts = {"shown": 10, "accepted": 1, "accepted_words": 2, "accepted_lines": 3, "typed": 1, "dismissed": 3}
    row = Row(CLOUD, counts)
    assert used(row) == 7
    assert "70 % of what was shown was used" in as_text(Statistics([row], []))


@pytest.mark.parametrize(("share", "ms"), [(0.0, 10), (0.5, 10), (0.6, 20), (0.95, 300), (1.0, 300)])
def test_quantiles_of_latencies(share: float, ms: float) -> None:
    """Of classes with their counts, in whatever order."""
    found = [Latency("", "", "", 300, 1), Latency("", "", "", 10, 5), Latency("", "", "", 20, 4)]
    assert quantile(found, share) == ms
    assert quantile([], share) is None


def test_the_tables_are_by_day_model_and_language(counted, capsys: pytest.CaptureFixture[str]) -> None:
    """With tokens, prices in their currencies, and how much of the free quota is known to be used."""
    counted(CLOUD, 100, requests=5, shown=4, accepted=2, asked=3, tokens_in=900, tokens_out=100, cost=0.0024)
    counted(HERE, 200, requests=1, shown=1)
    assert main(["stats", "--days", "0"]) == 0
    told = capsys.readouterr().out
    lines = [line.split() for line in told.splitlines()]
    assert ["2026-11-21", "5", "4", "2", "0", "0", "0", "3", "900", "0", "100", "¥0.0024"] in lines
    assert ["rust", "1", "1", "0", "0", "0", "0", "0", "0", "0", "0", "0"] in lines
    assert "qwen-coder-turbo: 1,000 of the 1,000,000 tokens" in told


def test_only_the_last_days_are_told(counted, capsys: pytest.CaptureFixture[str]) -> None:
    """Today is one of them."""
    counted(Key("2001-01-01"), requests=1)
    counted(Key(today()), requests=2)
    assert main(["stats", "--json", "--days", "1"]) == 0
    assert [row["requests"] for row in json.loads(capsys.readouterr().out)["rows"]] == [2]


def test_json_has_every_count_and_the_latency(counted, capsys: pytest.CaptureFixture[str]) -> None:
    """By day, provider, model and language."""
    counted(CLOUD, 100, requests=5, shown=4, cost=0.5)
    main(["stats", "--json", "--days", "0"])
    told = json.loads(capsys.readouterr().out)
    assert told["rows"][0]["cost"] == 0.5
    assert told["rows"][0]["language"] == "python"
    assert told["ms"]["p50"] == pytest.approx(100, rel=0.1)


def test_the_page_stands_by_itself(counted, tmp_path: Path) -> None:
    """Plots by day, tables, and nothing that is loaded from anywhere."""
    counted(CLOUD, 100, requests=5, shown=4, accepted=2, cost=0.0024, tokens_in=5)
    counted(HERE, 200, requests=1, shown=1)
    page = tmp_path / "page.html"
    assert main(["stats", "--days", "0", "--html", str(page)]) == 0
    text = page.read_text(encoding="utf-8")
    tags: list[str] = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, _attributes: tags.append(tag)  # type: ignore[method-assign]
    parser.feed(text)
    assert tags.count("svg") == 4
    assert tags.count("table") == 3
    assert not {"script", "link", "img"} & set(tags)


def test_without_a_ledger_it_says_when_there_will_be_one(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In tables; programs get none."""
    assert main(["stats"]) == 0
    told = "nothing has been counted: the ledger begins with the first completion, in an editor or by a command\n"
    assert capsys.readouterr().out == told
    assert main(["stats", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == []


def test_what_can_t_be_read_or_written_is_one_line(counted, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """That names the file."""
    counted(HERE, requests=1)
    assert main(["stats", "--html", str(home / "no" / "page.html")]) == 1
    assert "page.html: can't be written" in capsys.readouterr().err
    path = ledger_file({"XDG_STATE_HOME": str(home)})
    path.write_text("this is no database, whoever wrote it")
    assert main(["stats"]) == 1
    assert f"{path}: can't be read" in capsys.readouterr().err


@pytest.mark.parametrize("days", ["-1", "x", "1.5", "36501", ""])
def test_days_are_whole_numbers(days: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Anything else is a mistake that says so."""
    with pytest.raises(SystemExit) as ended:
        main(["stats", "--days", days])
    assert ended.value.code == 2
    assert f"--days: {days!r} is no whole number of days from 0 to 36500" in capsys.readouterr().err


def test_every_column_is_explained(counted, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Below the tables, on the page and in the help; each but the price, which has its currency."""
    counted(CLOUD, requests=1)
    with pytest.raises(SystemExit):
        main(["stats", "--help"])
    main(["stats", "--days", "0", "--html", str(tmp_path / "page.html")])
    main(["stats", "--days", "0"])
    assert [name for name, _ in LEGEND] == [name for name in _HEAD if name != "price"]
    explained = [" ".join(capsys.readouterr().out.split()).split("The columns: ")[1]]
    page = unescape((tmp_path / "page.html").read_text(encoding="utf-8"))
    for text in (*explained, page):
        assert all(f"{name} ({meaning})" in text for name, meaning in LEGEND)
    assert " ".join(explained).count(sentence()) == 2
