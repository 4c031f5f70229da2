"""Backtests: what is wanted, how it stands, and the report."""

import re
from decimal import Decimal
from typing import Annotated, Any, Self

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, ConfigDict, Field, model_validator

from trademind.analysis.backtests.job import (
    MAX_SYMBOLS,
    Backtest,
    BacktestRequest,
    BacktestStatus,
    Commissions,
    SizingKind,
    Stage,
)
from trademind.api.schemas.base import In, Money, Out, Price, Quantity, Time, in_utc, quantity, time
from trademind.domain import Side


def _from_date(value: Any) -> Any:
    is_date = isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value)
    return f"{value}T00:00:00Z" if is_date else value


Day = Annotated[AwareDatetime, BeforeValidator(_from_date), AfterValidator(in_utc)]
"""A time with its zone, or a date, which is its beginning in UTC."""
Ratio = Annotated[float | None, Field(description="Null where it is not defined.")]


class SizingIn(In):
    """How a signal becomes a quantity: one of the three."""

    share: Decimal | None = Field(default=None, description="This share of a symbol's part of the equity.")
    risk: Decimal | None = Field(default=None, description="What the signal's stop may lose of that part.")
    quantity: Decimal | None = Field(default=None, description="So many shares.")

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if len(self.model_fields_set) != 1 or self.chosen[1] is None:
            raise ValueError("give one of share, risk and quantity")
        return self

    @property
    def chosen(self) -> tuple[SizingKind, Any]:
        (name,) = self.model_fields_set
        return SizingKind(name), getattr(self, name)


class BacktestIn(In):
    """Which strategy to try, on what, and how."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "strategy": "rsi_reversion",
                    "symbols": ["AAPL"],
                    "start": "2020-01-01",
                    "end": "2025-01-01",
                    "cash": "100000",
                    "parameters": {"period": 10},
                }
            ]
        }
    )

    strategy: str = Field(min_length=1, max_length=40)
    symbols: list[str] = Field(
        min_length=1, max_length=MAX_SYMBOLS, description="US stocks, all traded on one account."
    )
    start: Day = Field(
        description="Bars that begin at or after it are traded; the strategy sees some before."
    )
    end: Day | None = Field(default=None, description="Bars that begin before it; now if left out.")
    parameters: dict[str, Any] = Field(default={}, description="Of the strategy; the others have defaults.")
    bar_size: str = Field(default="1 day", description="In IB's spelling: '5 mins', '1 hour', '1 day'.")
    use_rth: bool = Field(default=True, description="Regular trading hours only.")
    cash: Decimal = Field(default=Decimal(100_000), description="Opening balance, in US dollars.")
    sizing: SizingIn | None = Field(default=None, description="All of the equity, unless given.")
    allow_short: bool = True
    commissions: Commissions = Commissions.FIXED
    slippage_ticks: int = 0
    spread_ticks: int | None = Field(default=None, description="The instrument's usual spread, unless given.")
    interest: bool = False
    risk_free: float = Field(default=0.0, description="A year's, as a fraction: 0.04.")
    bars_per_year: float | None = None

    def request(self) -> BacktestRequest:
        """What is wanted, in the domain's terms. Raises `Invalid`."""
        sizing, size = (SizingKind.SHARE, Decimal(1)) if self.sizing is None else self.sizing.chosen
        given = {name: getattr(self, name) for name in type(self).model_fields if name != "sizing"}
        return BacktestRequest(**given | {"symbols": tuple(self.symbols)}, sizing=sizing, size=size)


class DrawdownOut(Out):
    depth: float = Field(description="As a fraction of the peak, zero or below.")
    bars: int
    peak: Time
    trough: Time
    recovery: Time | None


class DrawdownsOut(Out):
    deepest: DrawdownOut | None
    longest: DrawdownOut | None


class PerformanceOut(Out):
    """What became of an equity: fractions, 0.01 is 1 %. docs/backtests.md says what each figure is."""

    total_return: Ratio
    cagr: Ratio
    volatility: Ratio
    sharpe: Ratio
    sortino: Ratio
    calmar: Ratio
    max_drawdown: Ratio
    drawdowns: DrawdownsOut


class ComparisonOut(Out):
    excess_return: Ratio
    beta: Ratio
    alpha: Ratio
    correlation: Ratio
    information_ratio: Ratio


