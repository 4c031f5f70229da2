"""`docs/ib-codes.md`, written from the table of codes (`python -m trademind.brokers.ibkr.code_docs`)."""

import sys

from trademind.brokers.ibkr.codes import CODES, ENVELOPES, WARNINGS, Code, Scope, Severity
from trademind.errors import OrderRejected, Refused, TradeMindError, Unavailable

_ENVELOPE_LIST = ", ".join(str(number) for number in sorted(ENVELOPES))

_HEAD = f"""\
# IB's message codes

IB answers, warns and complains by messages with a number. This page says what TradeMind makes of each. It
has {len(CODES)} codes: those of IB's documentation ("Message Codes" of the TWS API), those of IB's client
library, and others that gateways were seen to send. The meanings are in our words; IB's own text is always
passed on in `detail`, and the number in `ib_code`. The errors are those of [errors.md](errors.md). Where the
last column is empty there is nothing to do about a notice, and IB's text says what to correct otherwise.

| numbers | what they are |
| --- | --- |
| 100 to 499 | TWS and IB Gateway about requests and orders |
| 501 to 599 | IB's client library about the connection and what it could not send |
| 1100 to 1300 | the connection to IB as a whole |
| {WARNINGS.start} to {WARNINGS.stop - 1} | warnings: nothing fails by them |
| 10000 and up | TWS and IB Gateway about newer features |

A code that is not on this page is never guessed about. Between {WARNINGS.start} and {WARNINGS.stop - 1} it
is a notice. Elsewhere it fails the request it is about, as `{Refused.code}` ({Refused.status}), and `detail`
says that the code is in no list. About an order it is kept with the order as a notice, and refuses the order
only if nothing else is heard of it. So does a code that fails requests, when it comes for an order.

A refusal never turns an order that IB has acknowledged into a rejected one: it refuses the change that was
asked for, and the order's own status says how it stands. Some codes stand for several things
({_ENVELOPE_LIST}): where IB's text speaks of pacing, of permissions, of another session
or of a limit, the error is the one for that.

This page is generated (`python -m trademind.brokers.ibkr.code_docs > docs/ib-codes.md`).

| code | about | meaning | what becomes of it | error | status | what to do |
| ---: | --- | --- | --- | --- | --- | --- |
"""

_ABOUT = {
    Scope.SESSION: "session",
    Scope.FARM: "data farm",
    Scope.ORDER: "order",
    Scope.CONTRACT: "contract",
    Scope.MARKET_DATA: "market data",
    Scope.HISTORY: "history",
    Scope.REQUEST: "request",
}

_BECOMES = {
    Severity.NOTICE: "notice",
    Severity.FAILURE: "fails the request",
    Severity.REJECTED: "refuses the order, or its change",
    Severity.CANCELED: "the order is cancelled",
    Severity.CANCEL_REFUSED: "refuses the cancel",
    Severity.SESSION: "changes the session's state",
}


def errors_of(code: Code) -> tuple[type[TradeMindError], ...]:
    """What a code can end a call in: that of an order first, then that of another request."""
    match code.severity:
        case Severity.NOTICE | Severity.CANCELED | Severity.UNLISTED:
            return ()
        case Severity.SESSION if not issubclass(code.error, Unavailable):
            return ()  # good news
        case Severity.REJECTED if code.error is not OrderRejected:
            return (OrderRejected, code.error)
        case _:
            return (code.error,)


def _row(number: int, code: Code) -> str:
    errors = errors_of(code)
    cells = (
        str(number),
        _ABOUT[code.scope],
        code.meaning,
        _BECOMES[code.severity] + (", or fails the request" if len(errors) > 1 else ""),
        " or ".join(f"`{error.code}`" for error in errors),
        " or ".join(dict.fromkeys(str(error.status) for error in errors)),
        code.advice or (errors[-1].advice if errors else ""),
    )
    return f"| {' | '.join(cells)} |\n"


def render() -> str:
    """The whole page."""
    return _HEAD + "".join(_row(number, code) for number, code in sorted(CODES.items()))


if __name__ == "__main__":
    sys.stdout.write(render())
