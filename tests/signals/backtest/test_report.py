"""The report as JSON, and as a page that stands alone."""

import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.signals.backtest.making import START, Crossover, Scripted, bars_of, walk
from trademind.domain.signals import Action
from trademind.signals.backtest import BacktestSettings, FixedQuantity, Report, run_backtest
from trademind.signals.backtest.html import MAX_ROWS, render
from trademind.signals.backtest.report import MAX_POINTS, thinned

_VOID = {"meta", "line", "path", "circle"}


class Page(HTMLParser):
    """A page whose tags are balanced, with its texts and attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.texts: list[str] = []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in _VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.fixture(scope="module")
def report() -> Report:
    bars = {name: walk(3000, seed, symbol=name) for seed, name in enumerate(("AAA", "BBB"))}
    return run_backtest(Crossover(3, 9, stop=0.01), bars)


def test_the_json_is_complete_and_plain(report: Report) -> None:
    found = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert (found["strategy"], found["symbols"], found["bars"]) == ("crossover", ["AAA", "BBB"], 3000)
    assert (found["opening"], found["final_equity"]) == ("100000", str(report.final_equity))
    assert len(found["trades"]) == len(report.trades)
    first, trade = found["trades"][0], report.trades[0]
    assert first["profit"] == str(trade.profit)
    assert first["entry_time"] == trade.entry_time.isoformat()
    assert first["side"] == trade.side.value
    curves = found["curves"]
    assert MAX_POINTS / 2 < len(curves["time"]) <= MAX_POINTS
    assert {len(each) for each in (curves["equity"], curves["underwater"], curves["prices"]["BBB"])} == {
        len(curves["time"])
    }
    assert found["performance"]["max_drawdown"]["depth"] == report.performance.max_drawdown.depth  # type: ignore[union-attr]
    assert min(curves["underwater"]) == pytest.approx(found["performance"]["max_drawdown"]["depth"], abs=1e-3)


def test_unknown_figures_are_null() -> None:
    later = START + timedelta(minutes=2)
    bars = {
        "ONE": bars_of([(1, 1, 1, 1)] * 4, symbol="ONE"),
        "TWO": bars_of([(1, 1, 1, 1)] * 2, symbol="TWO", start=later),
    }
    found = json.loads(json.dumps(run_backtest(Scripted({}), bars).to_json(), allow_nan=False))
    assert found["performance"]["sharpe"] is None
    assert found["performance"]["max_drawdown"] is None
    assert found["curves"]["prices"]["TWO"] == [None, None, 1.0, 1.0]


def test_the_page_stands_alone(report: Report) -> None:
    page = Page(render(report))
    assert {"h1", "svg", "polyline", "polygon", "table", "script", "style"} <= set(page.tags)
    assert not {"link", "img", "iframe"} & set(page.tags)
    assert not {name for name, _ in page.attributes} & {"src", "href"}
    assert (
        "content",
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'",
    ) in page.attributes
    text = " ".join(page.texts)
    assert "crossover on AAA, BBB" in text
    assert f"{report.final_equity:,.2f}" in text
    assert f"The first {MAX_ROWS:,} of" not in text or len(report.trades) > MAX_ROWS


def test_what_is_foreign_is_text() -> None:
    """A name from outside is shown, and is no part of the page."""
    name = "<script>alert('\"&x')</script>"
    strategy = Scripted({"<b>": {0: Action.BUY, 1: Action.SELL}}, name=name)
    settings = BacktestSettings(sizing=FixedQuantity(Decimal(10**7)))
    bars = bars_of([(100, 101, 99, 100)] * 4, symbol="<b>")
    page = Page(render(run_backtest(strategy, {"<b>": bars}, settings)))
    assert page.tags.count("script") == 1
    assert "b" not in page.tags
    assert any(name in each for each in page.texts)
    assert any("Available Funds are in sufficient" in each for each in page.texts)


@pytest.mark.parametrize("rows", [[(1, 1, 1, 1)] * 2, [(0.01, 0.01, 0.01, 0.01), (9e6, 9e6, 9e6, 9e6)]])
def test_a_page_of_little(rows: Any) -> None:
    report = run_backtest(Scripted({}), {"X": bars_of(rows, symbol="X")})
    assert "There are none." in " ".join(Page(render(report)).texts)
    assert "nan" not in render(replace(report, strategy="x"))


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=400), st.sampled_from([8, 40, 100]))
def test_thinning_keeps_the_shape(values: list[float], most: int) -> None:
    curve = np.array(values)
    chosen = thinned(curve, most)
    assert len(chosen) <= most or len(curve) <= most
    assert (np.diff(chosen) > 0).all()
    assert (chosen[0], chosen[-1]) == (0, len(curve) - 1)
    assert (curve[chosen].min(), curve[chosen].max()) == (curve.min(), curve.max())