class TradeOut(Out):
    symbol: str
    side: Side
    quantity: Quantity
    entry_time: Time
    entry_price: Price
    exit_time: Time | None = Field(description="Null while it is open.")
    exit_price: Price | None
    exit_reason: str | None = Field(description="signal, stop or target.")
    bars: int | None
    commission: Money
    profit: Money = Field(description="After commissions; of an open one at the last close.")


class RefusalOut(Out):
    """An order that the engine did not take."""

    symbol: str
    time: Time
    side: Side
    quantity: Quantity
    ib_code: int | None
    message: str


class BacktestPointOut(Out):
    time: Time
    equity: float | None
    benchmark: float | None
    drawdown: float | None


class BacktestReportOut(PerformanceOut):
    """What came of a backtest. Lists are of the first ten thousand; figures are of all."""

    strategy: str
    symbols: list[str]
    bar_size: str
    bars: int
    start: Time = Field(description="Where the first bar begins that was traded.")
    end: Time = Field(description="Where the last one begins.")
    bars_per_year: float
    cash: Money
    final_equity: Money
    signals: int
    trade_count: int = Field(description="Closed ones.")
    open_trades: int
    win_rate: Ratio
    profit_factor: Ratio
    gross_profit: float
    gross_loss: float
    average_profit: Ratio
    average_win: Ratio
    average_loss: Ratio
    largest_win: Ratio
    largest_loss: Ratio
    average_bars: Ratio
    commissions: float
    exposure: float
    mean_leverage: Ratio
    turnover: Ratio
    benchmark: PerformanceOut = Field(description="Of buying all symbols at the first open, and holding.")
    comparison: ComparisonOut
    notes: list[str] = Field(description="What a reader has to know beside the figures.")
    trades: list[TradeOut] = Field(description="As they were closed; open ones at the end.")
    refusals: list[RefusalOut]
    equity_curve: list[BacktestPointOut] = Field(description="Thinned to what a screen can show.")


class BacktestOut(Out):
    """A backtest, and how it stands."""

    id: str
    status: BacktestStatus
    progress: float = Field(description="From 0 to 1.")
    stage: Stage | None = Field(description="What a running one is at: bars, its turn, trading.")
    waiting_for: str | None = Field(description="Why its bars do not come at the moment.")
    error: str | None = Field(description="Why it has failed.")
    traceback: str | None = Field(description="Where, if it was a strategy that has raised.")
    strategy: str
    symbols: list[str]
    start: Time
    end: Time = Field(description="Where it ends; the moment at which it was made, unless given.")
    parameters: dict[str, Any]
    bar_size: str
    use_rth: bool
    cash: Money
    sizing: dict[str, str]
    allow_short: bool
    commissions: Commissions
    slippage_ticks: int
    spread_ticks: int | None
    interest: bool
    risk_free: float
    bars_per_year: float | None
    created_at: Time
    updated_at: Time

    @classmethod
    def of(cls, job: Backtest) -> Self:
        wanted = job.wanted
        return cls(
            id=job.id,
            status=job.status,
            progress=round(job.progress, 4),
            stage=job.stage,
            waiting_for=job.waiting_for,
            error=job.error,
            traceback=job.traceback,
            strategy=wanted.strategy,
            symbols=list(wanted.symbols),
            start=time(wanted.start),
            end=time(job.until),
            parameters=dict(wanted.parameters),
            bar_size=wanted.bar_size,
            use_rth=wanted.use_rth,
            cash=f"{wanted.cash:z.2f}",
            sizing={wanted.sizing.value: quantity(wanted.size)},
            allow_short=wanted.allow_short,
            commissions=wanted.commissions,
            slippage_ticks=wanted.slippage_ticks,
            spread_ticks=wanted.spread_ticks,
            interest=wanted.interest,
            risk_free=wanted.risk_free,
            bars_per_year=wanted.bars_per_year,
            created_at=time(job.created_at),
            updated_at=time(job.updated_at),
        )


class ReportedBacktestOut(BacktestOut):
    """A backtest with its report."""

    report: BacktestReportOut | None = Field(description="Null until it is done.")


class BacktestsPage(Out):
    backtests: list[BacktestOut] = Field(description="Newest first, without their reports.")
    next_page_token: str | None
