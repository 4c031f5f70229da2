"""IB's message codes, in one table: how bad each is, what it is about and which error it becomes.

Sources: the "Message Codes" of IB's TWS API documentation, the codes of IB's own client library (501 to
599), and what real gateways were seen to send beyond both. The meanings are in our own words; IB's text
comes with each message and is passed on. `docs/ib-codes.md` shows the table to people.

Strategy: a row says what is sure. Of an order IB is believed when it says that it refused or cancelled it;
where a code may also come for an order that lives on, the row is a notice, and the order's status, or the
deadline of the call, settles it. So no row about an order is a plain failure. A code that is in no row is
UNLISTED: surfaced with the request or order it is about, and not guessed about.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from trademind.errors import (
    CancelRejected,
    ClientIdInUse,
    CompetingSession,
    ConnectionLost,
    ContractNotFound,
    GatewayRefused,
    GatewayTooOld,
    NotConnected,
    NotSubscribed,
    OrderRejected,
    PacingViolation,
    Refused,
    TooManySubscriptions,
    TradeMindError,
    Unavailable,
    UpstreamLost,
)


class Severity(StrEnum):
    NOTICE = "notice"
    """Said for information: nothing fails and no status changes."""
    FAILURE = "failure"
    """The request it is about will get no other answer."""
    REJECTED = "rejected"
    """The new order, or the change of one, that it is about was refused; another request fails by it."""
    CANCELED = "canceled"
    """The order it is about has been cancelled."""
    CANCEL_REFUSED = "cancel_refused"
    """The cancel it is about was refused; the order is as it was."""
    SESSION = "session"
    """About the connection as a whole."""
    UNLISTED = "unlisted"
    """In no table: surfaced, not guessed."""


class Scope(StrEnum):
    """What a code is about; of a code that comes for several things, what it mostly is."""

    SESSION = "session"
    """The connection as a whole."""
    FARM = "farm"
    """One of IB's data farms."""
    ORDER = "order"
    CONTRACT = "contract"
    """What a contract is, in a request for its details as well as in an order or a data request."""
    MARKET_DATA = "market_data"
    """A running subscription: quotes, depth, tick-by-tick data, real-time bars."""
    HISTORY = "history"
    REQUEST = "request"
    """Any other request: accounts, scanners, news, fundamentals, profit and loss …"""


@dataclass(frozen=True, slots=True)
class Code:
    severity: Severity
    scope: Scope
    error: type[TradeMindError] = Refused
    """What a request that it fails ends in. Nothing fails by a notice or a cancelled order."""
    advice: str = ""
    """What the user can do, in addition to IB's own words."""
    meaning: str = ""
    """A few words for the documentation."""


UPSTREAM_LOST = 1100
UPSTREAM_BACK_DATA_LOST = 1101
UPSTREAM_BACK_DATA_KEPT = 1102
CLIENT_ID_IN_USE = 326
DELAYED_INSTEAD = 10167
COMPETING_SESSION = 10197

MARKET_DATA_FARM = frozenset({2103, 2104, 2108, 2119})
"""The notices about farms of market data; the others are about those of history and of contracts."""

FARM_STATES: Mapping[int, str] = {
    2103: "broken",
    2104: "ok",
    2105: "broken",
    2106: "ok",
    2107: "inactive",
    2108: "inactive",
    2119: "connecting",
    2157: "broken",
    2158: "ok",
}
"""What IB's notices say of a data farm, which the message names after its last colon."""


def _notice(meaning: str, advice: str = "", scope: Scope = Scope.ORDER) -> Code:
    return Code(Severity.NOTICE, scope, advice=advice, meaning=meaning)


def _refusal(
    meaning: str,
    advice: str = "",
    scope: Scope = Scope.ORDER,
    error: type[TradeMindError] = OrderRejected,
) -> Code:
    return Code(Severity.REJECTED, scope, error, advice, meaning)


def _not_cancelled(meaning: str, advice: str = "") -> Code:
    return Code(Severity.CANCEL_REFUSED, Scope.ORDER, CancelRejected, advice, meaning)


def _failure(
    meaning: str,
    advice: str = "",
    scope: Scope = Scope.REQUEST,
    error: type[TradeMindError] = Refused,
) -> Code:
    return Code(Severity.FAILURE, scope, error, advice, meaning)


def _not_subscribed(meaning: str) -> Code:
    return _failure(meaning, scope=Scope.MARKET_DATA, error=NotSubscribed)


def _too_many(meaning: str) -> Code:
    return _failure(meaning, scope=Scope.MARKET_DATA, error=TooManySubscriptions)


def _session(meaning: str, advice: str = "", error: type[TradeMindError] = Refused) -> Code:
    return Code(Severity.SESSION, Scope.SESSION, error, advice, meaning)


def _unsent(what: str, scope: Scope = Scope.REQUEST) -> Code:
    return Code(Severity.FAILURE, scope, ConnectionLost, meaning=f"could not be sent: {what}")


_CONTRACT, _MARKET_DATA, _HISTORY = Scope.CONTRACT, Scope.MARKET_DATA, Scope.HISTORY
_READ_ONLY = "Clear “Read-Only API” in the API settings of TWS or IB Gateway, if orders are to be sent."
_NEXT_ID = "Place it again; every order gets the next free id."
_LOOK = "Read the order to see how it stands."
_TIME_FORMAT = "Give the time as yyyymmdd-hh:mm:ss in UTC, or with its time zone."
_DROP = "Leave that attribute out."
_WHOLE = "Use a whole quantity, or trade it in TWS."
_PRECAUTION = "Change the order, or the order precautions in the API settings of TWS or IB Gateway."
_UPDATE = "Update TWS or IB Gateway."
_ADVISOR = "Give one account by its id."

