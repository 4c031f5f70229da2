"""The gateway's own connection to IB, as far as there is one to tell of: the link and the data farms.

Strategy: a small state that only `Connectivity` changes. Each change returns what clients are told, as
notices; the gateway sends them, and does what they say: nothing of the market or of orders is told while
the link is down, and a link that comes back with data lost ends all subscriptions. A nightly reset, as IB
has it, is played by the clock.

Codes and texts are those of IB's table of message codes; the farms' names those of its servers for US
markets.
"""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

NEW_YORK: Final = ZoneInfo("America/New_York")


class Notice(NamedTuple):
    """Something to tell every client, about no request."""

    code: int
    text: str


class Farm(StrEnum):
    """A group of IB's servers."""

    MARKET = "usfarm"
    HISTORY = "ushmds"
    CONTRACTS = "secdefnj"


class FarmState(StrEnum):
    OK = "ok"
    BROKEN = "broken"
    """What comes from there has stopped."""
    INACTIVE = "inactive"
    """Not in use; the next request brings it back."""
    CONNECTING = "connecting"


_OF = {
    Farm.MARKET: "Market data farm",
    Farm.HISTORY: "HMDS data farm",
    Farm.CONTRACTS: "Sec-def data farm",
}
_IDLE = "connection is inactive but should be available upon demand."
_CODES: Final = {
    (Farm.MARKET, FarmState.OK): (2104, "connection is OK:"),
    (Farm.MARKET, FarmState.BROKEN): (2103, "connection is broken:"),
    (Farm.MARKET, FarmState.INACTIVE): (2108, _IDLE),
    (Farm.MARKET, FarmState.CONNECTING): (2119, "is connecting:"),
    (Farm.HISTORY, FarmState.OK): (2106, "connection is OK:"),
    (Farm.HISTORY, FarmState.BROKEN): (2105, "connection is broken:"),
    (Farm.HISTORY, FarmState.INACTIVE): (2107, _IDLE),
    (Farm.CONTRACTS, FarmState.OK): (2158, "connection is OK:"),
    (Farm.CONTRACTS, FarmState.BROKEN): (2157, "connection is broken:"),
}

LOST = Notice(1100, "Connectivity between IBKR and Trader Workstation has been lost.")
STILL_LOST = Notice(
    2110,
    "Connectivity between Trader Workstation and server is broken. It will be restored automatically.",
)
RESTORED_WITHOUT_DATA = Notice(
    1101, "Connectivity between IBKR and Trader Workstation has been restored - data lost."
)
NOT_CONNECTED: Final = (504, "Not connected")
NO_HISTORY: Final = (
    162,
    "Historical Market Data Service error message:HMDS server connection was not successful.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyReset:
    """IB's nightly restart, on a schedule."""

    at: time = time(23, 45)
    """When the link goes down, in New York."""
    outage: timedelta = timedelta(minutes=2)
    """How long it stays down."""
    data_lost: bool = False
    """Whether it comes back without the subscriptions (1101), or with them (1102)."""

    def __post_init__(self) -> None:
        if not timedelta(0) < self.outage < timedelta(hours=12):
            raise ValueError("an outage takes more than no time and less than twelve hours")


class Connectivity:
    """The state of the link and of the farms.

    Args:
        now: From when on the schedule is followed.
        reset: The nightly restart; None for none.
    """

    def __init__(self, now: datetime, reset: DailyReset | None = None) -> None:
        self.is_up = True
        """Whether the link to IB stands."""
        self.farms = dict.fromkeys(Farm, FarmState.OK)
        self._reset = reset
        self._next_loss = None if reset is None else _next(reset.at, now)
        self._restore_at: datetime | None = None

    def greeting(self) -> list[Notice]:
        """What a client is told of it after its log-on."""
        notices = [_notice(farm, state) for farm, state in self.farms.items()]
        return notices if self.is_up else [*notices, STILL_LOST]

    def set_farm(self, farm: Farm, state: FarmState) -> list[Notice]:
        """A farm is well, broken, or at rest.

        Raises:
            ValueError: IB has no notice of that state of that farm.
        """
        if not has_notice(farm, state):
            raise ValueError(f"there is no notice that the farm {farm} is {state}")
        self.farms[farm] = state
        return [_notice(farm, state)]

    def use(self, farm: Farm) -> list[Notice]:
        """A farm is asked for something: one at rest comes back."""
        notices: list[Notice] = []
        if self.farms[farm] in (FarmState.INACTIVE, FarmState.CONNECTING):
            if (farm, FarmState.CONNECTING) in _CODES and self.farms[farm] is FarmState.INACTIVE:
                notices.append(_notice(farm, FarmState.CONNECTING))
            notices += self.set_farm(farm, FarmState.OK)
        return notices

    def lose(self) -> list[Notice]:
        """The link goes down, and the farms with it."""
        if not self.is_up:
            return []
        self.is_up = False
        return [LOST, *self._all(FarmState.BROKEN)]

    def restore(self, *, data_lost: bool = False) -> list[Notice]:
        """The link is back."""
        if self.is_up:
            return []
        self.is_up = True
        self._restore_at = None
        farms = "; ".join(f"{farm}" for farm in Farm)
        kept = (
            "Connectivity between IBKR and Trader Workstation has been restored - data maintained. "
            f"All data farms are connected: {farms}."
        )
        return [*self._all(FarmState.OK), RESTORED_WITHOUT_DATA if data_lost else Notice(1102, kept)]

    def due(self, now: datetime) -> list[Notice]:
        """What the schedule says has happened by now. Of nights that were skipped, only the last one."""
        reset, notices = self._reset, list[Notice]()
        if reset is None:
            return notices
        assert self._next_loss is not None
        if self._restore_at is not None and now >= self._restore_at:
            notices += self.restore(data_lost=reset.data_lost)
            self._restore_at = None
        if now >= self._next_loss:
            lost_at, a_day_ago = self._next_loss, now - timedelta(days=1)
            if lost_at < a_day_ago:
                lost_at = min(_next(reset.at, a_day_ago), now)
            self._next_loss = _next(reset.at, now)
            notices += self.lose()
            self._restore_at = lost_at + reset.outage
            if now >= self._restore_at:
                notices += self.restore(data_lost=reset.data_lost)
        return notices

    def _all(self, state: FarmState) -> list[Notice]:
        return [notice for farm in Farm for notice in self.set_farm(farm, state)]


def has_notice(farm: Farm, state: FarmState) -> bool:
    """Whether IB ever tells that a farm is in a state."""
    return (farm, state) in _CODES


def _notice(farm: Farm, state: FarmState) -> Notice:
    code, words = _CODES[farm, state]
    return Notice(code, f"{_OF[farm]} {words}{farm}")


def _next(at: time, after: datetime) -> datetime:
    """The first time after a moment that clocks in New York show `at`."""
    local = after.astimezone(NEW_YORK)
    found = datetime.combine(local.date(), at, NEW_YORK)
    if found <= local:
        found = datetime.combine(local.date() + timedelta(days=1), at, NEW_YORK)
    return found
