"""Signals on demand: bars of an instrument, strategies on them, and how it stands by each.

Whatever goes wrong belongs to one strategy or one instrument, and is said in its place; the rest is not
touched. A signal that is found is told, in the journal and on the stream, however it was asked for.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from trademind.analysis.closes import check_bar_size
from trademind.analysis.ledger import Ledger, signal_id
from trademind.analysis.outcomes import follow
from trademind.analysis.series import Series, SeriesDesk
from trademind.analysis.watchlist import Watch, Watchlist
from trademind.brokers.base import Broker
from trademind.domain import ContractQuery, SecType, TrackedSignal
from trademind.domain.signals import Action, Signal
from trademind.errors import Invalid, NotFound, StrategyNotFound, TradeMindError
from trademind.market.bars.archive import BarArchive
from trademind.signals.catalogue import BUILT_IN
from trademind.signals.evaluation import Evaluation, Outcome
from trademind.signals.parameters import Value, read
from trademind.signals.sizing import size_of
from trademind.signals.worker import Strategies

log = logging.getLogger(__name__)

LEAST_BARS: Final = 250
"""Bars that a strategy is shown at least: a year of days."""
MOST_BARS: Final = 3000
SMOOTHED: Final = 10
"""So many times its warm-up, and a smoothed indicator is as good as that of all bars."""
MAX_EVALUATIONS: Final = 64
"""Of one series that are kept: whoever tries parameters out makes any number of them."""
AT_ONCE: Final = 8
"""Instruments of a scan at a time: enough that one waits for its bars while others are reckoned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A strategy with all its parameters, and the bars it is to look at."""

    strategy: str
    parameters: Mapping[str, Value]
    bar_size: str
    bars: int
    """How many bars it is shown."""
    auto: bool = False

    @property
    def key(self) -> str:
        """Another one for every other plan."""
        return f"{self.strategy} {sorted(self.parameters.items())} {self.bar_size}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How an instrument stands by one strategy, or why that is not known."""

    symbol: str
    con_id: int | None = None
    plan: Plan
    outcome: Outcome | None = None
    """How the strategy's look went; None where there were no bars to look at."""
    signal: Signal | None = None
    quantity: Decimal | None = None
    tracked: TrackedSignal | None = None
    """The signal as it was told; None where there is nothing to do, or it has expired already."""
    bars: int = 0
    code: str | None = None
    error: str | None = None
    notes: tuple[str, ...] = ()


