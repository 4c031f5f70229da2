"""IB's message codes, in one table: how bad each is and which error it becomes.

Source: "Message Codes" in IB's TWS API documentation, and what real gateways were seen to send. A code
that is not in the table is never guessed to be harmless: about a request it fails that request; about an
order it is kept on the order as a notice, and counts as a refusal only if nothing else comes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from trademind.errors import ContractNotFound, PacingViolation, Refused, TradeMindError


class Severity(StrEnum):
    NOTICE = "notice"
    """Said for information: nothing fails and no status changes."""
    FAILURE = "failure"
    """The request it is about will get no other answer."""
    REJECTED = "rejected"
    """The new order, or the change of one, that it is about was refused."""
    CANCELED = "canceled"
    """The order it is about has been cancelled."""
    CANCEL_REFUSED = "cancel_refused"
    """The cancel it is about was refused; the order is as it was."""
    SESSION = "session"
    """About the connection as a whole."""


@dataclass(frozen=True, slots=True)
class Code:
    severity: Severity
    error: type[TradeMindError] = Refused
    advice: str = ""
    """What the user can do, in addition to IB's own words."""


_NOTICE = Code(Severity.NOTICE)
_FAILURE = Code(Severity.FAILURE)
_REJECTED = Code(Severity.REJECTED)
_SESSION = Code(Severity.SESSION)

CLIENT_ID_IN_USE = 326
UPSTREAM_LOST = 1100
UPSTREAM_BACK_DATA_LOST = 1101
UPSTREAM_BACK_DATA_KEPT = 1102

CODES: Mapping[int, Code] = {
    100: Code(Severity.FAILURE, PacingViolation, "More than 50 messages a second were sent."),
    101: Code(Severity.FAILURE, Refused, "Every market data line of this login is in use."),
    103: _REJECTED,
    104: Code(Severity.REJECTED, Refused, "The order was done before the change reached it."),
    105: _REJECTED,
    106: _REJECTED,
    107: _REJECTED,
    109: _REJECTED,
    110: _REJECTED,
    111: _REJECTED,
    113: _REJECTED,
    116: _REJECTED,
    161: Code(Severity.CANCEL_REFUSED),
    162: Code(Severity.FAILURE, Refused),
    # The next one also answers a request about a contract, which it fails whatever its severity.
    200: Code(Severity.REJECTED, ContractNotFound, "Check symbol, security type, exchange and currency."),
    201: _REJECTED,
    202: Code(Severity.CANCELED),
    203: _REJECTED,
    300: _NOTICE,  # a cancelled subscription that the gateway no longer has
    321: _REJECTED,  # likewise
    322: _FAILURE,
    326: Code(Severity.SESSION, Refused, "Another program is connected with this client id."),
    354: Code(Severity.FAILURE, Refused, "The login has no market data subscription for it."),
    366: _NOTICE,  # a cancelled history request that the gateway no longer has
    387: _REJECTED,
    388: _REJECTED,
    399: _NOTICE,
    404: _NOTICE,  # held until shares to borrow are found: the order lives
    434: _REJECTED,
    502: _SESSION,
    503: _SESSION,
    504: _SESSION,
    1100: _SESSION,
    1101: _SESSION,
    1102: _SESSION,
    1300: _SESSION,
    10052: _REJECTED,
    10090: _NOTICE,  # part of the market data is not subscribed; the rest comes
    10147: Code(Severity.CANCEL_REFUSED),
    10148: Code(Severity.CANCEL_REFUSED),
    10167: _NOTICE,  # delayed data instead of live data
    10168: Code(Severity.FAILURE, Refused, "The login has no market data subscription for it."),
    10197: Code(Severity.FAILURE, Refused, "Another session of this login takes the live market data."),
    10243: _REJECTED,
    10244: _REJECTED,
    10340: _REJECTED,
    10349: _NOTICE,  # the time in force was set by a preset
}


def code_of(ib_code: int) -> Code:
    """The row of a code; 2100 to 2199 are IB's range for notices about connections and systems."""
    if (known := CODES.get(ib_code)) is not None:
        return known
    return _NOTICE if 2100 <= ib_code < 2200 else _FAILURE


def error_from(ib_code: int, message: str, what: str) -> TradeMindError:
    """The error a failed request ends in. `what` names the request for the human who reads it."""
    code = code_of(ib_code)
    kind = code.error
    if ib_code == 162 and "pacing violation" in message.lower():
        kind = PacingViolation
    detail = f"{what}: {message}"
    if code.advice:
        detail = f"{detail} ({code.advice})"
    return kind(detail, ib_code=ib_code)
