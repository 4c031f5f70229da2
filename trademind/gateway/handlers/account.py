"""The account: values, portfolio, positions, summaries, profit and loss, and their subscriptions.

A subscription is answered with everything, then with what has changed: at once when a fill changed it,
at most every few seconds when only prices did.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from trademind.gateway import codes
from trademind.gateway.engine.model import AccountFigures, Instrument, PaperPosition
from trademind.gateway.handlers.contracts import held_contract
from trademind.gateway.session import AccountStream, PnLStream, Session, ValueKey, ValueStream
from trademind.gateway.wire import accounts as wire
from trademind.gateway.wire import messages
from trademind.gateway.wire.requests.account import (
    AccountModelRequest,
    AccountSummaryRequest,
    AccountUpdatesMultiRequest,
    AccountUpdatesRequest,
    CancelAccountSummary,
    CancelAccountUpdatesMulti,
    CancelPnL,
    CancelPnLSingle,
    CancelPositions,
    CancelPositionsMulti,
    FamilyCodesRequest,
    PnLRequest,
    PnLSingleRequest,
    PositionsMultiRequest,
    PositionsRequest,
    SoftDollarTiersRequest,
)
from trademind.gateway.wire.times import EASTERN

if TYPE_CHECKING:
    from trademind.gateway.gateway import PaperGateway

BASE: Final = "USD"
"""The currency of the account."""
PRICE_MOVES_EVERY: Final = timedelta(seconds=3)
"""How often values that only follow prices are sent. A real gateway takes up to three minutes."""
MAX_SUBSCRIPTIONS: Final = 50
"""Subscriptions of one kind that a client may hold; each is work for every pump."""
ALL_ACCOUNTS: Final = ("", "All", "ALL")

_CENT = Decimal("0.01")
_COST_DIGITS = Decimal("0.0001")


def account_values(account_id: str, figures: AccountFigures) -> Iterator[tuple[str, str, str]]:
    """All values of the account by IB's names: (key, value, currency)."""
    yield ("AccountCode", account_id, "")
    yield ("AccountReady", "true", "")
    yield ("AccountType", "INDIVIDUAL", "")
    yield ("Cushion", f"{figures.cushion:.6f}".rstrip("0").rstrip("."), "")
    yield ("DayTradesRemaining", "-1", "")
    yield ("LookAheadNextChange", "0", "")
    for key, figure in (
        ("AccruedCash", figures.accrued_cash),
        ("AvailableFunds", figures.available_funds),
        ("BuyingPower", figures.buying_power),
        ("EquityWithLoanValue", figures.equity_with_loan_value),
        ("ExcessLiquidity", figures.excess_liquidity),
        ("FullAvailableFunds", figures.available_funds),
        ("FullExcessLiquidity", figures.excess_liquidity),
        ("FullInitMarginReq", figures.init_margin_req),
        ("FullMaintMarginReq", figures.maint_margin_req),
        ("GrossPositionValue", figures.gross_position_value),
        ("InitMarginReq", figures.init_margin_req),
        ("LookAheadAvailableFunds", figures.available_funds),
        ("LookAheadExcessLiquidity", figures.excess_liquidity),
        ("LookAheadInitMarginReq", figures.init_margin_req),
        ("LookAheadMaintMarginReq", figures.maint_margin_req),
        ("MaintMarginReq", figures.maint_margin_req),
        ("NetLiquidation", figures.net_liquidation),
        ("SettledCash", figures.settled_cash),
        ("TotalCashValue", figures.total_cash_value),
    ):
        yield (key, money(figure), BASE)
    # The ledger: by currency, and for the account as a whole. All cash is in one currency.
    for currency in ("BASE", BASE):
        yield ("Currency", currency, currency)
        for key, figure in (
            ("CashBalance", figures.total_cash_value),
            ("TotalCashBalance", figures.total_cash_value),
            ("AccruedCash", figures.accrued_cash),
            ("NetLiquidationByCurrency", figures.net_liquidation),
            ("StockMarketValue", figures.net_liquidation - figures.total_cash_value),
            ("UnrealizedPnL", figures.unrealized_pnl),
            ("RealizedPnL", figures.realized_pnl),
        ):
            if key != "AccruedCash" or currency == "BASE":
                yield (key, money(figure), currency)
        yield ("ExchangeRate", "1.00", currency)


