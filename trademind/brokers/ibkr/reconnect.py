"""When to try again: policy only. Who tries is the supervisor's business."""

from datetime import datetime, time
from typing import Final
from zoneinfo import ZoneInfo

from trademind.aio import Backoff
from trademind.errors import (
    AccountNotFound,
    BadAddress,
    ClientIdInUse,
    ConnectionLost,
    Forbidden,
    GatewayRefused,
    GatewaySilent,
    GatewayTooOld,
    StateNotKept,
    TradeMindError,
    UpstreamLost,
)

FINAL = (AccountNotFound, Forbidden, BadAddress)
"""Failures that waiting does not mend: a setting has to change."""

_NEW_YORK: Final = ZoneInfo("America/New_York")
_RESET: Final = (time(23, 40), time(0, 50))
"""IB resets its North American systems every night from 23:45 to 00:45 in New York ("System Status" on IB's
site), and gateways are set to restart about then. Five minutes more on either side for clocks that differ."""
_RESET_LIMIT: Final = 15.0
"""Seconds that a wait has at most in that hour: it is known to pass, and the session is to be back soon."""


class ReconnectPolicy:
    """How long to wait after a failure, by its kind.

    The client id stays the same throughout: under another id the orders placed before could be neither
    seen nor cancelled.
    """

    def __init__(self) -> None:
        self._backoffs: dict[type[TradeMindError], Backoff] = {
            # A gateway that is restarting is back within seconds, and knocking costs nothing.
            GatewayRefused: Backoff(first=0.5, limit=15),
            ConnectionLost: Backoff(first=0.5, limit=15),
            GatewaySilent: Backoff(first=0.5, limit=15),
            # IB frees a client id some seconds after its program has gone.
            ClientIdInUse: Backoff(first=2, limit=30),
            # The gateway comes back to IB by itself; logging on to it more often does not help it.
            UpstreamLost: Backoff(first=5, limit=60),
            # Somebody has to install a newer one, or free space on the disk.
            GatewayTooOld: Backoff(first=30, limit=300),
            StateNotKept: Backoff(first=5, limit=60),
        }
        self._otherwise = Backoff(first=1, limit=30)

    def wait_after(self, error: TradeMindError, now: datetime) -> float | None:
        """Seconds to wait before the next attempt, or None where trying again is pointless."""
        if isinstance(error, FINAL):
            return None
        wait = self._backoffs.get(type(error), self._otherwise).next()
        return min(wait, _RESET_LIMIT) if is_nightly_reset(now) else wait

    def connected(self) -> None:
        """An attempt succeeded: the next failure starts from the shortest wait."""
        for backoff in (*self._backoffs.values(), self._otherwise):
            backoff.reset()


def is_nightly_reset(now: datetime) -> bool:
    """Is it the hour in which IB's systems restart?"""
    begin, end = _RESET
    there = now.astimezone(_NEW_YORK).time()
    return there >= begin or there < end
