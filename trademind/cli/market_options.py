"""The options of `gateway start` and `server start` that say what market the paper gateway makes."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import typer

from trademind.clock import MAX_SPEED


class HoursKind(StrEnum):
    ALWAYS = "always"
    EXCHANGE = "exchange"


Hours = Annotated[
    HoursKind | None,
    typer.Option(help="When the paper market trades: always, or by the exchanges' calendars."),
]
Speed = Annotated[
    float | None,
    typer.Option(min=0.001, max=MAX_SPEED, help="Seconds of the paper market in one of the world's."),
]
Start = Annotated[
    datetime | None,
    typer.Option("--start", help="When the paper market starts, in New York's time; now, unless given."),
]


def group(name: str, **given: object) -> dict[str, object]:
    """A group of settings of what was given on the command line; nothing when nothing was."""
    values = {key: value for key, value in given.items() if value is not None}
    return {name: values} if values else {}