class SignalDesk:
    """The desk that is asked how instruments stand.

    Args:
        risk_per_trade: The share of the equity that a position loses where its stop is reached.
    """

    def __init__(
        self,
        broker: Broker,
        archive: BarArchive,
        ledger: Ledger,
        strategies: Strategies,
        *,
        risk_per_trade: Decimal,
    ) -> None:
        self._broker = broker
        self._archive = archive
        self._ledger = ledger
        self._series = SeriesDesk(archive)
        self._risk_per_trade = risk_per_trade
        self.strategies = strategies

    # What to look with ---------------------------------------------------------------------------

    def plan(self, watch: Watch) -> Plan:
        """A strategy with all its parameters.

        Raises:
            StrategyNotFound: there is none of this name.
            Invalid: its parameters or the size of bars, field by field.
        """
        check_bar_size(watch.bar_size)
        catalogue = self.strategies.catalogue
        info = next((each for each in catalogue.strategies if each.name == watch.strategy), None)
        if info is None:
            if any(each.name == watch.strategy for each in catalogue.broken):
                # What is wrong with it is said in its place.
                return _plan(watch, dict(watch.parameters), LEAST_BARS)
            known = ", ".join(each.name for each in catalogue.strategies)
            raise StrategyNotFound(f"There is no strategy {watch.strategy!r}; there are {known}.")
        if (built_in := BUILT_IN.get(info.name)) is not None:
            built_in.of(watch.parameters)  # whether they fit together, too
        count = min(max(LEAST_BARS, SMOOTHED * (info.warm_up + 1)), MOST_BARS)
        return _plan(watch, read(info.parameters, watch.parameters), count)

    def every_plan(self, bar_size: str) -> list[Plan]:
        """Every strategy there is, with its own parameters, and those that were switched off. Raises
        `Invalid`."""
        known = [each.name for each in self.strategies.catalogue.strategies]
        names = [*known, *sorted(self.strategies.off)]
        return [self.plan(Watch(strategy=name, parameters={}, bar_size=bar_size)) for name in names]

    def plans_of(self, watchlist: Watchlist, bar_size: str) -> list[Plan]:
        """The watch list's strategies; those that are gone meanwhile are left out."""
        if not watchlist.strategies:
            return self.every_plan(bar_size)
        plans = []
        for watch in watchlist.strategies:
            try:
                plans.append(self.plan(watch))
            except TradeMindError as error:
                log.debug("%s is on the watch list and is left out: %s", watch.strategy, error.detail)
        return plans

    # Looking -------------------------------------------------------------------------------------

    async def look(self, query: ContractQuery, plans: Sequence[Plan]) -> list[Look]:
        """How an instrument stands now, by each plan.

        Raises:
            ContractNotFound, AmbiguousContract, PacingViolation, Refused, Unavailable, NoAnswer: of its bars.
            JournalUnavailable: a signal cannot be told.
        """
        found = []
        for bar_size in dict.fromkeys(plan.bar_size for plan in plans):
            these = [plan for plan in plans if plan.bar_size == bar_size]
            try:
                series = await self.series(query, bar_size, max(plan.bars for plan in these))
            except Invalid as error:  # a bar without a price: no strategy is shown such bars
                found += [_failed(query, plan, error) for plan in these]
                continue
            for plan in these:
                found.append(await self.look_at(series, plan))
                await asyncio.sleep(0)  # a strategy may take milliseconds: others have their turn
        return found

    async def scan(self, queries: Iterable[ContractQuery], plans: Sequence[Plan]) -> list[Look]:
        """How many instruments stand, in their order. What goes wrong with one is said in its place."""
        turn = asyncio.Semaphore(AT_ONCE)

        async def one(query: ContractQuery) -> list[Look]:
            async with turn:
                try:
                    return await self.look(query, plans)
                except TradeMindError as error:
                    return [_failed(query, plan, error) for plan in plans]

        looks = await asyncio.gather(*(one(query) for query in queries))
        return [look for each in looks for look in each]

    async def series(self, query: ContractQuery, bar_size: str, count: int = LEAST_BARS) -> Series:
        """An instrument's bars. What was told of it before is followed up with them. Raises as `look`."""
        series = await self._series.last(query, bar_size, count)
        for tracked in self._ledger.open_of(series.source.contract.con_id, bar_size):
            after = follow(tracked, series.bars, series.known_until)
            if after.outcome.is_over:
                await self._ledger.settle(tracked.id, after.outcome, after.outcome_at, after.outcome_price)
        return series

    async def look_at(self, series: Series, plan: Plan) -> Look:
        """How an instrument stands by one plan. Raises `JournalUnavailable`."""
        contract, count = series.source.contract, min(plan.bars, len(series.bars))
        look = Look(symbol=contract.symbol, con_id=contract.con_id, plan=plan, bars=count)
        try:
            found = await self._evaluated(series, plan)
        except NotFound:
            broken = (each for each in self.strategies.catalogue.broken if each.name == plan.strategy)
            why = next((each.error for each in broken), "It is not there any more.")
            return replace(look, outcome=Outcome.SWITCHED_OFF, code="switched_off", error=why)
        except TradeMindError as error:
            return replace(look, code=error.code, error=error.detail)
        return await self._told(look, found, series)

    async def _evaluated(self, series: Series, plan: Plan) -> Evaluation:
        """What a strategy makes of a series' last bars, which it is asked once. Raises as
        `Strategies.evaluate`."""
        key = f"{self.strategies.loads} {plan.key}"
        if (known := series.evaluations.get(key)) is not None:
            return known
        found = await self.strategies.evaluate(plan.strategy, plan.parameters, series.bars.last(plan.bars))
        found = replace(found, signals=())  # those of all the bars before are wanted by nobody here
        if found.outcome in (Outcome.DONE, Outcome.TOO_FEW_BARS, Outcome.FAILED):
            if len(series.evaluations) >= MAX_EVALUATIONS:
                series.evaluations.clear()
            series.evaluations[key] = found
        return found

    async def _told(self, look: Look, found: Evaluation, series: Series) -> Look:
        code = None if found.outcome is Outcome.DONE else found.outcome.value
        look = replace(
            look, outcome=found.outcome, notes=found.notes, signal=found.now, code=code, error=found.error
        )
        signal = found.now
        if signal is None or signal.action is Action.HOLD:
            return look
        look = replace(look, quantity=await self._size(series, signal))
        now = self._archive.now()
        if signal.expires_at is not None and signal.expires_at <= now:
            return look
        tracked = TrackedSignal(
            id=signal_id(signal, look.plan.parameters),
            signal=signal,
            parameters=look.plan.parameters,
            told_at=now,
            quantity=look.quantity,
        )
        return replace(look, tracked=await self._ledger.tell(tracked))

    async def _size(self, series: Series, signal: Signal) -> Decimal | None:
        """How much to trade by the risk of a trade; None where that is not known."""
        contract = series.source.contract
        try:
            account = await self._broker.get_account()
            details = await self._broker.qualify(series.source.query)
        except TradeMindError:
            return None
        equity = account.net_liquidation
        if equity is None or account.currency != contract.currency:
            return None
        # IB takes no fractions of shares over its API, whatever increment it tells of.
        increment = details.size_increment
        if contract.sec_type is SecType.STOCK:
            increment = max(increment, Decimal(1))
        return size_of(
            signal,
            equity=equity,
            risk_per_trade=self._risk_per_trade,
            size_increment=increment,
            multiplier=Decimal(contract.multiplier or 1),
        )


def _failed(query: ContractQuery, plan: Plan, error: TradeMindError) -> Look:
    return Look(symbol=query.name, con_id=query.con_id, plan=plan, code=error.code, error=error.detail)


def _plan(watch: Watch, parameters: Mapping[str, Value], bars: int) -> Plan:
    return Plan(
        strategy=watch.strategy, parameters=parameters, bar_size=watch.bar_size, bars=bars, auto=watch.auto
    )
