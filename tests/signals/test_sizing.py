"""How much is bought: what the stop loses is the risk, and no more than the equity pays for."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.signals.prices import real
from trademind.errors import Invalid
from trademind.signals import Action, size_of, strategy

SIGNAL = replace(strategy("macd").on_bars(real("AAPL"))[0], action=Action.BUY, entry=100.0, stop=98.0)
EQUITY = Decimal(100_000)
ONE_PER_CENT = Decimal("0.01")


def test_the_stop_loses_the_risk() -> None:
    assert size_of(SIGNAL, equity=EQUITY, risk_per_trade=ONE_PER_CENT) == 500
    short = replace(SIGNAL, action=Action.SELL, stop=103.0)
    assert size_of(short, equity=EQUITY, risk_per_trade=ONE_PER_CENT) == 333
    assert size_of(
        short, equity=EQUITY, risk_per_trade=ONE_PER_CENT, size_increment=Decimal("0.01")
    ) == Decimal("333.33")
    assert size_of(SIGNAL, equity=EQUITY, risk_per_trade=ONE_PER_CENT, multiplier=Decimal(100)) == 5


def test_not_more_than_the_equity_pays_for() -> None:
    near = replace(SIGNAL, stop=99.99)
    assert size_of(near, equity=EQUITY, risk_per_trade=ONE_PER_CENT) == 1000
    assert size_of(near, equity=Decimal(0), risk_per_trade=ONE_PER_CENT) == 0
    assert size_of(near, equity=Decimal(-5), risk_per_trade=ONE_PER_CENT) == 0
    assert size_of(near, equity=Decimal(50), risk_per_trade=ONE_PER_CENT) == 0


@pytest.mark.parametrize(
    "signal",
    [
        replace(SIGNAL, stop=None),
        replace(SIGNAL, stop=100.0),
        replace(SIGNAL, entry=None),
        replace(SIGNAL, action=Action.CLOSE),
        replace(SIGNAL, action=Action.HOLD),
    ],
)
def test_without_a_stop_or_an_entry_there_is_no_size(signal: object) -> None:
    assert size_of(signal, equity=EQUITY, risk_per_trade=ONE_PER_CENT) is None  # type: ignore[arg-type]


def test_what_is_wrong_is_named() -> None:
    for risk in ("0", "-0.01", "0.3", "NaN"):
        with pytest.raises(Invalid, match="risk_per_trade"):
            size_of(SIGNAL, equity=EQUITY, risk_per_trade=Decimal(risk))
    with pytest.raises(Invalid) as failure:
        size_of(
            SIGNAL,
            equity=Decimal("Infinity"),
            risk_per_trade=ONE_PER_CENT,
            size_increment=Decimal(0),
            multiplier=Decimal(-1),
        )
    assert [name for name, _ in failure.value.errors] == ["equity", "size_increment", "multiplier"]


@given(
    entry=st.floats(0.01, 1e5),
    stop=st.floats(0.01, 1e5),
    equity=st.decimals(0, 10**9, places=2),
    risk=st.decimals("0.0001", "0.2", places=4),
    increment=st.sampled_from([Decimal("0.0001"), Decimal("0.01"), Decimal(1), Decimal(100)]),
)
def test_the_risk_is_never_exceeded_and_an_increment_more_would(
    entry: float, stop: float, equity: Decimal, risk: Decimal, increment: Decimal
) -> None:
    assume(entry != stop)
    size = size_of(
        replace(SIGNAL, entry=entry, stop=stop), equity=equity, risk_per_trade=risk, size_increment=increment
    )
    assert size is not None
    price, distance = Decimal(repr(entry)), abs(Decimal(repr(entry)) - Decimal(repr(stop)))
    slack = Decimal(1) + Decimal("1e-20")  # of a division's 28 digits
    assert size % increment == 0
    assert size * distance <= equity * risk * slack
    assert size * price <= equity * slack
    more = size + increment
    assert more * distance * slack >= equity * risk or more * price * slack >= equity
