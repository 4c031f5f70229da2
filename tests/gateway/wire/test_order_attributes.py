"""Every attribute of an order: what the clients write is read, and what is read is shown to them again."""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from typing import Any

import ib_async
import ib_async.contract
import ib_async.decoder
import pytest

from tests.gateway.wire import samples
from tests.gateway.wire.test_requests_of_ib_async import Wire as IbAsyncWire
from tests.gateway.wire.test_requests_of_ibapi import Wire as IbapiWire
from trademind.gateway.wire.fields import decode_fields
from trademind.gateway.wire.order_terms import (
    NOTED,
    OrderTerms,
    WireAdjustment,
    WireLeg,
    WirePriceCondition,
    WireTimeCondition,
)
from trademind.gateway.wire.orders import CompletedOrder, OpenOrder, OrderStatus
from trademind.gateway.wire.place_order import PlaceOrder
from trademind.gateway.wire.reading import read_request

pytest.importorskip("ibapi", reason="IB's own client is not installed (dependency group `conformance`)")

import ibapi.contract
import ibapi.decoder
import ibapi.order
import ibapi.order_condition
import ibapi.softdollartier
import ibapi.tag_value

SHOWN_AT = (157, 163, 176, 178, 187, 194, 200)
PLAIN = OrderTerms(
    action="BUY", quantity=Decimal(10), order_type="LMT", limit_price=Decimal("150.5"), tif="DAY"
)


@dataclass(frozen=True)
class Client:
    """One of the client libraries, as far as orders go."""

    name: str
    wire: Callable[[int], Any]
    order: Callable[[], Any]
    contract: Callable[[], Any]
    leg: Callable[[], Any]
    leg_price: Callable[[], Any]
    tag: Callable[[str, str], Any]
    tier: Callable[[str, str, str], Any]
    versions: tuple[int, ...]

    @property
    def shown_at(self) -> list[int]:
        return [version for version in SHOWN_AT if version in self.versions]

    def price_condition(self, price: float, con_id: int, method: int, *, is_more: bool, is_and: bool) -> Any:
        if self.name == "ib_async":
            return ib_async.PriceCondition(1, "a" if is_and else "o", is_more, price, con_id, "SMART", method)
        condition = ibapi.order_condition.PriceCondition(method, con_id, "SMART", is_more, price)
        return condition.And() if is_and else condition.Or()

    def time_condition(self, time: str, *, is_more: bool) -> Any:
        if self.name == "ib_async":
            return ib_async.TimeCondition(3, "a", is_more, time)
        return ibapi.order_condition.TimeCondition(is_more, time)

    def other_conditions(self) -> list[Any]:
        if self.name == "ib_async":
            return [
                ib_async.MarginCondition(4, "a", True, 20),
                ib_async.ExecutionCondition(5, "a", "STK", "SMART", "AAPL"),
                ib_async.VolumeCondition(6, "a", True, 100, 8314, "SMART"),
                ib_async.PercentChangeCondition(7, "a", True, 1.5, 8314, "SMART"),
            ]
        kinds = ibapi.order_condition
        return [
            kinds.MarginCondition(True, 20),
            kinds.ExecutionCondition("STK", "SMART", "AAPL"),
            kinds.VolumeCondition(8314, "SMART", True, 100),
            kinds.PercentChangeCondition(8314, "SMART", True, 1.5),
        ]

    def place(self, version: int, contract: Any = None, **attributes: Any) -> PlaceOrder:
        """The request that the gateway reads of a limit order with further attributes."""
        order = self.order()
        order.action, order.totalQuantity, order.orderType, order.lmtPrice = "BUY", Decimal(10), "LMT", 150.5
        order.tif = "DAY"
        for name, value in attributes.items():
            assert hasattr(order, name)
            setattr(order, name, value)
        request = read_request(
            self.wire(version).write("placeOrder", 12, contract or self.aapl(), order), version
        )
        assert isinstance(request, PlaceOrder)
        assert request.order_id == 12
        return request

    def aapl(self) -> Any:
        contract = self.contract()
        contract.conId, contract.symbol, contract.secType = 265598, "AAPL", "STK"
        contract.exchange, contract.primaryExchange, contract.currency = "SMART", "NASDAQ", "USD"
        return contract

    def read(self, message: Any, version: int) -> tuple[Any, ...]:
        """What the client's decoder makes of a message: the arguments of the one call."""
        calls: list[tuple[Any, ...]] = []

        class Wrapper:
            def __getattr__(self, name: str) -> Callable[..., None]:
                return lambda *args: calls.append(args)

        payload = message.encode(version)
        if self.name == "ib_async":
            ib_async.decoder.Decoder(Wrapper(), version).interpret(decode_fields(payload))  # type: ignore[arg-type]
        else:
            number, *rest = payload.split(b"\0")[:-1]
            info = ibapi.decoder.Decoder.msgId2handleInfo[int(number)]
            left = iter(rest)
            info.processMeth(ibapi.decoder.Decoder(Wrapper(), version), left)
            assert not list(left), "fields that the decoder does not expect"
        (call,) = calls
        return call


