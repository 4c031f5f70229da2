"""Charts as SVG: lines over time, with what was traded on them.

A chart's x axis is time as it passes, nights and weekends included. Coordinates are those of the drawing,
which a page scales to its width.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from math import floor, log10
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trademind.domain import Side
from trademind.signals.backtest.report import thinned
from trademind.signals.backtest.trades import Trade
from trademind.signals.bars import Floats

WIDTH: Final = 1000
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 8, 8, 22

Format = Callable[[float], str]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a chart."""

    css: str
    name: str
    values: Floats
    fills: bool = False
    """Whether the space between it and zero is filled."""


class _Frame:
    """Where values and moments are in a drawing."""

    def __init__(self, time: NDArray[np.int64], lines: Sequence[Line], height: int) -> None:
        values = np.concatenate([each.values[np.isfinite(each.values)] for each in lines])
        low, high = float(values.min()), float(values.max())
        if any(each.fills for each in lines):
            high = 0.0
        if high == low:
            high, low = high + (abs(high) or 1.0) * 0.01, low - (abs(low) or 1.0) * 0.01
        self.low, self.high, self.height = low, high, height
        self.start, self.end = int(time[0]), max(int(time[-1]), int(time[0]) + 1)

    def x(self, moment: float) -> float:
        share = (moment - self.start) / (self.end - self.start)
        return round(_LEFT + share * (WIDTH - _LEFT - _RIGHT), 1)

    def y(self, value: float) -> float:
        share = (self.high - value) / (self.high - self.low)
        return round(_TOP + share * (self.height - _TOP - _BOTTOM), 1)


def chart(
    time: NDArray[np.int64],
    lines: Sequence[Line],
    *,
    caption: str,
    show: Format,
    stamp: str,
    height: int = 240,
    trades: Iterable[Trade] = (),
) -> str:
    """A figure with some lines over the same moments, at least one value in them.

    Args:
        show: How a value is written.
        stamp: How a moment is, as for `strftime`.
        trades: To be drawn on it, at their prices.
    """
    frame = _Frame(time, lines, height)
    chosen = np.unique(np.concatenate([thinned(each.values) for each in lines]))
    drawn = [_grid(frame, show), _dates(frame)]
    drawn += [_line(frame, time[chosen], each, each.values[chosen]) for each in lines]
    drawn += [_mark(frame, each, stamp) for each in trades]
    drawn.append(f'<line class="cursor" y1="{_TOP}" y2="{height - _BOTTOM}"/>')
    keys = "".join(
        f'<span class="key {each.css}"></span>{escape(each.name)} &nbsp; ' for each in lines if len(lines) > 1
    )
    points = {
        "x": [frame.x(float(each)) for each in time[chosen]],
        "label": [_label(time, lines, index, show, stamp) for index in chosen],
    }
    return (
        f'<figure data-points="{escape(json.dumps(points))}"><figcaption>{keys}{escape(caption)}'
        f"<output></output></figcaption>"
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(caption)}">'
        f"{''.join(drawn)}</svg></figure>"
    )


def _label(time: NDArray[np.int64], lines: Sequence[Line], index: int, show: Format, stamp: str) -> str:
    values = [
        f"{each.name} {show(float(each.values[index]))}" for each in lines if np.isfinite(each.values[index])
    ]
    return f"{_utc(int(time[index])):{stamp}}   " + "   ".join(values)


def _line(frame: _Frame, time: NDArray[np.int64], line: Line, values: Floats) -> str:
    there = np.isfinite(values)
    points = [
        f"{frame.x(float(moment))},{frame.y(float(value))}"
        for moment, value in zip(time[there], values[there], strict=True)
    ]
    if line.fills:
        zero = frame.y(0.0)
        begin, end = points[0].split(",")[0], points[-1].split(",")[0]
        points = [f"{begin},{zero}", *points, f"{end},{zero}"]
        return f'<polygon class="{line.css}" points="{" ".join(points)}"/>'
    return f'<polyline class="{line.css}" points="{" ".join(points)}"/>'


def _grid(frame: _Frame, show: Format) -> str:
    step = _step((frame.high - frame.low) / 4)
    value = np.ceil(frame.low / step) * step
    parts: list[str] = []
    while value <= frame.high + step / 1e6:
        y = frame.y(float(value))
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(
            f'<text x="{_LEFT - 6}" y="{y + 4}" text-anchor="end">{escape(show(float(value)))}</text>'
        )
        value += step
    return "".join(parts)


def _step(about: float) -> float:
    """A round number near this one: 1, 2 or 5 times a power of ten."""
    power = 10.0 ** floor(log10(about))
    return next(power * each for each in (1, 2, 5, 10) if power * each >= about)


def _dates(frame: _Frame) -> str:
    moments = np.linspace(frame.start, frame.end, 7)
    form = "%H:%M" if frame.end - frame.start < 2 * 86_400 else "%Y-%m-%d"
    anchors = ["start", *["middle"] * 5, "end"]
    return "".join(
        f'<text x="{frame.x(float(each))}" y="{frame.height - 6}" text-anchor="{anchor}">'
        f"{_utc(int(each)):{form}}</text>"
        for each, anchor in zip(moments, anchors, strict=True)
    )


def _mark(frame: _Frame, trade: Trade, stamp: str) -> str:
    """A trade on its price: a triangle where it began, which points to where it hopes to go, and a dot."""
    css = "gain" if trade.profit > 0 else "loss"
    x, y = frame.x(trade.entry_time.timestamp()), frame.y(float(trade.entry_price))
    tip = y - 7 if trade.side is Side.BUY else y + 7
    triangle = f'<path d="M{x - 5},{y} L{x + 5},{y} L{x},{tip} Z"/>'
    rest = ""
    if trade.exit_time is not None and trade.exit_price is not None:
        end, level = frame.x(trade.exit_time.timestamp()), frame.y(float(trade.exit_price))
        rest = (
            f'<line x1="{x}" y1="{y}" x2="{end}" y2="{level}" stroke-dasharray="3 2"/>'
            f'<circle cx="{end}" cy="{level}" r="3"/>'
        )
    return f'<g class="{css}"><title>{escape(_told(trade, stamp))}</title>{triangle}{rest}</g>'


def _told(trade: Trade, stamp: str) -> str:
    """A trade in one line."""
    way = "long" if trade.side is Side.BUY else "short"
    begun = f"{way} {trade.quantity:f} at {trade.entry_price:f}, {trade.entry_time:{stamp}}"
    if trade.exit_time is None:
        return f"{begun}; open, {trade.profit:+,.2f}"
    end = f"{trade.exit_why} at {trade.exit_price:f}, {trade.exit_time:{stamp}}"
    return f"{begun}; {end}; {trade.profit:+,.2f}"


def _utc(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