def money(figure: Decimal) -> str:
    return f"{figure.quantize(_CENT):f}"


def _send_changes(stream: ValueStream, values: Iterable[tuple[str, str, str]]) -> bool:
    """Send what is new to the client. Returns whether anything was."""
    any_sent = False
    for key, value, currency in values:
        name = (key, currency)
        if stream.wanted(name) and stream.sent.get(name) != value:
            stream.sent[name] = value
            stream.send(key, value, currency)
            any_sent = True
    return any_sent


def _values(gateway: "PaperGateway") -> list[tuple[str, str, str]]:
    exchange = gateway.exchange
    return list(account_values(exchange.account_id, exchange.figures()))


def _is_ours(gateway: "PaperGateway", session: Session, req_id: int, account: str) -> bool:
    """Whether the account named is the one there is; if not, the client is told."""
    if account in (*ALL_ACCOUNTS, gateway.exchange.account_id):
        return True
    session.error(req_id, codes.VALIDATING, codes.invalid(f"Invalid account code '{account}'"))
    return False


def _has_room(session: Session, req_id: int, subscriptions: Any) -> bool:
    """Whether the client may subscribe once more under this id; if not, it is told."""
    if len(subscriptions) < MAX_SUBSCRIPTIONS:
        return True
    session.error(req_id, codes.PROCESSING, "Error processing request.-'bQ' : cause - Too many subscriptions")
    return False


# Account updates


def account_updates(gateway: "PaperGateway", session: Session, request: AccountUpdatesRequest) -> None:
    if not _is_ours(gateway, session, -1, request.account):
        return
    if not request.subscribe:
        session.account = None
        return
    account = gateway.exchange.account_id

    def send(key: str, value: str, currency: str) -> None:
        session.send(wire.account_value(key, value, currency, account))

    session.account = AccountStream(ValueStream(send, wanted=lambda name: True))
    _update_account(gateway, session)
    session.send(wire.account_download_end(account))


def _update_account(gateway: "PaperGateway", session: Session) -> None:
    """Send values and positions that have changed, and the time if any has."""
    stream = session.account
    if stream is None:
        return
    changed = _send_changes(stream.values, _values(gateway))
    positions = {position.instrument.con_id: position for position in gateway.exchange.positions()}
    for con_id in stream.portfolio.keys() - positions.keys():
        closed = gateway.exchange.position(con_id)
        if closed is not None:
            positions[con_id] = closed
    for con_id, position in positions.items():
        figures = _portfolio_figures(position)
        if stream.portfolio.get(con_id) != figures:
            stream.portfolio[con_id] = figures
            session.send(_portfolio_value(gateway.exchange.account_id, position, figures))
            changed = True
    if changed:
        session.send(wire.account_time(f"{gateway.clock.now().astimezone(EASTERN):%H:%M}"))


def _portfolio_figures(position: PaperPosition) -> tuple[Decimal, ...]:
    return (
        position.quantity,
        position.market_price,
        position.market_value.quantize(_CENT),
        position.avg_cost.quantize(_COST_DIGITS),
        position.unrealized_pnl.quantize(_CENT),
        position.realized_pnl.quantize(_CENT),
    )


def _portfolio_value(
    account: str, position: PaperPosition, figures: tuple[Decimal, ...]
) -> wire.PortfolioValue:
    quantity, price, value, cost, unrealized, realized = figures
    return wire.PortfolioValue(
        contract=held_contract(position.instrument),
        position=quantity,
        market_price=price,
        market_value=value,
        average_cost=cost,
        unrealized_pnl=unrealized,
        realized_pnl=realized,
        account=account,
    )


def account_updates_multi(gateway: "PaperGateway", session: Session, request: AccountModelRequest) -> None:
    req_id = request.req_id
    if not _is_ours(gateway, session, req_id, request.account) or not _has_room(
        session, req_id, session.account_multi
    ):
        return
    account = gateway.exchange.account_id

    def send(key: str, value: str, currency: str) -> None:
        session.send(wire.account_update_multi(req_id, account, request.model_code, key, value, currency))

    stream = session.account_multi[req_id] = ValueStream(send, wanted=lambda name: True)
    _send_changes(stream, _values(gateway))
    session.send(wire.account_update_multi_end(req_id))


