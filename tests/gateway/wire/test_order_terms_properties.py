"""Any order there can be: shown to a client and sent back by it, it is the same order."""

from dataclasses import fields, replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.gateway.wire import samples
from trademind.gateway.wire.fields import FieldError, encode_fields
from trademind.gateway.wire.order_terms import (
    OrderTerms,
    WireAdjustment,
    WireLeg,
    WirePriceCondition,
    WireTimeCondition,
)
from trademind.gateway.wire.orders import OpenOrder
from trademind.gateway.wire.place_order import PlaceOrder
from trademind.gateway.wire.reading import read_request

pytest.importorskip("ibapi", reason="IB's own client is not installed (dependency group `conformance`)")

from tests.gateway.wire.test_order_attributes import IBAPI

prices = st.integers(1, 10**7).map(lambda cents: Decimal(cents) / 100)
sizes = st.integers(1, 10**6).map(Decimal)
maybe = st.none()
names = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12).filter(
    lambda text: text not in ("0", "0.0", "-1", "None", "?", "false", "False")
)
con_ids = st.integers(1, 2**31 - 2)
conditions = st.one_of(
    st.builds(
        WirePriceCondition,
        is_and=st.booleans(),
        is_more=st.booleans(),
        price=prices,
        con_id=con_ids,
        exchange=names,
        trigger_method=st.sampled_from([0, 1, 2, 3, 4, 7, 8]),
    ),
    st.builds(WireTimeCondition, is_and=st.booleans(), is_more=st.booleans(), time=names),
)
adjustments = st.builds(
    WireAdjustment,
    order_type=st.sampled_from(["STP", "STP LMT", "TRAIL", "TRAIL LIMIT"]),
    trigger_price=prices,
    stop_price=maybe | prices,
    limit_price=maybe | prices,
    trailing=maybe | prices,
    unit=st.sampled_from([0, 100]),
)
legs = st.builds(
    WireLeg,
    con_id=con_ids,
    ratio=st.integers(1, 100),
    action=st.sampled_from(["BUY", "SELL"]),
    exchange=names,
    open_close=st.integers(0, 3),
)
terms = st.builds(
    OrderTerms,
    action=st.sampled_from(["BUY", "SELL"]),
    quantity=sizes,
    order_type=st.sampled_from(["MKT", "LMT", "STP LMT", "TRAIL", "TRAIL LIMIT", "REL", "MOC"]),
    limit_price=prices,
    aux_price=prices,
    tif=st.sampled_from(["DAY", "GTC", "GTD", "IOC"]),
    account=names,
    order_ref=names,
    outside_rth=st.booleans(),
    hidden=st.booleans(),
    all_or_none=st.booleans(),
    min_quantity=maybe | sizes,
    display_size=maybe | sizes,
    good_after=st.just("") | names,
    good_till=st.just("") | names,
    parent_id=st.integers(0, 2**31 - 2),
    oca_group=st.just("") | names,
    oca_type=st.integers(1, 3),
    trigger_method=st.integers(0, 8),
    trail_stop_price=maybe | prices,
    trailing_percent=maybe | prices,
    limit_offset=maybe | prices,
    percent_offset=maybe | prices,
    cash_quantity=maybe | prices,
    conditions=st.lists(conditions, max_size=3).map(tuple),
    conditions_outside_rth=st.just(False),
    conditions_cancel=st.just(False),
    adjustment=maybe | adjustments,
    legs=st.lists(legs, max_size=3).map(tuple),
    what_if=st.booleans(),
)


@settings(max_examples=150, deadline=None)
@given(terms=terms, version=st.sampled_from(samples.VERSIONS))
def test_shown_and_sent_back(terms: OrderTerms, version: int) -> None:
    contract = replace(samples.AAPL, sec_type="BAG" if terms.legs else "STK")
    shown = OpenOrder(order=replace(samples.STOP_LIMIT, contract=contract, terms=terms))

    _, contract_read, order, _ = IBAPI.read(shown, version)
    request = read_request(IBAPI.wire(version).write("placeOrder", 7, contract_read, order), version)

    assert isinstance(request, PlaceOrder)
    assert request.attributes == ()
    for field in fields(OrderTerms):
        if field.name != "notes":
            assert getattr(request.terms, field.name) == getattr(terms, field.name), field.name


@settings(max_examples=300, deadline=None)
@given(data=st.data(), version=st.sampled_from(samples.VERSIONS))
def test_a_damaged_request_is_an_order_or_an_error(data: Any, version: int) -> None:
    """Whatever stands in the fields: nothing but a `FieldError` comes of it, and no endless list."""
    _, contract, order, _ = IBAPI.read(OpenOrder(order=samples.EVERYTHING), version)
    order.orderComboLegs = []
    sent = IBAPI.wire(version).write("placeOrder", 9, contract, order)
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(1, len(sent) - 1))
        junk = st.sampled_from(["", "-5", "9" * 19, "1e30", "nan", "inf", "x", "a b", "3", "999999"])
        match data.draw(st.integers(0, 2)):
            case 0:
                sent[position] = data.draw(junk)
            case 1:
                sent.insert(position, data.draw(junk))
            case _ if len(sent) > 2:
                del sent[position]
    assert encode_fields(sent)

    try:
        request = read_request(sent, version)
    except FieldError:
        return

    assert len(request.terms.legs) + len(request.terms.conditions) <= len(sent)