_SYSTEM: dict[int, Code] = {
    0: _notice("nearly 50 messages a second are sent", "Ask less often.", Scope.SESSION),
    UPSTREAM_LOST: _session("the gateway has lost its connection to IB", error=UpstreamLost),
    # The next two are good news: nothing fails by them.
    UPSTREAM_BACK_DATA_LOST: _session("the gateway is connected to IB again; its subscriptions are gone"),
    UPSTREAM_BACK_DATA_KEPT: _session("the gateway is connected to IB again, with its subscriptions"),
    1300: _session(
        "the gateway's port was changed, and this connection ends",
        "Set TRADEMIND_IBKR__PORT to the port that the message names.",
        ConnectionLost,
    ),
}

# IB keeps 2100 to 2199 for warnings. Some say that something was refused all the same, but never so that
# an order can be told to be dead: 2102 comes for an order that lives, and is not acknowledged yet.
_WARNINGS: dict[int, Code] = {
    2100: _notice("account data goes to another subscriber now", scope=Scope.REQUEST),
    2101: _notice(
        "another client is subscribed to another account",
        "Let one program subscribe to accounts, or use the same account in both.",
        Scope.REQUEST,
    ),
    2102: _notice("cannot be changed while still being processed", "Wait for its status, then change it."),
    2103: _notice("a market data farm is disconnected", scope=Scope.FARM),
    2104: _notice("a market data farm is connected", scope=Scope.FARM),
    2105: _notice("a historical data farm is disconnected", scope=Scope.FARM),
    2106: _notice("a historical data farm is connected", scope=Scope.FARM),
    2107: _notice("a historical data farm rests until it is needed", scope=Scope.FARM),
    2108: _notice("a market data farm rests until it is needed", scope=Scope.FARM),
    2109: _notice("“outside regular hours” means nothing for this order and is ignored"),
    # IB counts it among the warnings; that IB is lost is what 1100 says.
    2110: _notice("a connection of the gateway to IB broke; it mends itself", scope=Scope.SESSION),
    2111: _notice("the times of an algorithm were moved to the next trading day"),
    2113: _notice("the quantity of a bond is its nominal value", "Use the multiple that IB names."),
    2119: _notice("a market data farm is being connected to", scope=Scope.FARM),
    2129: _notice("the value of this product is indicative only", scope=_CONTRACT),
    2130: _notice("the product trades at a price times a factor", scope=_CONTRACT),
    2137: _notice("the order turns the position from long to short, or back"),
    2148: _notice(
        "a word of IB about the account's margin",
        "Read the message: add funds or close positions, or IB may do so.",
        Scope.REQUEST,
    ),
    2150: _notice("a value derived from a position's trades is invalid", scope=Scope.REQUEST),
    2152: _notice("which exchanges give market depth to this login", scope=_MARKET_DATA),
    2157: _notice("a contract data farm is disconnected", scope=Scope.FARM),
    2158: _notice("a contract data farm is connected", scope=Scope.FARM),
    2161: _notice(
        "IB caps the price of the order, which may not fill for that",
        "Use a limit closer to the market.",
    ),
    2168: _notice("the attribute eTradeOnly is ignored", _DROP),
    2169: _notice("the attribute firmQuoteOnly is ignored", _DROP),
    2170: _notice("the attribute nbboPriceCap is ignored", _DROP),
    2174: _notice("a time without a time zone was read in the instrument's", _TIME_FORMAT, Scope.REQUEST),
    2176: _notice("fractions of shares are not shown to so old a client", scope=_MARKET_DATA),
    2181: _notice("the attribute optOutSmartRouting is ignored", _DROP),
    2187: _notice("generic ticks do not come with delayed data", scope=_MARKET_DATA),
    # Seen before bars that end a little earlier, and also where nothing followed.
    2188: _notice(
        "the latest part of the history is not subscribed",
        "Ask for an end time some minutes ago, or subscribe to the data for the API.",
        _HISTORY,
    ),
}

_CONNECTION: dict[int, Code] = {
    326: _session("another program is connected with this client id", error=ClientIdInUse),
    # Sent for no request when orders by hand are to be bound.
    327: _failure("only client id 0 binds orders entered by hand", "Connect with client id 0 for that."),
    357: _failure("the client speaks too old a protocol", "Update TradeMind."),
    438: _session("the gateway is locked", "Unlock TWS, and set it never to lock.", Unavailable),
    501: _notice("the client is connected already", scope=Scope.SESSION),
    502: _session("cannot connect", error=GatewayRefused),
    503: _session("the gateway is too old, at least for what was asked", error=GatewayTooOld),
    504: _session("not connected, or not logged on to IB", "Log on in TWS or IB Gateway.", NotConnected),
    505: _failure("the gateway does not know this kind of request", _UPDATE),
    506: _session("the versions do not fit", error=GatewayTooOld),
    507: _session("the gateway closed the connection, or sent nonsense", error=ConnectionLost),
    508: _failure("a message could not be read"),
    509: _session("the socket failed", error=ConnectionLost),
    520: _session("no socket could be made", "See how many files the process may open.", ConnectionLost),
    586: _session("nothing to read: not connected", error=NotConnected),
}

