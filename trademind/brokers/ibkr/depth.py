"""Order books, put together from their rows as IB sends them.

An insert moves the rows from its place on down by one, a delete moves them up, as IB describes it. ib_async
numbers the rows instead and leaves holes, so rows are taken where they are decoded, see `listener`.
"""

from typing import Final

from ib_async.client import Client

from trademind.brokers.ibkr import convert
from trademind.brokers.ibkr.lines import LatestLine
from trademind.brokers.ibkr.session import Session
from trademind.domain import Channel, Contract, Depth, DepthLevel, Notice

ROWS: Final = 10
"""Of each side: enough for what is shown and executed against; IB has more only of single exchanges."""

SMART: Final = "SMART"
RESET: Final = 317
"""IB begins the book anew."""

_INSERT, _UPDATE, _DELETE = 0, 1, 2
_ASK = 0


class DepthLine(LatestLine):
    PATIENCE = 10.0
    """IB tells the book as it stands at once, where there is one."""

    def __init__(self, contract: Contract) -> None:
        super().__init__(Channel.DEPTH, contract)
        self._bids: list[DepthLevel] = []
        self._asks: list[DepthLevel] = []

    @property
    def what(self) -> str:
        return f"market depth of {self.name}"

    @property
    def _is_smart(self) -> bool:
        return self.contract.exchange == SMART

    def begin(self, session: Session, req_id: int) -> None:
        super().begin(session, req_id)
        self._empty()

    def send(self, client: Client, req_id: int) -> None:
        client.reqMktDepth(req_id, convert.to_ib_reference(self.contract), ROWS, self._is_smart, [])

    def cancel(self, client: Client, req_id: int) -> None:
        client.cancelMktDepth(req_id, self._is_smart)

    def row(self, position: int, maker: str, operation: int, side: int, price: float, size: float) -> None:
        """One row has changed. Rows out of reach, which IB was seen to send, change nothing."""
        rows = self._asks if side == _ASK else self._bids
        if operation == _DELETE:
            del rows[position : position + 1]
        elif operation == _UPDATE and position < len(rows):
            rows[position] = DepthLevel(price, size, maker)
        elif operation in (_INSERT, _UPDATE):
            rows.insert(position, DepthLevel(price, size, maker))
            del rows[ROWS:]
        self.latest.touch()

    def noted(self, notice: Notice) -> None:
        if notice.ib_code == RESET:
            self._empty()
            self.latest.touch()
        else:
            super().noted(notice)

    def _empty(self) -> None:
        self._bids.clear()
        self._asks.clear()

    def read(self) -> Depth:
        return Depth(
            contract=self.contract,
            as_of=self.as_of,
            bids=tuple(self._bids),
            asks=tuple(self._asks),
            is_smart=self._is_smart,
            stale=self.is_stale,
            notices=self.notices,
        )
