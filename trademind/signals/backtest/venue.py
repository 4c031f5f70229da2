"""The paper exchange as a backtest trades on it: one account, prices that bars give, and orders of three
kinds.

Fills, commissions, margin and refusals are the engine's. What is added here is what a bar's price means as a
quote, by the same rules as in the paper gateway's replays: the price, rounded to whole ticks, is the last
trade and the bid; the ask is the spread above it. There is as much on offer as anybody wants.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final, NamedTuple

from trademind.domain import Side
from trademind.gateway.engine.accruals import NO_INTEREST, PUBLISHED
from trademind.gateway.engine.exchange import PaperExchange
from trademind.gateway.engine.fills import FillModel
from trademind.gateway.engine.journal import InterestAccrued
from trademind.gateway.engine.model import (
    Event,
    Executed,
    IBOrderType,
    IBTif,
    Instrument,
    MarketQuote,
    OrderError,
    OrderReported,
    Ticket,
)
from trademind.gateway.engine.rules import MAX_QUANTITY
from trademind.gateway.engine.triggers import LAST
from trademind.signals.backtest.settings import BacktestSettings

ACCOUNT: Final = "BACKTEST"
_CLIENT: Final = 1
_CANCELLED: Final = 202
"""IB's code for what is the end of an order and no error."""
_CANCEL_OTHERS: Final = 1
"""IB's OCA type: a fill of one order cancels the others."""

SIGNAL, STOP, TARGET = "signal", "stop", "target"
"""Why an order was placed; its order reference."""


class Fill(NamedTuple):
    """One execution."""

    symbol: str
    time: datetime
    """The beginning of the bar in which it happened."""
    bar: int
    """The bar's place."""
    side: Side
    quantity: Decimal
    price: Decimal
    commission: Decimal
    why: str
    """`signal`, `stop` or `target`."""


class Refusal(NamedTuple):
    """An order that was not taken, or that was not placed since there was nothing to place."""

    symbol: str
    time: datetime
    side: Side
    quantity: Decimal
    code: int | None
    """IB's; None where there was no order."""
    message: str


class _Clock:
    """Stands where the backtest is."""

    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    def now(self) -> datetime:
        return self.moment


