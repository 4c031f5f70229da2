"""Between ib_async's objects and the domain: pure functions. IB's sentinels and floats stop here.

IB writes "none" as an empty string, -1, NaN or 1.7976931348623157e308, depending on the field; all become
None. Floats become decimals through their shortest notation, which is what IB put on the wire.
"""

import math
import re
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import ib_async

from trademind.brokers.book import OrderReport
from trademind.domain import (
    Bar,
    Contract,
    ContractDetails,
    ContractMatch,
    ContractQuery,
    DataSource,
    DataType,
    Execution,
    Greeks,
    Margin,
    Notice,
    OptionParameters,
    OrderPreview,
    OrderRequest,
    OrderStatus,
    OrderType,
    Quote,
    ScanRow,
    SecType,
    Side,
)
from trademind.domain.orders import plain

_UNSET = 1.7976931348623157e308  # the largest double: IB's "not set"
_UNSET_INT = 2**31 - 1
_NOT_COMPUTED = -2

PAPER_GATEWAY_ACCOUNT_PREFIX = "DUTM"
"""TradeMind's own paper gateway names its accounts so; IB's account ids have digits after the DU."""

LIVE_PORTS = frozenset({7496, 4001})
"""Where TWS and IB Gateway listen for live trading unless configured otherwise (IB's documentation)."""


def decimal_or_none(value: float | Decimal | str | None) -> Decimal | None:
    """A number from IB as an exact decimal, or None for any of its ways to say that there is none."""
    if value is None or value == "":
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    if not number.is_finite() or abs(number) >= Decimal("1e300"):
        return None
    return plain(number)


def _float_or_none(value: float) -> float | None:
    return None if math.isnan(value) or math.isinf(value) or value >= _UNSET else value


def _price_or_none(value: float) -> float | None:
    """A market price: IB says -1 where there is none, ib_async NaN."""
    number = _float_or_none(value)
    return None if number is None or number == -1 else number


def to_ib_contract(query: ContractQuery) -> ib_async.Contract:
    if query.con_id is not None:
        return ib_async.Contract(conId=query.con_id, exchange=query.exchange)
    return ib_async.Contract(
        symbol=query.symbol,
        secType=query.sec_type.value,
        exchange=query.exchange,
        currency=query.currency,
        primaryExchange=query.primary_exchange,
        localSymbol=query.local_symbol,
        secIdType="ISIN" if query.isin else "",
        secId=query.isin,
        lastTradeDateOrContractMonth=query.last_trade_date,
        strike=float(query.strike or 0),
        right=query.right,
        multiplier=query.multiplier,
        tradingClass=query.trading_class,
    )


def to_ib_reference(contract: Contract) -> ib_async.Contract:
    """The identified contract, as later requests name it."""
    return ib_async.Contract(
        conId=contract.con_id,
        symbol=contract.symbol,
        secType=contract.sec_type.value,
        exchange=contract.exchange,
        primaryExchange=contract.primary_exchange,
        currency=contract.currency,
        localSymbol=contract.local_symbol,
        tradingClass=contract.trading_class,
        lastTradeDateOrContractMonth=contract.last_trade_date,
        strike=float(contract.strike or 0),
        right=contract.right,
        multiplier=contract.multiplier,
    )


def to_contract(contract: ib_async.Contract) -> Contract:
    return Contract(
        con_id=contract.conId,
        symbol=contract.symbol,
        sec_type=SecType(contract.secType),
        exchange=contract.exchange,
        currency=contract.currency,
        primary_exchange=contract.primaryExchange,
        local_symbol=contract.localSymbol,
        trading_class=contract.tradingClass,
        last_trade_date=contract.lastTradeDateOrContractMonth,
        strike=(decimal_or_none(contract.strike) or None),
        right="" if contract.right in ("0", "?") else contract.right,
        multiplier=contract.multiplier,
    )


def to_details(details: ib_async.ContractDetails, *, as_of: datetime) -> ContractDetails:
    assert details.contract is not None
    size = decimal_or_none(details.sizeIncrement) or Decimal(1)
    return ContractDetails(
        contract=to_contract(details.contract),
        as_of=as_of,
        long_name=details.longName,
        min_tick=decimal_or_none(details.minTick) or Decimal("0.01"),
        size_increment=size,
        industry=details.industry,
        category=details.category,
        subcategory=details.subcategory,
        stock_type=details.stockType,
        time_zone=details.timeZoneId,
        trading_hours=details.tradingHours,
        liquid_hours=details.liquidHours,
        order_types=tuple(filter(None, details.orderTypes.split(","))),
        valid_exchanges=tuple(filter(None, details.validExchanges.split(","))),
    )


def to_option_parameters(chain: ib_async.OptionChain) -> OptionParameters:
    strikes = (decimal_or_none(strike) for strike in chain.strikes)
    return OptionParameters(
        exchange=chain.exchange,
        trading_class=chain.tradingClass,
        multiplier=chain.multiplier,
        expirations=tuple(sorted(chain.expirations)),
        strikes=tuple(sorted(strike for strike in strikes if strike is not None)),
    )


