"""The strategies there are: those that come with TradeMind, and what could not be loaded of the user's."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from trademind.errors import StrategyNotFound
from trademind.signals.ensemble import MEMBERS, Ensemble
from trademind.signals.strategy import Strategy, StrategyInfo

_KINDS: Final[tuple[type[Strategy], ...]] = (*MEMBERS, Ensemble)
BUILT_IN: Final[Mapping[str, type[Strategy]]] = {kind.name: kind for kind in _KINDS}


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenStrategy:
    """A strategy that cannot be used. The others are not touched by it."""

    name: str
    """Its name, or that of its file or entry point where it did not come so far as to have one."""
    origin: str
    error: str
    """What is wrong, in a line."""
    traceback: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """What can be asked for, and what cannot and why."""

    strategies: tuple[StrategyInfo, ...]
    broken: tuple[BrokenStrategy, ...] = ()


def strategy(name: str, **parameters: object) -> Strategy:
    """A built-in strategy with its parameters.

    Raises:
        StrategyNotFound: there is none of this name.
        Invalid: a parameter that it does not have, or that is out of range; field by field.
    """
    if (kind := BUILT_IN.get(name)) is None:
        raise StrategyNotFound(f"There is no built-in strategy {name!r}; there are {', '.join(BUILT_IN)}.")
    return kind.of(parameters)


def catalogue(loaded: Iterable[StrategyInfo] = (), broken: Iterable[BrokenStrategy] = ()) -> Catalogue:
    """The built-in strategies and the user's. Of two with one name the first counts, the other is broken."""
    known = {kind.name: kind.info("built in") for kind in BUILT_IN.values()}
    faulty = list(broken)
    for info in loaded:
        if (first := known.setdefault(info.name, info)) is not info:
            taken = f"The name {info.name} is taken: {first.origin}."
            faulty.append(BrokenStrategy(name=info.name, origin=info.origin, error=taken))
    return Catalogue(strategies=tuple(known.values()), broken=tuple(faulty))
