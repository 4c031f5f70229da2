"""The risk desk: which limits hold, and whether anything may be traded at all.

It stands between the live guard and the journal (see `admission` for how an order passes). What is changed
of the limits, and the mode, takes effect at once and is written down after that: a journal that cannot be
written to must not keep anybody from halting. What was set is there again after a restart, whatever the
settings say.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from types import TracebackType
from typing import Any, Final, Self

from trademind.aio import Tasks
from trademind.brokers.base import Broker
from trademind.clock import Clock
from trademind.domain import (
    Order,
    OrderChange,
    OrderRequest,
    OrderStatus,
    RiskLimits,
    TradingMode,
    TradingState,
)
from trademind.errors import Conflict, StateNotKept, TradeMindError, Unavailable
from trademind.journal import Audit, Journal, StateSet
from trademind.journal.records import Codec, Unreadable
from trademind.trading.admission import Admission, Admissions, Rules
from trademind.trading.audit import DONE, Caller
from trademind.trading.exposure import Facts, NotKnown
from trademind.trading.limits import is_loss_reached

log = logging.getLogger(__name__)

WATCH: Final = 1.0
"""Seconds between two looks at the day's loss. Orders are checked against it in any case."""

WATCHER: Final = Caller("trademind", "the server's watch over the day's loss")
_LIMITS_KEY: Final = "risk.limits"
_STATE_KEY: Final = "risk.state"
_LIMITS: Final = Codec(RiskLimits)
_STATE: Final = Codec(TradingState)


@dataclass(frozen=True, slots=True)
class Usage:
    """How things stand in the worst case (see `exposure`); None where it is not known."""

    open_orders: int
    orders_last_minute: int
    gross_exposure: Decimal | None
    largest_position_quantity: Decimal
    largest_position_notional: Decimal | None
    daily_pnl: Decimal | None

    @classmethod
    def of(cls, facts: Facts) -> Self:
        sizes = {contract: facts.largest(contract) for contract in facts.contracts()}
        gross: Decimal | None = None
        largest: Decimal | None = None
        with suppress(NotKnown):
            values = [size * facts.unit_value(contract) for contract, size in sizes.items() if size]
            gross, largest = sum(values, Decimal(0)), max(values, default=Decimal(0))
        return cls(
            open_orders=facts.open_orders,
            orders_last_minute=facts.recent_orders,
            gross_exposure=gross,
            largest_position_quantity=max(sizes.values(), default=Decimal(0)),
            largest_position_notional=largest,
            daily_pnl=facts.daily_pnl,
        )


@dataclass(frozen=True, slots=True)
class Halt:
    """What a halt has done to the orders that were there."""

    canceled: tuple[Order, ...] = ()
    """Orders that a cancel was asked for, or that had not been sent yet."""
    not_canceled: tuple[Order, ...] = ()
    error: str | None = None
    """Why not, as far as it is known."""


