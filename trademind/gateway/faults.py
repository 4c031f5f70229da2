"""What can be scripted to go wrong: steps, each a condition and an action. Plain data, no behaviour.

A script is a list of steps. A step waits for its moment (`at`), for a request of a client or a message of
the gateway, or for both, and then does one thing, once or several times:

    Step(do=Drop(), message="openOrderEnd")                      an end marker is withheld once
    Step(do=Delay(timedelta(seconds=2)), message="position", times=None)
    Step(do=Fail(162, "pacing violation"), request="reqHistoricalData", skip=2)
    Step(do=Disconnect(after=True), request="placeOrder")        received, and never answered
    Step(do=LoseLink(), at=timedelta(seconds=5))                 1100, five seconds from now

`timeline.py` plays them; `scripts.py` reads them from YAML and JSON. Names of requests and messages are
those of IB's own client: its methods and its callbacks.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from difflib import get_close_matches
from typing import Final

from trademind.gateway.connectivity import Farm, FarmState, has_notice
from trademind.gateway.wire.names import REPLIES
from trademind.gateway.wire.requests import REQUESTS
from trademind.gateway.wire.times import FIRST_YEAR, LAST_YEAR

ANY: Final = "*"
"""Every request, or every message."""
REQUEST_IDS: Final = {spec.name: message_id for message_id, spec in REQUESTS.items()}
MAX_DELAY: Final = timedelta(days=1)
MAX_AHEAD: Final = timedelta(days=3650)
"""How far from now a step may begin or end, and the clock be put wrong."""
MAX_FIELD: Final = 100_000
"""The last field that a step may look at; the longest messages have that many."""


class ScriptError(ValueError):
    """A step that cannot be meant."""


# Actions on a request or a message


@dataclass(frozen=True, slots=True)
class Drop:
    """It gets lost."""


@dataclass(frozen=True, slots=True)
class Delay:
    """It comes later; what follows overtakes it."""

    by: timedelta

    def __post_init__(self) -> None:
        if not timedelta(0) < self.by <= MAX_DELAY:
            raise ScriptError("a delay is longer than nothing and no longer than a day")


@dataclass(frozen=True, slots=True)
class Duplicate:
    """It comes so many times more."""

    times: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.times <= 100:
            raise ScriptError("a message is duplicated 1 to 100 times")


@dataclass(frozen=True, slots=True)
class Reorder:
    """A message comes only after the next message named `behind`, or after `count` others."""

    behind: str | None = None
    count: int = 1

    def __post_init__(self) -> None:
        if self.behind is not None:
            _known(self.behind, REPLIES, "message")
        if not 1 <= self.count <= 1000:
            raise ScriptError("a message is held back for 1 to 1000 others")


@dataclass(frozen=True, slots=True)
class Replace:
    """A part of it is changed: the first match of the regular expression `pattern` becomes `by`, in every
    field after the message id or in the one with this index. Field 0 is the message id."""

    pattern: str
    by: str
    field: int | None = None

    def __post_init__(self) -> None:
        try:
            pattern = re.compile(self.pattern)
        except (re.error, OverflowError, RecursionError) as error:
            raise ScriptError(f"{self.pattern[:80]!r} is no regular expression: {error}") from error
        try:
            # Groups that the template names are looked up before there is a match.
            pattern.sub(self.by, "")
        except (re.error, IndexError) as error:
            raise ScriptError(f"{self.by[:80]!r} cannot replace {self.pattern[:80]!r}: {error}") from error
        if self.field is not None and not 1 <= self.field <= MAX_FIELD:
            raise ScriptError(f"fields are counted from 1 to {MAX_FIELD}; 0 is the message id")


@dataclass(frozen=True, slots=True)
class Fail:
    """An error about it is sent: instead of it, or beside it. A request that fails is not served."""

    code: int
    text: str = ""
    instead: bool = True
    req_id: int | None = None
    """About which request; None: the one of the request, or of the message's second field that holds one;
    -1: none."""


@dataclass(frozen=True, slots=True)
class Disconnect:
    """The connection ends, without a word: before the request is served or the message is sent, or after."""

    after: bool = False


# Actions on a connection


@dataclass(frozen=True, slots=True)
class StopAnswering:
    """Half-open: nothing is read and nothing is said, and the connection stays. Holds until `until`, or until
    the step is cleared; what was asked meanwhile is lost."""


@dataclass(frozen=True, slots=True)
class RefuseConnections:
    """New connections are closed at once."""


@dataclass(frozen=True, slots=True)
class RefuseClientId:
    """A client that logs on is told that its id is in use (326), and disconnected."""


@dataclass(frozen=True, slots=True)
class RollBackIds:
    """The next valid order id is said to be this one."""

    to: int = 1


@dataclass(frozen=True, slots=True)
class SkewClock:
    """The gateway's time, as it tells it, is so much ahead of the truth (or behind it, below zero)."""

    by: timedelta

    def __post_init__(self) -> None:
        if abs(self.by) > MAX_AHEAD:
            raise ScriptError(f"the clock is put wrong by {MAX_AHEAD.days} days at most")


