"""What a client says of a contract it means, and whether an instrument is it."""

import re
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation

from trademind.domain import SecType
from trademind.gateway.engine.model import Instrument

_OPTION_SYMBOL = re.compile(r".{6}(\d{6})([CP])(\d{8})", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """The fields by which contracts are found; what is empty, or None, agrees with everything."""

    sec_type: SecType
    symbol: str = ""
    currency: str = ""
    exchange: str = ""
    """Where it is routed, or listed."""
    primary_exchange: str = ""
    local_symbol: str = ""
    trading_class: str = ""
    last_trade_date: str = ""
    """YYYYMMDD, or YYYYMM for all that expire in a month or are named after it."""
    strike: Decimal | None = None
    right: str = ""
    multiplier: str = ""
    isin: str = ""
    expired: bool = False
    """Whether expired futures are meant, too."""

    @property
    def rights(self) -> str:
        """Which of C and P are meant."""
        return {"": "CP", "C": "C", "CALL": "C", "P": "P", "PUT": "P"}.get(self.right.upper(), "")

    def spelt_out(self) -> "Description":
        """With what the local symbol of an option says, as in `AAPL  261218C00230000` (OCC's symbology)."""
        local = self.local_symbol.upper()
        match = _OPTION_SYMBOL.fullmatch(local)
        if match is None:
            return self
        return replace(
            self,
            local_symbol=local,
            last_trade_date=self.last_trade_date or f"20{match[1]}",
            right=self.right or match[2],
            strike=Decimal(match[3]) / 1000 if self.strike is None else self.strike,
        )

    def agrees(self, instrument: Instrument) -> bool:
        """Whether an instrument is what is described, whatever the symbol."""
        return (
            (not self.symbol or self.symbol.upper() == instrument.symbol)
            and self.currency.upper() in ("", instrument.currency)
            and self.trades_at(instrument)
            and self.primary_exchange.upper() in ("", instrument.primary_exchange)
            and self.local_symbol.upper() in ("", instrument.local_symbol)
            and self.trading_class.upper() in ("", instrument.trading_class)
            and self.isin.upper() in ("", instrument.isin)
            and self._expires(instrument)
            and (self.strike is None or self.strike == instrument.strike)
            and (not self.right or instrument.right in self.rights)
            and _multiplies(self.multiplier, instrument)
        )

    def trades_at(self, instrument: Instrument) -> bool:
        exchange = self.exchange.upper()
        return (
            exchange in ("", instrument.exchange, instrument.primary_exchange)
            or exchange in instrument.exchanges
        )

    def _expires(self, instrument: Instrument) -> bool:
        wanted = self.last_trade_date.replace("-", "")
        if not wanted:
            return True
        if len(wanted) == 6 and instrument.sec_type is not SecType.OPTION:
            return wanted == instrument.contract_month
        return len(wanted) >= 6 and instrument.last_trade_date.startswith(wanted)


def _multiplies(wanted: str, instrument: Instrument) -> bool:
    if not wanted:
        return True
    try:
        return Decimal(wanted) == instrument.multiplier
    except InvalidOperation:
        return False