IB_ASYNC = Client(
    "ib_async",
    IbAsyncWire,
    ib_async.Order,
    ib_async.Contract,
    ib_async.ComboLeg,
    ib_async.OrderComboLeg,
    ib_async.TagValue,
    ib_async.SoftDollarTier,
    tuple(version for version in samples.VERSIONS if version <= 178),
)
IBAPI = Client(
    "ibapi",
    IbapiWire,
    ibapi.order.Order,
    ibapi.contract.Contract,
    ibapi.contract.ComboLeg,
    ibapi.order.OrderComboLeg,
    ibapi.tag_value.TagValue,
    ibapi.softdollartier.SoftDollarTier,
    samples.VERSIONS,
)

pytestmark = pytest.mark.parametrize("client", [IB_ASYNC, IBAPI], ids=lambda client: client.name)

# Reading

TERMS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"tif": "GTC"}, {"tif": "GTC"}),
    ({"lmtPrice": 151.25, "auxPrice": 149.75}, {"limit_price": "151.25", "aux_price": "149.75"}),
    ({"ocaGroup": "g", "ocaType": 1}, {"oca_group": "g", "oca_type": 1}),
    ({"account": "DU1"}, {"account": "DU1"}),
    ({"orderRef": "mine;1"}, {"order_ref": "mine;1"}),
    ({"transmit": False}, {"transmit": False}),
    ({"parentId": 4}, {"parent_id": 4}),
    ({"displaySize": 100}, {"display_size": "100"}),
    ({"triggerMethod": 4}, {"trigger_method": 4}),
    ({"outsideRth": True}, {"outside_rth": True}),
    ({"hidden": True}, {"hidden": True}),
    ({"goodAfterTime": "20261123 10:00:00 US/Eastern"}, {"good_after": "20261123 10:00:00 US/Eastern"}),
    ({"goodTillDate": "20261123-21:00:00"}, {"good_till": "20261123-21:00:00"}),
    ({"allOrNone": True}, {"all_or_none": True}),
    ({"minQty": 5}, {"min_quantity": "5"}),
    ({"percentOffset": 0.05}, {"percent_offset": "0.05"}),
    ({"trailStopPrice": 140.5}, {"trail_stop_price": "140.5"}),
    ({"trailingPercent": 1.5}, {"trailing_percent": "1.5"}),
    ({"lmtPriceOffset": 0.25}, {"limit_offset": "0.25"}),
    ({"whatIf": True}, {"what_if": True}),
    ({"cashQty": 100.0}, {"cash_quantity": "100"}),
    ({"openClose": "C"}, {"notes": {"openClose": "C"}}),
    ({"origin": 1}, {"notes": {"origin": "1"}}),
    ({"sweepToFill": True}, {"notes": {"sweepToFill": "1"}}),
    ({"rule80A": "I"}, {"notes": {"rule80A": "I"}}),
    ({"settlingFirm": "f"}, {"notes": {"settlingFirm": "f"}}),
    ({"optOutSmartRouting": True}, {"notes": {"optOutSmartRouting": "1"}}),
    ({"clearingAccount": "c"}, {"notes": {"clearingAccount": "c"}}),
    ({"clearingIntent": "Away"}, {"notes": {"clearingIntent": "Away"}}),
    ({"notHeld": True}, {"notes": {"notHeld": "1"}}),
    ({"solicited": True}, {"notes": {"solicited": "1"}}),
    ({"extOperator": "me"}, {"notes": {"extOperator": "me"}}),
    ({"usePriceMgmtAlgo": True}, {"notes": {"usePriceMgmtAlgo": "1"}}),
    # Of no consequence, and shown to nobody again.
    ({"exemptCode": 1}, {}),
    ({"overridePercentageConstraints": True}, {}),
    ({"algoId": "a"}, {}),
    ({"mifid2DecisionMaker": "a", "mifid2ExecutionAlgo": "b"}, {}),
    ({"dontUseAutoPriceForHedge": True}, {}),
]


