"""Tick by tick: every trade, or every change of the best bid and ask, with IB's own time.

ib_async files ticks under the time at which they came, so they are taken where they are decoded, see
`listener`.
"""

from datetime import UTC, datetime
from typing import Any

import ib_async
from ib_async.client import Client

from trademind.brokers.ibkr import convert
from trademind.brokers.ibkr.line_pacing import Pace
from trademind.brokers.ibkr.lines import SequenceLine
from trademind.domain import Channel, Contract, Tick, TickType


class TickLine(SequenceLine):
    PATIENCE = 60.0
    """Of what is not traded nothing comes, and it may be asked for only so often."""

    def __init__(self, contract: Contract, tick_type: TickType, pace: Pace) -> None:
        super().__init__(Channel.TICKS, contract, tick_type.value, pace)
        self._type = tick_type

    @property
    def what(self) -> str:
        return f"ticks of {self.name} ({self._type})"

    def send(self, client: Client, req_id: int) -> None:
        contract, past_ticks, ignore_size = convert.to_ib_reference(self.contract), 0, False
        client.reqTickByTickData(req_id, contract, self._type.value, past_ticks, ignore_size)

    def cancel(self, client: Client, req_id: int) -> None:
        client.cancelTickByTickData(req_id)

    def trade(
        self,
        now: datetime,
        time: int,
        price: float,
        size: float,
        attributes: ib_async.TickAttribLast,
        exchange: str,
        conditions: str,
    ) -> None:
        """A trade; IB writes -1 where it has no price."""
        self._add(
            now,
            time,
            price=None if price == -1 and size == 0 else price,
            size=size,
            exchange=exchange or None,
            special_conditions=conditions or None,
            past_limit=attributes.pastLimit,
            unreported=attributes.unreported,
        )

    def bid_ask(
        self, now: datetime, time: int, bid: float, ask: float, bid_size: float, ask_size: float
    ) -> None:
        """A change of the best bid and ask; a side without a size is empty."""
        self._add(
            now,
            time,
            bid=bid if bid_size > 0 else None,
            ask=ask if ask_size > 0 else None,
            bid_size=bid_size,
            ask_size=ask_size,
        )

    def mid_point(self, now: datetime, time: int, price: float) -> None:
        self._add(now, time, mid_point=price)

    def _add(self, now: datetime, time: int, **values: Any) -> None:
        at = datetime.fromtimestamp(time, UTC)
        self.add(Tick(contract=self.contract, tick_type=self._type, time=at, **values), now)
