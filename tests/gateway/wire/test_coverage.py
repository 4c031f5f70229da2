"""Nothing that a client library can ask is left without an answer."""

import pytest
from ib_async.client import Client
from ibapi.message import IN, OUT

from tests.gateway.wire import coverage
from trademind.gateway.wire.requests import REQUESTS

NOT_TEXT = {OUT.REQ_CONFIG, OUT.UPDATE_CONFIG}
"""Requests of the binary protocol, which begins after the last version served."""


def test_every_request_of_ibs_client_is_in_the_table() -> None:
    assert set(OUT) - NOT_TEXT <= set(REQUESTS)


def test_every_request_of_ib_async_is_in_the_table() -> None:
    ways_of_its_own = {"reqId", "placeOrder"}
    names = {name for name in vars(Client) if name.startswith(("req", "cancel", "calculate", "verify"))}

    assert names - ways_of_its_own - {spec.name for spec in REQUESTS.values()} == set()


def test_every_request_is_tried() -> None:
    assert set(coverage.requests()) | set(coverage.BINARY_ONLY) == set(REQUESTS)


@pytest.mark.parametrize("number", [number for number in REQUESTS if number not in coverage.BINARY_ONLY])
def test_every_request_gets_an_answer(number: int) -> None:
    answer = coverage.answers()[number]

    assert answer.words or number in coverage.SILENT
    # An error that says that the gateway has failed, or has not understood, is no answer.
    assert not answer.errors & {320, 322, 505}


@pytest.mark.parametrize("number", REQUESTS)
def test_versions_are_those_of_ibs_client(number: int) -> None:
    spec = REQUESTS[number]
    first = coverage.since(spec.name)

    assert spec.since == (first if first is not None and first > 157 else spec.since)


def test_what_comes_back_is_in_the_table_of_messages() -> None:
    heard = {message for answer in coverage.answers().values() for message in answer.messages}

    assert heard <= set(coverage.sent_messages())
    assert set(coverage.sent_messages()) <= {each.value for each in IN}
