"""The channels of a stream."""

from enum import StrEnum


class Channel(StrEnum):
    ORDERS = "orders"
    """Every change of an order, in order, none left out."""
    EXECUTIONS = "executions"
    """Every fill, and every fill again when its commission is reported."""
    SESSION = "session"
    """Every change of the session's state."""
    ACCOUNT = "account"
    """The account's figures. A broker tells the latest, however many there were in between; what is told from
    the journal is every change that was written down."""
    SIGNALS = "signals"
    """Every signal that strategies make, and what becomes of it. A broker has none."""
    QUOTES = "quotes"
    """Quotes of the instruments that are followed: the latest of each."""
    DEPTH = "depth"
    """Order books of the instruments that are followed: the latest of each."""
    BARS = "bars"
    """Bars of any size, each when it has ended."""
    TICKS = "ticks"
    """Tick by tick: every trade, or every change of the best bid and ask."""


LATEST_VALUE = frozenset({Channel.QUOTES, Channel.DEPTH})
"""Of which only the latest counts: who reads slowly sees fewer values, and never has missed any."""

MARKET = frozenset({Channel.QUOTES, Channel.DEPTH, Channel.BARS, Channel.TICKS})
"""Channels of market data, which are followed instrument by instrument."""
