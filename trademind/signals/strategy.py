"""What a strategy is: a class whose fields are its parameters, with one pure function, `on_bars`.

    class ThreeDown(Strategy):
        name = "three_down"
        description = "Buys after so many falling closes in a row."
        days: int = whole(3, 2, 10, "Falling closes in a row")

        def on_bars(self, bars: BarArrays) -> list[Signal]: ...

A subclass becomes a frozen dataclass by itself. Its parameters are validated however it is made.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, ClassVar, Final, Self, dataclass_transform

from trademind.domain.signals import Action, Reason, Signal
from trademind.errors import Invalid
from trademind.signals import parameters as kinds
from trademind.signals.bars import BarArrays
from trademind.signals.calendar import expiry
from trademind.signals.parameters import Parameter, Value
from trademind.signals.registry import indicator

NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
"""What a strategy may be called: it is part of addresses and of the journal."""
EXPIRY_BARS: Final = 3
"""How long a signal is good for where the strategy does not say: long enough for a look in the morning at
what the bar of yesterday said."""
MAX_WARM_UP: Final = 1_000_000
"""Bars: more than ten years of a share's minutes, and none too many for a time before them to have a date."""


def whole(default: int, minimum: int, maximum: int, description: str) -> Any:
    """A field that is a parameter and a whole number."""
    return _field(kinds.whole("", default, minimum, maximum, description=description))


def number(default: float, minimum: float, maximum: float, description: str) -> Any:
    """A field that is a parameter and a number."""
    return _field(kinds.number("", default, minimum, maximum, description=description))


def choice(default: str, choices: tuple[str, ...], description: str) -> Any:
    """A field that is a parameter and one of a few words."""
    return _field(kinds.choice("", default, choices, description=description))


def _field(parameter: Parameter) -> Any:
    return field(default=parameter.default, metadata={"parameter": parameter})


@dataclass(frozen=True, slots=True)
class Use:
    """An indicator that a strategy rests on, for whoever draws it beside the signals."""

    indicator: str
    parameters: Mapping[str, Value]


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyInfo:
    """A strategy as data, with its parameters' defaults."""

    name: str
    description: str
    parameters: tuple[Parameter, ...]
    uses: tuple[Use, ...]
    warm_up: int
    origin: str
    """`built in`, a file's path, or the package and the name of an entry point."""


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Strategy(ABC):
    """A strategy with its parameters.

    Raises:
        Invalid: a parameter is out of range; field by field.
    """

    name: ClassVar[str] = ""
    description: ClassVar[str] = ""
    looks_back: ClassVar[int] = 1
    """How many bars before a bar its conditions look at; one, to see what has just begun."""

    def __init_subclass__(cls) -> None:
        dataclass(frozen=True, kw_only=True)(cls)

    def __post_init__(self) -> None:
        given = {parameter.name: getattr(self, parameter.name) for parameter in self.parameters()}
        for name, value in kinds.read(self.parameters(), given).items():
            object.__setattr__(self, name, value)
        if errors := list(self.check()):
            raise Invalid(errors)

    @classmethod
    def of(cls, given: Mapping[str, object]) -> Self:
        """The strategy with these parameters, and the defaults for the others.

        Raises:
            Invalid: field by field, those that it does not have included.
        """
        return cls(**kinds.read(cls.parameters(), given))

    @classmethod
    def parameters(cls) -> tuple[Parameter, ...]:
        """What can be set, and to what."""
        return tuple(
            replace(one.metadata["parameter"], name=one.name)
            for one in fields(cls)  # type: ignore[arg-type]
            if "parameter" in one.metadata
        )

    @classmethod
    def info(cls, origin: str) -> StrategyInfo:
        """The strategy as data.

        Raises:
            ValueError: something of it cannot be told.
        """
        usual = cls()
        # Somebody's own class has whatever they wrote, and is part of every list of strategies.
        told: tuple[object, ...] = (cls.description, *usual.uses())
        if not isinstance(told[0], str) or not told[0].strip():
            raise ValueError(f"{cls.__name__} has no description.")
        if not all(isinstance(use, Use) for use in told[1:]):
            raise ValueError(f"{cls.__name__}.uses() gives what is no Use.")
        return StrategyInfo(
            name=cls.name,
            description=cls.description,
            parameters=cls.parameters(),
            uses=usual.uses(),
            warm_up=warm_up_of(usual),
            origin=origin,
        )

    def check(self) -> Iterable[tuple[str, str]]:
        """What is wrong with parameters that do not fit together, as (field, message)."""
        return ()

    def uses(self) -> tuple[Use, ...]:
        """The indicators that it rests on."""
        return ()

    @cached_property
    def warm_up(self) -> int:
        """How many bars at the beginning can have no signal: those its indicators need, and `looks_back`."""
        needed = (indicator(use.indicator).warm_up(**use.parameters) for use in self.uses())
        return self.looks_back + max(needed, default=0)

    @abstractmethod
    def on_bars(self, bars: BarArrays) -> list[Signal]:
        """The signals of every bar, oldest first.

        The signals of a bar follow from it and from those before it, so that the signals of the first bars
        are the first of the signals of all bars. Only then is what a backtest finds what a live market shows.
        """

    def signal(
        self,
        bars: BarArrays,
        index: int,
        action: Action,
        *,
        reasons: Sequence[Reason],
        strength: float = 1.0,
        confidence: float = 1.0,
        stop: float | None = None,
        target: float | None = None,
        expiry_bars: int = EXPIRY_BARS,
    ) -> Signal:
        """A signal at the close of the bar at `index`."""
        begins = int(bars.time[index])
        return Signal(
            strategy=self.name,
            symbol=bars.symbol,
            con_id=bars.con_id,
            action=action,
            strength=strength,
            confidence=confidence,
            bar_size=bars.bar_size,
            bar_time=bars.moment(index),
            index=int(index),
            reasons=tuple(reasons),
            entry=float(bars.close[index]),
            stop=stop,
            target=target,
            expires_at=expiry(begins, bars.bar_size, expiry_bars),
        )


def warm_up_of(strategy: Strategy) -> int:
    """How many bars a strategy cannot do without, as somebody's own class tells it. Raises `ValueError`."""
    told: object = strategy.warm_up
    if type(told) is not int or not 0 <= told <= MAX_WARM_UP:
        raise ValueError(f"{strategy.name}.warm_up is {told!r:.40}; it must be 0 to {MAX_WARM_UP:,} bars.")
    return told
