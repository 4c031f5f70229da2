"""Whatever is wrong with bars or a strategy has a clear result."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.signals.prices import DAY, bars_of, real, walk
from trademind.errors import Invalid
from trademind.signals import (
    BUILT_IN,
    Action,
    BarArrays,
    Outcome,
    Reason,
    Signal,
    Strategy,
    evaluate,
    strategy,
    whole,
)


class Told(Strategy):
    """Returns what it is told to, made of a good signal."""

    name = "told"
    description = "For tests."
    place: int = whole(5, -100, 100, "The bar of its signal")

    def on_bars(self, bars: BarArrays) -> list[Signal]:
        return self.changed(self.signal(bars, 5, Action.BUY, reasons=[Reason("so", (("x", 1.0),))]))

    def changed(self, signal: Signal) -> list[Signal]:
        return [signal]


@pytest.mark.parametrize("name", BUILT_IN)
@pytest.mark.parametrize("series", ["AAPL", "EURUSD"])
def test_built_in_strategies_tell_how_an_instrument_stands(name: str, series: str) -> None:
    found = evaluate(strategy(name), real(series))
    assert (found.outcome, found.error, found.bars) == (Outcome.DONE, None, len(real(series)))
    assert found.signals
    assert found.now is not None
    assert found.now.index == len(real(series)) - 1


def test_what_stands_still_is_held_with_the_reason() -> None:
    found = evaluate(strategy("rsi_reversion"), walk(100).upto(60))
    assert found.now is not None
    assert found.now.action is Action.HOLD
    assert (found.now.strength, found.now.entry, found.now.stop) == (0, None, None)
    assert [reason.text.split(" is ")[0] for reason in found.now.reasons] == [
        "No rule was met in the last bar",
        "RSI(14)",
        "ATR(14)",
    ]


def test_the_last_bars_signal_is_how_it_stands() -> None:
    bars = real("AAPL")
    signal = strategy("macd").on_bars(bars)[-1]
    found = evaluate(strategy("macd"), bars.upto(signal.index + 1))
    assert found.now is not None
    assert found.now == found.signals[-1]
    assert found.now.action in (Action.BUY, Action.SELL)


@pytest.mark.parametrize("name", BUILT_IN)
def test_too_few_bars_say_how_many_are_needed(name: str) -> None:
    one = strategy(name)
    for count in (0, 1, one.warm_up):
        found = evaluate(one, walk(300).upto(count))
        assert found.outcome is Outcome.TOO_FEW_BARS
        assert found.error == f"There are {count} bars; {name} needs {one.warm_up + 1}."
        assert (found.signals, found.now) == ((), None)
    assert evaluate(one, walk(300).upto(one.warm_up + 1)).outcome is Outcome.DONE


@pytest.mark.parametrize("name", BUILT_IN)
def test_odd_bars_are_taken_and_noted(name: str) -> None:
    closes = walk(300).close.tolist()
    one = strategy(name)

    def noted(bars: BarArrays) -> list[str]:
        found = evaluate(one, bars)
        assert found.outcome is Outcome.DONE, found.traceback
        return list(found.notes)

    assert noted(bars_of(closes, spread=0.1)) == []
    time = bars_of(closes).time.copy()
    time[200:] += 9 * DAY
    assert noted(bars_of(closes, time=time)) == ["No bars between 2025-04-17 and 2025-04-27."]
    unknown = [float("nan")] * 7 + [1000.0] * 293
    assert noted(bars_of(closes, volume=unknown)) == ["The volume of 7 of 300 bars is not known."]
    assert noted(bars_of(closes, volume=float("nan"))) == ["The volume of 300 of 300 bars is not known."]
    halted = [1000.0] * 290 + [0.0] * 10
    assert noted(bars_of([*closes[:290], *closes[289:290] * 10], volume=halted)) == [
        "The last 10 bars have no volume: the instrument may be halted."
    ]
    assert noted(bars_of([10.0] * 300, volume=0)) == [
        "The last 300 bars have no volume: the instrument may be halted."
    ]


def test_prices_that_are_none_are_no_bars() -> None:
    with pytest.raises(Invalid, match="close: is no number in the bar of 2024-10-01"):
        bars_of([10.0, float("nan")])
    with pytest.raises(Invalid, match="time: does not rise"):
        bars_of([10.0, 11.0], step=0)


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        (lambda good: None, "on_bars returned NoneType, which is no list of signals."),
        (lambda good: (good,), "on_bars returned tuple"),
        (lambda good: ["buy"], "on_bars returned a list with str at 0"),
        (lambda good: [replace(good, index=300)], "Signal 0 is of bar 300, and there are 300 bars."),
        (lambda good: [replace(good, index=-1)], "Signal 0 is of bar -1"),
        (lambda good: [replace(good, index=np.int64(5))], "Signal 0 is of bar np.int64"),
        (lambda good: [good, good, replace(good, index=4)], "Signal 2 is of bar 4, which is before"),
        (lambda good: [replace(good, index=6)], "Signal 0 has not the time of its bar"),
        (lambda good: [replace(good, symbol="ELSE")], "Signal 0 is of told for ELSE"),
        (lambda good: [replace(good, action="close")], "Signal 0: 'close' is no Action."),
        (lambda good: [replace(good, reasons=(Reason(5),))], "Signal 0: its reasons must be text."),  # type: ignore[arg-type]
        (lambda good: [replace(good, strength=1.5)], "Signal 0: strength and confidence"),
        (lambda good: [replace(good, confidence=float("nan"))], "Signal 0: strength and confidence"),
        (lambda good: [replace(good, stop=float("nan"))], "Signal 0: entry, stop and target"),
        (
            lambda good: [replace(good, reasons=(Reason("x", (("y", float("inf")),)),))],
            "Signal 0: the values",
        ),
    ],
)
def test_what_is_no_signal_is_named(change: Any, wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert evaluate(Told(), walk(300)).outcome is Outcome.DONE
    monkeypatch.setattr(Told, "changed", lambda self, good: change(good))
    found = evaluate(Told(), walk(300))
    assert found.outcome is Outcome.FAILED
    assert found.error is not None
    assert found.error.startswith(wrong)
    assert found.signals == ()


@pytest.mark.parametrize(
    "raised", [ValueError("no idea"), SystemExit(3), MemoryError(), RecursionError("deep")]
)
def test_what_it_raises_is_told_with_its_traceback(
    raised: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Told, good: Signal) -> None:
        raise raised

    monkeypatch.setattr(Told, "changed", fail)
    found = evaluate(Told(), walk(300))
    assert found.outcome is Outcome.FAILED
    assert found.error is not None
    assert found.error.startswith(type(raised).__name__)
    assert found.traceback is not None
    assert "in on_bars" in found.traceback


def test_what_it_says_at_length_is_shortened(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Told, good: Signal) -> None:
        raise ValueError("no idea " * 100_000)

    monkeypatch.setattr(Told, "changed", fail)
    found = evaluate(Told(), walk(300))
    assert found.error is not None
    assert found.error.startswith("ValueError: no idea")
    assert len(found.error) < 1100
    assert found.traceback is not None
    assert "in on_bars" in found.traceback
    assert len(found.traceback) < 21_000