def expected(changes: dict[str, Any]) -> OrderTerms:
    numbers = {"limit_price", "aux_price", "display_size", "min_quantity", "percent_offset", "cash_quantity",
               "trail_stop_price", "trailing_percent", "limit_offset"}  # fmt: skip
    values: dict[str, Any] = {k: Decimal(v) if k in numbers else v for k, v in changes.items()}
    return replace(PLAIN, **values)


def without_default_notes(request: PlaceOrder, changes: dict[str, Any]) -> OrderTerms:
    """Without what a client sends of its own accord: ib_async opens positions by default."""
    wanted = changes.get("notes", {})
    notes = {k: v for k, v in request.terms.notes.items() if k in wanted or (k, v) != ("openClose", "O")}
    return replace(request.terms, notes=notes)


@pytest.mark.parametrize(("attributes", "changes"), TERMS, ids=[next(iter(each)) for each, _ in TERMS])
async def test_terms_are_read_at_every_version(
    client: Client, attributes: dict[str, Any], changes: dict[str, Any]
) -> None:
    for version in client.versions:
        request = client.place(version, **attributes)

        assert request.attributes == (), version
        assert without_default_notes(request, changes) == expected(changes), version


REFUSED: list[dict[str, Any]] = [
    {"blockOrder": True},
    {"discretionaryAmt": 0.5},
    {"faGroup": "all"},
    {"faMethod": "NetLiq"},
    {"faPercentage": "10"},
    {"modelCode": "m"},
    {"shortSaleSlot": 2},
    {"auctionStrategy": 1},
    {"startingPrice": 1.5},
    {"stockRefPrice": 1.5},
    {"delta": 0.5},
    {"stockRangeLower": 1.5},
    {"stockRangeUpper": 1.5},
    {"deltaNeutralOrderType": "MKT"},
    {"continuousUpdate": True},
    {"scaleInitLevelSize": 5},
    {"scaleSubsLevelSize": 5},
    {"scalePriceIncrement": 0.1},
    {"scaleTable": "t"},
    {"activeStartTime": "20261123 10:00:00"},
    {"activeStopTime": "20261123 10:00:00"},
    {"hedgeType": "B", "hedgeParam": "1"},
    {"algoStrategy": "Twap"},
    {"randomizeSize": True},
    {"randomizePrice": True},
    {"isOmsContainer": True},
    {"discretionaryUpToLimitPrice": True},
]


@pytest.mark.parametrize("attributes", REFUSED, ids=[next(iter(each)) for each in REFUSED])
async def test_attributes_that_change_the_meaning_are_named(
    client: Client, attributes: dict[str, Any]
) -> None:
    for version in client.versions:
        request = client.place(version, **attributes)

        assert request.attributes == (next(iter(attributes)),), version
        assert without_default_notes(request, {}) == PLAIN, version