# Of IB's own client library: what it says when a message does not get out. A gateway never sends these, and
# ib_async raises ConnectionError instead; they are here for programs that pass them on.
_SENDING: dict[int, Code] = {
    510: _unsent("a market data request", _MARKET_DATA),
    511: _unsent("the end of market data", _MARKET_DATA),
    # It may have got out in part, so the order is not called refused.
    512: _notice("may not have been sent: an order", _LOOK),
    513: _unsent("an account updates request"),
    514: _unsent("an executions request"),
    515: _not_cancelled("could not be sent: the cancel of an order", "Cancel it again."),
    516: _unsent("an open orders request"),
    517: _failure("the contract is unknown", "Check its fields.", _CONTRACT, ContractNotFound),
    518: _unsent("a contract details request", _CONTRACT),
    519: _unsent("a market depth request", _MARKET_DATA),
    521: _unsent("a log level"),
    522: _unsent("a request for an advisor's configuration"),
    523: _unsent("an advisor's configuration"),
    524: _unsent("a scanner subscription"),
    525: _unsent("the end of a scanner subscription"),
    526: _unsent("a scanner parameters request"),
    527: _unsent("a historical data request", _HISTORY),
    528: _unsent("the end of historical data", _HISTORY),
    529: _unsent("a real-time bars request", _MARKET_DATA),
    530: _unsent("the end of real-time bars", _MARKET_DATA),
    531: _unsent("a current time request"),
    532: _unsent("a fundamental data request"),
    533: _unsent("the end of fundamental data"),
    534: _unsent("an implied volatility request"),
    535: _unsent("an option price request"),
    536: _unsent("the end of an implied volatility"),
    537: _unsent("the end of an option price"),
    538: _not_cancelled("could not be sent: the cancel of all orders", "Cancel them again."),
    539: _unsent("a market data type", _MARKET_DATA),
    540: _unsent("a positions request"),
    541: _unsent("the end of positions"),
    542: _unsent("an account summary request"),
    543: _unsent("the end of an account summary"),
    544: _unsent("a verification request"),
    545: _unsent("a verification"),
    546: _unsent("a display groups request"),
    547: _unsent("a display group subscription"),
    548: _unsent("a display group's contract"),
    549: _unsent("the end of a display group subscription"),
    550: _unsent("the start of the API", Scope.SESSION),
    551: _unsent("a verification and authorisation request"),
    552: _unsent("a verification and authorisation"),
    553: _unsent("a positions request for a model"),
    554: _unsent("the end of positions for a model"),
    555: _unsent("an account updates request for a model"),
    556: _unsent("the end of account updates for a model"),
    557: _unsent("an option chain request", _CONTRACT),
    558: _unsent("a soft dollar tiers request"),
    559: _unsent("a family codes request"),
    560: _unsent("a matching symbols request", _CONTRACT),
    561: _unsent("a depth exchanges request", _MARKET_DATA),
    562: _unsent("a SMART components request"),
    563: _unsent("a news providers request"),
    564: _unsent("a news article request"),
    565: _unsent("a historical news request"),
    566: _unsent("a head timestamp request", _HISTORY),
    567: _unsent("a histogram request", _HISTORY),
    568: _unsent("the end of a histogram", _HISTORY),
    569: _unsent("the end of a head timestamp", _HISTORY),
    570: _unsent("a market rule request", _CONTRACT),
    571: _unsent("a profit and loss request"),
    572: _unsent("the end of profit and loss"),
    573: _unsent("a profit and loss request for a position"),
    574: _unsent("the end of profit and loss for a position"),
    575: _unsent("a historical ticks request", _HISTORY),
    576: _unsent("a tick-by-tick request", _MARKET_DATA),
    577: _unsent("the end of tick-by-tick data", _MARKET_DATA),
    578: _unsent("a completed orders request"),
    579: _failure("a text has a character that cannot be sent", "Use plain ASCII."),
    580: _unsent("a calendar metadata request"),
    581: _unsent("the end of calendar metadata"),
    582: _unsent("a calendar events request"),
    583: _unsent("the end of calendar events"),
    584: _unsent("a user information request"),
    585: _failure("advisors' profiles are no more", "Use groups instead."),
    587: _unsent("a current time request in milliseconds"),
    588: _failure("a message could not be encoded"),
    589: _unsent("the end of market depth", _MARKET_DATA),
    590: _unsent("the end of a contract details request", _CONTRACT),
    591: _unsent("the end of a historical ticks request", _HISTORY),
    592: _unsent("a configuration request"),
    593: _unsent("a change of the configuration"),
}

_REQUESTS: dict[int, Code] = {
    100: _failure("more than 50 messages a second were sent", "Ask less often.", error=PacingViolation),
    # IB says of an order, too, that it could not read or process it, then with the order's id. That fails
    # the order only if nothing else comes of it.
    138: _failure("the request could not be read"),
    139: _failure("the request could not be read"),
    143: _failure("the id is not a whole number"),
    145: _failure("a field is invalid"),
    301: _failure("an invalid action (DDE)"),
    302: _failure("the request could not be read (DDE)"),
    304: _failure("an invalid action on account values (DDE)"),
    305: _failure("the request could not be read and is ignored (DDE)"),
    306: _failure("the request could not be processed (DDE)"),
    307: _failure("an invalid topic (DDE)"),
    319: _failure("an invalid log level", "Use 1 to 5."),
    320: _failure("the gateway could not read the request"),
    322: _failure("the gateway could not process the request"),
    323: _failure("the gateway failed"),
    324: _failure("the gateway could not read the request (DDE)"),
    330: _failure("only an advisor has a list of managed accounts"),
    331: _failure("the advisor has no managed accounts"),
    344: _failure("the login is not an advisor's", _ADVISOR),
    346: _failure("the account is no institutional one and clears with IB"),
    365: _notice("no such scanner subscription: it has ended already", scope=Scope.REQUEST),
    381: _failure("the DDE library is too old (DDE)"),
    384: _failure("an invalid array request (DDE)"),
    385: _failure("the id is in use by another scanner subscription"),
    415: _failure("an earlier request for quotes is still open", "Wait for it, then ask again."),
    430: _failure("no fundamental data for this instrument"),
    490: _failure("no subscription for what the scanner looks at", error=NotSubscribed),
    492: _notice("a scanner's results are imprecise without a subscription", scope=Scope.REQUEST),
    10005: _failure("the advisor's models are read-only"),
    10159: _failure("the search for symbols failed", "Ask again."),
    10172: _failure("the news article is not to be had", "Check its provider and id."),
    10185: _notice("no such profit and loss subscription: it has ended already", scope=Scope.REQUEST),
    10230: _failure("the advisor's configuration is being changed", "Wait for that, then ask again."),
    10231: _failure("an advisor's group has invalid accounts", "Correct the groups that the message names."),
    10238: _failure("the advisor's configuration could not be reached", "Ask again."),
    10276: _failure("the news feed is not allowed", error=NotSubscribed),
    10277: _failure("the news feed is not subscribed", error=NotSubscribed),
    10278: _failure("calendar metadata were asked for twice", "Wait for the first answer."),
    10279: _failure("calendar metadata could not be had"),
    10280: _notice("no such request for calendar metadata: it has ended already", scope=Scope.REQUEST),
    10281: _failure("calendar events were asked for twice", "Wait for the first answer."),
    10282: _failure("calendar events need the metadata first", "Ask for the metadata, then for events."),
    10283: _failure("calendar events could not be had"),
    10284: _notice("no such request for calendar events: it has ended already", scope=Scope.REQUEST),
    10285: _failure("fractions of shares need a newer client", "Update TradeMind."),
    10309: _failure("an invalid request for calendar events", "Give a con id or a filter, not both."),
    10322: _failure("“All” accounts is not for this login", "Name the account."),
    10337: _failure("an option of the request has an unknown key", "Use a key that the message names."),
    10338: _failure("an option of the request has an invalid value", "Use a value that the message names."),
    10357: _failure("the gateway's settings are not for the API", "Change them in its own window."),
    10358: _failure("fundamental data are not allowed", error=NotSubscribed),
}

