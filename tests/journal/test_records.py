"""Records: whatever a domain object holds comes back, and what no record is is told apart."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.journal.making import a_fill, a_session, an_account, an_order
from trademind.domain import (
    Account,
    Contract,
    DataSource,
    Execution,
    Notice,
    Order,
    OrderRequest,
    OrderStatus,
    OrderType,
    SecType,
    SessionInfo,
    SessionState,
    Side,
    Snapshot,
    TimeInForce,
)
from trademind.journal.entries import fill_key
from trademind.journal.records import (
    ACCOUNT,
    EXECUTION,
    ORDER,
    ORDER_REQUEST,
    SESSION,
    Codec,
    Unreadable,
    fingerprint,
    time_of,
    time_text,
)

# Text of every kind, and all that IB or a hostile gateway could send in it.
texts = st.text(st.characters(), max_size=12)
numbers = st.decimals(allow_nan=False, allow_infinity=False)
times = st.datetimes(
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=-5)), timezone(timedelta(minutes=330))])
)
ids = st.integers(-(2**63) + 1, 2**63 - 1)
contracts = st.builds(Contract, con_id=ids, symbol=texts, sec_type=st.sampled_from(SecType), exchange=texts,
    currency=texts, strike=st.none() | numbers)  # fmt: skip
notices = st.builds(Notice, time=times, ib_code=ids, message=texts)
orders = st.builds(Order, id=texts, client_order_id=st.none() | texts, contract=contracts,
    side=st.sampled_from(Side), status=st.sampled_from(OrderStatus), created_at=st.none() | times,
    updated_at=times, notices=st.lists(notices, max_size=3).map(tuple), quantity=numbers,
    limit_price=st.none() | numbers, stop_price=st.none() | numbers, filled_quantity=numbers,
    remaining_quantity=numbers, avg_fill_price=st.none() | numbers,
    commission=st.none() | numbers)  # fmt: skip
executions = st.builds(Execution, time=times, contract=contracts, quantity=numbers, price=numbers,
    commission=st.none() | numbers, realized_pnl=st.none() | numbers, order_id=st.none() | texts)  # fmt: skip
figures = {
    name: st.none() | numbers
    for name, field in Account.__dataclass_fields__.items()
    if field.type == "Decimal | None" or field.type == Decimal | None
}
accounts = st.builds(Account, as_of=times, **figures)
sessions = st.builds(SessionInfo, since=times, last_error_at=st.none() | times,
    next_attempt_at=st.none() | times,
    last_heard_at=st.none() | times, notices=st.lists(notices, max_size=2).map(tuple),
    snapshots=st.lists(st.builds(Snapshot, since=times), max_size=2).map(tuple),
    farms=st.dictionaries(texts, texts, max_size=2), queued=st.dictionaries(texts, ids, max_size=2),
    state=st.sampled_from(SessionState), source=st.none() | st.sampled_from(DataSource))  # fmt: skip
positive = st.decimals(min_value=Decimal("0.000001"), max_value=Decimal(10) ** 6, places=6)
requests = st.builds(OrderRequest, side=st.sampled_from(Side), quantity=positive,
    symbol=st.sampled_from(["AAPL", "MSFT", "brk b"]), con_id=st.none() | st.integers(1, 2**31 - 1),
    order_type=st.just(OrderType.STOP_LIMIT), limit_price=positive, stop_price=positive,
    tif=st.just(TimeInForce.GTD), good_till=times, outside_rth=st.booleans(),
    account_id=st.none() | st.just("DU1"),
    client_order_id=st.none() | st.from_regex(r"[A-Za-z0-9._:]{1,30}", fullmatch=True))  # fmt: skip


def comes_back(codec: Codec[Any], value: Any) -> None:
    text = codec.to_text(value)
    assert text.isascii()
    assert "\n" not in text
    again = codec.from_text(text)
    assert again == value
    # Equal decimals may differ in their digits.
    assert codec.to_text(again) == text


@given(orders)
def test_orders(order: Order) -> None:
    comes_back(ORDER, order)


@given(executions)
def test_executions(execution: Execution) -> None:
    comes_back(EXECUTION, execution)


@given(accounts)
def test_accounts(account: Account) -> None:
    comes_back(ACCOUNT, account)


@given(sessions)
def test_sessions(session: SessionInfo) -> None:
    comes_back(SESSION, session)


@given(requests)
def test_requests(request: OrderRequest) -> None:
    comes_back(ORDER_REQUEST, request)


@given(requests, requests)
def test_fingerprints(one: OrderRequest, other: OrderRequest) -> None:
    assert fingerprint(replace(one, client_order_id="another")) == fingerprint(one)
    longer = replace(one, quantity=one.quantity.quantize(Decimal("1E-9")))
    assert fingerprint(longer) == fingerprint(one)
    assert (fingerprint(one) == fingerprint(other)) == (
        replace(one, client_order_id=None) == replace(other, client_order_id=None)
    )


def test_a_fingerprint_stays_the_same() -> None:
    # Written into journals: whoever changes it makes every repeated request a conflict.
    request = OrderRequest(side=Side.BUY, quantity=Decimal("10.0"), symbol="AAPL")
    assert fingerprint(request) == "8179735d8f2aabfa98901a516431d8f4a28d36c54d71d0b6f05f52f0e027c57f"
    # SMART was the default once, also beside a con id.
    by_con_id = OrderRequest(side=Side.BUY, quantity=Decimal(10), con_id=265598)
    assert by_con_id.exchange == ""
    assert fingerprint(by_con_id) == fingerprint(replace(by_con_id, exchange="SMART"))


@given(times)
def test_times(moment: datetime) -> None:
    text = time_text(moment)
    assert len(text) == len("2024-03-01T14:30:00.000000Z")
    assert time_of(text) == moment


@given(times, times)
def test_times_sort_as_text(one: datetime, other: datetime) -> None:
    assert (time_text(one) < time_text(other)) == (one < other)


@given(st.sampled_from([ORDER, EXECUTION, ACCOUNT, SESSION, ORDER_REQUEST]), st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3)))  # fmt: skip
def test_what_is_no_record_is_told_apart(codec: Codec[Any], data: Any) -> None:
    with pytest.raises(Unreadable):
        codec.load(data)


@given(st.data())
def test_a_record_with_one_wrong_field_is_told_apart(data: st.DataObject) -> None:
    record = ORDER.dump(an_order("one"))
    name = data.draw(st.sampled_from([each for each in record if each not in ("reason", "notices")]))
    wrong = data.draw(st.sampled_from([{"a": 1}, [1], 1.5]))
    with pytest.raises(Unreadable, match=name):
        ORDER.load({**record, name: wrong})


def test_records_of_other_versions() -> None:
    record = json.loads(ORDER.to_text(an_order("one")))
    del record["notices"], record["reason"]
    record["a_field_of_a_later_version"] = [1, 2]
    assert ORDER.load(record) == an_order("one")
    del record["status"]
    with pytest.raises(Unreadable, match="status is missing"):
        ORDER.load(record)


@pytest.mark.parametrize("text", ["", "{", "[1,", "{}", "null", '{"id": NaN}', "[" * 100_000])
def test_text_that_is_no_record(text: str) -> None:
    with pytest.raises(Unreadable):
        ORDER.from_text(text)


def test_a_kind_without_a_form_is_found_at_once() -> None:
    from dataclasses import dataclass

    @dataclass
    class Odd:
        what: complex

    with pytest.raises(TypeError, match=r"Odd\.what"):
        Codec(Odd)


def test_the_examples() -> None:
    comes_back(ORDER, an_order("one"))
    comes_back(EXECUTION, a_fill(an_order("one")))
    comes_back(ACCOUNT, an_account())
    comes_back(SESSION, a_session())


@pytest.mark.parametrize(
    ("exec_id", "key", "revision"),
    [
        ("0000e0d5.6048.01.01", "0000e0d5.6048.01", 1),
        ("0000e0d5.6048.01.12", "0000e0d5.6048.01", 12),
        ("plain", "plain", 0),
        ("a.b", "a", 0),
        (".5", ".5", 0),
        ("7", "7", 0),
        ("a." + "9" * 30, "a", 0),
    ],
)
def test_corrections_share_a_key(exec_id: str, key: str, revision: int) -> None:
    assert fill_key(exec_id) == (key, revision)