async def test_attributes_with_fields_of_their_own_are_read_to_their_end(client: Client) -> None:
    contract = client.aapl()
    neutral = ib_async.DeltaNeutralContract if client is IB_ASYNC else ibapi.contract.DeltaNeutralContract
    contract.deltaNeutralContract = neutral()
    tags = [client.tag("a", "b"), client.tag("c", "d")]

    request = client.place(178, contract, algoStrategy="Twap", algoParams=tags)

    assert request.attributes == ("deltaNeutralContract", "algoStrategy")
    assert client.place(178, volatility=0.5, orderType="VOL").attributes == ("volatility",)
    scale = {"scalePriceIncrement": 0.1, "scaleAutoReset": True, "scaleInitPosition": 3}
    assert client.place(178, **scale).attributes == ("scalePriceIncrement",)


NEWER: list[tuple[int, dict[str, Any], str, dict[str, str]]] = [
    (158, {"duration": 60}, "duration", {}),
    (160, {"postToAts": 1}, "postToAts", {}),
    (162, {"autoCancelParent": True}, "", {"autoCancelParent": "1"}),
    (166, {"advancedErrorOverride": "1"}, "", {}),
    (169, {"manualOrderTime": "20261123 10:00:00"}, "", {}),
    (183, {"customerAccount": "c"}, "", {"customerAccount": "c"}),
    (184, {"professionalCustomer": True}, "", {"professionalCustomer": "1"}),
    (189, {"includeOvernight": True}, "", {"includeOvernight": "1"}),
    (192, {"manualOrderIndicator": 1}, "", {"manualOrderIndicator": "1"}),
    (199, {"imbalanceOnly": True}, "imbalanceOnly", {}),
]


@pytest.mark.parametrize(
    ("since", "attributes", "refused", "notes"), NEWER, ids=[next(iter(n[1])) for n in NEWER]
)
async def test_attributes_that_came_with_a_version(
    client: Client, since: int, attributes: dict[str, Any], refused: str, notes: dict[str, str]
) -> None:
    for version in [version for version in client.versions if version >= since]:
        request = client.place(version, **attributes)

        assert request.attributes == ((refused,) if refused else ()), version
        assert without_default_notes(request, {}).notes == notes, version


async def test_soft_dollars(client: Client) -> None:
    request = client.place(178, softDollarTier=client.tier("n", "v", "d"))

    assert without_default_notes(request, {}).notes == {"softDollarTierName": "n", "softDollarTierValue": "v"}


async def test_conditions(client: Client) -> None:
    conditions = [
        client.price_condition(151.5, 8314, 2, is_more=True, is_and=False),
        client.time_condition("20261123 15:00:00 US/Eastern", is_more=False),
    ]
    for version in client.versions:
        request = client.place(
            version, conditions=conditions, conditionsIgnoreRth=True, conditionsCancelOrder=True
        )

        assert request.attributes == ()
        assert request.terms.conditions == (
            WirePriceCondition(
                is_and=False, is_more=True, price=Decimal("151.5"), con_id=8314, exchange="SMART",
                trigger_method=2,
            ),
            WireTimeCondition(is_and=True, is_more=False, time="20261123 15:00:00 US/Eastern"),
        )  # fmt: skip
        assert (request.terms.conditions_outside_rth, request.terms.conditions_cancel) == (True, True)


async def test_conditions_that_are_not_simulated_are_named(client: Client) -> None:
    for version in client.versions:
        request = client.place(version, conditions=client.other_conditions(), orderRef="mine")

        assert request.attributes == (
            "marginCondition", "executionCondition", "volumeCondition", "percentChangeCondition",
        )  # fmt: skip
        assert (request.terms.conditions, request.terms.order_ref) == ((), "mine")


async def test_adjusted_stops(client: Client) -> None:
    adjusted = {"triggerPrice": 160.0, "adjustedStopPrice": 155.0, "adjustedStopLimitPrice": 154.0,
                "adjustedTrailingAmount": 2.0, "adjustableTrailingUnit": 100}  # fmt: skip
    for version in client.versions:
        request = client.place(version, adjustedOrderType="TRAIL", **adjusted)

        assert request.terms.adjustment == WireAdjustment(
            order_type="TRAIL",
            trigger_price=Decimal(160),
            stop_price=Decimal(155),
            limit_price=Decimal(154),
            trailing=Decimal(2),
            unit=100,
        )
        # Without a type, the rest of it is idle.
        assert client.place(version, **adjusted).terms.adjustment is None


