"""Strategies and indicators as data."""

from typing import TYPE_CHECKING, Self

from pydantic import Field

from trademind.api.schemas.base import Out

if TYPE_CHECKING:  # with it comes TA-Lib, which a server loads when somebody wants signals
    from trademind.signals import BrokenStrategy, Catalogue, Indicator, Parameter, StrategyInfo


class ParameterOut(Out):
    """What can be set, and to what."""

    name: str
    kind: str = Field(description="int, float or choice.")
    default: int | float | str
    minimum: float | None
    maximum: float | None
    choices: list[str]
    description: str

    @classmethod
    def of(cls, parameter: "Parameter") -> Self:
        return cls(
            name=parameter.name,
            kind=parameter.kind,
            default=parameter.default,
            minimum=parameter.minimum,
            maximum=parameter.maximum,
            choices=list(parameter.choices),
            description=parameter.description,
        )


class UseOut(Out):
    indicator: str
    parameters: dict[str, int | float | str]


class StrategyOut(Out):
    """A strategy that can be asked for."""

    name: str
    description: str
    parameters: list[ParameterOut]
    indicators: list[UseOut] = Field(description="What it rests on, for charts.")
    warm_up: int = Field(description="Bars at the beginning that can have no signal.")
    origin: str = Field(description="`built in`, a file, or an entry point.")

    @classmethod
    def of(cls, info: "StrategyInfo") -> Self:
        return cls(
            name=info.name,
            description=info.description,
            parameters=[ParameterOut.of(each) for each in info.parameters],
            indicators=[
                UseOut(indicator=use.indicator, parameters=dict(use.parameters)) for use in info.uses
            ],
            warm_up=info.warm_up,
            origin=info.origin,
        )


class BrokenOut(Out):
    """A strategy that cannot be used. The others are not touched by it."""

    name: str
    origin: str
    error: str
    traceback: str | None

    @classmethod
    def of(cls, broken: "BrokenStrategy") -> Self:
        return cls(name=broken.name, origin=broken.origin, error=broken.error, traceback=broken.traceback)


class StrategiesOut(Out):
    strategies: list[StrategyOut]
    broken: list[BrokenOut]

    @classmethod
    def of(cls, catalogue: "Catalogue") -> Self:
        return cls(
            strategies=[StrategyOut.of(each) for each in catalogue.strategies],
            broken=[BrokenOut.of(each) for each in catalogue.broken],
        )


class IndicatorOut(Out):
    """An indicator: what it is, what can be set, and what comes out."""

    name: str
    title: str
    description: str
    source: str = Field(description="Where the formula is from: TA-Lib's name of it, or the formula.")
    group: str
    inputs: list[str]
    outputs: list[str]
    on_price: bool = Field(description="Whether its values are prices, to be drawn over the bars.")
    smooths: bool = Field(description="Whether values depend, ever less, on where the bars begin.")
    parameters: list[ParameterOut]
    warm_up: int = Field(description="Bars at the beginning without a value, by the default parameters.")

    @classmethod
    def of(cls, indicator: "Indicator") -> Self:
        return cls(
            name=indicator.name,
            title=indicator.title,
            description=indicator.description,
            source=indicator.source,
            group=indicator.group,
            inputs=list(indicator.inputs),
            outputs=list(indicator.outputs),
            on_price=indicator.on_price,
            smooths=indicator.smooths,
            parameters=[ParameterOut.of(each) for each in indicator.parameters],
            warm_up=indicator.warm_up(),
        )


class IndicatorsOut(Out):
    indicators: list[IndicatorOut]
