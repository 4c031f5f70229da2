"""What the gateway does about each request: one handler per class of request, by topic.

A handler is a function of the gateway, the session that asks, and the request. It tells the session what
to send, through the session's `send` and `error`.
"""

from collections.abc import Callable, Mapping

from trademind.gateway.handlers import (
    account,
    contracts,
    executions,
    greeting,
    history,
    market_data,
    orders,
    unserved,
)
from trademind.gateway.wire import requests
from trademind.gateway.wire.place_order import PlaceOrder

HANDLERS: Mapping[type, Callable[..., None]] = {
    requests.StartApi: greeting.already_started,
    requests.ManagedAccountsRequest: greeting.managed_accounts,
    requests.NextIdRequest: greeting.next_id,
    requests.CurrentTimeRequest: greeting.current_time,
    requests.CurrentTimeMillisRequest: greeting.current_time_millis,
    requests.ServerLogLevel: greeting.nothing_to_do,
    requests.NewsBulletins: greeting.nothing_to_do,
    requests.AutoOpenOrdersRequest: greeting.auto_open_orders,
    requests.OptionParametersRequest: greeting.no_option_parameters,
    requests.SoftDollarTiersRequest: greeting.no_soft_dollar_tiers,
    requests.FamilyCodesRequest: greeting.no_family_codes,
    requests.DepthExchangesRequest: greeting.no_depth_exchanges,
    requests.NewsProvidersRequest: greeting.no_news_providers,
    requests.ScannerParametersRequest: greeting.no_scanner_parameters,
    requests.UserInfoRequest: greeting.user_info,
    requests.AccountUpdatesRequest: account.account_updates,
    requests.AccountUpdatesMultiRequest: account.account_updates_multi,
    requests.CancelAccountUpdatesMulti: account.cancel_account_updates_multi,
    requests.AccountSummaryRequest: account.account_summary,
    requests.CancelAccountSummary: account.cancel_account_summary,
    requests.PositionsRequest: account.positions,
    requests.CancelPositions: account.cancel_positions,
    requests.PositionsMultiRequest: account.positions_multi,
    requests.CancelPositionsMulti: account.cancel_positions_multi,
    requests.PnLRequest: account.pnl,
    requests.CancelPnL: account.cancel_pnl,
    requests.PnLSingleRequest: account.pnl_single,
    requests.CancelPnLSingle: account.cancel_pnl,
    PlaceOrder: orders.place,
    requests.CancelOrder: orders.cancel,
    requests.GlobalCancel: orders.cancel_all,
    requests.OpenOrdersRequest: orders.open_orders,
    requests.AllOpenOrdersRequest: orders.all_open_orders,
    requests.CompletedOrdersRequest: orders.completed_orders,
    requests.ExecutionsRequest: executions.executions,
    requests.ContractDetailsRequest: contracts.contract_details,
    requests.MatchingSymbolsRequest: contracts.matching_symbols,
    requests.MarketRuleRequest: contracts.market_rule,
    requests.MarketDataRequest: market_data.subscribe,
    requests.CancelMarketData: market_data.cancel,
    requests.MarketDataTypeRequest: market_data.select_type,
    requests.HistoricalDataRequest: history.historical_data,
    requests.CancelHistoricalData: history.cancel,
    requests.HeadTimestampRequest: history.head,
    requests.CancelHeadTimestamp: history.cancel_head,
    requests.UnservedRequest: unserved.refuse,
}

__all__ = ["HANDLERS"]
