"""Bars of five seconds, as they end. To IB each request for them is one for history, too. Larger ones are in
`kept_bars`."""

from datetime import datetime
from typing import Final

import ib_async
from ib_async.client import Client

from trademind.brokers.ibkr import convert
from trademind.brokers.ibkr.line_pacing import Pace
from trademind.brokers.ibkr.lines import SequenceLine
from trademind.domain import Channel, Contract, LiveBar, LiveBars

SECONDS: Final = 5
"""Of a bar: IB tells no other in this way."""


class LiveBarLine(SequenceLine):
    PATIENCE = 30.0
    """A bar comes every five seconds while there is a market, and asking again counts as one for history."""

    def __init__(self, contract: Contract, what_to_show: str, bars: LiveBars, pace: Pace) -> None:
        super().__init__(Channel.BARS, contract, what_to_show, pace, bars)
        self._use_rth = bars.use_rth

    @property
    def what(self) -> str:
        return f"5-second bars of {self.name} ({self.topic.variant})"

    def send(self, client: Client, req_id: int) -> None:
        contract, use_rth = convert.to_ib_reference(self.contract), self._use_rth
        client.reqRealTimeBars(req_id, contract, SECONDS, self.topic.variant, use_rth, [])

    def cancel(self, client: Client, req_id: int) -> None:
        client.cancelRealTimeBars(req_id)

    def bar(self, now: datetime, bar: ib_async.BarData) -> None:
        """A bar has ended."""
        what = self.topic.variant
        self.add(LiveBar(contract=self.contract, what_to_show=what, bar=convert.to_bar(bar)), now)
