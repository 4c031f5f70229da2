"""Every error TradeMind raises on purpose.

    TradeMindError
    ├── SettingsError                a setting is wrong; the program does not start
    ├── Unavailable                  nothing can be asked of the broker now (HTTP 503)
    │   ├── GatewayRefused           nothing listens on the port
    │   │   └── BadAddress           no gateway can ever be there: a setting is wrong
    │   ├── GatewayTooOld            it speaks an older protocol than this program
    │   ├── ClientIdInUse            IB 326: another program holds the client id
    │   ├── NotSynchronised          connected, but a first snapshot did not come in time
    │   ├── NotConnected             no session at the moment
    │   ├── UpstreamLost             IB 1100: the gateway is there, but has lost IB
    │   ├── GatewaySilent            the connection stands, but the gateway says nothing any more
    │   ├── ConnectionLost           the gateway went away while this call was waiting
    │   ├── ShuttingDown             the server is stopping: it takes no new orders
    │   └── StateNotKept             what must survive a restart cannot be written to disk
    │       └── JournalUnavailable   the journal takes or tells nothing now: no order without it
    ├── Malformed                    not JSON at all, or JSON that means two things (400)
    ├── MethodNotAllowed             the path exists, the method does not (405)
    ├── TooLarge                     more bytes than any request has a use for (413)
    ├── UnsupportedMediaType         a body that does not say it is JSON (415)
    ├── InternalError                a fault of TradeMind's own; its log has the rest (500)
    ├── NotInstalled                 this call needs a library that is not installed (500)
    ├── Forbidden                    (403)
    │   ├── HostNotAllowed           asked for under a name that is not the server's
    │   ├── OriginNotAllowed         a web page of another site wants to change something
    │   ├── LiveAccountNotAllowed    a live account where only paper is allowed
    │   ├── LiveTradingNotAllowed    an order for a live account without ALLOW_LIVE
    │   └── RiskLimitExceeded        an order that a risk limit does not let pass; `limit` names it
    ├── TradingHalted                the kill switch is on: cancels pass, orders do not (423)
    ├── Invalid                      the request itself is wrong (422), field by field
    ├── StrategyFailed               a strategy has raised, or gave what are no signals (422)
    ├── NotFound                     (404)
    │   ├── ContractNotFound
    │   ├── OrderNotFound
    │   ├── AccountNotFound
    │   ├── BarJobNotFound
    │   ├── BacktestNotFound
    │   ├── IndicatorNotFound
    │   ├── SignalNotFound
    │   ├── StrategyNotFound
    │   └── UnknownSequence          the journal has no event of that number
    ├── Conflict                     (409)
    │   ├── AmbiguousContract        several contracts match; `candidates` names them
    │   ├── DuplicateOrder           the key was used for another order
    │   ├── OrderNotWorking          the order is already done
    │   ├── SignalOver               the signal has expired, or something else has become of it
    │   └── BacktestNotDone          there is no report of it, yet or for ever
    ├── Refused                      the gateway said no (502), `ib_code` says why
    │   ├── OrderRejected
    │   ├── CancelRejected
    │   ├── NotSubscribed            the login has no subscription for the data asked for
    │   └── CompetingSession         IB 10197: another session of the login takes the live data
    ├── PacingViolation              IB's limits on requests in a time (429)
    ├── TooManySubscriptions         IB's limits on what runs at once, as of market data lines (429)
    ├── TooManyJobs                  more downloads or backtests wait than are kept waiting (429)
    ├── StreamOverrun                a consumer of events fell too far behind (429)
    └── NoAnswer                     no answer by the deadline (504)
        └── OrderOutcomeUnknown      the order may or may not exist: look before retrying

An error carries what a program needs: `code` (stable, snake_case), `status` (its HTTP status),
`retry_safe` (may the same call simply be made again?), `ib_code`, and `detail` for a human, which says
what to do next. The API turns any of them into one problem document, in one place.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class TradeMindError(Exception):
    """Base of all errors raised on purpose.

    Args:
        detail: What happened and what to do about it, for a human.
        ib_code: IB's error code, where IB gave one.
        extra: Members for the problem document, JSON-ready.
        retry_after: Seconds, where more is known than what the kind of error says.
    """

    code: ClassVar[str] = "error"
    title: ClassVar[str] = "TradeMind error"
    status: ClassVar[int] = 500
    retry_safe: ClassVar[bool] = True
    retry_after: int | None = None
    """Seconds for the `Retry-After` header; None where waiting does not help."""
    advice: ClassVar[str] = ""
    """What to do about this kind of failure, where its `detail` is about one case of it."""

    def __init__(
        self,
        detail: str,
        *,
        ib_code: int | None = None,
        extra: Mapping[str, Any] | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.ib_code = ib_code
        self.extra: dict[str, Any] = dict(extra or {})
        if retry_after is not None:
            self.retry_after = retry_after


class SettingsError(TradeMindError):
    code = "settings_invalid"
    title = "A setting is wrong"
    retry_safe = False


class Unavailable(TradeMindError):
    code = "unavailable"
    title = "The broker is not available"
    status = 503
    retry_after: int | None = 2


class GatewayRefused(Unavailable):
    code = "gateway_refused"
    title = "No gateway listens there"
    advice = (
        "Start TWS or IB Gateway with its API enabled on that port, or set TRADEMIND_IBKR__HOST and "
        "TRADEMIND_IBKR__PORT. The session is opened by itself as soon as something listens."
    )


class BadAddress(GatewayRefused):
    code = "bad_address"
    title = "The gateway's address cannot be one"
    retry_safe = False
    retry_after = None
    advice = "Correct TRADEMIND_IBKR__HOST and TRADEMIND_IBKR__PORT, then start again."


class GatewayTooOld(Unavailable):
    code = "gateway_too_old"
    title = "The gateway is too old"
    retry_after = 60
    advice = "Update TWS or IB Gateway to a version of this year."


class ClientIdInUse(Unavailable):
    code = "client_id_in_use"
    title = "The client id is in use"
    advice = (
        "End the other program that uses this id, or give this one another in TRADEMIND_IBKR__CLIENT_ID. "
        "After a crash the gateway frees the id by itself within a minute."
    )


class NotSynchronised(Unavailable):
    code = "not_synchronised"
    title = "The session is not synchronised"
    advice = (
        "See whether TWS or IB Gateway shows a dialog, is logged in and not still starting. It is tried "
        "again by itself."
    )


class NotConnected(Unavailable):
    code = "not_connected"
    title = "Not connected to a gateway"


class UpstreamLost(Unavailable):
    code = "upstream_lost"
    title = "The gateway has lost IB"
    retry_after = 10
    advice = (
        "The gateway reconnects to IB by itself; nothing has to be done here. If it lasts, look at the "
        "machine's network and at IB's system status page."
    )


class GatewaySilent(Unavailable):
    code = "gateway_silent"
    title = "The gateway does not answer"
    retry_after = 5
    advice = (
        "The gateway, or the network to it, hangs. It is asked again and again, and reconnected to by "
        "itself; if that does not help, restart TWS or IB Gateway."
    )


class ConnectionLost(Unavailable):
    code = "connection_lost"
    title = "The gateway went away"
    advice = "It is connected to again by itself. If it keeps going away, its own log says why."


class ShuttingDown(Unavailable):
    code = "shutting_down"
    title = "The server is stopping"
    retry_after = 10


class StateNotKept(Unavailable):
    code = "state_not_kept"
    title = "The data directory cannot be written"
    retry_after = 10
    advice = "Make room in TRADEMIND_DATA_DIR, and see that it may be written to."


class JournalUnavailable(StateNotKept):
    code = "journal_unavailable"
    title = "The journal is not available"
    retry_after = 5
    advice = (
        "Mend what the detail names, such as a full disk; within seconds orders are taken again, without a "
        "restart. Nothing was sent, so the same request may be made again. What is left of a damaged journal "
        "is told by `trademind journal verify`."
    )


class Malformed(TradeMindError):
    code = "malformed"
    title = "The body cannot be read"
    status = 400
    retry_safe = False


class MethodNotAllowed(TradeMindError):
    code = "method_not_allowed"
    title = "The path has no such method"
    status = 405
    retry_safe = False


class TooLarge(TradeMindError):
    code = "too_large"
    title = "The request is too large"
    status = 413
    retry_safe = False


class UnsupportedMediaType(TradeMindError):
    code = "unsupported_media_type"
    title = "The body is not declared as JSON"
    status = 415
    retry_safe = False


class InternalError(TradeMindError):
    code = "internal_error"
    title = "TradeMind has failed"
    retry_safe = False


class NotInstalled(TradeMindError):
    code = "not_installed"
    title = "A library is not installed"
    retry_safe = False


class Forbidden(TradeMindError):
    code = "forbidden"
    title = "Not allowed"
    status = 403
    retry_safe = False


class HostNotAllowed(Forbidden):
    code = "host_not_allowed"
    title = "The Host header is not an allowed one"


class OriginNotAllowed(Forbidden):
    code = "origin_not_allowed"
    title = "The Origin header is not an allowed one"


class LiveAccountNotAllowed(Forbidden):
    code = "live_account_not_allowed"
    title = "A live account is not allowed here"


class LiveTradingNotAllowed(Forbidden):
    code = "live_trading_not_allowed"
    title = "Trading a live account is switched off"


class RiskLimitExceeded(Forbidden):
    """A risk limit does not let an order pass, or what it would have to be measured by is not known.

    Args:
        limit: The limit, by its field in `RiskLimits`; `mode` where only positions may be reduced, `changed`
            where the limits have become others while the order was on its way.
        allowed: The limit's value; None where it is about none.
        would_be: What the order would come to; None where that is not known.
    """

    code = "risk_limit_exceeded"
    title = "A risk limit would be exceeded"

    def __init__(
        self,
        detail: str,
        *,
        limit: str,
        allowed: str | None,
        would_be: str | None,
        retry_after: int | None = None,
    ) -> None:
        extra = {"limit": limit, "allowed": allowed, "would_be": would_be}
        super().__init__(detail, extra=extra, retry_after=retry_after)


class TradingHalted(TradeMindError):
    code = "trading_halted"
    title = "Trading is halted"
    status = 423
    advice = (
        "`trademind resume`, or POST /api/risk/resume, ends the halt; then the same order may be sent again."
    )


class Invalid(TradeMindError):
    """The request is wrong. `errors` lists (field, message) pairs."""

    code = "invalid"
    title = "The request is invalid"
    status = 422
    retry_safe = False

    def __init__(self, errors: Sequence[tuple[str, str]], *, detail: str | None = None) -> None:
        super().__init__(
            detail or "; ".join(f"{field}: {message}" for field, message in errors),
            extra={"errors": [{"field": field, "message": message} for field, message in errors]},
        )
        self.errors = tuple(errors)


class StrategyFailed(TradeMindError):
    """A strategy's own failure. `traceback` is where it was, None where it gave what cannot be used."""

    code = "strategy_failed"
    title = "The strategy has failed"
    status = 422
    retry_safe = False
    advice = "Mend the strategy; the traceback says where it has failed."

    def __init__(self, detail: str, *, traceback: str | None = None) -> None:
        super().__init__(detail, extra={"traceback": traceback})
        self.traceback = traceback