@dataclass(frozen=True, slots=True)
class Say:
    """A message of these fields, beginning with the message id, as if the gateway had meant it."""

    fields: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.fields or not self.fields[0].isdecimal():
            raise ScriptError("a message begins with its id, a number")


@dataclass(frozen=True, slots=True)
class Notify:
    """An error or notice about no request, or about the one given."""

    code: int
    text: str
    req_id: int = -1


# Actions on the gateway as a whole


@dataclass(frozen=True, slots=True)
class LoseLink:
    """1100: the gateway is there, IB is not."""


@dataclass(frozen=True, slots=True)
class RestoreLink:
    """1102, or with data lost 1101."""

    data_lost: bool = False


@dataclass(frozen=True, slots=True)
class SetFarm:
    """A data farm is broken, at rest, or well: 2103 to 2108, 2119, 2157, 2158."""

    farm: Farm
    state: FarmState

    def __post_init__(self) -> None:
        if not has_notice(self.farm, self.state):
            raise ScriptError(f"IB has no notice that {self.farm} is {self.state}")


@dataclass(frozen=True, slots=True)
class SetPrice:
    """The market of a symbol stands at this price until it is set again or released (None)."""

    symbol: str
    price: Decimal | None


@dataclass(frozen=True, slots=True)
class Halt:
    """Trading in a symbol stops."""

    symbol: str


@dataclass(frozen=True, slots=True)
class Resume:
    """Trading in a symbol goes on."""

    symbol: str


OnTraffic = Drop | Delay | Duplicate | Reorder | Replace | Fail
"""Needs a request or a message to act on."""
Standing = StopAnswering | RefuseConnections | RefuseClientId | RollBackIds | SkewClock
"""In force from its moment on, until it is used up or cleared."""
AtOnce = Disconnect | Say | Notify | LoseLink | RestoreLink | SetFarm | SetPrice | Halt | Resume
"""Done at a moment, or when a request or a message comes."""
Action = OnTraffic | Standing | AtOnce


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing that goes wrong, and when.

    Raises:
        ScriptError: the action does not go with the condition, or a name is not known.
    """

    do: Action
    at: timedelta | datetime | None = None
    """Not before this moment, or this long after the step was added."""
    until: timedelta | datetime | None = None
    """Not any more from this moment on, or this long after `at`."""
    request: str | None = None
    """The client's request it waits for: `placeOrder`, or `*` for any."""
    message: str | None = None
    """The gateway's message it waits for: `orderStatus`, or `*` for any."""
    fields: Mapping[int, str] = field(default_factory=dict)
    """Texts that the fields of these indexes must have."""
    having: tuple[str, ...] = ()
    """Texts that must be among the fields."""
    client: int | None = None
    """Only for the client with this id."""
    skip: int = 0
    """How many that match are let pass first."""
    times: int | None = 1
    """How often it is done; None for always."""

    def __post_init__(self) -> None:
        name = type(self.do).__name__
        if self.request is not None and self.message is not None:
            raise ScriptError("a step waits for a request or for a message, not for both")
        if self.request is not None:
            _known(self.request, REQUEST_IDS, "request")
        if self.message is not None:
            _known(self.message, REPLIES, "message")
        if isinstance(self.do, OnTraffic) and not self.waits_for_traffic:
            raise ScriptError(f"{name} needs a request or a message to act on")
        if isinstance(self.do, Reorder) and self.message is None:
            raise ScriptError("Reorder needs a message: requests are answered in their order")
        if isinstance(self.do, Standing) and self.waits_for_traffic:
            raise ScriptError(f"{name} is in force from a moment on, and waits for no request or message")
        if not self.waits_for_traffic and (self.fields or self.having or self.skip):
            raise ScriptError(
                "only what waits for a request or a message can look at its fields, or skip any"
            )
        if self.skip < 0 or (self.times is not None and self.times < 1):
            raise ScriptError("a step skips 0 or more, and is done 1 or more times")
        if not all(0 <= index <= MAX_FIELD for index in self.fields):
            raise ScriptError(f"fields are counted from 0, the message id, to {MAX_FIELD}")
        for moment in (self.at, self.until):
            _check_moment(moment)

    @property
    def waits_for_traffic(self) -> bool:
        return self.request is not None or self.message is not None


def _check_moment(moment: timedelta | datetime | None) -> None:
    if isinstance(moment, datetime):
        if moment.tzinfo is None:
            raise ScriptError("a moment needs its time zone")
        if not FIRST_YEAR <= moment.year <= LAST_YEAR:
            raise ScriptError(f"a moment is in the years {FIRST_YEAR} to {LAST_YEAR}")
    elif moment is not None:
        if moment < timedelta(0):
            raise ScriptError("a step cannot be in force before it was added")
        if moment > MAX_AHEAD:
            raise ScriptError(f"a step begins and ends at most {MAX_AHEAD.days} days later")


def _known(name: str, names: Mapping[str, int], what: str) -> None:
    if name != ANY and name not in names:
        near = get_close_matches(name, names, n=1)
        raise ScriptError(f"there is no {what} {name!r}" + (f"; is {near[0]!r} meant?" if near else ""))
