"""The options of `gateway start` and `server start` that say what market the paper gateway makes."""

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from trademind.clock import MAX_SPEED, MIN_SPEED


class HoursKind(StrEnum):
    ALWAYS = "always"
    EXCHANGE = "exchange"


class FeedKind(StrEnum):
    SYNTHETIC = "synthetic"
    REPLAY = "replay"


class OthersKind(StrEnum):
    NONE = "none"
    SYNTHETIC = "synthetic"


Feed = Annotated[
    FeedKind | None, typer.Option(help="Where the paper market's prices come from; replay with --file.")
]
File = Annotated[
    Path | None, typer.Option("--file", help="Recorded bars or ticks: CSV or Parquet, or a directory.")
]
Loop = Annotated[bool | None, typer.Option("--loop/--no-loop", help="Whether a replay begins anew.")]
Others = Annotated[OthersKind | None, typer.Option(help="What there is of instruments not in --file.")]
Actions = Annotated[Path | None, typer.Option(help="CSV of dividends and splits: date,symbol,type,value.")]
Hours = Annotated[
    HoursKind | None,
    typer.Option(help="When the paper market trades: always, or by the exchanges' calendars."),
]
Speed = Annotated[
    float | None,
    typer.Option(min=MIN_SPEED, max=MAX_SPEED, help="Seconds of the paper market in one of the world's."),
]
Start = Annotated[
    datetime | None,
    typer.Option("--start", help="When the paper market starts, in New York's time; now, unless given."),
]


def group(name: str, **given: object) -> dict[str, object]:
    """A group of settings of what was given on the command line; nothing when nothing was."""
    values = {key: value for key, value in given.items() if value is not None}
    return {name: values} if values else {}


def market(*, feed: FeedKind | None, file: Path | None, **given: object) -> dict[str, object]:
    """The paper group of settings; an option wins over what the environment says to the contrary."""
    if feed is None and file is not None:
        feed = FeedKind.REPLAY
    if feed is FeedKind.SYNTHETIC and file is None:
        # A recording that the settings name is not meant; the empty text is how a setting is unset.
        given = {"loop": False, "others": OthersKind.NONE} | {
            key: value for key, value in given.items() if value is not None
        }
        return group("paper", feed=feed, replay_file="", **given)
    return group("paper", feed=feed, replay_file=file, **given)
