"""The account: values, portfolio, positions, summaries, profit and loss, and their subscriptions.

A subscription is answered with everything, then with what has changed: at once when a fill changed it,
at most every few seconds when only prices did.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from trademind.gateway import codes
from trademind.gateway.engine.model import PaperPosition
from trademind.gateway.handlers.account_values import Value, account_values, summary_filter
from trademind.gateway.handlers.contracts import held_contract
from trademind.gateway.session import AccountStream, PnLStream, Session, ValueStream
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

PRICE_MOVES_EVERY: Final = timedelta(seconds=3)
"""How often values that only follow prices are sent. A real gateway takes up to three minutes."""
MAX_SUBSCRIPTIONS: Final = 50
"""Subscriptions of one kind that a client may hold; each is work for every pump."""
MAX_SUMMARIES: Final = 2
"""Account summaries that a client may have at a time, as with IB."""
ALL_ACCOUNTS: Final = ("", "All", "ALL")

_CENT = Decimal("0.01")
_COST_DIGITS = Decimal("0.0001")


class _Values:
    """Values of the accounts, each made once for everybody who is told of them in one go."""

    def __init__(self, gateway: "PaperGateway") -> None:
        self._exchange = gateway.exchange
        self._made: dict[str, list[Value]] = {}

    def of(self, account: str) -> list[Value]:
        values = self._made.get(account)
        if values is None:
            values = self._made[account] = list(account_values(account, self._exchange.figures(account)))
        return values


def _send_changes(stream: ValueStream, values: _Values) -> bool:
    """Send what is new to the client. Returns whether anything was."""
    any_sent = False
    for account in stream.accounts:
        for key, value, currency in values.of(account):
            name = (key, currency)
            if stream.wanted(name) and stream.sent.get((account, name)) != value:
                stream.sent[account, name] = value
                stream.send(account, key, value, currency)
                any_sent = True
    return any_sent


def _accounts(gateway: "PaperGateway", session: Session, req_id: int, name: str) -> tuple[str, ...]:
    """The accounts meant by a name, which may be all; none when there is no such account, and the client
    is told."""
    accounts = tuple(gateway.exchange.accounts)
    if name in ALL_ACCOUNTS:
        return accounts
    if name in accounts:
        return (name,)
    session.error(req_id, codes.VALIDATING, codes.invalid(f"Invalid account code '{name}'"))
    return ()


def _of_one_account(gateway: "PaperGateway", session: Session, req_id: int, name: str) -> tuple[str, ...]:
    """Like `_accounts`, where with several accounts one has to be named."""
    accounts = _accounts(gateway, session, req_id, name)
    if len(accounts) > 1 and not name:
        session.error(req_id, codes.VALIDATING, codes.invalid(codes.NO_ACCOUNT_TEXT))
        return ()
    return accounts


def _has_room(session: Session, req_id: int, subscriptions: Any) -> bool:
    """Whether the client may subscribe once more under this id; if not, it is told."""
    if req_id in subscriptions or len(subscriptions) < MAX_SUBSCRIPTIONS:
        return True
    session.error(req_id, codes.PROCESSING, "Error processing request.-'bQ' : cause - Too many subscriptions")
    return False


def _drop(session: Session, req_id: int, subscriptions: dict[int, Any]) -> None:
    """End a subscription; where there is none, the client is told."""
    if subscriptions.pop(req_id, None) is None:
        session.error(req_id, codes.UNKNOWN_TICKER_ID, f"Can't find EId with tickerId:{req_id}")


# Account updates


def account_updates(gateway: "PaperGateway", session: Session, request: AccountUpdatesRequest) -> None:
    """Subscribe to one account, in place of any other, or to none.

    The account need not be named while there is but one. `All` is not an account, and refused.
    """
    accounts = _of_one_account(gateway, session, -1, request.account)
    if not accounts:
        return
    if len(accounts) > 1:
        cause = f"Invalid account code '{request.account}'"
        session.error(-1, codes.VALIDATING, codes.invalid(cause))
        return
    account = accounts[0]
    former = session.account
    if former is not None and (not request.subscribe or former.account != account):
        session.account = None
        session.error(-1, codes.UNSUBSCRIBED_ACCOUNT, codes.UNSUBSCRIBED_ACCOUNT_TEXT)
    if not request.subscribe:
        return

    def send(account: str, key: str, value: str, currency: str) -> None:
        session.send(wire.account_value(key, value, currency, account))

    session.account = AccountStream(account, ValueStream(accounts, send, wanted=lambda name: True))
    _update_account(gateway, session, _Values(gateway))
    session.send(wire.account_download_end(account))


def _update_account(gateway: "PaperGateway", session: Session, values: _Values) -> None:
    """Send values and positions that have changed, and the time if any has."""
    stream = session.account
    if stream is None:
        return
    account, exchange = stream.account, gateway.exchange
    changed = _send_changes(stream.values, values)
    positions = {position.instrument.con_id: position for position in exchange.positions(account)}
    for con_id in stream.portfolio.keys() - positions.keys():
        closed = exchange.position(con_id, account)
        if closed is not None:
            positions[con_id] = closed
    for con_id, position in positions.items():
        figures = _portfolio_figures(position)
        if stream.portfolio.get(con_id) != figures:
            stream.portfolio[con_id] = figures
            session.send(_portfolio_value(account, position, figures))
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
    accounts = _accounts(gateway, session, req_id, request.account)
    if not accounts or not _has_room(session, req_id, session.account_multi):
        return

    def send(account: str, key: str, value: str, currency: str) -> None:
        session.send(wire.account_update_multi(req_id, account, request.model_code, key, value, currency))

    stream = session.account_multi[req_id] = ValueStream(accounts, send, wanted=lambda name: True)
    _send_changes(stream, _Values(gateway))
    session.send(wire.account_update_multi_end(req_id))


def cancel_account_updates_multi(
    gateway: "PaperGateway", session: Session, request: CancelAccountUpdatesMulti
) -> None:
    _drop(session, request.number, session.account_multi)


# Summary


def account_summary(gateway: "PaperGateway", session: Session, request: AccountSummaryRequest) -> None:
    """Subscribe to the values that the tags name. The same id again asks for other ones instead."""
    req_id = request.req_id
    accounts = _accounts(gateway, session, req_id, request.group)
    if not accounts:
        return
    if req_id not in session.summaries and len(session.summaries) >= MAX_SUMMARIES:
        session.error(req_id, codes.PROCESSING, codes.TOO_MANY_SUMMARIES_TEXT)
        return

    def send(account: str, key: str, value: str, currency: str) -> None:
        session.send(wire.account_summary(req_id, account, key, value, currency))

    stream = session.summaries[req_id] = ValueStream(accounts, send, wanted=summary_filter(request.tags))
    _send_changes(stream, _Values(gateway))
    session.send(wire.account_summary_end(req_id))


def cancel_account_summary(gateway: "PaperGateway", session: Session, request: CancelAccountSummary) -> None:
    _drop(session, request.number, session.summaries)


# Positions


def positions(gateway: "PaperGateway", session: Session, request: Any) -> None:
    session.positions = True
    for account in gateway.exchange.accounts:
        for position in gateway.exchange.positions(account):
            session.send(_position(account, position))
    session.send(wire.position_end())


def cancel_positions(gateway: "PaperGateway", session: Session, request: Any) -> None:
    session.positions = False


def positions_multi(gateway: "PaperGateway", session: Session, request: AccountModelRequest) -> None:
    req_id = request.req_id
    accounts = _accounts(gateway, session, req_id, request.account)
    if not accounts or not _has_room(session, req_id, session.positions_multi):
        return
    session.positions_multi[req_id] = (accounts, request.model_code)
    for account in accounts:
        for position in gateway.exchange.positions(account):
            session.send(_position(account, position, req_id, request.model_code))
    session.send(wire.position_multi_end(req_id))


def cancel_positions_multi(gateway: "PaperGateway", session: Session, request: CancelPositionsMulti) -> None:
    _drop(session, request.number, session.positions_multi)


def _position(
    account: str, position: PaperPosition, req_id: int | None = None, model_code: str = ""
) -> wire.PositionMessage:
    return wire.PositionMessage(
        account=account,
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
    _subscribe_pnl(gateway, session, request.req_id, request.account, None)


def pnl_single(gateway: "PaperGateway", session: Session, request: PnLSingleRequest) -> None:
    _subscribe_pnl(gateway, session, request.req_id, request.account, request.con_id)


def _subscribe_pnl(
    gateway: "PaperGateway", session: Session, req_id: int, account: str, con_id: int | None
) -> None:
    accounts = _of_one_account(gateway, session, req_id, account)
    if accounts and _is_new_pnl(session, req_id):
        session.pnl[req_id] = PnLStream(accounts, con_id)
        _update_pnl(gateway, session)


def cancel_pnl(gateway: "PaperGateway", session: Session, request: CancelPnL) -> None:
    stream = session.pnl.get(request.number)
    if stream is None or stream.con_id is not None:
        session.error(request.number, codes.NO_SUCH_PNL, codes.NO_SUCH_PNL_TEXT)
    else:
        del session.pnl[request.number]


def cancel_pnl_single(gateway: "PaperGateway", session: Session, request: CancelPnLSingle) -> None:
    stream = session.pnl.get(request.number)
    if stream is None or stream.con_id is None:
        session.error(request.number, codes.NO_SUCH_PNL_SINGLE, codes.NO_SUCH_PNL_SINGLE_TEXT)
    else:
        del session.pnl[request.number]


def _update_pnl(gateway: "PaperGateway", session: Session) -> None:
    for req_id, stream in session.pnl.items():
        figures = _pnl_figures(gateway, stream)
        if figures == stream.sent:
            continue
        stream.sent = figures
        if stream.con_id is None:
            daily, unrealized, realized = (figure or Decimal(0) for figure in figures)
            session.send(wire.pnl(req_id, daily, unrealized, realized))
        else:
            quantity, *others = figures
            session.send(wire.pnl_single(req_id, quantity or Decimal(0), *others))


def _pnl_figures(gateway: "PaperGateway", stream: PnLStream) -> tuple[Decimal | None, ...]:
    exchange = gateway.exchange
    if stream.con_id is None:
        accounts = [exchange.figures(account) for account in stream.accounts]
        return _sums((each.daily_pnl, each.unrealized_pnl, each.realized_pnl) for each in accounts)
    held = [exchange.position(stream.con_id, account) for account in stream.accounts]
    positions = [position for position in held if position is not None]
    if not positions:
        return (Decimal(0), None, None, None, None)
    quantity = sum((position.quantity for position in positions), Decimal(0))
    return quantity, *_sums(
        (each.daily_pnl, each.unrealized_pnl, each.realized_pnl, each.market_value) for each in positions
    )


def _sums(rows: Iterable[tuple[Decimal, ...]]) -> tuple[Decimal, ...]:
    return tuple(sum(column, Decimal(0)).quantize(_CENT) for column in zip(*rows, strict=True))


# Updates


def portfolio_changed(gateway: "PaperGateway", session: Session, changed: Iterable[tuple[str, int]]) -> None:
    """Fills have changed cash and these positions, by account and con id."""
    for account, con_id in changed:
        position = gateway.exchange.position(con_id, account)
        if position is None:
            continue
        if session.positions:
            session.send(_position(account, position))
        for req_id, (accounts, model_code) in session.positions_multi.items():
            if account in accounts:
                session.send(_position(account, position, req_id, model_code))
    _update_values(gateway, session, gateway.clock.now())


def update(gateway: "PaperGateway", session: Session, now: datetime) -> None:
    """The market has moved: profit and loss follow at once, the account's values every few seconds."""
    _update_pnl(gateway, session)
    # A clock that was put back counts as due, or nothing would be sent until it has caught up.
    if session.accounted_at is None or not timedelta(0) <= now - session.accounted_at < PRICE_MOVES_EVERY:
        _update_values(gateway, session, now)


def _update_values(gateway: "PaperGateway", session: Session, now: datetime) -> None:
    session.accounted_at = now
    values = _Values(gateway)
    _update_account(gateway, session, values)
    for stream in (*session.account_multi.values(), *session.summaries.values()):
        _send_changes(stream, values)


def no_soft_dollar_tiers(gateway: "PaperGateway", session: Session, request: SoftDollarTiersRequest) -> None:
    session.send(messages.no_soft_dollar_tiers(request.number))


def family_codes(gateway: "PaperGateway", session: Session, request: Any) -> None:
    """Every account by itself: none of them belongs to a family, whose code is therefore empty."""
    session.send(wire.family_codes([(account, "") for account in gateway.exchange.accounts]))


HANDLERS: Mapping[type, Callable[..., None]] = {
    SoftDollarTiersRequest: no_soft_dollar_tiers,
    FamilyCodesRequest: family_codes,
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
    CancelPnLSingle: cancel_pnl_single,
}
