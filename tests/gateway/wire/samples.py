"""One message of each kind that depends on the version or carries a contract, for both clients' decoders."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from trademind.gateway.wire.contracts import (
    ContractDetails,
    DepthExchange,
    DepthExchanges,
    MarketRule,
    OptionParameters,
    SmartComponents,
    SymbolSample,
    SymbolSamples,
    WireContract,
)
from trademind.gateway.wire.history import HistoricalData, WireBar, encode_bars
from trademind.gateway.wire.order_terms import (
    OrderTerms,
    WireAdjustment,
    WireLeg,
    WirePriceCondition,
    WireTimeCondition,
)
from trademind.gateway.wire.orders import CompletedOrder, Execution, OpenOrder, OrderPreview, WireOrder

VERSIONS = (157, 158, 159, 160, 162, 163, 164, 166, 169, 170, 174, 176, 177, 178, 179, 182, 183, 184, 185,
            186, 187, 189, 190, 192, 193, 194, 195, 196, 198, 199, 200)  # fmt: skip
"""Every version that changed a layout, and the ends."""

TIME = datetime(2026, 11, 23, 15, 30, 5, tzinfo=UTC)

AAPL = WireContract(
    con_id=265598,
    symbol="AAPL",
    sec_type="STK",
    exchange="SMART",
    primary_exchange="NASDAQ",
    currency="USD",
    local_symbol="AAPL",
    trading_class="NMS",
)

STOP_LIMIT = WireOrder(
    contract=AAPL,
    order_id=7,
    client_id=3,
    perm_id=1_426_086_048,
    terms=OrderTerms(
        action="SELL",
        quantity=Decimal("12.5"),
        order_type="STP LMT",
        limit_price=Decimal("149.50"),
        aux_price=Decimal("150"),
        tif="GTC",
        account="DU1000001",
        order_ref="né;1",
        outside_rth=True,
    ),
    status="PreSubmitted",
)

OPEN_ORDER = OpenOrder(order=STOP_LIMIT)

PREVIEW = OpenOrder(
    order=replace(STOP_LIMIT, terms=replace(STOP_LIMIT.terms, what_if=True)),
    preview=OrderPreview(
        init_margin=(Decimal(1), Decimal(2), Decimal(3)),
        maint_margin=(Decimal(4), Decimal(5), Decimal(9)),
        equity_with_loan=(Decimal(10), Decimal(-1), Decimal(9)),
        commission=Decimal("1.25"),
        min_commission=Decimal("1.00"),
        max_commission=Decimal("1.50"),
        currency="USD",
        margin_currency="EUR",
        warning="mind the step",
    ),
)

EVERYTHING = WireOrder(
    contract=replace(AAPL, con_id=28_812_380, symbol="AAPL,MSFT", sec_type="BAG"),
    order_id=9,
    client_id=3,
    perm_id=1_426_086_049,
    parent_perm_id=1_426_086_040,
    terms=OrderTerms(
        action="BUY",
        quantity=Decimal(10),
        order_type="TRAIL LIMIT",
        limit_price=Decimal("151.5"),
        aux_price=Decimal("1.5"),
        tif="GTD",
        account="DU1000001",
        order_ref="all",
        hidden=True,
        all_or_none=True,
        min_quantity=Decimal(4),
        display_size=Decimal(5),
        good_after="20261123 10:00:00 US/Eastern",
        good_till="20261124 16:00:00 US/Eastern",
        parent_id=8,
        oca_group="brothers",
        oca_type=2,
        trigger_method=4,
        trail_stop_price=Decimal("150.25"),
        trailing_percent=Decimal("1.25"),
        limit_offset=Decimal("0.75"),
        percent_offset=Decimal("0.5"),
        cash_quantity=Decimal(1000),
        conditions=(
            WirePriceCondition(
                is_and=False, is_more=True, price=Decimal("1.5"), con_id=8314, exchange="SMART",
                trigger_method=2,
            ),
            WireTimeCondition(is_and=True, is_more=False, time="20261123 15:00:00 US/Eastern"),
        ),
        conditions_outside_rth=True,
        conditions_cancel=True,
        adjustment=WireAdjustment(
            order_type="TRAIL",
            trigger_price=Decimal(160),
            stop_price=Decimal(155),
            limit_price=Decimal(154),
            trailing=Decimal(2),
            unit=100,
        ),
        legs=(
            WireLeg(con_id=265598, ratio=1, action="BUY", exchange="SMART"),
            WireLeg(
                con_id=272093, ratio=2, action="SELL", exchange="ISLAND", open_close=1, short_sale_slot=2,
                designated_location="there", exempt_code=5,
            ),
        ),
        leg_prices=(Decimal("1.25"), None),
        routing=(("NonGuaranteed", "1"),),
        notes={
            "autoCancelParent": "1", "clearingAccount": "C1", "clearingIntent": "Away",
            "customerAccount": "cust", "extOperator": "op", "includeOvernight": "1",
            "manualOrderIndicator": "1", "notHeld": "1", "openClose": "O", "optOutSmartRouting": "1",
            "origin": "1", "professionalCustomer": "1", "rule80A": "I", "settlingFirm": "firm",
            "softDollarTierName": "tier", "softDollarTierValue": "t1", "solicited": "1", "sweepToFill": "1",
            "usePriceMgmtAlgo": "1",
        },
    ),
    status="PreSubmitted",
)  # fmt: skip
"""An order with everything set that an open order can show, sensible together or not."""

COMPLETED_ORDER = CompletedOrder(
    order=STOP_LIMIT, filled=Decimal("2.5"), completed_time=TIME, completed_status="Cancelled by Trader"
)

EXECUTION = Execution(
    req_id=-1,
    order_id=7,
    client_id=3,
    perm_id=1_426_086_048,
    contract=AAPL,
    exec_id="0000e0d5.69e02bfb.01.01",
    time=TIME,
    account="DU1000001",
    exchange="NASDAQ",
    side="SLD",
    quantity=Decimal("2.5"),
    price=Decimal("149.505"),
    cumulative_quantity=Decimal("5"),
    avg_price=Decimal("149.51"),
    order_ref="né;1",
)

CONTRACT_DETAILS = ContractDetails(
    req_id=9,
    contract=AAPL,
    market_name="NMS",
    min_tick=Decimal("0.01"),
    order_types="LMT,MKT",
    valid_exchanges="SMART,NASDAQ",
    long_name="CAFÉ \\ SÖHNE",
    industry="Technology",
    category="Computers",
    subcategory="Laptops",
    time_zone="US/Eastern",
    trading_hours="20261123:0000-20261124:0000",
    liquid_hours="20261123:0930-20261123:1600",
    market_rule_ids="26,26",
    stock_type="COMMON",
    min_size=Decimal(1),
    size_increment=Decimal("0.5"),
)

ES = WireContract(
    con_id=2073742147,
    symbol="ES",
    sec_type="FUT",
    last_trade_date="20261218",
    multiplier="50",
    exchange="CME",
    currency="USD",
    local_symbol="ESZ6",
    trading_class="ES",
)

FUTURE_DETAILS = ContractDetails(
    req_id=9,
    contract=ES,
    market_name="ES",
    min_tick=Decimal("0.25"),
    order_types="LMT,MKT",
    valid_exchanges="CME",
    long_name="E-mini S&P 500",
    industry="",
    category="",
    subcategory="",
    time_zone="US/Central",
    trading_hours="20261122:1700-20261123:1600",
    liquid_hours="20261123:0830-20261123:1600",
    market_rule_ids="67",
    stock_type="",
    min_size=Decimal(1),
    size_increment=Decimal(1),
    contract_month="202612",
    last_trade_time="08:30",
    real_expiration_date="20261218",
    under_con_id=11004968,
    under_symbol="ES",
    under_sec_type="IND",
    sec_ids=(("ISIN", "US0378331005"),),
    agg_group=7,
)

OPTION = WireContract(
    con_id=1005759160,
    symbol="AAPL",
    sec_type="OPT",
    last_trade_date="20261218",
    strike=Decimal("232.5"),
    right="C",
    multiplier="100",
    exchange="SMART",
    currency="USD",
    local_symbol="AAPL  261218C00232500",
    trading_class="AAPL",
)

OPTION_PARAMETERS = OptionParameters(
    req_id=9,
    exchange="CBOE",
    under_con_id=265598,
    trading_class="AAPL",
    multiplier="100",
    expirations=("20261218", "20270115"),
    strikes=(Decimal("227.5"), Decimal(230), Decimal("232.5")),
)

SMART_COMPONENTS = SmartComponents(req_id=9, components=((1, "IEX", "V"), (2, "NYSE", "N")))

DEPTH_EXCHANGES = DepthExchanges(
    exchanges=(DepthExchange("ARCA", "STK", "ARCA", "Deep", 4), DepthExchange("CME", "FUT"))
)

MARKET_RULE = MarketRule(
    rule_id=110, increments=((Decimal(0), Decimal("0.01")), (Decimal(3), Decimal("0.05")))
)

SYMBOL_SAMPLES = SymbolSamples(
    req_id=9,
    samples=(
        SymbolSample(contract=AAPL, description="APPLE INC", derivative_sec_types=("OPT", "WAR")),
        SymbolSample(contract=AAPL, description="APPLE INC"),
    ),
)

BARS = tuple(
    WireBar(
        date=date,
        open=Decimal("1.5"),
        high=Decimal(3),
        low=Decimal(1),
        close=Decimal("2.5"),
        volume=Decimal(1200),
        wap=Decimal("2.1"),
        count=17,
    )
    for date in ("20261120", "20261123")
)

HISTORICAL_DATA = HistoricalData(
    req_id=9, start="20261120 00:00:00 US/Eastern", end="20261123 10:00:00 US/Eastern", count=2,
    bars=encode_bars(BARS),
)  # fmt: skip