class Venue:
    """One paper account, and the market as it is shown to it.

    Args:
        instruments: By symbol.
        opened: When the account is opened: the beginning of the first bar.
    """

    def __init__(
        self, instruments: Mapping[str, Instrument], settings: BacktestSettings, opened: datetime
    ) -> None:
        self._instruments = instruments
        self._clock = _Clock(opened)
        self._exchange = PaperExchange(
            accounts={ACCOUNT: settings.cash},
            clock=self._clock,
            # Currency pairs say what their currencies are worth.
            instruments=instruments.values(),
            fills=FillModel(slippage_ticks=settings.slippage_ticks),
            commissions=settings.commissions,
            interest=PUBLISHED if settings.interest else NO_INTEREST,
        )
        self._ledger = self._exchange.accounts[ACCOUNT].ledger
        self._spreads = {
            symbol: each.min_tick
            * (max(1, each.spread_ticks) if settings.spread_ticks is None else settings.spread_ticks)
            for symbol, each in instruments.items()
        }
        self._shown: dict[str, int] = {}
        self._exits: dict[str, dict[int, str]] = {symbol: {} for symbol in instruments}
        """Working stops and targets: their order references by order id."""
        self._order_id = 0
        self._asked: tuple[Side, Decimal] = (Side.BUY, Decimal(0))
        """What the last order was about."""
        self._bars: dict[str, int] = {}
        self.fills: list[Fill] = []
        self.refusals: list[Refusal] = []
        self.interest: list[tuple[datetime, Decimal]] = []
        """What accrued, in US dollars, and when it was booked."""

    # Reading

    def held(self, symbol: str) -> Decimal:
        """Below zero when short."""
        holding = self._ledger.holding(self._instruments[symbol].con_id)
        return Decimal(0) if holding is None else holding.quantity

    def has_exits(self, symbol: str) -> bool:
        """Whether a stop or a target works."""
        return bool(self._exits[symbol])

    @property
    def equity(self) -> Decimal:
        """Net liquidation, everything at its last price."""
        return self._ledger.net_liquidation

    # The market

    def at(self, seconds: int) -> None:
        """Let it be a moment, in seconds since 1970."""
        self._clock.moment = datetime.fromtimestamp(seconds, UTC)

    def pass_time(self) -> None:
        """Let happen what is due by the clock: a day ends, and interest accrues."""
        self._exchange.roll(self._clock.moment)
        self._read_journal()

    def show(self, symbol: str, ticks: int, bar: int, *, again: bool = True) -> None:
        """The instrument trades at a price, in ticks; with `again` off nothing happens if it was its last."""
        if not again and self._shown.get(symbol) == ticks:
            return
        self._shown[symbol], self._bars[symbol] = ticks, bar
        instrument = self._instruments[symbol]
        price = ticks * instrument.min_tick
        events = self._exchange.on_quote(
            MarketQuote(
                con_id=instrument.con_id,
                time=self._clock.moment,
                bid=price,
                ask=price + self._spreads[symbol],
                last=price,
                bid_size=MAX_QUANTITY,
                ask_size=MAX_QUANTITY,
                last_size=MAX_QUANTITY,
                volume=MAX_QUANTITY,
                open=price,
                high=price,
                low=price,
                close=price,
            )
        )
        if events:
            self._take(symbol, events)
        self._read_journal()

    # Orders

    def trade(self, symbol: str, side: Side, quantity: Decimal) -> bool:
        """A market order; whether it was taken. It fills at once."""
        events = self._exchange.place(self._ticket(symbol, side, quantity, IBOrderType.MARKET, SIGNAL))
        return self._take(symbol, events)

    def protect(self, symbol: str, *, stop: int | None, target: int | None) -> None:
        """Place exits for all that is held, at prices in ticks, of which one cancels the other."""
        held = self.held(symbol)
        side = Side.SELL if held > 0 else Side.BUY
        tick = self._instruments[symbol].min_tick
        group = f"{symbol}.{self._order_id}"
        for ticks, kind, why in ((stop, IBOrderType.STOP, STOP), (target, IBOrderType.LIMIT, TARGET)):
            # The stop may be triggered as it comes, and then there is nothing left to protect.
            if ticks is not None and self.held(symbol):
                ticket = self._ticket(symbol, side, abs(held), kind, why, price=ticks * tick, group=group)
                self._exits[symbol][ticket.order_id] = why
                self._take(symbol, self._exchange.place(ticket))

    def withdraw(self, symbol: str) -> None:
        """Cancel the exits."""
        for order_id in list(self._exits[symbol]):
            self._take(symbol, self._exchange.cancel(_CLIENT, order_id, by_client_id=_CLIENT))

    def refuse(self, symbol: str, side: Side, quantity: Decimal, message: str) -> None:
        """Note that there was nothing to place."""
        self.refusals.append(Refusal(symbol, self._clock.moment, side, quantity, None, message))

    def _ticket(
        self,
        symbol: str,
        side: Side,
        quantity: Decimal,
        kind: IBOrderType,
        why: str,
        *,
        price: Decimal | None = None,
        group: str = "",
    ) -> Ticket:
        self._order_id += 1
        self._asked = side, quantity
        return Ticket(
            client_id=_CLIENT,
            order_id=self._order_id,
            account=ACCOUNT,
            instrument=self._instruments[symbol],
            side=side,
            quantity=quantity,
            order_type=kind,
            tif=IBTif.GTC,
            limit_price=price if kind is IBOrderType.LIMIT else None,
            stop_price=price if kind is IBOrderType.STOP else None,
            order_ref=why,
            oca_group=group,
            oca_type=_CANCEL_OTHERS if group else 0,
            # What bars tell are trades, also of options.
            trigger_method=LAST,
        )

    # What happened

    def _take(self, symbol: str, events: list[Event]) -> bool:
        """Note what has happened; False when an order was refused."""
        exits, is_taken = self._exits[symbol], True
        for event in events:
            if isinstance(event, Executed):
                done = event.execution
                self.fills.append(
                    Fill(
                        symbol,
                        done.time,
                        self._bars[symbol],
                        done.side,
                        done.quantity,
                        done.price,
                        done.commission,
                        done.order_ref,
                    )
                )
            elif isinstance(event, OrderReported):
                if event.order.status.is_done:
                    exits.pop(event.order.ticket.order_id, None)
            elif isinstance(event, OrderError) and event.code != _CANCELLED:
                is_taken = False
                self._note_refusal(symbol, event)
        self._read_journal()
        return is_taken

    def _note_refusal(self, symbol: str, error: OrderError) -> None:
        why = self._exits[symbol].pop(error.order_id, SIGNAL)
        side, quantity = self._asked
        message = error.message if why == SIGNAL else f"{why}: {error.message}"
        self.refusals.append(Refusal(symbol, self._clock.moment, side, quantity, error.code, message))

    def _read_journal(self) -> None:
        journal = self._exchange.journal
        for record in journal:
            if isinstance(record, InterestAccrued):
                rate = self._exchange.rates.rate(record.currency)
                self.interest.append((self._clock.moment, record.amount * rate))
        journal.clear()