def to_match(description: ib_async.ContractDescription) -> ContractMatch:
    contract = description.contract
    assert contract is not None
    return ContractMatch(
        con_id=contract.conId,
        symbol=contract.symbol,
        sec_type=SecType(contract.secType),
        primary_exchange=contract.primaryExchange,
        currency=contract.currency,
        description=contract.description,
        derivative_sec_types=tuple(description.derivativeSecTypes),
    )


def to_scan_row(found: ib_async.ScanData) -> ScanRow:
    assert found.contractDetails.contract is not None
    return ScanRow(
        rank=found.rank,
        contract=to_contract(found.contractDetails.contract),
        distance=found.distance,
        benchmark=found.benchmark,
        projection=found.projection,
    )


def to_moment(when: date) -> datetime:
    """A moment as ib_async reads it; a date alone is its midnight, and without a zone it is UTC."""
    if not isinstance(when, datetime):
        return datetime(when.year, when.month, when.day, tzinfo=UTC)
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)


def on_wire(number: Decimal) -> Any:
    """A decimal in plain digits. ib_async writes a float as Python does, so that 0.00001 would go out as
    1e-05; a string it passes on as it is."""
    return format(number, "f")


def to_ib_order(request: OrderRequest, *, account: str, order_ref: str) -> ib_async.Order:
    order = ib_async.Order(
        action=request.side.value,
        totalQuantity=on_wire(request.quantity),
        orderType=request.order_type.value,
        tif=request.tif.value,
        account=account,
        orderRef=order_ref,
        outsideRth=request.outside_rth,
        transmit=True,
    )
    if request.limit_price is not None:
        order.lmtPrice = on_wire(request.limit_price)
    if request.stop_price is not None:
        name = "trailStopPrice" if request.order_type is OrderType.TRAIL else "auxPrice"
        setattr(order, name, on_wire(request.stop_price))
    if request.trailing_amount is not None:
        order.auxPrice = on_wire(request.trailing_amount)
    if request.trailing_percent is not None:
        order.trailingPercent = on_wire(request.trailing_percent)
    if request.good_till is not None:
        order.goodTillDate = f"{request.good_till:%Y%m%d-%H:%M:%S}"  # with a hyphen it is in UTC
    return order


def to_preview(
    state: ib_async.OrderState, *, account_id: str, source: DataSource, as_of: datetime
) -> OrderPreview:
    def margin(name: str) -> Margin:
        before, change, after = (
            decimal_or_none(getattr(state, name + when)) for when in ("Before", "Change", "After")
        )
        return Margin(before=before, change=change, after=after)

    return OrderPreview(
        account_id=account_id,
        source=source,
        as_of=as_of,
        init_margin=margin("initMargin"),
        maint_margin=margin("maintMargin"),
        equity_with_loan=margin("equityWithLoan"),
        commission=decimal_or_none(state.commission),
        min_commission=decimal_or_none(state.minCommission),
        max_commission=decimal_or_none(state.maxCommission),
        commission_currency=state.commissionCurrency or None,
        warning=state.warningText or None,
    )


_GOOD_TILL = re.compile(r"(\d{8})([ -])(\d\d:\d\d:\d\d)(?: (\S+))?")


def to_good_till(text: str) -> datetime | None:
    """IB's goodTillDate: `20260130-23:59:59` in UTC, or `20260130 23:59:59` with a zone, which IB leaves out
    or names in several ways. None where it is none or cannot be told."""
    if (parts := _GOOD_TILL.fullmatch(text)) is None:
        return None
    day, mark, clock, zone = parts.groups()
    try:
        local = datetime.strptime(f"{day} {clock}", "%Y%m%d %H:%M:%S")  # noqa: DTZ007 - the zone follows
        tz = UTC if mark == "-" else ZoneInfo(zone or "")
    except (ValueError, ZoneInfoNotFoundError):
        return None
    return local.replace(tzinfo=tz).astimezone(UTC)


def to_order_report(contract: ib_async.Contract, order: ib_async.Order, *, completed: bool) -> OrderReport:
    """The terms of an open or completed order. A completed one carries neither client nor order id."""
    quantity = decimal_or_none(order.totalQuantity)
    limit = decimal_or_none(order.lmtPrice) if order.orderType in ("LMT", "STP LMT", "LIT", "LOC") else None
    aux = decimal_or_none(order.auxPrice)
    trails = order.orderType.startswith("TRAIL")
    percent = decimal_or_none(order.trailingPercent) if trails else None
    stop = aux if order.orderType in ("STP", "STP LMT", "MIT") else None
    if trails:
        stop = decimal_or_none(order.trailStopPrice)
    return OrderReport(
        perm_id=order.permId,
        ib_order_id=None if completed else order.orderId,
        client_id=None if completed else order.clientId,
        account_id=order.account,
        contract=to_contract(contract),
        side=_side(order.action),
        quantity=None if completed and not quantity else quantity or Decimal(0),
        order_type=order.orderType,
        limit_price=limit,
        stop_price=stop,
        trailing_amount=aux if trails and percent is None else None,
        trailing_percent=percent,
        good_till=to_good_till(order.goodTillDate) if order.goodTillDate else None,
        oca_group=order.ocaGroup or None,
        parent_ib_order_id=0 if completed else order.parentId,
        tif=order.tif,
        outside_rth=order.outsideRth,
        order_ref=order.orderRef,
    )


