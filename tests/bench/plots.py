"""Pictures of what things cost, from measured rows.

SVG that can be read on a light and on a dark page: nothing behind it, and colours of middling brightness. The
same rows make the same file, byte for byte.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

FOLDER: Final = Path(__file__).resolve().parent.parent.parent / "docs" / "plots"
INK: Final = "#7d8590"
COLOURS: Final = ("#3b82f6", "#d9730d", "#2da44e")
_STYLE: Final[dict[Any, Any]] = {
    "svg.hashsalt": "trademind",
    "svg.fonttype": "none",  # text stays text, in the page's own font
    "font.family": "sans-serif",
    "font.size": 11,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": INK,
    "grid.alpha": 0.25,
}


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture of those that share an x axis: what its y axis says, and a value for each x by line."""

    label: str
    lines: Mapping[str, Sequence[float]]


def draw(name: str, x_label: str, xs: Sequence[int], *panels: Panel, folder: Path = FOLDER) -> Path:
    """Draw panels beside each other as `folder/name.svg`; the x axis names each of `xs`.

    Both axes are logarithmic: what is proportional is a straight line, and what is there anyway levels its
    left end. Every value must be above zero.
    """
    with mpl.rc_context(_STYLE):
        figure = Figure(
            figsize=(4.6 * len(panels), 3.2), layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.08)
        )
        for panel, axes in zip(panels, figure.subplots(1, len(panels), squeeze=False)[0], strict=True):
            for (line, ys), colour in zip(panel.lines.items(), COLOURS, strict=False):
                axes.plot(xs, ys, color=colour, marker="o", linewidth=2, label=line)
            axes.set_xscale("log")
            axes.set_yscale("log")
            axes.set_xticks(xs)
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            for axis in (axes.xaxis, axes.yaxis):
                axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
                axis.set_minor_locator(NullLocator())
            axes.set_xlabel(x_label)
            axes.set_ylabel(panel.label)
            axes.grid(axis="y")
            if len(panel.lines) > 1:
                axes.legend(frameon=False)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.svg"
        figure.savefig(path, transparent=True, metadata={"Date": None})
    return path


def stored_bars(rows: Sequence[tuple[int, float, float]], folder: Path = FOLDER) -> Path:
    """What reading stored bars costs. Rows are the bars read, the seconds, and the megabytes that it took."""
    return draw(
        "stored-bars",
        "stored bars read",
        [bars for bars, _, _ in rows],
        Panel("seconds", {"seconds": [seconds for _, seconds, _ in rows]}),
        Panel("MB", {"MB": [megabytes for _, _, megabytes in rows]}),
        folder=folder,
    )
