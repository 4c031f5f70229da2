"""Bars as candles in a terminal, drawn with the characters of boxes.

A row of the picture has two halves, each with nothing, a wick or a body in it, and there is a character for
each of the nine pairs; so a chart of twenty rows tells forty prices apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil, floor, log10
from typing import Any, Final

from rich.console import Console
from rich.text import Text

WIDTH: Final = 100
HEIGHT: Final = 24
"""Columns and rows where there is no terminal; more rows than that only make it longer."""
MIN_WIDTH: Final = 40
MIN_HEIGHT: Final = 8
LABEL_EVERY: Final = 4
"""Rows from one price on the axis to the next."""
TIME_EVERY: Final = 14
"""Columns from one time on the axis to the next, and of the longest there is."""

_NOTHING, _WICK, _BODY = 0, 1, 2
_GLYPHS: Final = {
    (_NOTHING, _NOTHING): " ", (_NOTHING, _WICK): "╷", (_WICK, _NOTHING): "╵",
    (_WICK, _WICK): "│", (_NOTHING, _BODY): "╻", (_BODY, _NOTHING): "╹",
    (_BODY, _BODY): "┃", (_WICK, _BODY): "╽", (_BODY, _WICK): "╿",
}  # fmt: skip
"""By what is in the upper half and in the lower half."""


@dataclass(frozen=True, slots=True)
class Candle:
    time: datetime
    open: float
    high: float
    low: float
    close: float


def candles(bars: Sequence[dict[str, Any]]) -> list[Candle]:
    """The bars of an answer of the API that have prices."""
    return [
        Candle(datetime.fromisoformat(bar["time"]), *(bar[name] for name in ("open", "high", "low", "close")))
        for bar in bars
        if None not in (bar["open"], bar["high"], bar["low"], bar["close"])
    ]


def print_plot(bars: Sequence[dict[str, Any]], *, title: str) -> None:
    """Draw bars of the API as large as the terminal is; elsewhere in `WIDTH` columns."""
    console = Console(markup=False, emoji=False, highlight=False)
    width, height = (console.width, console.height - 3) if console.is_terminal else (WIDTH, HEIGHT)
    console.print(title)
    console.print(plot(candles(bars), width=width, height=min(height, HEIGHT)), soft_wrap=True)


def plot(bars: Sequence[Candle], *, width: int, height: int) -> Text:
    """The picture: prices on the left, times in UTC below; rising bars green, falling ones red.

    Where there are more bars than columns, several together make a candle.
    """
    if not bars:
        return Text("no bars")
    width, height = max(width, MIN_WIDTH), max(height, MIN_HEIGHT)
    rows = height - 2
    low, high = min(bar.low for bar in bars), max(bar.high for bar in bars)
    if high == low:
        low, high = low - abs(low) / 1000 - 1e-9, high + abs(high) / 1000 + 1e-9
    step = (high - low) / (2 * rows - 1)
    decimals = max(2, -floor(log10(step)) if step < 1 else 0)
    prices = [high - (2 * row + 0.5) * step for row in range(rows)]
    labels = [f"{price:.{decimals}f}" if row % LABEL_EVERY == 0 else "" for row, price in enumerate(prices)]
    margin = max(map(len, labels))
    shown = _together(bars, ceil(len(bars) / (width - margin - 3)))
    columns = [_column(candle, high, step, rows) for candle in shown]
    picture = Text()
    for row in range(rows):
        picture.append(f"{labels[row]:>{margin}} {'┤' if labels[row] else '│'} ", style="dim")
        for candle, column in zip(shown, columns, strict=True):
            picture.append(column[row], style="green" if candle.close >= candle.open else "red")
        picture.append("\n")
    for line in _times(shown, width - margin - 3):
        picture.append(" " * (margin + 1) + line + "\n", style="dim")
    picture.rstrip()
    return picture


def _together(bars: Sequence[Candle], count: int) -> list[Candle]:
    """So many bars in each candle, the last one of what is left."""
    parts = [bars[begin : begin + count] for begin in range(0, len(bars), count)]
    return [
        Candle(
            part[0].time,
            part[0].open,
            max(bar.high for bar in part),
            min(bar.low for bar in part),
            part[-1].close,
        )
        for part in parts
    ]


def _column(candle: Candle, high: float, step: float, rows: int) -> str:
    """A candle from top to bottom, by half rows."""

    def half(price: float) -> int:
        return min(max(round((high - price) / step), 0), 2 * rows - 1)

    halves = [_NOTHING] * (2 * rows)
    for at in range(half(candle.high), half(candle.low) + 1):
        halves[at] = _WICK
    for at in range(half(max(candle.open, candle.close)), half(min(candle.open, candle.close)) + 1):
        halves[at] = _BODY
    return "".join(_GLYPHS[halves[2 * row], halves[2 * row + 1]] for row in range(rows))


def _times(shown: Sequence[Candle], width: int) -> tuple[str, str]:
    """The axis and what is below it."""
    span = shown[-1].time - shown[0].time
    form = "%H:%M" if span < timedelta(days=1) else "%b %d %H:%M" if span < timedelta(days=10) else "%Y-%m-%d"
    axis, text = "└─", "  "
    for at in range(0, len(shown), TIME_EVERY):
        label = shown[at].time.strftime(form)
        if at + len(label) > width:
            break
        axis += "─" * (at + 2 - len(axis)) + "┬"
        text += " " * (at + 2 - len(text)) + label
    return axis + "─" * (len(shown) + 2 - len(axis)), text