def cancel_account_updates_multi(
    gateway: "PaperGateway", session: Session, request: CancelAccountUpdatesMulti
) -> None:
    session.account_multi.pop(request.number, None)


# Summary


def account_summary(gateway: "PaperGateway", session: Session, request: AccountSummaryRequest) -> None:
    req_id = request.req_id
    if not _is_ours(gateway, session, req_id, request.group) or not _has_room(
        session, req_id, session.summaries
    ):
        return
    account = gateway.exchange.account_id

    def send(key: str, value: str, currency: str) -> None:
        session.send(wire.account_summary(req_id, account, key, value, currency))

    stream = session.summaries[req_id] = ValueStream(send, wanted=_summary_filter(request.tags))
    _send_changes(stream, _values(gateway))
    session.send(wire.account_summary_end(req_id))


_LEDGER = frozenset(
    {
        "Currency", "CashBalance", "TotalCashBalance", "AccruedCash", "NetLiquidationByCurrency",
        "StockMarketValue", "UnrealizedPnL", "RealizedPnL", "ExchangeRate",
    }
)  # fmt: skip
"""What the tag $LEDGER stands for."""


def _summary_filter(tags: str) -> Callable[[ValueKey], bool]:
    """Which values the tags ask for: names, `All` for every one of them, `$LEDGER[:currency]`."""
    names = {tag.strip() for tag in tags.split(",") if tag.strip()}
    everything = bool(names & {"All", "ALL"})
    ledgers: set[str] = set()
    for name in names:
        if name.upper().startswith("$LEDGER"):
            which = name.partition(":")[2].upper()
            ledgers |= {"BASE", BASE} if which == "ALL" else {which or "BASE"}

    def wanted(name: ValueKey) -> bool:
        key, currency = name
        if key in _LEDGER and currency in ledgers:
            return True
        # Without the ledger, values of the account as a whole: those that bear no `BASE`.
        return (everything or key in names) and currency != "BASE"

    return wanted


def cancel_account_summary(gateway: "PaperGateway", session: Session, request: CancelAccountSummary) -> None:
    session.summaries.pop(request.number, None)


# Positions


def positions(gateway: "PaperGateway", session: Session, request: Any) -> None:
    session.positions = True
    for position in gateway.exchange.positions():
        session.send(_position(gateway, position))
    session.send(wire.position_end())


def cancel_positions(gateway: "PaperGateway", session: Session, request: Any) -> None:
    session.positions = False


def positions_multi(gateway: "PaperGateway", session: Session, request: AccountModelRequest) -> None:
    req_id = request.req_id
    if not _is_ours(gateway, session, req_id, request.account) or not _has_room(
        session, req_id, session.positions_multi
    ):
        return
    session.positions_multi[req_id] = request.model_code
    for position in gateway.exchange.positions():
        session.send(_position(gateway, position, req_id, request.model_code))
    session.send(wire.position_multi_end(req_id))


def cancel_positions_multi(gateway: "PaperGateway", session: Session, request: CancelPositionsMulti) -> None:
    session.positions_multi.pop(request.number, None)


def _position(
    gateway: "PaperGateway", position: PaperPosition, req_id: int | None = None, model_code: str = ""
) -> wire.PositionMessage:
    return wire.PositionMessage(
        account=gateway.exchange.account_id,
        contract=held_contract(position.instrument),
        position=position.quantity,
        average_cost=position.avg_cost.quantize(_COST_DIGITS),
        req_id=req_id,
        model_code=model_code,
    )


# Profit and loss


def _is_new_pnl(session: Session, req_id: int) -> bool:
    """Whether the client may subscribe under this id; if not, it is told."""
    if req_id in session.pnl:
        text = "Error processing request.-'bQ' : cause - Duplicate ticker id"
        session.error(req_id, codes.DUPLICATE_TICKER_ID, text)
        return False
    return _has_room(session, req_id, session.pnl)


def pnl(gateway: "PaperGateway", session: Session, request: AccountModelRequest) -> None:
    if _is_ours(gateway, session, request.req_id, request.account) and _is_new_pnl(session, request.req_id):
        session.pnl[request.req_id] = PnLStream(con_id=None)
        _update_pnl(gateway, session)


