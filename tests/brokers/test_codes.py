"""The table of IB's codes: complete, careful about orders, and of use to a program and to a person."""

import inspect
import re
from pathlib import Path

import ib_async.wrapper
import pytest

import trademind
from trademind.brokers.ibkr import codes
from trademind.brokers.ibkr.code_docs import errors_of, render
from trademind.brokers.ibkr.codes import CODES, FARM_STATES, Code, Scope, Severity, code_of, error_from
from trademind.errors import (
    CompetingSession,
    NotSubscribed,
    PacingViolation,
    Refused,
    TooManySubscriptions,
    TradeMindError,
)
from trademind.gateway import codes as sent_by_paper_gateway

ROOT = Path(trademind.__file__).parent.parent


def numbers(*parts: int | tuple[int, int]) -> frozenset[int]:
    """Single numbers, and ranges from first to last."""
    return frozenset(
        number
        for part in parts
        for number in (range(part[0], part[1] + 1) if isinstance(part, tuple) else (part,))
    )


# The numbers on IB's page of message codes, and 127 and 128, which an older edition has.
PUBLISHED = numbers(
    (100, 107), (109, 111), (113, 129), (131, 148), (151, 168), (200, 203), (300, 317), (319, 449), 481,
    (501, 589), (1100, 1102), 1300, (2100, 2111), 2119, 2130, 2137, 2152, 2158, 2168, 2169,
    (10000, 10003), (10005, 10027), (10089, 10091), 10147, 10148, 10186, 10187, 10189, 10197, 10225, 10230,
    10231, (10233, 10254), (10268, 10270), (10276, 10312), (10314, 10319), 10321, 10322, (10324, 10347),
)  # fmt: skip

# What IB says while the request or the order goes on.
ADVISORY = numbers(
    0, 131, 164, 165, 399, 404, 481, 492, 10018, 10019, 10090, 10091, 10167, 10233, 10311, 10349,
    # Of subscriptions that have ended already when they are cancelled, and of a book that begins anew.
    300, 310, 317, 365, 366, 10185, 10280, 10284,
)  # fmt: skip

VERBS = frozenset({
    "Ask", "Buy", "Cancel", "Change", "Check", "Clear", "Close", "Connect", "Correct", "Drop", "Give",
    "Leave", "Let", "Log", "Look", "Make", "Name", "Place", "Put", "Read", "Round", "Route", "See", "Sell",
    "Set", "Shorten", "Start", "Subscribe", "Trade", "Unlock", "Update", "Use", "Wait",
})  # fmt: skip


def ib_async_warnings() -> frozenset[int]:
    """The codes that ib_async takes for warnings."""
    found = re.search(r"warningCodes = frozenset\(\{([^}]*)\}\)", inspect.getsource(ib_async.wrapper))
    assert found
    return frozenset(int(number) for number in found[1].split(","))


def rows() -> list[tuple[int, Code]]:
    return sorted(CODES.items())


# Complete -----------------------------------------------------------------------------------------


def test_every_published_code_is_in_the_table() -> None:
    assert sorted(PUBLISHED - CODES.keys()) == []


def test_every_code_of_ibs_client_library_is_in_the_table() -> None:
    errors = pytest.importorskip("ibapi.errors", reason="IB's client is not installed (group `conformance`)")
    known = {pair.code() for pair in vars(errors).values() if isinstance(pair, errors.CodeMsgPair)}
    assert len(known) > 80
    assert sorted(known - CODES.keys()) == []


def test_every_code_of_the_paper_gateway_is_in_the_table() -> None:
    sent = {value for value in vars(sent_by_paper_gateway).values() if isinstance(value, int)}
    assert len(sent) > 40
    assert sorted(sent - CODES.keys()) == []


def test_every_code_that_ib_async_treats_specially_is_in_the_table() -> None:
    assert sorted(ib_async_warnings() - CODES.keys()) == []


def test_a_code_has_one_row() -> None:
    tables = [
        table
        for name, table in vars(codes).items()
        if name.startswith("_") and isinstance(table, dict) and isinstance(table.get(next(iter(table))), Code)
    ]
    assert len(tables) > 5
    assert sum(len(table) for table in tables) == len(CODES)


