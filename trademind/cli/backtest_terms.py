"""What the commands of `trademind backtest` are told: parameters, ranges of them, the terms of trading."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from trademind.cli.output import CommandFailed, Exit
from trademind.errors import Invalid, StrategyNotFound

if TYPE_CHECKING:
    from datetime import datetime

    from trademind.signals import Strategy
    from trademind.signals.backtest import BacktestSettings

MAX_VALUES: Final = 10_000
"""Of one range: more combinations than that are never tried."""

Value = int | float | str


@dataclass(frozen=True, kw_only=True)
class Terms:
    """The account, how much a signal buys, and what trading costs."""

    cash: str
    sizing: tuple[str, str]
    """The share, the risk or the quantity, and how much."""
    allow_short: bool
    commissions: str
    slippage: int
    spread: int | None

    def body(self) -> dict[str, Any]:
        """As the API takes them."""
        kind, size = self.sizing
        return {
            "cash": self.cash,
            "sizing": {kind: size},
            "allow_short": self.allow_short,
            "commissions": self.commissions,
            "slippage_ticks": self.slippage,
            "spread_ticks": self.spread,
        }

    def settings(self, start: "datetime | None", end: "datetime | None") -> "BacktestSettings":
        """As a backtest in this process takes them. Raises `Invalid`."""
        from trademind.analysis.backtests.job import Commissions
        from trademind.signals.backtest import BacktestSettings, FixedQuantity, RiskOfEquity, ShareOfEquity

        kind, size = self.sizing
        made = {"share": ShareOfEquity, "risk": RiskOfEquity, "quantity": FixedQuantity}[kind]
        try:
            commissions = Commissions(self.commissions)
        except ValueError:
            raise Invalid([("commissions", f"must be one of {', '.join(Commissions)}")]) from None
        return BacktestSettings(
            cash=_decimal("--cash", self.cash),
            sizing=made(_decimal(f"--{kind}", size)),
            allow_short=self.allow_short,
            commissions=commissions.schedule,
            slippage_ticks=self.slippage,
            spread_ticks=self.spread,
            start=start,
            end=end,
        )


def terms_of(
    cash: str,
    share: str | None,
    risk: str | None,
    quantity: str | None,
    long_only: bool,
    commissions: str,
    slippage: int,
    spread: int | None,
) -> Terms:
    """The terms of the options; all of the equity is bought with where none says how much."""
    given = [
        (name, value)
        for name, value in (("share", share), ("risk", risk), ("quantity", quantity))
        if value is not None
    ]
    if len(given) > 1:
        raise usage(f"give one of {', '.join(f'--{name}' for name, _ in given)}")
    return Terms(
        cash=cash,
        sizing=given[0] if given else ("share", "1"),
        allow_short=not long_only,
        commissions=commissions,
        slippage=slippage,
        spread=spread,
    )


def parameters_of(given: Iterable[str]) -> dict[str, Value]:
    """`period=10` and the like."""
    return {name: _value(text) for name, text in _pairs(given).items()}


def ranges_of(given: Iterable[str]) -> dict[str, Sequence[Value]]:
    """`period=5..30:5`, `average=sma,ema` or `slow=50`, each with all its values."""
    found: dict[str, Sequence[Value]] = {name: _values(name, text) for name, text in _pairs(given).items()}
    if not found:
        raise usage("name parameters and their values, as in -p period=5..30:5 -p lower=20,30")
    return found


def maker_of(name: str, folder: Path | None) -> "Callable[..., Strategy]":
    """What makes a strategy of its parameters, here and in other processes: a built-in one, or one of the
    files of a folder, which are run. Raises `StrategyNotFound`."""
    from trademind.signals import BUILT_IN
    from trademind.signals.loading import load, sources, strategy_of

    if name in BUILT_IN:
        return partial(strategy_of, name, None)
    for source in sources(folder):
        try:
            names = {kind.name for kind in load(source)}
        except (Exception, SystemExit) as error:  # a file may end whoever runs it
            if source.name == name:
                raise StrategyNotFound(f"{source.origin} cannot be used: {error}") from error
            continue
        if name in names:
            return partial(strategy_of, name, source)
    where = f" nor in {folder}" if folder is not None else "; --strategies names a folder with your own"
    raise StrategyNotFound(f"There is no strategy {name!r} among {', '.join(BUILT_IN)}{where}.")


def check_names(make: "Callable[..., Strategy]", ranges: Mapping[str, object]) -> None:
    """Raises `Invalid` for what is no parameter of a strategy: else every combination would fail by it."""
    known = [parameter.name for parameter in make().parameters()]
    errors = [
        (name, f"is no parameter here; there are {', '.join(known) or 'none'}")
        for name in ranges
        if name not in known
    ]
    if errors:
        raise Invalid(errors)


def usage(detail: str) -> CommandFailed:
    """The command was given what it cannot do."""
    return CommandFailed.because(Exit.USAGE, "usage", detail, retry_safe=False)


def _pairs(given: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in given:
        name, equals, text = each.partition("=")
        if not (equals and name.strip() and text.strip()):
            raise usage(f"-p {each}: write it as name=value")
        if found.setdefault(name.strip(), text.strip()) != text.strip():
            raise usage(f"-p {name} is given twice")
    return found


def _values(name: str, text: str) -> list[Value]:
    if ".." not in text:
        return [_value(part.strip()) for part in text.split(",")]
    first, _, rest = text.partition("..")
    last, _, step = rest.partition(":")
    begin, end, by = (_decimal(f"-p {name}", each) for each in (first, last, step or "1"))
    if by <= 0 or end < begin:
        raise usage(f"-p {name}={text}: write it as lowest..highest:step, as in 5..30:5")
    count = int((end - begin) / by) + 1
    if count > MAX_VALUES:
        raise usage(f"-p {name}={text}: {count:,} values are too many")
    return [_number(begin + by * place) for place in range(count)]


def _value(text: str) -> Value:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return text
    return _number(number) if number.is_finite() else text


def _number(number: Decimal) -> int | float:
    return int(number) if number == number.to_integral_value() else float(number)


def _decimal(option: str, text: str) -> Decimal:
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        number = Decimal("nan")
    if not number.is_finite() or abs(number.adjusted()) > 30:
        raise usage(f"{option} {text}: not a number")
    return number
