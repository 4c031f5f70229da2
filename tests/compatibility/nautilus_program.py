"""A strategy for nautilus_trader that uses what its Interactive Brokers adapter can do; run by `framework`.

    python nautilus_program.py PORT SECONDS

Ends with a line `SEEN {...}`: what happened, and how often.
"""

import asyncio
import json
import sys
from collections import Counter
from typing import Any

import pandas
from nautilus_trader.adapters.interactive_brokers.common import IB, IBContract
from nautilus_trader.adapters.interactive_brokers.config import (
    InteractiveBrokersDataClientConfig,
    InteractiveBrokersExecClientConfig,
    InteractiveBrokersInstrumentProviderConfig,
)
from nautilus_trader.adapters.interactive_brokers.factories import (
    InteractiveBrokersLiveDataClientFactory,
    InteractiveBrokersLiveExecClientFactory,
)
from nautilus_trader.config import LiveDataEngineConfig, LoggingConfig, RoutingConfig, TradingNodeConfig
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.data import BarType
from nautilus_trader.model.enums import OrderSide, TimeInForce
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.trading.config import StrategyConfig
from nautilus_trader.trading.strategy import Strategy

APPLE = InstrumentId.from_str("AAPL.NASDAQ")
SEEN: Counter[str] = Counter()


class Probe(Strategy):  # type: ignore[misc]
    """Subscribes, asks for history, and trades on the first quote."""

    def on_start(self) -> None:
        self.instrument = self.cache.instrument(APPLE)
        self.has_ordered = False
        if self.instrument is None:
            return
        SEEN["instrument"] += 1
        if self.cache.accounts():
            SEEN["account"] += 1
        now = self.clock.utc_now()
        self.request_bars(
            BarType.from_str("AAPL.NASDAQ-1-HOUR-LAST-EXTERNAL"), start=now - pandas.Timedelta(days=2)
        )
        self.subscribe_quote_ticks(APPLE)
        self.subscribe_trade_ticks(APPLE)
        self.subscribe_bars(BarType.from_str("AAPL.NASDAQ-5-SECOND-LAST-EXTERNAL"))

    def on_quote_tick(self, tick: Any) -> None:
        SEEN["quote tick"] += 1
        if SEEN["quote tick"] == 40:
            # Not at the start: the adapter cannot have two requests for history under way.
            self.request_trade_ticks(APPLE, start=self.clock.utc_now() - pandas.Timedelta(minutes=1))
        if not self.has_ordered:
            self.has_ordered = True
            self._order(float(tick.bid_price))

    def _order(self, bid: float) -> None:
        price, size, orders = self.instrument.make_price, self.instrument.make_qty, self.order_factory
        self.resting = orders.limit(APPLE, OrderSide.BUY, size(5), price(bid * 0.8))
        self.bracket = orders.bracket(
            APPLE,
            OrderSide.BUY,
            size(3),
            sl_trigger_price=price(bid * 0.9),
            tp_price=price(bid * 1.1),
            time_in_force=TimeInForce.GTC,
            tp_post_only=False,
        )
        self.submit_order(orders.market(APPLE, OrderSide.BUY, size(10)))
        self.submit_order(self.resting)
        self.submit_order_list(self.bracket)

    def on_trade_tick(self, tick: Any) -> None:
        SEEN["trade tick"] += 1

    def on_bar(self, bar: Any) -> None:
        SEEN["bar"] += 1

    def on_historical_data(self, data: Any) -> None:
        SEEN[f"historical {type(data).__name__}"] += 1

    def on_order_event(self, event: Any) -> None:
        kind = type(event).__name__
        SEEN[kind] += 1
        if event.client_order_id == self.resting.client_order_id:
            if kind == "OrderAccepted" and SEEN["OrderPendingUpdate"] == 0:
                self.modify_order(self.resting, quantity=self.instrument.make_qty(4))
            elif kind == "OrderUpdated":
                self.cancel_order(self.resting)
        entry, *exits = (each.client_order_id for each in self.bracket.orders)
        if event.client_order_id == entry and kind == "OrderFilled":
            SEEN["bracket entry filled"] += 1
        if event.client_order_id in exits and kind == "OrderAccepted":
            SEEN["bracket exits accepted"] += 1
        if kind in ("OrderRejected", "OrderDenied"):
            print(event, flush=True)

    def on_position_opened(self, event: Any) -> None:
        SEEN["position opened"] += 1

    def on_stop(self) -> None:
        self.cancel_all_orders(APPLE)


def node(port: int) -> TradingNode:
    contract = IBContract(secType="STK", symbol="AAPL", exchange="SMART", primaryExchange="NASDAQ")
    provider = InteractiveBrokersInstrumentProviderConfig(load_contracts=frozenset([contract]))
    return TradingNode(
        config=TradingNodeConfig(
            trader_id="PROBE-001",
            logging=LoggingConfig(log_level="WARNING"),
            data_clients={
                IB: InteractiveBrokersDataClientConfig(
                    ibg_port=port,
                    ibg_client_id=11,
                    instrument_provider=provider,
                    use_regular_trading_hours=False,
                )
            },
            exec_clients={
                IB: InteractiveBrokersExecClientConfig(
                    ibg_port=port,
                    ibg_client_id=12,
                    account_id="DUTM00001",
                    instrument_provider=provider,
                    routing=RoutingConfig(default=True),
                )
            },
            data_engine=LiveDataEngineConfig(
                time_bars_timestamp_on_close=False, validate_data_sequence=False
            ),
            timeout_connection=30,
            timeout_reconciliation=10,
            timeout_portfolio=10,
            timeout_disconnection=5,
            timeout_post_stop=3,
        )
    )


async def run(trading: TradingNode, seconds: float) -> None:
    task = asyncio.get_running_loop().create_task(trading.run_async())
    await asyncio.sleep(seconds)
    await trading.stop_async()
    task.cancel()


def main() -> None:
    trading = node(int(sys.argv[1]))
    trading.trader.add_strategy(Probe(StrategyConfig()))
    trading.add_data_client_factory(IB, InteractiveBrokersLiveDataClientFactory)
    trading.add_exec_client_factory(IB, InteractiveBrokersLiveExecClientFactory)
    trading.build()
    try:
        trading.get_event_loop().run_until_complete(run(trading, float(sys.argv[2])))
    finally:
        trading.dispose()
        print("SEEN " + json.dumps(SEEN), flush=True)


if __name__ == "__main__":
    main()