# What makes sense of a contract. An order of such a contract is refused.
_CONTRACTS: dict[int, Code] = {
    123: _failure("the con id is unknown", "Look the contract up again.", _CONTRACT, ContractNotFound),
    124: _failure("the contract has no market rule", "Ask for a contract that can be traded.", _CONTRACT),
    # Answers requests for details and for data more often than orders; also when several contracts match.
    200: _refusal(
        "no contract matches the description, or several do",
        "Check symbol, security type, exchange and currency.",
        _CONTRACT,
        ContractNotFound,
    ),
    312: _refusal("the combination is invalid", "Check its legs.", _CONTRACT, Refused),
    313: _refusal("a leg of the combination is invalid", "Check the leg.", _CONTRACT, Refused),
    314: _refusal("the combination has no legs", "Give its legs.", _CONTRACT, Refused),
    315: _refusal("a combination with stocks goes to SMART only", "Use SMART.", _CONTRACT, Refused),
    339: _refusal("futures spreads are no more", "Use a combination.", _CONTRACT, Refused),
    406: _refusal("the currency is not allowed", "Use the contract's currency.", _CONTRACT, Refused),
    407: _refusal("the symbol has strange characters", "Use plain ASCII.", _CONTRACT, Refused),
    # Answers a data request as well, whose con id and fields are compared.
    478: _refusal(
        "the con id is of another contract than the fields",
        "Give the con id alone, or the fields that IB knows it by.",
        _CONTRACT,
        Refused,
    ),
    10016: _failure("the contract is not visible", scope=_CONTRACT),
    10017: _failure("the contracts are not visible", scope=_CONTRACT),
    10330: _refusal("the contract's expiry cannot be read", "Use yyyymm or yyyymmdd.", _CONTRACT, Refused),
}

_DATA: dict[int, Code] = {
    101: _too_many("every market data line of the login is in use"),
    102: _failure("the id is in use by another subscription", scope=_MARKET_DATA),
    # 300, 310: an end crossed an end by IB.
    300: _notice("no such subscription: it has ended already", scope=_MARKET_DATA),
    309: _too_many("every market depth line is in use"),
    310: _notice("no such market depth: it has ended already", scope=_MARKET_DATA),
    316: _failure("market depth was halted", "Subscribe again.", _MARKET_DATA),
    317: _notice("market depth begins anew: the book is empty now", scope=_MARKET_DATA),
    354: _not_subscribed("the market data is not subscribed"),
    414: _failure(
        "a snapshot has no generic ticks", "Ask for a subscription, or for no ticks.", _MARKET_DATA
    ),
    420: _failure("the real-time bars are refused", scope=_MARKET_DATA),
    # With delayed data asked for, ticks may follow; to real-time bars and tick-by-tick it is the end.
    10089: _not_subscribed("the market data is not subscribed for the API"),
    10090: _notice("part of the market data is not subscribed; the rest comes", scope=_MARKET_DATA),
    10091: _notice("part of the data is not subscribed for the API; the rest comes", scope=_MARKET_DATA),
    10092: _failure("there is no market depth there", "Ask for another exchange.", _MARKET_DATA),
    DELAYED_INSTEAD: _notice("not subscribed: delayed data come instead", scope=_MARKET_DATA),
    10168: _not_subscribed("not subscribed, and delayed data are not switched on"),
    # IB's list has here what is sent as 10168; gateways send it when P&L of a position that is not
    # subscribed is cancelled, where nobody waits for an answer.
    10186: _not_subscribed("not subscribed, and delayed data are not switched on"),
    10189: _failure("tick-by-tick data are refused", scope=_MARKET_DATA),
    10190: _too_many("every tick-by-tick line is in use"),
    COMPETING_SESSION: _failure(
        "another session of the login takes the live data", scope=_MARKET_DATA, error=CompetingSession
    ),
    10225: _failure("real-time bars ended, for trades were revoked", "Subscribe again.", _MARKET_DATA),
    10346: _failure(
        "the instrument's data are shown elsewhere, and not here too",
        "Close it where the message says.",
        _MARKET_DATA,
    ),
}