def test_farm_states_are_the_notices_about_farms() -> None:
    assert set(FARM_STATES) == {number for number, code in rows() if code.scope is Scope.FARM}
    assert set(FARM_STATES.values()) == {"ok", "broken", "inactive", "connecting"}


# Careful ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", sorted(ADVISORY | (CODES.keys() & set(codes.WARNINGS))))
def test_what_only_informs_is_a_notice(number: int) -> None:
    assert code_of(number).severity is Severity.NOTICE


def test_what_ib_async_takes_for_a_warning_fails_no_more_than_a_new_order_or_a_change() -> None:
    """Some of them refuse: 105, 110, 321, 329 and 434."""
    severities = {code_of(number).severity for number in ib_async_warnings()}
    assert severities == {Severity.NOTICE, Severity.REJECTED}


def test_an_order_is_cancelled_by_one_code_only() -> None:
    assert [number for number, code in rows() if code.severity is Severity.CANCELED] == [202]


def test_a_refused_cancel_is_told_from_a_refused_order() -> None:
    cancels = {number for number, code in rows() if code.severity is Severity.CANCEL_REFUSED}
    assert cancels == {135, 136, 137, 161, 515, 538, 10147, 10148}


@pytest.mark.parametrize("severity", [Severity.REJECTED, Severity.CANCELED, Severity.CANCEL_REFUSED])
def test_orders_are_refused_and_cancelled_by_what_is_about_orders_or_contracts(severity: Severity) -> None:
    scopes = {code.scope for _, code in rows() if code.severity is severity}
    assert scopes <= {Scope.ORDER, Scope.CONTRACT}


def test_nothing_about_an_order_is_a_plain_failure() -> None:
    """A failure says nothing about whether an order lives: such a code is a refusal or a notice."""
    about_orders = {code.severity for _, code in rows() if code.scope is Scope.ORDER}
    assert about_orders == {
        Severity.NOTICE, Severity.REJECTED, Severity.CANCELED, Severity.CANCEL_REFUSED,
    }  # fmt: skip


def test_the_session_is_changed_by_what_is_about_the_session() -> None:
    assert {code.scope for _, code in rows() if code.severity is Severity.SESSION} == {Scope.SESSION}


def test_no_row_is_unlisted() -> None:
    assert [number for number, code in rows() if code.severity is Severity.UNLISTED] == []


@pytest.mark.parametrize("number", [-1, 99, 130, 450, 999, 2099, 2200, 4711, 10999])
def test_a_code_in_no_row_is_unlisted_and_says_so(number: int) -> None:
    assert code_of(number).severity is Severity.UNLISTED
    error = error_from(number, "odd", "bars of AAPL")
    assert type(error) is Refused
    assert error.ib_code == number
    assert error.detail == f"bars of AAPL: odd (code {number} is in no list of IB's that TradeMind knows)"


@pytest.mark.parametrize("number", [2112, 2175, 2199])
def test_a_warning_in_no_row_is_a_notice(number: int) -> None:
    assert number not in CODES
    assert code_of(number).severity is Severity.NOTICE


# Of use -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "error", "status"),
    [
        (100, "pacing_violation", 429),
        (101, "too_many_subscriptions", 429),
        (162, "gateway_error", 502),
        (200, "contract_not_found", 404),
        (201, "order_rejected", 502),
        (309, "too_many_subscriptions", 429),
        (321, "gateway_error", 502),
        (326, "client_id_in_use", 503),
        (354, "not_subscribed", 502),
        (420, "gateway_error", 502),
        (502, "gateway_refused", 503),
        (503, "gateway_too_old", 503),
        (504, "not_connected", 503),
        (509, "connection_lost", 503),
        (1100, "upstream_lost", 503),
        (1300, "connection_lost", 503),
        (10089, "not_subscribed", 502),
        (10147, "cancel_rejected", 502),
        (10168, "not_subscribed", 502),
        (10182, "unavailable", 503),
        (10187, "gateway_error", 502),
        (10189, "gateway_error", 502),
        (10190, "too_many_subscriptions", 429),
        (10197, "competing_session", 502),
        (10276, "not_subscribed", 502),
    ],
)
def test_a_program_can_tell_what_happened(number: int, error: str, status: int) -> None:
    raised = error_from(number, "IB's words", "AAPL")
    assert (raised.code, raised.status, raised.ib_code) == (error, status, number)
    assert code_of(number).severity not in (Severity.NOTICE, Severity.UNLISTED)


