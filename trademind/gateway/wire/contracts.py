"""How a contract looks on the wire: inside requests, inside replies, and in full."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from trademind.gateway.wire import versions
from trademind.gateway.wire.fields import UNSET_INTEGER, EscapedText, FieldReader, Value
from trademind.gateway.wire.messages import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class WireContract:
    """The twelve fields that name a contract. A number that is not known is 0, a text is empty."""

    con_id: int = 0
    symbol: str = ""
    sec_type: str = ""
    last_trade_date: str = ""
    strike: Decimal = Decimal(0)
    right: str = ""
    multiplier: str = ""
    exchange: str = ""
    primary_exchange: str = ""
    currency: str = ""
    local_symbol: str = ""
    trading_class: str = ""

    def fields(self) -> tuple[Value, ...]:
        """As in orders, executions and positions: eleven fields, without the primary exchange."""
        return (
            self.con_id, self.symbol, self.sec_type, self.last_trade_date, self.strike, self.right,
            self.multiplier, self.exchange, self.currency, self.local_symbol, self.trading_class,
        )  # fmt: skip


def read_contract(reader: FieldReader, *, with_primary_exchange: bool = True) -> WireContract:
    """A contract inside a request: all twelve fields, or eleven without the primary exchange."""
    return WireContract(
        con_id=reader.integer(),
        symbol=reader.text(),
        sec_type=reader.text(),
        last_trade_date=reader.text(),
        strike=reader.number() or Decimal(0),
        right=reader.text(),
        multiplier=reader.text(),
        exchange=reader.text(),
        primary_exchange=reader.text() if with_primary_exchange else "",
        currency=reader.text(),
        local_symbol=reader.text(),
        trading_class=reader.text(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractDetails(Message):
    """Everything about one contract. Bonds have another message and are not served."""

    req_id: int
    contract: WireContract
    market_name: str
    min_tick: Decimal
    order_types: str
    """Comma-separated, as are `valid_exchanges` and `market_rule_ids`."""
    valid_exchanges: str
    long_name: str
    industry: str
    category: str
    subcategory: str
    time_zone: str
    trading_hours: str
    liquid_hours: str
    market_rule_ids: str
    stock_type: str
    min_size: Decimal
    size_increment: Decimal
    price_magnifier: int = 1
    contract_month: str = ""
    last_trade_time: str = ""
    """When it stops trading on its last day, as in 08:30; told with the date, and in `time_zone`."""
    real_expiration_date: str = ""
    under_con_id: int = 0
    under_symbol: str = ""
    under_sec_type: str = ""
    sec_ids: tuple[tuple[str, str], ...] = ()
    """Pairs of kind and id, as in (ISIN, US0378331005)."""
    agg_group: int = 1

    def fields(self, version: int) -> Iterator[Value]:
        contract = self.contract
        yield 10
        if version < versions.SIZE_RULES:
            yield 8
        yield from (self.req_id, contract.symbol, contract.sec_type)
        if self.last_trade_time:
            yield f"{contract.last_trade_date} {self.last_trade_time} {self.time_zone}"
        else:
            yield contract.last_trade_date
        if version >= versions.LAST_TRADE_DATE:
            yield contract.last_trade_date
        yield from (
            contract.strike, contract.right, contract.exchange, contract.currency, contract.local_symbol,
            self.market_name, contract.trading_class, contract.con_id, self.min_tick,
        )  # fmt: skip
        if version < versions.SIZE_RULES:
            yield 1  # what sizes are to be multiplied by
        yield from (
            contract.multiplier,
            self.order_types,
            self.valid_exchanges,
            self.price_magnifier,
            self.under_con_id,
            EscapedText(self.long_name),
            contract.primary_exchange,
            self.contract_month,
            self.industry,
            self.category,
            self.subcategory,
            self.time_zone,
            self.trading_hours,
            self.liquid_hours,
            "",  # economic value rule
            0,  # economic value multiplier
            len(self.sec_ids),
        )
        for kind, sec_id in self.sec_ids:
            yield kind
            yield sec_id
        yield from (
            self.agg_group,
            self.under_symbol,
            self.under_sec_type,
            self.market_rule_ids,
            self.real_expiration_date,
            self.stock_type,
        )
        if version >= versions.SIZE_RULES:
            yield from (self.min_size, self.size_increment, self.size_increment)
        elif version >= versions.FRACTIONAL_SIZES:
            yield self.size_increment
        # Version 179 added the data of funds, for the security type FUND only, which is not served.
        if version >= versions.INELIGIBILITY_REASONS:
            yield 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractDetailsEnd(Message):
    req_id: int

    def fields(self, version: int) -> tuple[Value, ...]:
        return (52, 1, self.req_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolSample:
    contract: WireContract
    description: str
    derivative_sec_types: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolSamples(Message):
    """The answer to a symbol search."""

    req_id: int
    samples: tuple[SymbolSample, ...]

    def fields(self, version: int) -> Iterator[Value]:
        yield from (79, self.req_id, len(self.samples))
        for sample in self.samples:
            contract = sample.contract
            yield from (contract.con_id, contract.symbol, contract.sec_type, contract.primary_exchange)
            yield contract.currency
            yield len(sample.derivative_sec_types)
            yield from sample.derivative_sec_types
            if version >= versions.ISSUER_ID:
                yield from (sample.description, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketRule(Message):
    """Price increments by price: pairs of (from this price on, increment)."""

    rule_id: int
    increments: tuple[tuple[Decimal, Decimal], ...]

    def fields(self, version: int) -> Iterator[Value]:
        yield from (93, self.rule_id, len(self.increments))
        for low_edge, increment in self.increments:
            yield low_edge
            yield increment


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionParameters(Message):
    """The option chain of one underlying at one exchange, in one trading class."""

    req_id: int
    exchange: str
    under_con_id: int
    trading_class: str
    multiplier: str
    expirations: tuple[str, ...]
    """YYYYMMDD each."""
    strikes: tuple[Decimal, ...]

    def fields(self, version: int) -> Iterator[Value]:
        yield from (75, self.req_id, self.exchange, self.under_con_id, self.trading_class, self.multiplier)
        yield len(self.expirations)
        yield from self.expirations
        yield len(self.strikes)
        yield from self.strikes


@dataclass(frozen=True, slots=True, kw_only=True)
class SmartComponents(Message):
    """What the bits of a consolidated quote's exchange map mean: (bit, exchange, letter) each."""

    req_id: int
    components: tuple[tuple[int, str, str], ...]

    def fields(self, version: int) -> Iterator[Value]:
        yield from (82, self.req_id, len(self.components))
        for component in self.components:
            yield from component


@dataclass(frozen=True, slots=True)
class DepthExchange:
    """Where there is market depth for a security type."""

    exchange: str
    sec_type: str
    listing_exchange: str = ""
    service: str = "Deep"
    """Deep, or Deep2 where the market makers are named."""
    agg_group: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DepthExchanges(Message):
    exchanges: tuple[DepthExchange, ...]

    def fields(self, version: int) -> Iterator[Value]:
        yield from (80, len(self.exchanges))
        for each in self.exchanges:
            yield from (each.exchange, each.sec_type, each.listing_exchange, each.service)
            yield UNSET_INTEGER if each.agg_group is None else each.agg_group
