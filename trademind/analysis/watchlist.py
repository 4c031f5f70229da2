"""What is looked at by itself: instruments, and strategies with their parameters."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from trademind.domain import ContractQuery
from trademind.errors import Invalid
from trademind.journal import Journal, StateSet
from trademind.journal.records import Codec, Unreadable
from trademind.settings import SignalSettings

log = logging.getLogger(__name__)

MAX_INSTRUMENTS: Final = 1000
"""Each takes a request of IB's history for every bar, and a minute has some three hundred of them."""
MAX_STRATEGIES: Final = 50
_KEY: Final = "signals.watchlist"


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """A strategy on the watch list."""

    strategy: str
    parameters: Mapping[str, int | float | str]
    bar_size: str
    auto: bool = False
    """Whether orders are made of its signals by themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watchlist:
    """What is looked at when a bar closes.

    Raises:
        Invalid: too much of it, or the same twice.
    """

    instruments: tuple[ContractQuery, ...] = ()
    strategies: tuple[Watch, ...] = ()
    """Every strategy there is, with its own parameters, where there are none."""

    def __post_init__(self) -> None:
        errors: list[tuple[str, str]] = []
        for name, most in (("instruments", MAX_INSTRUMENTS), ("strategies", MAX_STRATEGIES)):
            given = getattr(self, name)
            if len(given) > most:
                errors.append((name, f"must be at most {most}"))
            errors += [
                (f"{name}.{place}", "is there before")
                for place, one in enumerate(given)
                if len(given) <= most and one in given[:place]
            ]
        if errors:
            raise Invalid(errors)

    @classmethod
    def of(cls, settings: SignalSettings) -> "Watchlist":
        """The watch list of the settings."""
        return cls(
            instruments=tuple(ContractQuery(symbol=symbol) for symbol in settings.watchlist),
            strategies=tuple(
                Watch(strategy=name, parameters={}, bar_size=settings.bar_size, auto=name in settings.auto)
                for name in settings.strategies
            ),
        )


_CODEC: Final = Codec(Watchlist)


class WatchlistKeeper:
    """The watch list that holds: the one that was set last, or that of the settings."""

    def __init__(self, journal: Journal, settings: SignalSettings) -> None:
        self._journal = journal
        self._of_settings = Watchlist.of(settings)
        self._changed: Watchlist | None = None

    async def load(self) -> None:
        """Take up what was set before."""
        stored = await self._journal.reading.state(_KEY)
        if stored is None:
            return
        try:
            self._changed = _CODEC.load(stored)
        except Unreadable as error:
            log.warning("the watch list cannot be read, and that of the settings holds: %s", error)

    @property
    def present(self) -> Watchlist:
        return self._of_settings if self._changed is None else self._changed

    @property
    def is_from_settings(self) -> bool:
        return self._changed is None

    async def set(self, watchlist: Watchlist | None) -> None:
        """Have another one from now on, also after a restart; None for that of the settings.

        Raises:
            JournalUnavailable: it is not known whether it is kept; what held before goes on.
        """
        await self._journal.written(StateSet(_KEY, None if watchlist is None else _CODEC.dump(watchlist)))
        self._changed = watchlist
