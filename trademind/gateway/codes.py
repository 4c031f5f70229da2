"""IB's error codes and texts, as far as the gateway itself sends them."""

from typing import Final

TOO_FAST: Final = 100
TOO_MANY_LINES: Final = 101
TOO_MANY_LINES_TEXT: Final = "Max number of tickers has been reached"
DUPLICATE_TICKER_ID: Final = 322
DUPLICATE_TICKER_ID_TEXT: Final = "Error processing request.-'bC' : cause - Duplicate ticker id"
NOT_SUBSCRIBED: Final = 354
NOT_SUBSCRIBED_TEXT: Final = (
    "Requested market data is not subscribed. Check API status by selecting the Account menu then under "
    "Management choose Market Data Subscription Manager and/or availability of delayed data. {name}"
)
SHOWING_DELAYED: Final = 10167
SHOWING_DELAYED_TEXT: Final = "Requested market data is not subscribed. Displaying delayed market data."
DELAYED_NOT_ENABLED: Final = 10168
DELAYED_NOT_ENABLED_TEXT: Final = (
    "Requested market data is not subscribed. Delayed market data is not enabled."
)
NEEDS_API_SUBSCRIPTION: Final = 10089
NEEDS_API_SUBSCRIPTION_TEXT: Final = (
    "Requested market data requires additional subscription for API. "
    "See link in 'Market Data Connections' dialog for more details."
)
NO_TICK_BY_TICK: Final = 10189
TOO_MANY_TICK_BY_TICK: Final = 10190
TOO_MANY_TICK_BY_TICK_TEXT: Final = "Max number of tick-by-tick requests has been reached."
REAL_TIME_QUERY: Final = 420
TOO_MANY_DEPTH: Final = 309
UNKNOWN_DEPTH: Final = 310
DEPTH_RESET: Final = 317
DEPTH_RESET_TEXT: Final = (
    "Market depth data has been RESET. Please empty deep book contents before applying any new entries."
)
DEPTH_EXCHANGES: Final = 2152
NO_DEPTH: Final = 10092
NO_DEPTH_TEXT: Final = "Deep market data is not supported for this combination of security type/exchange"
COMPETING_SESSION: Final = 10197
COMPETING_SESSION_TEXT: Final = "No market data during competing live session"
NO_SECURITY: Final = 200
NO_SECURITY_TEXT: Final = "No security definition has been found for the request"
ORDER_REJECTED: Final = 201
CONFLICT: Final = 478
CONFLICT_TEXT: Final = "Parameters in request conflicts with contract parameters received by contract id:"
"""What conflicts follows, as in ` requested expiry 202606, in contract 20260626;`."""
UNKNOWN_TICKER_ID: Final = 300
READING: Final = 320
VALIDATING: Final = 321
PROCESSING: Final = 322
CLIENT_ID_IN_USE: Final = 326
CLIENT_ID_IN_USE_TEXT: Final = (
    "Unable to connect as the client id is already in use. Retry with a unique client id."
)
AUTO_BIND_REFUSED: Final = 327
AUTO_BIND_REFUSED_TEXT: Final = "Only the client with client id 0 may set the auto bind property"
NO_HISTORICAL_QUERY: Final = 366
UNSUPPORTED_ORDER_TYPE: Final = 387
UNSUPPORTED_ORDER_TYPE_TEXT: Final = "Unsupported order type for this exchange and security type."
HISTORICAL: Final = 162
HISTORICAL_QUERY: Final = 165
NO_SCANNER_SUBSCRIPTION: Final = 365
NEWS_ARTICLE: Final = 10172
NEWS_ARTICLE_TEXT: Final = "Failed to request news article:No data available"
NEWS_NOT_ALLOWED: Final = 10276
NEWS_NOT_ALLOWED_TEXT: Final = "News feed is not allowed."
WSH_META_DATA: Final = 10280
WSH_META_DATA_TEXT: Final = "Failed cancel WSH metadata: there is no such request."
WSH_EVENT_DATA: Final = 10284
WSH_EVENT_DATA_TEXT: Final = "Fail cancel WSH event data: there is no such request."
FUNDAMENTALS: Final = 10358
FUNDAMENTALS_TEXT: Final = "Fundamentals data is not allowed."
NO_SUCH_ORDER: Final = 10147
NO_SUCH_ORDER_TEXT: Final = "OrderId {order_id} that needs to be cancelled is not found."
NOT_CANCELLABLE: Final = 10148
MISMATCH: Final = 105
MISMATCH_TEXT: Final = "Order being modified does not match original order."
INVALID_TIF: Final = 10052
INVALID_TIF_TEXT: Final = "Invalid time in force:{tif}."
UNSUPPORTED_ATTRIBUTE: Final = 10340
UNSUPPORTED_ATTRIBUTE_TEXT: Final = "The following order attribute is not supported: {names}"
INVALID_DATE: Final = 391
INVALID_DATE_TEXT: Final = (
    "The date, time, or time-zone entered is invalid. The correct format is yyyymmdd hh:mm:ss xx/xxxx where "
    "yyyymmdd and xx/xxxx are optional. E.g.: 20031126 15:59:00 US/Eastern"
)
INVALID_END_TIME: Final = 10314
NO_END_TIME: Final = 10339
NO_END_TIME_TEXT: Final = "Setting end date/time for continuous future security type is not allowed."
EXPECTED_WHAT_TO_SHOW: Final = 10299
IMPLIED_TIME_ZONE: Final = 2174
IMPLIED_TIME_ZONE_TEXT: Final = (
    "Warning: You submitted request with date-time attributes without explicit time zone. Please switch to "
    "use yyyymmdd-hh:mm:ss in UTC or use instrument time zone, like US/Eastern. Implied time zone "
    "functionality will be removed in the next API release"
)
UNKNOWN_MESSAGE: Final = 505
UNKNOWN_MESSAGE_TEXT: Final = "Fatal Error: Unknown message id."
TOO_MANY_SUMMARIES_TEXT: Final = (
    "Error processing request.-'b1' : cause - Maximum number of account summary requests exceeded; "
    "desubscribe to previous request first"
)
NO_ACCOUNT: Final = 435
NO_ACCOUNT_TEXT: Final = "You must specify an account."
UNSUBSCRIBED_ACCOUNT: Final = 2100
UNSUBSCRIBED_ACCOUNT_TEXT: Final = "API client has been unsubscribed from account data."
NO_SUCH_PNL: Final = 10185
NO_SUCH_PNL_TEXT: Final = "Failed to cancel PNL (not subscribed)"
NO_SUCH_PNL_SINGLE: Final = 10186
NO_SUCH_PNL_SINGLE_TEXT: Final = "Failed to cancel PNL single (not subscribed)"


def invalid(cause: str) -> str:
    """The text of error 321."""
    return f"Error validating request.-'bQ' : cause - {cause}"