def _side(text: str) -> Side:
    """IB's sides: BUY and BOT; SELL and SLD, and SSHORT, SSHORTX and SLONG for kinds of short sales."""
    return Side.BUY if text.startswith("B") else Side.SELL


STATUSES = {
    "PendingSubmit": OrderStatus.PENDING_SUBMIT,
    "ApiPending": OrderStatus.PENDING_SUBMIT,
    "PreSubmitted": OrderStatus.SUBMITTED,
    "Submitted": OrderStatus.SUBMITTED,
    "PendingCancel": OrderStatus.PENDING_CANCEL,
    "Cancelled": OrderStatus.CANCELED,
    "ApiCancelled": OrderStatus.CANCELED,
    "Filled": OrderStatus.FILLED,
    "Inactive": OrderStatus.REJECTED,
}
"""IB's statuses. Inactive means refused or held by the exchange; an order that comes back from it is
reported as Submitted again, which the transition table allows."""


def to_execution(contract: ib_async.Contract, execution: ib_async.Execution) -> Execution:
    return Execution(
        exec_id=execution.execId,
        time=execution.time.astimezone(UTC),
        account_id=execution.acctNumber,
        contract=to_contract(contract),
        side=_side(execution.side),
        quantity=decimal_or_none(execution.shares) or Decimal(0),
        price=decimal_or_none(execution.price) or Decimal(0),
        exchange=execution.exchange,
        perm_id=execution.permId,
        ib_order_id=0 if execution.orderId == _UNSET_INT else execution.orderId,
        client_id=execution.clientId,
        order_ref=execution.orderRef,
    )


DATA_TYPES = {1: DataType.LIVE, 2: DataType.FROZEN, 3: DataType.DELAYED, 4: DataType.DELAYED_FROZEN}
DATA_TYPE_NUMBERS = {data_type: number for number, data_type in DATA_TYPES.items()}


def to_quote(
    contract: Contract,
    ticker: ib_async.Ticker,
    *,
    as_of: datetime | None,
    stale: bool,
    notices: tuple[Notice, ...] = (),
) -> Quote:
    return Quote(
        contract=contract,
        as_of=as_of,
        data_type=DATA_TYPES.get(ticker.marketDataType),
        bid=_price_or_none(ticker.bid),
        ask=_price_or_none(ticker.ask),
        last=_price_or_none(ticker.last),
        bid_size=_float_or_none(ticker.bidSize),
        ask_size=_float_or_none(ticker.askSize),
        last_size=_float_or_none(ticker.lastSize),
        volume=_price_or_none(ticker.volume),
        open=_price_or_none(ticker.open),
        high=_price_or_none(ticker.high),
        low=_price_or_none(ticker.low),
        close=_price_or_none(ticker.close),
        last_time=ticker.lastTimestamp,
        stale=stale,
        notices=notices,
        greeks=to_greeks(ticker.modelGreeks) if ticker.modelGreeks is not None else None,
    )


def to_greeks(model: ib_async.OptionComputation) -> Greeks:
    """What IB's model says of an option: what it cannot compute is -1, or -2 where that could be a value."""

    def positive(value: float | None) -> float | None:
        return None if value is None or value < 0 else _float_or_none(value)

    def signed(value: float | None) -> float | None:
        return None if value is None or value == _NOT_COMPUTED else _float_or_none(value)

    return Greeks(
        implied_volatility=positive(model.impliedVol),
        delta=signed(model.delta),
        gamma=signed(model.gamma),
        vega=signed(model.vega),
        theta=signed(model.theta),
        price=positive(model.optPrice),
        underlying_price=positive(model.undPrice),
        pv_dividend=positive(model.pvDividend),
    )


def to_bar(bar: ib_async.BarData) -> Bar:
    has_volume = bar.volume >= 0
    return Bar(
        time=to_moment(bar.date),
        open=bar.open,
        high=bar.high,
        low=bar.low,
        close=bar.close,
        volume=bar.volume if has_volume else None,
        wap=bar.average if has_volume and bar.average >= 0 else None,
        count=bar.barCount if bar.barCount >= 0 else None,
    )


def source_of(account_id: str, port: int) -> DataSource:
    """Where an account lives. Paper accounts of IB begin with D; a live port is live whatever the name."""
    if account_id.startswith(PAPER_GATEWAY_ACCOUNT_PREFIX):
        return DataSource.PAPER
    if account_id.startswith("D") and port not in LIVE_PORTS:
        return DataSource.IB_PAPER
    return DataSource.IB_LIVE
