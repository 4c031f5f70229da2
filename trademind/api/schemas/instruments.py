"""Instruments as the query of a request names them."""

import re
from typing import Final

from pydantic import Field

from trademind.api.schemas.base import EXCHANGE, In
from trademind.domain import ContractQuery, SecType
from trademind.domain.orders import exact
from trademind.errors import Invalid

MAX_SYMBOLS: Final = 50
"""In one request. Each takes one of the account's market data lines, of which IB gives about 100."""

_CON_ID = re.compile(r"[1-9][0-9]{0,9}")


class Circumstances(In):
    """What is to be said of an instrument beside its symbol. A con id needs none of it."""

    sec_type: SecType = SecType.STOCK
    exchange: str = Field(default="", description=EXCHANGE)
    currency: str = "USD"
    primary_exchange: str = ""
    last_trade_date: str = Field(default="", description="Of a derivative: YYYYMMDD or YYYYMM.")
    strike: str | None = Field(default=None, description="Of an option.", examples=["200"])
    right: str = Field(default="", description="Of an option: C or P.")
    multiplier: str = ""
    trading_class: str = ""

    def query(self, symbol: str = "", *, con_id: int | None = None, local_symbol: str = "") -> ContractQuery:
        """The instrument in the domain's terms. Raises `Invalid`."""
        return ContractQuery(
            symbol=symbol,
            con_id=con_id,
            local_symbol=local_symbol,
            sec_type=self.sec_type,
            exchange=self.exchange,
            currency=self.currency,
            primary_exchange=self.primary_exchange,
            last_trade_date=self.last_trade_date,
            strike=None if self.strike is None else exact(self.strike, "strike"),
            right=self.right,
            multiplier=self.multiplier,
            trading_class=self.trading_class,
        )


class OneInstrument(Circumstances):
    symbol: str = Field(default="", examples=["AAPL"])
    con_id: int | None = None
    local_symbol: str = Field(default="", description="The exchange's own name: ESZ6.")

    @property
    def instrument(self) -> ContractQuery:
        """Which one is asked for. Raises `Invalid`."""
        return self.query(self.symbol, con_id=self.con_id, local_symbol=self.local_symbol)


class QuoteFilter(Circumstances):
    symbols: str = Field(default="", description="Separated by commas.", examples=["AAPL,MSFT"])
    con_ids: str = Field(default="", description="The same by con ids, after the symbols.")

    def queries(self) -> list[ContractQuery]:
        """What quotes are asked for. Raises `Invalid`."""
        symbols, con_ids = _listed("symbols", self.symbols), _listed("con_ids", self.con_ids)
        if not 0 < len(symbols) + len(con_ids) <= MAX_SYMBOLS:
            raise Invalid([("symbols", f"give 1 to {MAX_SYMBOLS} symbols and con_ids")])
        if not all(_CON_ID.fullmatch(con_id) for con_id in con_ids):
            raise Invalid([("con_ids", "must be positive integers")])
        return [
            *(self.query(symbol) for symbol in symbols),
            *(self.query(con_id=int(con_id)) for con_id in con_ids),
        ]


def _listed(field: str, text: str) -> list[str]:
    parts = [part.strip() for part in text.split(",")] if text else []
    if not all(parts):
        raise Invalid([(field, "one of them is empty")])
    return parts
