"""Orders as they come in.

They are checked here for their shape alone (known fields, JSON types); what the values mean is checked once,
by the domain.
"""

from dataclasses import replace
from typing import Annotated, Any

from pydantic import AwareDatetime, BeforeValidator, ConfigDict, Field, PlainValidator, StrictBool, StrictInt

from trademind.api.schemas.base import EXCHANGE, In
from trademind.domain import (
    OCAType,
    OrderChange,
    OrderClass,
    OrderGroup,
    OrderRequest,
    OrderType,
    SecType,
    Side,
    StopLoss,
    Target,
    TimeInForce,
    bracket,
)
from trademind.domain.groups import MAX_LEGS
from trademind.domain.orders import exact
from trademind.errors import Invalid


def _upper(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


def _as_sent(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError("must be a number")
    return value


Number = Annotated[
    str | int | float,
    PlainValidator(_as_sent, json_schema_input_type=str | int | float),
    Field(description="A number, better as a string: '150.25'."),
]
"""Kept as it was sent; the domain makes a decimal of it. `true` is not 1."""

SideIn = Annotated[Side, BeforeValidator(_upper)]
OrderTypeIn = Annotated[OrderType, BeforeValidator(_upper)]
TimeInForceIn = Annotated[TimeInForce, BeforeValidator(_upper)]


class TermsIn(In):
    """What an order asks for beside its side and quantity. Say which contract by `symbol` (with its
    circumstances) or by `con_id`."""

    symbol: str = ""
    con_id: StrictInt | None = None
    sec_type: SecType = SecType.STOCK
    exchange: str = Field(default="", description=EXCHANGE)
    currency: str = "USD"
    order_type: OrderTypeIn = OrderType.MARKET
    limit_price: Number | None = None
    stop_price: Number | None = Field(
        default=None, description="Of a TRAIL order: where its stop begins; by default at its distance."
    )
    trailing_amount: Number | None = Field(default=None, description="A TRAIL order's distance, as a price.")
    trailing_percent: Number | None = Field(default=None, description="The same in per cent: 1.5 is 1.5 %.")
    tif: TimeInForceIn = TimeInForce.DAY
    good_till: AwareDatetime | None = Field(default=None, description="When a GTD order ends.")
    outside_rth: StrictBool = False
    account_id: str | None = None
    client_order_id: str | None = Field(
        default=None,
        description="Your own name for the order: sent twice, it still makes one order. "
        "The Idempotency-Key header does the same.",
    )


class LegIn(In):
    """A further order of a one-cancels-all group. Side, quantity, instrument, `tif` and `outside_rth` are the
    first order's where they are left out; the order type, prices and `good_till` are its own."""

    side: SideIn | None = None
    quantity: Number | None = None
    symbol: str | None = None
    con_id: StrictInt | None = None
    sec_type: SecType | None = None
    exchange: str | None = None
    currency: str | None = None
    order_type: OrderTypeIn = OrderType.MARKET
    limit_price: Number | None = None
    stop_price: Number | None = None
    trailing_amount: Number | None = None
    trailing_percent: Number | None = None
    tif: TimeInForceIn | None = None
    good_till: AwareDatetime | None = None
    outside_rth: StrictBool | None = None


class TakeProfitIn(In):
    limit_price: Number


class StopLossIn(In):
    """One of `stop_price` (with or without a limit), `trailing_amount` and `trailing_percent`."""

    stop_price: Number | None = None
    limit_price: Number | None = None
    trailing_amount: Number | None = None
    trailing_percent: Number | None = None


class OrderIn(TermsIn):
    """An order to place, or a group of orders that belong together, by its `order_class`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"symbol": "AAPL", "side": "BUY", "quantity": "10"},
                {
                    "symbol": "AAPL",
                    "side": "BUY",
                    "quantity": "10",
                    "order_type": "LMT",
                    "limit_price": "150.00",
                    "tif": "GTC",
                    "client_order_id": "my-order-1",
                },
                {
                    "symbol": "AAPL",
                    "side": "BUY",
                    "quantity": "10",
                    "order_class": "bracket",
                    "take_profit": {"limit_price": "260.00"},
                    "stop_loss": {"stop_price": "210.00"},
                    "client_order_id": "my-bracket-1",
                },
            ]
        }
    )

    side: SideIn
    quantity: Number
    order_class: OrderClass = Field(
        default=OrderClass.SIMPLE,
        description="`bracket`: this order, and exits that work once it has filled. `oca`: this order and "
        "`legs`, of which a fill of one cancels the others. All orders of a group are placed, or none, under "
        "one `client_order_id` of at most 36 letters: `key:tp` and `key:sl` are a bracket's exits, `key:2`, "
        "`key:3` … the others of an oca group.",
    )
    take_profit: TakeProfitIn | None = Field(default=None, description="Of a bracket.")
    stop_loss: StopLossIn | None = Field(default=None, description="Of a bracket.")
    exit_tif: TimeInForceIn | None = Field(
        default=None,
        description="How long a bracket's exits work: by default as long as its entry, or until cancelled "
        "(GTC) where that is IOC. A GTD entry needs it.",
    )
    legs: list[LegIn] | None = Field(default=None, max_length=MAX_LEGS, description="Of an oca group.")
    oca_type: OCAType | None = Field(
        default=None, description="What a fill does to the others; by default it cancels them."
    )

    def request(self, client_order_id: str | None) -> OrderRequest | OrderGroup:
        """What is asked for, in the terms of the domain. Raises `Invalid` with all that is wrong with it."""
        self._check_class()
        # The domain turns the numbers, still as they came, into exact decimals.
        fields: dict[str, Any] = self.model_dump(exclude={"client_order_id", *_OF_GROUPS})
        first = OrderRequest(**fields, client_order_id=client_order_id)
        match self.order_class:
            case OrderClass.SIMPLE:
                return first
            case OrderClass.BRACKET:
                profit, loss = self.take_profit, self.stop_loss
                return bracket(
                    first,
                    take_profit=exact(profit.limit_price, "take_profit.limit_price") if profit else None,
                    stop_loss=StopLoss(**_exactly(loss, "stop_loss")) if loss else None,
                    exit_tif=self.exit_tif,
                )
            case OrderClass.OCA:
                return OrderGroup(
                    order_class=OrderClass.OCA,
                    legs=(replace(first, client_order_id=None), *self._legs(fields)),
                    client_order_id=client_order_id,
                    oca_type=self.oca_type or OCAType.CANCEL_WITH_BLOCK,
                )

    def _check_class(self) -> None:
        wanted = {
            OrderClass.SIMPLE: frozenset[str](),
            OrderClass.BRACKET: frozenset({"take_profit", "stop_loss", "exit_tif"}),
            OrderClass.OCA: frozenset({"legs", "oca_type"}),
        }[self.order_class]
        errors = [
            (name, f"an order of class {self.order_class} has none; see order_class")
            for name in _OF_GROUPS
            if name != "order_class" and name not in wanted and getattr(self, name) is not None
        ]
        if self.order_class is OrderClass.OCA and not self.legs:
            errors.append(("legs", "an oca group has at least one more order"))
        if errors:
            raise Invalid(errors)

    def _legs(self, first: dict[str, Any]) -> list[OrderRequest]:
        # Another instrument takes nothing over of the first one's, nor another kind of order its prices.
        shared = {name: first[name] for name in ("side", "quantity", "tif", "outside_rth", "account_id")}
        instrument = {name: first[name] for name in _INSTRUMENT}
        legs: list[OrderRequest] = []
        errors: list[tuple[str, str]] = []
        for number, leg in enumerate(self.legs or ()):
            given = leg.model_dump(exclude_none=True)
            names_one = "symbol" in given or "con_id" in given
            try:
                legs.append(OrderRequest(**{**shared, **({} if names_one else instrument), **given}))
            except Invalid as error:
                errors += [(f"legs.{number}.{field}", message) for field, message in error.errors]
        if errors:
            raise Invalid(errors)
        return legs


_INSTRUMENT = ("symbol", "con_id", "sec_type", "exchange", "currency")
_OF_GROUPS = ("order_class", "take_profit", "stop_loss", "exit_tif", "legs", "oca_type")


def _exactly(given: In, where: str) -> dict[str, Any]:
    return {
        name: exact(value, f"{where}.{name}") for name, value in given.model_dump(exclude_none=True).items()
    }


class TargetIn(TermsIn):
    """How much of an instrument is to be held."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"symbol": "AAPL", "target_quantity": "100"}]})

    target_quantity: Number = Field(description="Negative for a short position; 0 closes it.")
    cancel_working: StrictBool = Field(
        default=False, description="Cancel this server's working orders in the instrument first."
    )

    def target(self, client_order_id: str | None) -> Target:
        """The target in the domain's terms. Raises `Invalid`."""
        fields: dict[str, Any] = self.model_dump(
            exclude={"target_quantity", "cancel_working", "client_order_id"}
        )
        return Target.of(self.target_quantity, **fields, client_order_id=client_order_id)


class OrderChangeIn(In):
    """What to change of a working order."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"limit_price": "151.00"}]})

    quantity: Number | None = None
    limit_price: Number | None = None
    stop_price: Number | None = None
    trailing_amount: Number | None = None
    trailing_percent: Number | None = None
    tif: TimeInForceIn | None = None

    def change(self) -> OrderChange:
        """The change in the domain's terms. Raises `Invalid`."""
        fields: dict[str, Any] = self.model_dump()
        return OrderChange(**fields)