class NotFound(TradeMindError):
    code = "not_found"
    title = "No such thing"
    status = 404
    retry_safe = False


class ContractNotFound(NotFound):
    code = "contract_not_found"
    title = "No such contract"


class OrderNotFound(NotFound):
    code = "order_not_found"
    title = "No such order"


class AccountNotFound(NotFound):
    code = "account_not_found"
    title = "No such account"


class BarJobNotFound(NotFound):
    code = "bar_job_not_found"
    title = "No such download"


class BacktestNotFound(NotFound):
    code = "backtest_not_found"
    title = "No such backtest"


class IndicatorNotFound(NotFound):
    code = "indicator_not_found"
    title = "No such indicator"


class SignalNotFound(NotFound):
    code = "signal_not_found"
    title = "No such signal"


class StrategyNotFound(NotFound):
    code = "strategy_not_found"
    title = "No such strategy"


class UnknownSequence(NotFound):
    code = "unknown_sequence"
    title = "No event has that number"


class Conflict(TradeMindError):
    code = "conflict"
    title = "In conflict with the present state"
    status = 409
    retry_safe = False


class AmbiguousContract(Conflict):
    code = "ambiguous_contract"
    title = "Several contracts match"


class DuplicateOrder(Conflict):
    code = "duplicate_order"
    title = "The key was used for another order"


