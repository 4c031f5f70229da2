"""Whose market data may be seen: what IB sells as subscriptions to market data.

The paper gateway shows everything live unless it is told otherwise, symbol by symbol. What a client gets is
the meeting of two things: what it may see, and the market data type it has asked for.
"""

from collections.abc import Mapping
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Final

EVERY_SYMBOL: Final = "*"


class Access(StrEnum):
    """What one may see of a symbol."""

    LIVE = "live"
    DELAYED = "delayed"
    """No subscription; delayed data is free."""
    NONE = "none"
    """No subscription, and no delayed data either."""
    COMPETING = "competing"
    """The live data goes to another session of the same user."""


class DataType(IntEnum):
    """Market data types as clients ask for them, and are told of them."""

    LIVE = 1
    FROZEN = 2
    DELAYED = 3
    DELAYED_FROZEN = 4

    @property
    def is_delayed(self) -> bool:
        return self in (DataType.DELAYED, DataType.DELAYED_FROZEN)

    @property
    def is_frozen(self) -> bool:
        return self in (DataType.FROZEN, DataType.DELAYED_FROZEN)


class Entitlements:
    """What may be seen of each symbol.

    Args:
        access: By symbol in capitals; `*` stands for all others.
    """

    def __init__(self, access: Mapping[str, Access] = MappingProxyType({})) -> None:
        self._access = {symbol.upper(): each for symbol, each in access.items()}
        self._default = self._access.pop(EVERY_SYMBOL, Access.LIVE)

    def of(self, symbol: str) -> Access:
        return self._access.get(symbol, self._default)


ALL_LIVE: Final = Entitlements()