@pytest.mark.parametrize(
    ("number", "words", "kind"),
    [
        (162, "Historical Market Data Service error message:API historical data query cancelled", Refused),
        (162, "Historical Market Data Service error message:HMDS query returned no data: X@SMART", Refused),
        (162, "Historical Market Data Service error message:API pacing violation", PacingViolation),
        (162, "…:No market data permissions for ISLAND STK", NotSubscribed),
        (162, "…:Trading TWS session is connected from a different IP address", CompetingSession),
        (420, "Invalid Real-time Query:Historical data request pacing violation", PacingViolation),
        (420, "Invalid Real-time Query:No market data permissions for ISLAND STK", NotSubscribed),
        (430, "The fundamentals data for the security specified is not available.Not allowed", NotSubscribed),
        (430, "… for the security specified is not available.Missing reportType", Refused),
        (322, "Error processing request. … Maximum number of account summary requests exceeded; …",
         TooManySubscriptions),
        (322, "Error processing request. … Duplicate ticker id", Refused),
        (10187, "Failed to request historical ticks:No market data permissions for NYSE STK", NotSubscribed),
        (10189, "Failed to request tick-by-tick data:No market data permissions", NotSubscribed),
        # Elsewhere the words change nothing.
        (321, "Error validating request: pacing violation", Refused),
    ],
)  # fmt: skip
def test_a_code_that_stands_for_several_things_goes_by_its_words(
    number: int, words: str, kind: type[TradeMindError]
) -> None:
    error = error_from(number, words, "AAPL")
    assert type(error) is kind
    assert error.detail.startswith(f"AAPL: {words}")


def test_the_detail_says_what_to_do() -> None:
    of_the_code = error_from(414, "IB's words", "AAPL")
    assert of_the_code.detail == "AAPL: IB's words (Ask for a subscription, or for no ticks.)"
    of_its_error = error_from(354, "IB's words", "AAPL")
    assert of_its_error.detail == f"AAPL: IB's words ({NotSubscribed.advice})"
    by_the_words = error_from(420, "No market data permissions", "AAPL")
    assert by_the_words.detail.endswith(f"({NotSubscribed.advice})")
    assert error_from(321, "IB's words", "AAPL").detail == "AAPL: IB's words"


def test_every_advice_says_what_to_do() -> None:
    advices = {number: code.advice for number, code in rows() if code.advice}
    assert len(advices) > 200
    for number, advice in advices.items():
        assert advice.endswith("."), number
        assert advice.split()[0].rstrip(",") in VERBS, number


def test_every_row_has_a_short_meaning() -> None:
    for number, code in rows():
        assert 8 < len(code.meaning) < 80, number
        assert not code.meaning.endswith("."), number


def test_statuses_are_those_of_a_refusing_or_absent_gateway() -> None:
    allowed = {
        Severity.FAILURE: {404, 429, 502, 503},
        Severity.REJECTED: {404, 502},
        Severity.CANCEL_REFUSED: {502},
        Severity.SESSION: {503},
    }
    for number, code in rows():
        for error in errors_of(code):
            assert error.status in allowed[code.severity], number


def test_whoever_is_told_to_come_back_later_may_ask_again() -> None:
    for number, code in rows():
        for error in errors_of(code):
            assert error.retry_safe or error.retry_after is None, number


# The page -----------------------------------------------------------------------------------------


def test_the_page_is_up_to_date() -> None:
    page = (ROOT / "docs" / "ib-codes.md").read_text(encoding="utf-8")
    assert page == render(), "run: python -m trademind.brokers.ibkr.code_docs > docs/ib-codes.md"


def test_the_page_has_every_code_in_order_and_seven_columns() -> None:
    cells = [line.strip("|\n").split(" | ") for line in render().splitlines() if re.match(r"\| \d+ \|", line)]
    assert [int(first[0]) for first in cells] == sorted(CODES)
    assert {len(row) for row in cells} == {7}


def test_the_page_says_nothing_of_errors_where_nothing_fails() -> None:
    for number in (202, 399, 1101, 1102, 2104):
        assert errors_of(CODES[number]) == (), number
    assert [error.code for error in errors_of(CODES[200])] == ["order_rejected", "contract_not_found"]