def bag(client: Client) -> Any:
    contract = client.contract()
    contract.symbol, contract.secType = "AAPL,MSFT", "BAG"
    contract.exchange, contract.currency = "SMART", "USD"
    first, second = client.leg(), client.leg()
    first.conId, first.ratio, first.action, first.exchange = 265598, 1, "BUY", "SMART"
    second.conId, second.ratio, second.action, second.exchange = 272093, 2, "SELL", "ISLAND"
    second.openClose, second.shortSaleSlot, second.designatedLocation, second.exemptCode = 1, 2, "there", 5
    contract.comboLegs = [first, second]
    return contract


async def test_combinations(client: Client) -> None:
    for version in client.versions:
        request = client.place(
            version, bag(client), smartComboRoutingParams=[client.tag("NonGuaranteed", "1")]
        )

        assert request.attributes == ()
        assert request.terms.routing == (("NonGuaranteed", "1"),)
        assert request.terms.legs == (
            WireLeg(con_id=265598, ratio=1, action="BUY", exchange="SMART"),
            WireLeg(
                con_id=272093, ratio=2, action="SELL", exchange="ISLAND", open_close=1, short_sale_slot=2,
                designated_location="there", exempt_code=5,
            ),
        )  # fmt: skip


async def test_prices_of_single_legs_are_refused(client: Client) -> None:
    price, none = client.leg_price(), client.leg_price()
    price.price = 1.25

    assert client.place(178, bag(client), orderComboLegs=[price, none]).attributes == ("orderComboLegs",)
    assert client.place(178, bag(client), orderComboLegs=[none, none]).attributes == ()


@pytest.mark.parametrize("order_type", ["PEG MID", "PEGMID", "PEG BEST", "PEG BENCH"])
async def test_pegged_orders_are_read_to_their_end(client: Client, order_type: str) -> None:
    contract = client.aapl()
    contract.exchange = "IBKRATS"
    for version in client.versions:
        offset = {"competeAgainstBestOffset": math.inf} if version >= 170 else {}
        request = client.place(version, contract, orderType=order_type, **offset)

        assert (request.terms.order_type, request.attributes) == (order_type, ())


# Showing

EVERYTHING = samples.EVERYTHING.terms


def assert_shown(client: Client, contract: Any, order: Any) -> None:
    """What both kinds of message show of an order with everything set."""
    terms = EVERYTHING
    assert (order.action, order.totalQuantity, order.orderType) == ("BUY", 10, "TRAIL LIMIT")
    assert (order.lmtPrice, order.auxPrice, order.tif) == (151.5, 1.5, "GTD")
    assert (order.account, order.orderRef, order.hidden) == ("DU1000001", "all", True)
    assert (order.allOrNone, order.minQty, order.displaySize) == (True, 4, 5)
    assert (order.goodAfterTime, order.goodTillDate) == (terms.good_after, terms.good_till)
    assert (order.ocaGroup, order.ocaType, order.triggerMethod) == ("brothers", 2, 4)
    assert (order.trailStopPrice, order.trailingPercent, order.lmtPriceOffset) == (150.25, 1.25, 0.75)
    assert (order.percentOffset, order.cashQty) == (0.5, 1000.0)
    assert contract.comboLegsDescrip == "265598|1,272093|-2"
    first, second = contract.comboLegs
    assert (first.conId, first.ratio, first.action, first.exchange) == (265598, 1, "BUY", "SMART")
    assert (second.openClose, second.shortSaleSlot, second.exemptCode) == (1, 2, 5)
    assert second.designatedLocation == "there"
    assert order.orderComboLegs[0].price == 1.25
    ((tag, value),) = [(each.tag, each.value) for each in order.smartComboRoutingParams]
    assert (tag, value) == ("NonGuaranteed", "1")
    price, time = order.conditions
    assert (price.isMore, price.price, price.conId, price.triggerMethod) == (True, 1.5, 8314, 2)
    assert (time.isMore, time.time) == (False, "20261123 15:00:00 US/Eastern")
    if client is IB_ASYNC:
        assert (price.conjunction, price.exch, time.conjunction) == ("o", "SMART", "a")
    else:
        assert (price.isConjunctionConnection, price.exchange) == (False, "SMART")
        assert time.isConjunctionConnection is True
    assert (order.conditionsIgnoreRth, order.conditionsCancelOrder) == (True, True)
    assert (order.openClose, order.origin, order.rule80A, order.settlingFirm) == ("O", 1, "I", "firm")
    assert (order.clearingAccount, order.clearingIntent, order.notHeld) == ("C1", "Away", True)
    assert (order.sweepToFill, order.solicited) == (True, True)