class OrderNotWorking(Conflict):
    code = "order_not_working"
    title = "The order is already done"


class SignalOver(Conflict):
    code = "signal_over"
    title = "The signal is worth nothing any more"
    advice = "Ask how the instrument stands now (`GET /api/signals/{symbol}`), or place the order yourself."


class BacktestNotDone(Conflict):
    code = "backtest_not_done"
    title = "The backtest has no report"


class Refused(TradeMindError):
    code = "gateway_error"
    title = "The gateway refused"
    status = 502
    retry_safe = False


class OrderRejected(Refused):
    code = "order_rejected"
    title = "The order was rejected"


class CancelRejected(Refused):
    code = "cancel_rejected"
    title = "The cancel was rejected"


class NotSubscribed(Refused):
    code = "not_subscribed"
    title = "Not subscribed to this data"
    advice = (
        "Subscribe the login to this data in IB's Client Portal, for use by the API, and share it with the "
        "paper login; or ask for delayed data."
    )


class CompetingSession(Refused):
    code = "competing_session"
    title = "Another session takes the live data"
    retry_safe = True
    retry_after = 30
    advice = "Close the other session of this login or of its live account, then ask again."


class PacingViolation(TradeMindError):
    code = "pacing_violation"
    title = "Too many requests for IB's limits"
    status = 429
    retry_after = 15


class TooManySubscriptions(TradeMindError):
    code = "too_many_subscriptions"
    title = "Too many subscriptions at once"
    status = 429
    advice = "End a subscription that is not needed, here or in another program of this login, and ask again."


class TooManyJobs(TradeMindError):
    code = "too_many_jobs"
    title = "Too many jobs wait"
    status = 429
    retry_after = 60
    advice = "Wait until one of them is done, or cancel one."


class StreamOverrun(TradeMindError):
    code = "stream_overrun"
    title = "The consumer fell too far behind"
    status = 429


class NoAnswer(TradeMindError):
    code = "no_answer"
    title = "No answer in time"
    status = 504


class OrderOutcomeUnknown(NoAnswer):
    code = "order_outcome_unknown"
    title = "The outcome of the order is unknown"
    retry_safe = False