_HISTORIES: dict[int, Code] = {
    # An envelope: pacing, no data, no permission and more are told apart by the text (`error_from`).
    162: _failure("historical data are refused", scope=_HISTORY),
    165: _notice("a word about a query; a scanner that found nothing says so, too", scope=_HISTORY),
    166: _failure("no history of an expired contract", "Ask for a contract that lives.", _HISTORY),
    366: _notice("no such historical query: it has ended already", scope=_HISTORY),
    386: _failure("the id is in use by another historical query", scope=_HISTORY),
    431: _failure("what to show is missing or wrong", "Ask for TRADES, MIDPOINT, BID or ASK.", _HISTORY),
    10182: _failure("bars are not kept up to date: a data farm is away", "Ask again.", _HISTORY, Unavailable),
    10187: _failure("historical ticks are refused", scope=_HISTORY),
    # Also said of an order that is to harvest losses and is not of the day.
    10295: _failure("a schedule is by the day only", "Ask for bars of one day.", _HISTORY),
    10299: _failure("another kind of data was expected", "Ask for the kind that it names.", _HISTORY),
    10314: _failure("the end time cannot be read", _TIME_FORMAT, _HISTORY),
    10339: _failure("a continuous future has no end time", "Leave the end time out.", _HISTORY),
}

_CANCELS: dict[int, Code] = {
    # Also said of an order whose parent does not exist; then it is refused by its status or not at all.
    135: _not_cancelled("there is no order of this id", _LOOK),
    136: _not_cancelled("cannot be cancelled", _LOOK),
    137: _not_cancelled("a VWAP order cannot be cancelled so close to its start", _LOOK),
    161: _not_cancelled("not in a state to be cancelled", _LOOK),
    202: Code(Severity.CANCELED, Scope.ORDER, meaning="cancelled, by request or by IB"),
    10147: _not_cancelled("there is no order of this id to cancel", _LOOK),
    10148: _not_cancelled("filled, cancelled or being cancelled already", _LOOK),
}

# What IB says of an order that lives on.
_ORDER_NOTICES: dict[int, Code] = {
    131: _notice("sweep-to-fill and display size are ignored there"),
    164: _notice("no market data to check the price against"),
    308: _notice("TWS cannot open another page for orders of the API"),
    399: _notice("a word about the order, as that it waits for the market to open"),
    404: _notice("held until shares to borrow are found"),
    # The order exists, without an acknowledgement yet: calling it refused would be wrong.
    444: _notice("cannot be changed before it is acknowledged", "Wait for its status, then change it."),
    481: _notice("the quantity was reduced", _LOOK),
    10018: _notice("the order's price is times a factor"),
    10019: _notice("the trade's price is times a factor"),
    10233: _notice("values were taken from a preset for cash"),
    10239: _notice("the order touches accounts that do not fit its risk profile"),
    # Most of the following are questions that TWS puts to its user. Whether the order waits, goes on or is
    # discarded (by a 201 of its own) depends on the gateway's precautions.
    10287: _notice("an order for a cryptocurrency wants to be confirmed", _PRECAUTION),
    10288: _notice("a market order for a cryptocurrency wants to be confirmed", _PRECAUTION),
    10310: _notice("whether the order was solicited is not said"),
    10311: _notice("goes to one exchange directly, which may cost more", _PRECAUTION),
    10328: _notice("the connection was lost, and what became of the order is unknown", _LOOK),
    10329: _notice("goes to one exchange directly"),
    10331: _notice("a warning about a stop order", _PRECAUTION),
    10332: _notice("a warning about the volatility of a cryptocurrency", _PRECAUTION),
    10333: _notice("a warning about exercising an option at the money", _PRECAUTION),
    10334: _notice("the omnibus account of the order wants to be confirmed", _PRECAUTION),
    10335: _notice("the gateway's order presets contradict each other", "Correct them in TWS."),
    10347: _notice("the instrument has little liquidity"),
    10349: _notice("the time in force was set by a preset"),
}