async def test_an_open_order_shows_everything(client: Client) -> None:
    for version in client.shown_at:
        order_id, contract, order, state = client.read(OpenOrder(order=samples.EVERYTHING), version)

        assert (order_id, order.permId, order.clientId) == (9, 1_426_086_049, 3)
        assert_shown(client, contract, order)
        assert (order.parentId, order.optOutSmartRouting, order.usePriceMgmtAlgo) == (8, True, True)
        assert (order.adjustedOrderType, order.triggerPrice) == ("TRAIL", 160.0)
        assert (order.adjustedStopPrice, order.adjustedStopLimitPrice) == (155.0, 154.0)
        assert (order.adjustedTrailingAmount, order.adjustableTrailingUnit) == (2.0, 100)
        assert (order.softDollarTier.name, order.softDollarTier.val) == ("tier", "t1")
        assert (order.whatIf, state.status) == (False, "PreSubmitted")
        if version >= 162:
            assert order.autoCancelParent is True
        if version >= 194:
            assert (order.customerAccount, order.professionalCustomer) == ("cust", True)
            assert (order.includeOvernight, order.extOperator, order.manualOrderIndicator) == (True, "op", 1)


async def test_a_completed_order_shows_everything(client: Client) -> None:
    for version in client.shown_at:
        message = CompletedOrder(
            order=samples.EVERYTHING,
            filled=Decimal(3),
            completed_time=samples.TIME,
            completed_status="Cancelled",
        )
        contract, order, _ = client.read(message, version)

        assert (order.permId, order.parentPermId, order.filledQuantity) == (1_426_086_049, 1_426_086_040, 3)
        assert_shown(client, contract, order)
        assert order.autoCancelParent is True
        if version >= 194:
            assert (order.customerAccount, order.professionalCustomer) == ("cust", True)


async def test_an_order_shown_is_the_order_when_it_is_sent_again(client: Client) -> None:
    """Nothing is lost on the way from an open order to the change of it, and nothing is refused."""
    for version in client.shown_at:
        _, contract, order, _ = client.read(OpenOrder(order=samples.EVERYTHING), version)
        order.orderComboLegs = []

        request = read_request(client.wire(version).write("placeOrder", 9, contract, order), version)

        assert request.attributes == ()
        for field in fields(OrderTerms):
            if field.name not in ("notes", "leg_prices"):
                assert getattr(request.terms, field.name) == getattr(EVERYTHING, field.name), field.name
        if version == 200:
            assert request.terms.notes == EVERYTHING.notes


async def test_the_samples_have_every_note(client: Client) -> None:
    assert set(EVERYTHING.notes) == NOTED


async def test_the_status_names_the_parent(client: Client) -> None:
    for version in client.shown_at:
        status = OrderStatus(
            order_id=9, client_id=3, perm_id=77, status="PreSubmitted", filled=Decimal(1),
            remaining=Decimal(9), avg_fill_price=Decimal("1.5"), last_fill_price=Decimal("1.25"),
            why_held="child,trigger", parent_id=8,
        )  # fmt: skip

        read = client.read(status, version)

        assert read == (9, "PreSubmitted", 1, 9, 1.5, 77, 8, 1.25, 3, "child,trigger", 0)