class Risk:
    """The limits and the kill switch. An async context manager: inside, the day's loss is watched, and what
    could not be written down is tried again.

    Args:
        settings: The limits until others are set.
        market: The market's clock, by which trading hours go; `clock` where there is no other.
    """

    def __init__(
        self,
        broker: Broker,
        journal: Journal,
        clock: Clock,
        settings: RiskLimits | None = None,
        *,
        market: Clock | None = None,
    ) -> None:
        self._broker = broker
        self._journal = journal
        self._clock = clock
        self._settings = settings or RiskLimits()
        self._changed: RiskLimits | None = None
        self._state = TradingState(mode=TradingMode.NORMAL, since=clock.now())
        self._admissions = Admissions(broker, clock, market or clock, lambda: Rules(self.limits, self._state))
        self._unkept: dict[str, object] = {}
        """What is not on disk yet: the mark of its last write, by key."""
        self._tasks = Tasks()

    async def __aenter__(self) -> Self:
        await self._restore()
        self._tasks.spawn(self._watch(), name="daily loss")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._tasks.cancel_all()

    async def _restore(self) -> None:
        """What was set before the restart. What cannot be read halts trading: it may have been a halt."""
        try:
            if (limits := await self._journal.reading.state(_LIMITS_KEY)) is not None:
                self._changed = _LIMITS.load(limits)
            if (state := await self._journal.reading.state(_STATE_KEY)) is not None:
                self._state = _STATE.load(state)
        except Unreadable as error:
            self._enter(TradingMode.HALTED, f"what was set before the restart is damaged: {error}", "journal")
        if self._state.mode is not TradingMode.NORMAL:
            log.warning("trading is %s since %s: %s", *_told(self._state))

    # What holds --------------------------------------------------------------------------------

    @property
    def limits(self) -> RiskLimits:
        return self._changed or self._settings

    @property
    def is_from_settings(self) -> bool:
        """Are these the limits of the settings, and no others that were set later?"""
        return self._changed is None

    @property
    def state(self) -> TradingState:
        return self._state

    @property
    def is_kept(self) -> bool:
        """Would a restart find limits and mode as they are?"""
        return not self._unkept

    async def usage(self) -> Usage:
        """How much of the limits is used. Raises `Unavailable`."""
        return Usage.of(await self._admissions.facts())

    # Orders ------------------------------------------------------------------------------------

    async def admit(
        self, request: OrderRequest | Sequence[OrderRequest], *, exits: Sequence[OrderRequest] = ()
    ) -> Admission:
        """Let an order pass, or several that are placed together. They count as working inside the block of
        what is returned, which is asked once more right before they are sent:

            with await risk.admit(request) as admission:
                ...
                admission.confirm()
                await broker.place_order(request)

        Args:
            exits: Attached to the first (see `limits.check`).

        Raises:
            TradingHalted: nothing is traded.
            RiskLimitExceeded: a limit does not let them pass, or a figure that it needs is not known.
            TradeMindError: as `Broker.qualify`, and `Unavailable`, where a limit needs to know more.
        """
        requests = (request,) if isinstance(request, OrderRequest) else tuple(request)
        return await self._admissions.admit(requests, exits)

    async def admit_change(self, order: Order, change: OrderChange) -> Admission:
        """Let a change of a working order pass, as `admit`. One that only lowers the quantity always does: it
        is the cancel of a part."""
        return await self._admissions.admit_change(order, change)

    # Changes -----------------------------------------------------------------------------------

    async def set_limits(self, limits: RiskLimits | None, *, by: Caller) -> None:
        """Have these limits from now on, whatever the settings say; None has those of the settings again."""
        self._changed = limits
        log.warning("risk limits set by %s: %s", by.actor, self.limits)
        await self._keep(_LIMITS_KEY, "set_limits", by)

    async def halt(self, reason: str, *, by: Caller, cancel_open: bool = False) -> Halt:
        """Let no order pass from now on. It holds whatever else happens; what has failed is in the answer.

        What waits for its turn to be sent is withdrawn. With `cancel_open` a cancel is asked for of every
        working order of this server.
        """
        self._enter(TradingMode.HALTED, reason, by.actor)
        # Neither waits for the other: this is asked for when a gateway or a disk hangs. As tasks of their own
        # they begin one step of the loop later, when what was confirmed just before is in the book.
        _, done = await asyncio.gather(
            self._keep(_STATE_KEY, "halt", by), self._cancel(everything=cancel_open)
        )
        return done

    async def resume(self, *, by: Caller) -> None:
        """Trade again. After a halt, positions may only be reduced while the day's loss is at its limit.

        Raises:
            Conflict: positions may only be reduced, and what that is for still stands.
        """
        before = self._state
        pnl = await self._daily_pnl()
        if self._state is not before:
            raise Conflict(f"trading has become {self._state.mode} just now; look at /api/risk")
        if not is_loss_reached(self.limits, pnl):
            self._enter(TradingMode.NORMAL, "", by.actor)
        elif before.mode is TradingMode.HALTED:
            self._enter_reducing(pnl)
        else:
            raise Conflict(
                f"the day's loss is {-(pnl or 0)} and max_daily_loss {self.limits.max_daily_loss}: raise the "
                "limit first (PUT /api/risk/limits), or wait until the loss is smaller"
            )
        await self._keep(_STATE_KEY, "resume", by)

    def _enter(self, mode: TradingMode, reason: str, by: str) -> None:
        self._state = TradingState(mode=mode, since=self._clock.now(), reason=reason, by=by)
        log.warning("trading is %s since %s: %s", *_told(self._state))

    def _enter_reducing(self, pnl: Decimal | None) -> None:
        lost = -(pnl or Decimal(0))
        reason = f"the day's loss of {lost:.2f} has reached max_daily_loss {self.limits.max_daily_loss}"
        self._enter(TradingMode.REDUCING, reason, "max_daily_loss")

    async def _cancel(self, *, everything: bool) -> Halt:
        """Withdraw what was not sent yet, or cancel everything. What has failed is told, not raised."""
        error: str | None = None
        wanted: list[Order] = []
        try:
            working = await self._broker.get_orders(working=True)
            wanted = [o for o in working if not o.external and (everything or _is_on_its_way(o))]
            if everything:
                await self._broker.cancel_all_orders()
            for order in () if everything else wanted:
                await self._broker.cancel_order(order.id)
        except TradeMindError as failure:
            # Without a session nothing waits to be sent, and there is nothing to withdraw.
            error = failure.detail if everything or wanted else None
        now = [await self._now(order) for order in wanted]
        gone = tuple(o for o in now if o.status.is_done or o.status is OrderStatus.PENDING_CANCEL)
        return Halt(gone, tuple(o for o in now if o not in gone), error)

    async def _now(self, order: Order) -> Order:
        try:
            return await self._broker.get_order(order.id)
        except TradeMindError:
            return order

    # The day's loss ----------------------------------------------------------------------------

    async def _watch(self) -> None:
        while True:
            await self._look()
            await asyncio.sleep(WATCH)

    async def _look(self) -> None:
        """Reduce, where the day's loss has come; and keep what could not be kept before."""
        if self._unkept and self._journal.is_available:
            for key in tuple(self._unkept):
                await self._keep(key, "keep_again", WATCHER)
        if self.limits.max_daily_loss is None or self._state.mode is not TradingMode.NORMAL:
            return
        pnl = await self._daily_pnl()
        if is_loss_reached(self.limits, pnl) and self._state.mode is TradingMode.NORMAL:
            self._enter_reducing(pnl)
            await self._keep(_STATE_KEY, "reduce", WATCHER)

    async def _daily_pnl(self) -> Decimal | None:
        try:
            pnl = await self._broker.get_pnl()
        except Unavailable:
            return None
        return None if pnl.stale else pnl.daily_pnl

    # Keeping -----------------------------------------------------------------------------------

    async def _keep(self, key: str, action: str, by: Caller) -> None:
        """Write down what is so already, and who has wanted it. `is_kept` tells whether it was possible."""
        mark = self._unkept[key] = object()

        def is_on_disk(_: int | None) -> None:
            if self._unkept.get(key) is mark:
                del self._unkept[key]

        value = self._value(key)
        command = Audit(
            actor=by.actor, origin=by.origin, action=action, subject=None, request=value, outcome=DONE
        )
        try:
            self._journal.note(StateSet(key, value), then=is_on_disk)
            self._journal.note(command)
            await self._journal.flushed()
        except StateNotKept as error:
            log.error("%s by %s holds, and is not written down: %s", action, by.actor, error.detail)

    def _value(self, key: str) -> Any:
        if key == _STATE_KEY:
            return _STATE.dump(self._state)
        return None if self._changed is None else _LIMITS.dump(self._changed)


def _is_on_its_way(order: Order) -> bool:
    """Has it not been sent, or is it one of a group that may still be held back at the gateway?"""
    return order.is_queued or (order.group_id is not None and order.status is OrderStatus.PENDING_SUBMIT)


def _told(state: TradingState) -> tuple[str, str, str]:
    by = f" (by {state.by})" if state.by else ""
    return state.mode.value, f"{state.since:%F %T} UTC", f"{state.reason or 'no reason given'}{by}"