def pnl_single(gateway: "PaperGateway", session: Session, request: PnLSingleRequest) -> None:
    if _is_ours(gateway, session, request.req_id, request.account) and _is_new_pnl(session, request.req_id):
        session.pnl[request.req_id] = PnLStream(con_id=request.con_id)
        _update_pnl(gateway, session)


def cancel_pnl(gateway: "PaperGateway", session: Session, request: CancelPnL | CancelPnLSingle) -> None:
    session.pnl.pop(request.number, None)


def _update_pnl(gateway: "PaperGateway", session: Session) -> None:
    for req_id, stream in session.pnl.items():
        figures = _pnl_figures(gateway, stream.con_id)
        if figures == stream.sent:
            continue
        stream.sent = figures
        if stream.con_id is None:
            daily, unrealized, realized = (figure or Decimal(0) for figure in figures)
            session.send(wire.pnl(req_id, daily, unrealized, realized))
        else:
            quantity, *others = figures
            session.send(wire.pnl_single(req_id, quantity or Decimal(0), *others))


def _pnl_figures(gateway: "PaperGateway", con_id: int | None) -> tuple[Decimal | None, ...]:
    if con_id is None:
        figures = gateway.exchange.figures()
        parts = (figures.daily_pnl, figures.unrealized_pnl, figures.realized_pnl)
        return tuple(part.quantize(_CENT) for part in parts)
    position = gateway.exchange.position(con_id)
    if position is None:
        return (Decimal(0), None, None, None, None)
    return (
        position.quantity,
        position.daily_pnl.quantize(_CENT),
        position.unrealized_pnl.quantize(_CENT),
        position.realized_pnl.quantize(_CENT),
        position.market_value.quantize(_CENT),
    )


# Updates


def portfolio_changed(gateway: "PaperGateway", session: Session, changed: Iterable[Instrument]) -> None:
    """Fills have changed cash and these positions."""
    for instrument in changed:
        position = gateway.exchange.position(instrument.con_id)
        if position is None:
            continue
        if session.positions:
            session.send(_position(gateway, position))
        for req_id, model_code in session.positions_multi.items():
            session.send(_position(gateway, position, req_id, model_code))
    _update_values(gateway, session, gateway.clock.now())


def update(gateway: "PaperGateway", session: Session, now: datetime) -> None:
    """The market has moved: profit and loss follow at once, the account's values every few seconds."""
    _update_pnl(gateway, session)
    # A clock that was put back counts as due, or nothing would be sent until it has caught up.
    if session.accounted_at is None or not timedelta(0) <= now - session.accounted_at < PRICE_MOVES_EVERY:
        _update_values(gateway, session, now)


def _update_values(gateway: "PaperGateway", session: Session, now: datetime) -> None:
    session.accounted_at = now
    _update_account(gateway, session)
    streams = (*session.account_multi.values(), *session.summaries.values())
    if streams:
        values = _values(gateway)
        for stream in streams:
            _send_changes(stream, values)


def no_soft_dollar_tiers(gateway: "PaperGateway", session: Session, request: SoftDollarTiersRequest) -> None:
    session.send(messages.no_soft_dollar_tiers(request.number))


def no_family_codes(gateway: "PaperGateway", session: Session, request: Any) -> None:
    session.send(messages.no_family_codes())


HANDLERS: Mapping[type, Callable[..., None]] = {
    SoftDollarTiersRequest: no_soft_dollar_tiers,
    FamilyCodesRequest: no_family_codes,
    AccountUpdatesRequest: account_updates,
    AccountUpdatesMultiRequest: account_updates_multi,
    CancelAccountUpdatesMulti: cancel_account_updates_multi,
    AccountSummaryRequest: account_summary,
    CancelAccountSummary: cancel_account_summary,
    PositionsRequest: positions,
    CancelPositions: cancel_positions,
    PositionsMultiRequest: positions_multi,
    CancelPositionsMulti: cancel_positions_multi,
    PnLRequest: pnl,
    CancelPnL: cancel_pnl,
    PnLSingleRequest: pnl_single,
    CancelPnLSingle: cancel_pnl,
}
