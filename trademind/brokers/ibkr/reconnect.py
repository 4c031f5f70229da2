"""When to try again: policy only. Who tries is the supervisor's business."""

from trademind.aio import Backoff
from trademind.errors import (
    AccountNotFound,
    ClientIdInUse,
    Forbidden,
    GatewayRefused,
    TradeMindError,
)

FINAL = (AccountNotFound, Forbidden)
"""Failures that waiting does not mend: a setting has to change."""


class ReconnectPolicy:
    """How long to wait after a failure, by its kind.

    The client id stays the same throughout: under another id the orders placed before could be neither
    seen nor cancelled.
    """

    def __init__(self) -> None:
        self._backoffs: dict[type[TradeMindError], Backoff] = {
            # A gateway that is restarting is back within seconds, and knocking costs nothing.
            GatewayRefused: Backoff(first=0.5, limit=15),
            # IB frees a client id some seconds after its program has gone.
            ClientIdInUse: Backoff(first=2, limit=30),
        }
        self._otherwise = Backoff(first=1, limit=30)

    def wait_after(self, error: TradeMindError) -> float | None:
        """Seconds to wait before the next attempt, or None where trying again is pointless."""
        if isinstance(error, FINAL):
            return None
        return self._backoffs.get(type(error), self._otherwise).next()

    def connected(self) -> None:
        """An attempt succeeded: the next failure starts from the shortest wait."""
        for backoff in (*self._backoffs.values(), self._otherwise):
            backoff.reset()