_ORDERS: dict[int, Code] = {
    103: _refusal("the order id was used before", _NEXT_ID),
    104: _refusal("filled before the change reached it", _LOOK),
    105: _refusal("the change is of more than quantity and prices", "Cancel it and place another."),
    106: _refusal("the order cannot be transmitted"),
    107: _refusal("the order is incomplete", "Give what its type needs."),
    109: _refusal("the price is too far from the market for the gateway's settings", _PRECAUTION),
    110: _refusal("the price is no multiple of the tick size", "Round it to the contract's tick size."),
    111: _refusal("the time in force does not go with the order type", "Use another one."),
    113: _refusal("an order at the close is of the day", "Use DAY."),
    114: _refusal("relative orders are for stocks only"),
    115: _refusal("relative orders do not go to this exchange", "Use SMART."),
    116: _refusal("the exchange does not work", "Use SMART or another exchange."),
    117: _refusal("a block order is of 50 or more"),
    118: _refusal("VWAP orders go to the exchange VWAP only"),
    119: _refusal("only VWAP orders go to the exchange VWAP"),
    120: _refusal("too late for a VWAP order of today", "Place it tomorrow."),
    121: _refusal("an invalid destination"),
    122: _refusal("the request of the order is not known", "Place it again."),
    125: _refusal("the price is not the best ask", "Use the best ask."),
    126: _refusal("the price is not the best bid", "Use the best bid."),
    127: _refusal("linkage orders do not go to this exchange"),
    128: _refusal("a linkage customer must use linkage orders for options"),
    129: _refusal("a VWAP order comes three minutes before its start or earlier", "Use a later start."),
    132: _refusal("no clearing account", "Give the clearing account."),
    133: _refusal("the order could not be submitted"),
    134: _refusal("the change failed", _LOOK),
    140: _refusal("the quantity is no whole number", "Use a whole quantity."),
    141: _refusal("a price is no number"),
    142: _refusal("the institutional account is not described"),
    144: _refusal("the allocation does not add up to the quantity", "Correct the allocation."),
    146: _refusal("an invalid trigger method", "Use another one, or none."),
    147: _refusal("a condition's contract is incomplete", "Give its con id and exchange."),
    148: _refusal("this type of order takes no such condition", "Use a limit or market order."),
    151: _refusal("no user name (DDE)"),
    152: _refusal("the order cannot be hidden", _DROP),
    153: _refusal("an EFP is a limit order"),
    154: _refusal("trading of the instrument is halted", "Wait until it trades again."),
    155: _refusal("the order needs a user name and an account"),
    156: _refusal("the order goes to IBSX only"),
    157: _refusal("iceberg or discretionary, not both", "Drop the display size or the amount."),
    158: _refusal("a trailing order needs an amount or a percentage", "Give one of them."),
    159: _refusal("the trailing percentage is not from 0 to 100", "Use one in that range."),
    160: _refusal("the quantity is zero", "Use a quantity above zero."),
    163: _refusal("the price is too far from the market for the gateway's settings", _PRECAUTION),
    167: _refusal("the start of a VWAP order is past", "Use a later start."),
    168: _refusal("the discretionary amount is no multiple of the tick size", "Round it to the tick size."),
    201: _refusal("IB refused it, for the reason that the message names"),
    # The other text of this code asks for the currency of a contract.
    203: _refusal(
        "the instrument is not allowed for the account, or its currency is missing",
        "See the account's trading permissions, and give the currency.",
        error=Refused,
    ),
    303: _refusal("an invalid action", "Use BUY or SELL."),
    311: _refusal("an invalid origin"),
    # The commonest answer to a faulty request of any kind, which it fails. For a change the order lives on.
    321: _refusal("the gateway found a fault in the request", error=Refused),
    325: _refusal("discretionary orders are not for this exchange and type", "Drop the amount."),
    328: _refusal("a trailing stop is attached to limit and stop-limit orders only"),
    329: _refusal("the order's type cannot be changed to that", "Cancel it and place another."),
    332: _refusal("an advisor's profile has invalid accounts", _ADVISOR),
    333: _refusal("the allocation cannot be read", _ADVISOR),
    334: _refusal("the date it is good till is invalid", _TIME_FORMAT),
    335: _refusal("delta is not from 0 to 100", "Use one in that range."),
    336: _refusal("a time cannot be read", _TIME_FORMAT),
    337: _refusal("a date or time cannot be read", _TIME_FORMAT),
    338: _refusal("no orders good after a time on this exchange", "Place it when it is time."),
    340: _refusal("an invalid improvement in a box auction"),
    341: _refusal("delta is not from 1 to 100", "Use one in that range."),
    342: _refusal("no pegged orders on this exchange", "Use another exchange or type."),
    343: _refusal("a date or time cannot be read", _TIME_FORMAT, error=Refused),
    345: _refusal("no such combination for an advisor"),
    347: _refusal("the slot of a short sale is 1 or 2", "Use one of them."),
    348: _refusal("the slot is for short sales only", _DROP),
    349: _refusal("the combination cannot be good after a time", _DROP),
    350: _refusal("no minimum quantity for this combination", _DROP),
    351: _refusal("“regular hours only” is not for this order", _DROP),
    352: _refusal("a short sale of slot 2 needs a location", "Give the location."),
    353: _refusal("a short sale of slot 1 has no location", _DROP),
    355: _refusal("the quantity does not fit the market rule", "Use a multiple of the size increment."),
    356: _refusal("no OCA group for a SMART combination", _DROP),
    358: _refusal("no child order for a SMART combination"),
    359: _refusal("the OCA group of a combination reduces without block", "Use OCA type 3."),
    360: _refusal("no what-if for a SMART combination"),
    361: _refusal("an invalid trigger price"),
    362: _refusal("an invalid adjusted stop price"),
    363: _refusal("an invalid adjusted stop limit price"),
    364: _refusal("an invalid adjusted trailing amount"),
    367: _refusal("the volatility type is 1 or 2, and of VOL orders only"),
    368: _refusal("the reference price type is 1 or 2, and of VOL orders only"),
    369: _refusal("VOL orders are for US options only"),
    370: _refusal("a dynamic VOL order goes to SMART or a price improvement exchange", "Use SMART."),
    371: _refusal("a VOL order needs a positive volatility", "Give one."),
    372: _refusal("dynamic volatility is for VOL orders only", _DROP),
    373: _refusal("a stock range is for VOL and relative orders only", _DROP),
    374: _refusal("the stock range is upside down", "Put the lower one first."),
    375: _refusal("a stock range is not negative"),
    376: _refusal("the order is not updated continuously on this exchange"),
    377: _refusal("the hedge's price is invalid"),
    378: _refusal("the hedge needs a price", "Give one."),
    379: _refusal("the hedge has no price", _DROP),
    380: _refusal("no such order type for a hedge", "Use a limit or market order."),
    382: _refusal("the price is too many ticks away for the gateway's settings", _PRECAUTION),
    383: _refusal("the quantity is too large for the gateway's settings", _PRECAUTION),
    387: _refusal("no such order type for this exchange and instrument", "Use another type."),
    388: _refusal("the quantity is below the minimum", "Use a larger quantity."),
    389: _refusal("the routed order id is not unique", _NEXT_ID),
    390: _refusal("the routed order id is invalid", _NEXT_ID),
    391: _refusal("a time or time zone cannot be read", _TIME_FORMAT),
    392: _refusal("the contract has expired", "Use one that lives."),
    393: _refusal("the slot of a short sale is for hedges only", _DROP),
    394: _refusal("an invalid processing time", "Use 100 to 2000 milliseconds."),
    395: _refusal("no OCA groups just now, for troubles at IB", "Place it without a group, or later."),
    396: _refusal("market and limit orders only just now, for troubles at IB", "Use one of them."),
    397: _refusal("market and limit orders only just now, for troubles at IB", "Use one of them."),
    398: _refusal("this contract cannot be a condition", "Use another contract."),
    400: _refusal("the algorithm is refused"),
    401: _refusal("a text is too long", "Shorten it."),
    402: _refusal("no conditions for this contract", _DROP),
    403: _refusal("an invalid stop price", "Give a stop price."),
    405: _refusal("a child's quantity is not its parent's", "Use the parent's quantity."),
    408: _refusal("an invalid increment of a scale order"),
    409: _refusal("a scale order needs the size of its parts", "Give it."),
    410: _refusal("an invalid size of the later parts of a scale order"),
    411: _refusal("“outside regular hours” is not for this order", _DROP),
    412: _refusal("the contract cannot be traded"),
    413: _refusal("a what-if order must be transmitted", "Set transmit."),
    416: _refusal("no request for quotes for this contract"),
    417: _refusal("an invalid size of the first part of a scale order"),
    418: _refusal("an invalid profit offset of a scale order"),
    419: _refusal("a scale order needs the size of its first part", "Give it."),
    421: _refusal("an invalid route", "Use SMART or another exchange."),
    422: _refusal("account and clearing cannot be changed", "Cancel it and place another."),
    423: _refusal("the quotes for a cross order have expired", "Ask for quotes again."),
    424: _refusal("the order of an advisor needs an allocation", _ADVISOR),
    425: _refusal("the order of an advisor needs an allocation to accounts", _ADVISOR),
    426: _refusal("the account has not enough shares", "Sell what it holds, or use a margin account."),
    427: _refusal("an order for a fund needs an amount of money", "Give the amount."),
    428: _refusal("an order to sell a fund needs a number of shares", "Give the quantity."),
    429: _refusal("delta neutral orders are for combinations only"),
    432: _refusal("a commission is not negative"),
    433: _refusal("no restored size for a scale order of several accounts", _DROP),
    434: _refusal("the quantity is zero", "Use a quantity above zero."),
    # Also answers requests that are for one account only.
    435: _refusal("no account is named", "Name the account.", error=Refused),
    436: _refusal("the order of an advisor needs an account or a group", _ADVISOR),
    437: _refusal("outside regular hours or before the open, not both", "Drop one of them."),
    439: _refusal("there is no such algorithm", "See IB's list for its name and parameters."),
    440: _refusal("the algorithm cannot be changed", "Cancel it and place another."),
    441: _refusal("a parameter of the algorithm is invalid"),
    442: _refusal("the algorithm is not for this order"),
    443: _refusal("the algorithm has no such parameter", "See IB's list for its parameters."),
    445: _refusal("the quotes for the order are out of date", "Ask for quotes again."),
    446: _refusal("a scale order needs a profit offset", "Give it."),
    447: _refusal("a scale order needs an adjustment or an interval", "Give it."),
    448: _refusal("an invalid interval of a scale order"),
    449: _refusal("a scale order has an adjustment it does not need", _DROP),
    460: _refusal("no permission to trade this", "Ask IB for the trading permission."),
    462: _refusal("the time in force cannot be changed to that", "Cancel it and place another."),
    463: _refusal("the price is invalid", "Give a valid price."),
    10000: _refusal("a combination of several currencies"),
    10001: _refusal("volatility across currencies"),
    10002: _refusal("legs that cannot be without guarantee"),
    10003: _refusal("IBSX is not allowed"),
    10006: _refusal("the parent order is missing", "Place the parent first and its children a moment later."),
    10007: _refusal("an invalid type of hedge"),
    10008: _refusal("an invalid beta"),
    10009: _refusal("an invalid ratio of a hedge"),
    10010: _refusal("an invalid delta hedge"),
    10011: _refusal("the currency is not for SMART combinations"),
    10012: _refusal("an invalid percentage of an allocation", _ADVISOR),
    10013: _refusal("an order of the API must opt out of SMART routing"),
    10014: _refusal("an allocation by change of percentage is limited", _ADVISOR),
    10015: _refusal("the API may not trade", _READ_ONLY),
    10020: _refusal("the display size is not below the quantity", "Use a smaller display size."),
    10021: _refusal("a leg cannot be turned into a market order so"),
    10022: _refusal("legs cannot have this priority"),
    10023: _refusal("an invalid display size of a combination"),
    10024: _refusal("a combination cannot wait with its next leg so"),
    10025: _refusal("an invalid time to turn a leg into a market order"),
    10026: _refusal("an invalid time to turn a leg into a market order"),
    10027: _refusal("an invalid routing tag of a combination"),
    10051: _refusal("there is no such order type", "Use one of IB's order types."),
    10052: _refusal("there is no such time in force", "Use DAY, GTC, IOC, GTD, OPG or FOK."),
    10054: _refusal("a combination has its own price, or its legs have", "Give one of both."),
    10058: _refusal("the legs of this combination have no prices", "Give one price for the whole."),
    10063: _refusal("a currency hedge does not fit its parent", "Use a pair with the parent's currency."),
    10149: _refusal("an invalid order id", _NEXT_ID),
    10234: _refusal("the decision maker is missing", "Name the decision maker."),
    10235: _refusal("the decision maker is missing", "Name the decision maker."),
    10236: _refusal("a child of an all-or-none order is all-or-none", "Make it so."),
    10237: _refusal("an all-or-none order is routed whole", "Route the whole quantity."),
    10240: _refusal("the price cap is invalid", "Give a valid one."),
    10241: _refusal("an order for an amount of money cannot be changed", "Cancel it and place another."),
    10242: _refusal("an order with a fraction of a share cannot be changed", "Cancel it and place another."),
    10243: _refusal("no fractions of shares by the API", _WHOLE),
    10244: _refusal("no amount of money for this order", "Give a quantity."),
    10245: _refusal("no fractions of shares of this instrument", _WHOLE),
    10246: _refusal("no fractions of shares for this order", _WHOLE),
    10247: _refusal("fractions of shares go to SMART only", "Use SMART, or a whole quantity."),
    10248: _refusal("the account may not trade fractions of shares", _WHOLE),
    10249: _refusal("no fractions of shares for this type of order", _WHOLE),
    10250: _refusal("the quantity is no multiple of the size increment", "Round it to the size increment."),
    10251: _refusal("no fractions of shares for an allocation", _WHOLE),
    10252: _refusal("no fractions of shares unless a position is closed", _WHOLE),
    10253: _refusal("a combination with a hedge does not clear elsewhere"),
    10254: _refusal("the bond has expired", "Use one that lives."),
    10255: _refusal("no display size for this order", _DROP),
    10268: _refusal("the attribute eTradeOnly is no more", _DROP),
    10269: _refusal("the attribute firmQuoteOnly is no more", _DROP),
    10270: _refusal("the attribute nbboPriceCap is no more", _DROP),
    10274: _refusal("the attribute postToAts is invalid or not for this order", _DROP),
    10286: _refusal("a field has too many decimals", "Round it as the message says."),
    10289: _refusal("the order needs an amount of money", "Give the amount instead of a quantity."),
    10290: _refusal("the order is for an amount of money only", "Give the amount instead of a quantity."),
    10291: _refusal("an order to harvest losses is of the day", "Use DAY."),
    10292: _refusal("the type or action is restricted"),
    10293: _refusal("an amount of cryptocurrency has no quantity, too", "Give one of both."),
    10294: _refusal("the amount of money is not the group's", "Correct the amount."),
    10296: _refusal("to dark pools and not to them", "Drop one of them."),
    10297: _refusal("“not held” is not for this order", _DROP),
    10298: _refusal("the instrument is of another currency than the model"),
    10300: _refusal("a date or time cannot be read", _TIME_FORMAT),
    10301: _refusal("a date or time cannot be read", _TIME_FORMAT),
    10302: _refusal("no minimum trade quantity for this order", _DROP),
    10303: _refusal("an invalid minimum trade quantity", "Use one up to the order's quantity."),
    10304: _refusal("the competing size is negative", "Use zero or more."),
    10305: _refusal("the competing offset is no positive number of cents", "Use whole cents."),
    10306: _refusal("no offsets from the midpoint here", _DROP),
    10307: _refusal("invalid offsets from the midpoint"),
    10308: _refusal("the attribute postToAts cannot be changed", "Cancel it and place another."),
    10312: _refusal("VOL orders are not for this instrument and account"),
    10315: _refusal("a time cannot be read", "Give it as hh:mm:ss in UTC, without a date."),
    10316: _refusal("the attribute for triggers outside hours is no more", _DROP),
    10317: _refusal("the amount of money is no multiple of its increment", "Round the amount."),
    10318: _refusal("no fractions for this order", _WHOLE),
    10319: _refusal("no municipal bonds by the API", "Trade them in TWS."),
    10321: _refusal("no municipal bonds in attached and OCA orders", "Trade them one by one."),
    10324: _refusal("the OCA group does not fit the exchange"),
    10325: _refusal("no OCA groups here", _DROP),
    10326: _refusal("the OCA group cannot be changed", "Cancel it and place another."),
    10327: _refusal("the OCA type cannot be changed", "Cancel it and place another."),
    10336: _refusal("no executing broker for single legs", _DROP),
    10340: _refusal("an attribute of the order is not supported", _DROP),
    10341: _refusal("the parent of an order cannot be changed", "Cancel it and place another."),
    10342: _refusal("“imbalance only” is not for this order", _DROP),
    10343: _refusal("event contracts are not sold", "Buy the opposite one."),
    10344: _refusal("the price is not from 0.02 to 0.99 in whole cents", "Use one in that range."),
    10345: _refusal("this cannot be traded"),
    10348: _refusal("the attribute optOutSmartRouting is no more", _DROP),
}

