"""`trademind watch`: quotes and order books as they change, on a screen or line by line."""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Annotated, Any, Final

import typer
from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.table import Table
from rich.text import Text

from trademind.cli.client import Server, Url
from trademind.cli.output import CommandFailed, Exit, Json, print_json, reporting
from trademind.cli.watch import Frame, market_frames

LEVELS: Final = 10
"""Rows of an order book on the screen."""
WIDEST: Final = 500
"""Characters in which every table finds room, to see how many it needs."""
PER_SECOND: Final = 10
"""Pictures of the screen: no eye follows more."""

Data = dict[str, Any]


def watch(
    symbols: Annotated[
        list[str] | None, typer.Argument(help="One or more, such as AAPL MSFT. A number is a con id.")
    ] = None,
    depth: Annotated[
        list[str] | None, typer.Option(help="Show the order book of this one, too; may be given again.")
    ] = None,
    interval: Annotated[
        int, typer.Option(min=0, max=1000, help="Milliseconds from one change to the next at least.")
    ] = 250,
    count: Annotated[int | None, typer.Option(min=1, help="End after so many quotes and books.")] = None,
    seconds: Annotated[float | None, typer.Option(min=0, help="End after so many seconds.")] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Show quotes and order books as they change; Ctrl-C ends it. --json prints each in a line of its own."""
    with reporting(as_json), Server(url) as server:
        channels = {"quotes": [*map(_named, symbols or [])], "depth": [*map(_named, depth or [])]}
        if not any(channels.values()):
            raise CommandFailed.because(Exit.USAGE, "usage", "name a symbol, or one with --depth")
        console = Console(markup=False, emoji=False, highlight=False)
        is_screen = console.is_terminal and not as_json
        board = Board()
        heard = market_frames(
            server.url, channels, interval, seconds=seconds, away=board.away if is_screen else None
        )
        wanted = len(channels["quotes"]) + len(channels["depth"])
        screen = Live(board, console=console, refresh_per_second=PER_SECOND) if is_screen else nullcontext()
        with screen:
            for channel, data in islice(_values(heard, board, wanted), count):
                board.take(channel, data)
                if as_json:
                    print_json(data, in_one_line=True)
                elif not is_screen:
                    typer.echo(_line(channel, data))


def _named(text: str) -> str | int:
    """An instrument as the stream takes it."""
    return int(text) if text.isascii() and text.isdigit() else text


def _values(heard: Iterator[Frame], board: "Board", wanted: int) -> Iterator[tuple[str, Data]]:
    """Quotes and books, one by one.

    Raises:
        CommandFailed: nothing of what was asked for can be followed.
    """
    refused: set[str] = set()
    for frame in heard:
        match frame:
            case {"type": "event", "channel": channel, "data": values}:
                board.note = ""
                for data in values:
                    yield channel, data
            case {"type": "gap", "data": data}:
                board.note = data["reason"]
            case {"type": "resumed"}:
                board.note = ""
            case {"type": "error", "data": {"retry_safe": True} as data}:
                board.note = f"{data['code']}: {data['detail']}"
            case {"type": "error", "data": data}:
                name = data.get("symbol") or data.get("con_id")
                refused.add(json.dumps([frame.get("channel"), name]))
                if len(refused) >= wanted or name is None:
                    raise CommandFailed(Exit.FAILED, data)
                typer.echo(f"{name}: {data['code']}: {data['detail']}", err=True)


@dataclass
class Board:
    """What is on the screen."""

    quotes: dict[int, Data] = field(default_factory=dict)
    """By con id: symbols may be the same."""
    books: dict[int, Data] = field(default_factory=dict)
    directions: dict[int, str] = field(default_factory=dict)
    """Of each quote, the colour of its last change."""
    note: str = ""

    def take(self, channel: str, data: Data) -> None:
        """A quote or a book has come."""
        con_id = data["con_id"]
        if channel == "depth":
            self.books[con_id] = data
            return
        before, now = self.quotes.get(con_id, data)["last"], data["last"]
        if None not in (before, now) and before != now:
            self.directions[con_id] = "green" if now > before else "red"
        self.quotes[con_id] = data

    def away(self, reason: str) -> None:
        """The server is not there: nothing of it is up to date."""
        self.note = f"the server is away ({reason}); this goes on when it is back"
        for data in (*self.quotes.values(), *self.books.values()):
            data["stale"] = True

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self.quotes:
            yield _fitting(console, options, self._quotes, _QUOTES_LESS)
        for book in self.books.values():
            yield _fitting(console, options, partial(_book, book), _BOOK_LESS)
        if self.note:
            yield Text(self.note, style="yellow")

    def _quotes(self, without: Collection[str]) -> Table:
        rows = [_quote_cells(quote, self.directions.get(con_id, "")) for con_id, quote in self.quotes.items()]
        table = _table(name for name in rows[0] if name.strip() not in without)
        for quote, cells in zip(self.quotes.values(), rows, strict=True):
            shown = [cell for name, cell in cells.items() if name.strip() not in without]
            table.add_row(*shown, style="dim" if quote["stale"] else "")
        return table


_QUOTES_LESS: Final = ("size", "volume", "change", "as of", "ask", "bid")
_BOOK_LESS: Final = ("at", "size")
"""The columns that are left out of a narrow screen, one after the other."""


def _fitting(
    console: Console,
    options: ConsoleOptions,
    made: Callable[[Collection[str]], Table],
    less: Sequence[str],
) -> Table:
    """As much of a table as the screen is wide enough for."""
    for number in range(len(less) + 1):
        table = made(less[:number])
        if console.measure(table, options=options.update(width=WIDEST)).maximum <= options.max_width:
            break
    return table


def _table(names: Iterable[str], title: str | None = None) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), title=title)
    table.title_justify = "left"
    for name in names:
        table.add_column(
            name.strip(), justify="left" if name in ("symbol", "at", " at") else "right", no_wrap=True
        )
    return table


def _quote_cells(quote: Data, direction: str) -> dict[str, Text]:
    """By the names of their columns, of which one comes twice."""
    return {
        "symbol": Text(quote["symbol"], style="bold"),
        "size": Text(_number(quote["bid_size"])),
        "bid": Text(_number(quote["bid"])),
        "ask": Text(_number(quote["ask"])),
        " size": Text(_number(quote["ask_size"])),
        "last": Text(_number(quote["last"]), style=direction),
        "change": _change(quote),
        "volume": Text(_number(quote["volume"])),
        "as of": Text("stale" if quote["stale"] else _clock(quote["as_of"])),
    }


def _book(book: Data, without: Collection[str]) -> Table:
    names = ("at", "size", "bid", "ask", " size", " at")
    table = _table(
        (name for name in names if name.strip() not in without),
        title=f"{book['symbol']}{' (stale)' if book['stale'] else ''}",
    )
    bids, asks = book["bids"][:LEVELS], book["asks"][:LEVELS]
    for number in range(max(len(bids), len(asks))):
        bid = bids[number] if number < len(bids) else {}
        ask = asks[number] if number < len(asks) else {}
        cells = (
            Text(bid.get("market_maker", "")),
            Text(_number(bid.get("size"), "")),
            Text(_number(bid.get("price"), ""), style="green"),
            Text(_number(ask.get("price"), ""), style="red"),
            Text(_number(ask.get("size"), "")),
            Text(ask.get("market_maker", "")),
        )
        shown = [cell for name, cell in zip(names, cells, strict=True) if name.strip() not in without]
        table.add_row(*shown, style="dim" if book["stale"] else "")
    return table


def _change(quote: Data) -> Text:
    """Since the previous day's close."""
    if not quote["last"] or not quote["close"]:
        return Text("-")
    change = (quote["last"] / quote["close"] - 1) * 100
    return Text(f"{change:+.2f} %", style="green" if change > 0 else "red" if change < 0 else "")


def _line(channel: str, data: Data) -> str:
    """A quote or a book in one line, for a file or a pipe."""
    when = "stale" if data["stale"] else _clock(data["as_of"])
    if channel == "depth":
        sides = (
            " ".join(f"{_number(row['price'])}x{_number(row['size'])}" for row in data[side][:LEVELS]) or "-"
            for side in ("bids", "asks")
        )
        return f"{when}  {data['symbol']}  {' | '.join(sides)}"
    bid, ask = (f"{_number(data[side])}x{_number(data[f'{side}_size'])}" for side in ("bid", "ask"))
    return f"{when}  {data['symbol']}  {bid} | {ask}  last {_number(data['last'])}"


def _number(value: float | None, unknown: str = "-") -> str:
    return unknown if value is None else f"{value:.10g}"


def _clock(when: str | None) -> str:
    """The time of day of an RFC 3339 time, in UTC as there."""
    return "-" if when is None else when[11:19]
