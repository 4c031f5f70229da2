"""The Broker protocol: everything the rest of TradeMind may ask of a broker.

Every call ends in a value or a `TradeMindError`, within its deadline. Reads of the account, positions,
orders and executions are snapshots of the book: they return at once and never go over the wire. When
the gateway goes away, every call that is waiting fails at once.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from trademind.brokers.streams import EventStream
from trademind.brokers.topics import MarketStream
from trademind.domain import (
    Account,
    Bar,
    BarRequest,
    Channel,
    ContractDetails,
    ContractMatch,
    ContractQuery,
    Execution,
    LineUsage,
    OptionParameters,
    Order,
    OrderChange,
    OrderGroup,
    OrderPreview,
    OrderRequest,
    PnL,
    Position,
    Quote,
    ScannerParameters,
    ScanRequest,
    ScanRow,
    SessionInfo,
    Subject,
)

AGE_FOR_ORDERS: Final = timedelta(days=1)
"""How old what is known of a contract may be when an order for it is made."""


class Broker(Protocol):
    @property
    def session(self) -> SessionInfo:
        """Where the session stands. Always answers, connected or not."""
        ...

    async def disconnect(self) -> None:
        """End the session for good. Calls that wait are told at once; those that come fail."""
        ...

    async def reconnect(self) -> None:
        """Give the present connection up and make a new one, without waiting for it."""
        ...

    def check_taking_orders(self) -> None:
        """Raises what a new order would be refused with at the moment, whatever it asks for."""
        ...

    async def check_order(self, request: OrderRequest) -> None:
        """Raises what there is to say against an order before it is sent: a contract that there is not, a
        price between two ticks. Nothing is sent but the question for a contract that is not known yet.

        Raises:
            Invalid, ContractNotFound, AmbiguousContract, AccountNotFound, Unavailable, NoAnswer.
        """
        ...

    def remember(self, orders: Iterable[Order]) -> None:
        """Orders of before this process, as they stood last: what has become of those that were not done is
        found out when the session connects."""
        ...

    def drain(self) -> None:
        """The program is about to end: refuse new orders and changes with `ShuttingDown`, end every stream.
        Cancels and reads go on, and so does what is under way."""
        ...

    def stream(self, *channels: Channel) -> EventStream:
        """A stream of these channels of the account and the session. Close it after use.

        Each channel begins with its `State`, how everything in it stands; where the session is not ready the
        stream begins with a `Gap`, and states follow before the `Resumed`.
        """
        ...

    def market(self, *subjects: Subject) -> MarketStream[Any]:
        """A stream of market data: of these subjects and what it is told to follow. Close it after use."""
        ...

    def line_usage(self) -> tuple[LineUsage, ...]:
        """What IB grants of each kind of market data, and how much of it is taken. Always answers."""
        ...

    async def get_account(self) -> Account:
        """The account's figures.

        Raises:
            Unavailable: not connected or not synchronised, so there is nothing true to say.
        """
        ...

    async def get_positions(self) -> tuple[Position, ...]:
        """Open positions, by symbol. Raises `Unavailable` like `get_account`."""
        ...

    async def get_pnl(self) -> PnL:
        """Daily, unrealized and realized profit and loss. Raises `Unavailable` like `get_account`."""
        ...

    async def get_orders(self, *, working: bool | None = None) -> tuple[Order, ...]:
        """Orders of this day and those still working, newest first.

        Args:
            working: True for working orders only, False for those that are done, None for all.
        """
        ...

    async def get_order(self, order_id: str) -> Order:
        """One order, by TradeMind's id or the client order id. Raises `OrderNotFound`."""
        ...

    async def get_executions(self, *, order_id: str | None = None) -> tuple[Execution, ...]:
        """Fills of this day, newest first, of one order or of all."""
        ...

    async def place_order(self, request: OrderRequest) -> Order:
        """Place an order and return it once IB has acknowledged it.

        A repeated `client_order_id` returns the order it made the first time and places nothing.

        Raises:
            Unavailable: no session; nothing was sent.
            LiveTradingNotAllowed: a live account without ALLOW_LIVE; nothing was sent.
            ContractNotFound, AmbiguousContract: nothing was sent.
            DuplicateOrder: the client order id belongs to another order.
            OrderRejected: IB refused it.
            OrderOutcomeUnknown: no answer in time, or the connection broke after sending.
        """
        ...

    async def place_group(
        self, group: OrderGroup, *, before_release: Callable[[], None] | None = None
    ) -> tuple[Order, ...]:
        """Place orders that belong together, all of them or none, and return them once IB has acknowledged
        each. Their ids are their keys: see `OrderGroup.with_key`.

        IB holds them back until it has taken every one, so what it refuses at once leaves none working. What
        it refuses only afterwards has the others cancelled.

        Args:
            before_release: Called when all are held back at IB, right before they are placed; what it raises
                has them withdrawn.

        Raises:
            As `place_order`, and what `before_release` raises. After `OrderOutcomeUnknown` each of them may
            or may not exist.
        """
        ...

    async def preview_order(self, request: OrderRequest) -> OrderPreview:
        """What an order would do to margin, and cost in commission, by IB's reckoning. Nothing is placed.

        Raises:
            As `place_order`, but that nothing can be unknown: `NoAnswer` is all.
        """
        ...

    async def modify_order(
        self, order_id: str, change: OrderChange, *, before_send: Callable[[], None] | None = None
    ) -> Order:
        """Change a working order. Raises `OrderNotFound`, `OrderNotWorking`, `OrderRejected` and as above.

        Args:
            before_send: Called right before it is sent; what it raises has it not sent.
        """
        ...

    async def cancel_order(self, order_id: str) -> Order:
        """Ask for a cancel; the order returned may still be `pending_cancel`.

        Raises:
            OrderNotFound, OrderNotWorking, Unavailable, CancelRejected, NoAnswer.
        """
        ...

    async def cancel_all_orders(self) -> tuple[Order, ...]:
        """Ask to cancel every working order placed through this client id; returns them."""
        ...

    async def cancel_everything(self) -> None:
        """IB's global cancel: every working order of the whole login, whoever has placed it, by hand
        included. It returns when that is sent; the orders tell what becomes of them."""
        ...

    async def reconcile(self) -> None:
        """Have IB list all orders and fills now, also those of other clients and by hand, which it tells
        only when asked; it is asked every half minute anyway. When this returns they are in the book.

        Raises:
            Unavailable, NoAnswer, PacingViolation.
        """
        ...

    async def get_quotes(self, queries: Sequence[ContractQuery]) -> tuple[Quote, ...]:
        """The latest quote of each, in the order asked.

        The first question about an instrument subscribes to it and waits for a full quote; what has not
        come by the deadline is None. Raises `ContractNotFound`, `AmbiguousContract`, `Unavailable`.
        """
        ...

    async def get_quote(self, query: ContractQuery) -> Quote:
        """As `get_quotes`, for one."""
        ...

    async def get_bars(self, query: ContractQuery, request: BarRequest) -> tuple[Bar, ...]:
        """Historical bars, oldest first. The last one may still be forming."""
        ...

    async def get_head_timestamp(
        self, query: ContractQuery, what_to_show: str | None = None, *, use_rth: bool = True
    ) -> datetime:
        """The first moment of an instrument's history, of the kind of data that bars would be made of.

        Raises:
            Invalid, ContractNotFound, AmbiguousContract, Refused, PacingViolation, Unavailable, NoAnswer.
        """
        ...

    async def get_scanner_parameters(self) -> ScannerParameters:
        """What can be scanned for. Raises `Unavailable`, `NoAnswer`."""
        ...

    async def scan(self, request: ScanRequest) -> tuple[ScanRow, ...]:
        """Instruments ranked by a figure of their market, best first, as they are now.

        Raises:
            Refused: IB has no such scan.
            NotSubscribed, TooManySubscriptions, Unavailable, NoAnswer.
        """
        ...

    async def search_contracts(self, text: str) -> tuple[ContractMatch, ...]:
        """Contracts whose symbol or name matches `text`."""
        ...

    async def qualify(
        self, query: ContractQuery, *, fresh: bool = False, max_age: timedelta | None = None
    ) -> ContractDetails:
        """The one contract that `query` means. Raises `ContractNotFound`, `AmbiguousContract`.

        What is known is told at once, as of when it was told; where that is more than a day ago it is asked
        again meanwhile.

        Args:
            fresh: Ask again what is known already: the hours of a contract are told for some days only.
            max_age: Ask first if what is known of a symbol is older. For orders: now and then one passes to
                another company, and last week's answer would trade the wrong one.
        """
        ...

    async def find_contracts(self, query: ContractQuery) -> tuple[ContractDetails, ...]:
        """Every contract that `query` may mean, as a chain of options. Raises `Unavailable`, `NoAnswer`."""
        ...

    async def get_options(self, con_id: int) -> tuple[OptionParameters, ...]:
        """Which options there are on an underlying. Raises `ContractNotFound`, `Unavailable`, `NoAnswer`."""
        ...