CODES: Mapping[int, Code] = {
    number: code
    for table in (
        _SYSTEM,
        _WARNINGS,
        _CONNECTION,
        _SENDING,
        _REQUESTS,
        _CONTRACTS,
        _DATA,
        _HISTORIES,
        _CANCELS,
        _ORDER_NOTICES,
        _ORDERS,
    )
    for number, code in table.items()
}

WARNINGS = range(2100, 2200)
"""IB's range for warnings: one that is in no row is a notice."""

_UNLISTED = Code(Severity.UNLISTED, Scope.REQUEST)
_UNLISTED_WARNING = Code(Severity.NOTICE, Scope.REQUEST)

ENVELOPES = frozenset({162, 322, 420, 430, 10187, 10189})
"""Codes that stand for several things, told apart by IB's words."""

_BY_WORDS: Mapping[str, type[TradeMindError]] = {
    "pacing violation": PacingViolation,
    "different ip address": CompetingSession,
    "market data permissions": NotSubscribed,
    "not available.not allowed": NotSubscribed,
    "requests exceeded": TooManySubscriptions,
    "simultaneous api scanner": TooManySubscriptions,
}


def code_of(ib_code: int) -> Code:
    """The row of a code. One that is in no row is UNLISTED, or a notice in IB's range for warnings."""
    if (known := CODES.get(ib_code)) is not None:
        return known
    return _UNLISTED_WARNING if ib_code in WARNINGS else _UNLISTED


def error_from(ib_code: int, message: str, what: str) -> TradeMindError:
    """The error a failed request ends in. `what` names the request for the human who reads it."""
    code = code_of(ib_code)
    kind = code.error
    if ib_code in ENVELOPES:
        words = message.lower()
        kind = next((kind for said, kind in _BY_WORDS.items() if said in words), kind)
    detail = f"{what}: {message}"
    if ib_code not in CODES:
        detail = f"{detail} (code {ib_code} is in no list of IB's that TradeMind knows)"
    elif advice := (code.advice if kind is code.error else "") or kind.advice:
        detail = f"{detail} ({advice})"
    return kind(detail, ib_code=ib_code)
