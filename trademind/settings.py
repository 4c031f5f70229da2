"""Settings, from the environment and a `.env` file. Nothing here is global: `load_settings()` reads anew.

Every name starts with `TRADEMIND_`; groups are joined by two underscores, as in
`TRADEMIND_IBKR__PORT=4002`. `.env.example` lists them all with their defaults. A name that starts with
`TRADEMIND_` and is none of them stops the start: a mistyped setting that is ignored in silence may trade
the wrong account.
"""

import difflib
import json
import os
from collections.abc import Iterator
from datetime import datetime, time
from decimal import Decimal
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from dotenv import dotenv_values
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from trademind.clock import MAX_SPEED, MIN_SPEED
from trademind.domain.account import check_paper_account
from trademind.domain.instruments import ContractQuery
from trademind.domain.market import BAR_SIZES, DataType
from trademind.domain.risk import RiskLimits, TradingHours
from trademind.errors import Invalid, SettingsError

PREFIX = "TRADEMIND_"
Port = Annotated[int, Field(ge=1, le=65535)]
Limit = Literal[
    "messages_per_second",
    "warnings",
    "historical",
    "same_contract",
    "in_flight",
    "max_lines",
    "max_depth",
    "max_tick_by_tick",
]
"""What `gateway.pacing.Pacing` counts."""
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class BrokerKind(StrEnum):
    PAPER = "paper"
    IBKR = "ibkr"


class _Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class IBKRSettings(_Group):
    """A TWS or IB Gateway that is already running."""

    host: str = Field(default="127.0.0.1", min_length=1)
    port: Port = 4002
    """4002 IB Gateway paper, 4001 IB Gateway live, 7497 TWS paper, 7496 TWS live."""
    client_id: int = Field(default=1, ge=0, le=2**31 - 1)
    account: str | None = None
    """Which account to use; needed only where the login has several. A paper gateway's first, if unset."""
    allow_live: bool = False
    """Orders for a live account are refused unless this is true."""
    connect_timeout: Seconds = 10.0
    """Seconds until a connection with all its first snapshots counts as failed."""
    request_timeout: Seconds = 15.0
    """Seconds until a question to the gateway counts as unanswered."""
    order_timeout: Seconds = 10.0
    """Seconds until an order without acknowledgement counts as unknown."""
    heartbeat: Seconds = 5.0
    """Seconds without a message after which the gateway is asked whether it is there."""
    silent_after: Seconds = 15.0
    """Seconds without a message after which it counts as silent; after twice as long it is dropped."""
    market_data_type: DataType = DataType.LIVE
    """What is shown of the market where live data are not to be had (delayed), or it is closed (frozen)."""
    market_data_lines: int = Field(default=90, ge=1, le=10_000)
    """Lines that quotes take of those that IB grants the login, 100 by default."""

    @model_validator(mode="after")
    def _silence_outlasts_a_heartbeat(self) -> Self:
        if self.silent_after <= self.heartbeat:
            raise ValueError(
                f"TRADEMIND_IBKR__SILENT_AFTER is {self.silent_after:g} and TRADEMIND_IBKR__HEARTBEAT "
                f"{self.heartbeat:g}; a gateway is called silent only after it was asked, so make the "
                "first the longer one"
            )
        return self

    @field_validator("account", mode="before")
    @classmethod
    def _empty_is_none(cls, value: Any) -> Any:
        # `TRADEMIND_IBKR__ACCOUNT=` in a file means "not set", not an account without a name.
        return None if value == "" else value


_JSON_EXAMPLES = {
    "accounts": '{"DUTM00001": 100000, "DUTM00002": 50000}',
    "market_data": '{"AAPL": "delayed", "*": "live"}',
}


class PaperSettings(_Group):
    """The embedded paper gateway."""

    cash: Decimal = Field(default=Decimal("100000"), gt=0, le=Decimal(10) ** 12)
    """Opening balance in US dollars of a new account."""
    accounts: Annotated[dict[str, Annotated[Decimal, Field(gt=0, le=Decimal(10) ** 12)]], NoDecode] = Field(
        default_factory=dict
    )
    """Opening balances of several accounts in one login, by their ids, instead of `cash`; empty for one."""
    commissions: Literal["fixed", "tiered"] = "fixed"
    """IB's pricing of stocks."""
    seed: int = 42
    """The synthetic market is a function of this number: same seed, same prices."""
    port: int = Field(default=0, ge=0, le=65535)
    """Port on loopback; 0 takes a free one."""
    feed: Literal["synthetic", "replay"] = "synthetic"
    """Where its prices come from: a function of the seed, or recorded ones. A file alone means those."""
    replay_file: Path | None = None
    """Recorded bars or ticks: a CSV or Parquet file, or a directory of them."""
    loop: bool = False
    """Whether the recording begins anew when it is over."""
    others: Literal["none", "synthetic"] = "none"
    """What there is of instruments that are not in the recording."""
    actions: Path | None = None
    """A CSV file of dividends and splits."""
    pacing: bool = True
    """Whether IB's limits apply: 50 messages a second, history, 100 market data lines."""
    limits: dict[Limit, Annotated[int, Field(ge=1, le=10**6)]] = Field(default_factory=dict)
    """Limits that differ from IB's, by their names."""
    daily_reset: time | None = None
    """When, in New York, the link to IB's servers goes down for two minutes; None for never."""
    market_data: Annotated[dict[str, Literal["live", "delayed", "none", "competing"]], NoDecode] = Field(
        default_factory=dict
    )
    """What may be seen of symbols, `*` being all that are not named; empty: everything live."""
    hours: Literal["always", "exchange"] = "always"
    """When its instruments trade: at any time, or by their exchanges' calendars."""
    speed: float = Field(default=1, ge=MIN_SPEED, le=MAX_SPEED)
    """Seconds of the market in one of the world's."""
    start: datetime | None = None
    """When the market starts, if not now or with the recording; without a time zone it is New York's time."""

    queue_position: bool = False
    """Whether resting limits queue behind the size that was displayed at their price."""
    participation: Decimal | None = Field(default=None, gt=0, le=1)
    """The largest share of the traded volume that orders may have; None for no limit."""
    slippage_ticks: int = Field(default=0, ge=0, le=10_000)
    """By how many minimum ticks worse an order fills that takes from the market."""
    latency_ms: int = Field(default=0, ge=0, le=600_000)
    """How many milliseconds an order is on its way to the exchange."""

    @field_validator("daily_reset", "start", "replay_file", "actions", "participation", mode="before")
    @classmethod
    def _empty_is_none(cls, value: Any) -> Any:
        return None if value == "" else value

    @field_validator("accounts", "market_data", mode="before")
    @classmethod
    def _read_json(cls, value: Any, info: ValidationInfo) -> Any:
        if value == "":
            return {}
        example = _JSON_EXAMPLES[str(info.field_name)]
        if isinstance(value, str):
            try:
                value = json.loads(value, parse_float=Decimal)
            except (ValueError, RecursionError):
                raise ValueError(f"that is not JSON; write it as in {example}") from None
        if not isinstance(value, dict):
            raise ValueError(f"that is not a JSON object; write it as in {example}")
        return value

    @field_validator("accounts")
    @classmethod
    def _are_account_ids(cls, value: dict[str, Decimal]) -> dict[str, Decimal]:
        for account_id in value:
            check_paper_account(account_id)
        return value

    @model_validator(mode="before")
    @classmethod
    def _a_file_means_replay(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("replay_file") and "feed" not in given:
            return {**given, "feed": "replay"}
        return given

    @model_validator(mode="after")
    def _nothing_is_ignored(self) -> Self:
        """What says nothing to the market that was chosen is a mistake; the text names its setting."""
        if self.feed == "synthetic":
            if self.replay_file is not None:
                raise ValueError(
                    "TRADEMIND_PAPER__FEED (--feed) is synthetic, but TRADEMIND_PAPER__REPLAY_FILE (--file) "
                    "names recorded prices; set the feed to replay, or leave the file out"
                )
            for is_set, name in (
                (self.loop, "LOOP (--loop)"),
                (self.others != "none", "OTHERS (--others)"),
            ):
                if is_set:
                    raise ValueError(
                        f"TRADEMIND_PAPER__{name} is for recorded prices only; name them with "
                        "TRADEMIND_PAPER__REPLAY_FILE (--file), or leave it out"
                    )
        if self.accounts and self.cash != type(self).model_fields["cash"].default:
            raise ValueError(
                "TRADEMIND_PAPER__CASH (--cash) is the balance of a single account, and "
                "TRADEMIND_PAPER__ACCOUNTS names others with theirs; leave one of the two out"
            )
        return self

    @field_validator("start")
    @classmethod
    def _in_new_york(cls, value: datetime | None) -> datetime | None:
        return value.replace(tzinfo=ZoneInfo("America/New_York")) if value and not value.tzinfo else value


class JournalSettings(_Group):
    """Where it is written down what was asked for and what happened."""

    url: str = ""
    """A PostgreSQL database, as in postgresql://user:password@host/name; empty: a file in the data folder."""


class RiskSettings(_Group):
    """The risk limits until others are set through the API; docs/risk.md says of each what counts."""

    max_order_quantity: Decimal | None = None
    max_order_notional: Decimal | None = None
    max_position_quantity: Decimal | None = None
    max_position_notional: Decimal | None = None
    max_gross_exposure: Decimal | None = None
    max_open_orders: int | None = None
    max_orders_per_minute: int | None = None
    max_daily_loss: Decimal | None = None
    price_collar: Decimal | None = None
    allowed_symbols: Annotated[tuple[str, ...] | None, NoDecode] = None
    """Separated by commas."""
    denied_symbols: Annotated[tuple[str, ...], NoDecode] = ()
    """Separated by commas."""
    trading_hours: TradingHours | None = None

    @field_validator("*", mode="before")
    @classmethod
    def _read_text(cls, value: Any, info: ValidationInfo) -> Any:
        if value == "":
            return () if info.field_name == "denied_symbols" else None
        is_list = info.field_name in ("allowed_symbols", "denied_symbols")
        return tuple(value.split(",")) if is_list and isinstance(value, str) else value

    @model_validator(mode="after")
    def _are_limits(self) -> Self:
        try:
            _ = self.limits
        except Invalid as error:
            field, message = error.errors[0]
            raise ValueError(f"{PREFIX}RISK__{field.upper()}: {message}") from None
        return self

    @property
    def limits(self) -> RiskLimits:
        return RiskLimits(**self.model_dump())


class SignalSettings(_Group):
    """What strategies look at, and what is made of their signals."""

    folder: Path | None = None
    """Where the user's own strategies are."""
    watchlist: Annotated[tuple[str, ...], NoDecode] = ()
    """Symbols of shares that are looked at whenever a bar closes, separated by commas, until a watch list is
    set through the API."""
    strategies: Annotated[tuple[str, ...], NoDecode] = ()
    """By which strategies, separated by commas; empty: by all there are."""
    bar_size: str = "1 day"
    risk_per_trade: Decimal = Field(default=Decimal("0.01"), gt=0, le=Decimal("0.2"))
    """The share of the equity that a position loses where its stop is reached; 0.01 is 1 %."""
    auto: Annotated[tuple[str, ...], NoDecode] = ()
    """Which of these place orders by themselves."""
    auto_live: bool = False
    """Whether they may in a live account, where `ibkr.allow_live` has it allowed at all."""

    @field_validator("folder", mode="before")
    @classmethod
    def _empty_is_none(cls, value: Any) -> Any:
        return None if value == "" else value

    @field_validator("watchlist", "strategies", "auto", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return tuple(dict.fromkeys(name.strip() for name in value.split(",") if name.strip()))

    @field_validator("watchlist")
    @classmethod
    def _are_symbols(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for symbol in value:
            try:
                ContractQuery(symbol=symbol)
            except Invalid as error:
                raise ValueError(f"{symbol!r} {error.errors[0][1]}") from None
        return tuple(dict.fromkeys(symbol.upper() for symbol in value))

    @field_validator("bar_size")
    @classmethod
    def _is_a_size(cls, value: str) -> str:
        sizes = [size for size in BAR_SIZES if "sec" not in size]
        if value not in sizes:
            raise ValueError(f"signals are made of bars of one of {', '.join(sizes)}")
        return value

    @model_validator(mode="after")
    def _automatic_ones_are_named(self) -> Self:
        if missing := [name for name in self.auto if name not in self.strategies]:
            raise ValueError(
                f"TRADEMIND_SIGNALS__AUTO has {missing[0]}, which TRADEMIND_SIGNALS__STRATEGIES has not; "
                "name it in both"
            )
        return self


class ServerSettings(_Group):
    """The HTTP server."""

    host: str = Field(default="127.0.0.1", min_length=1)
    """The address to listen on. Loopback, unless other machines are meant to reach the server."""
    port: int = Field(default=8000, ge=0, le=65535)
    """0 takes a free one."""
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = ("127.0.0.1", "localhost", "[::1]")
    """Host headers that are answered, without port, separated by commas."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        names = value.split(",") if isinstance(value, str) else value
        if not isinstance(names, (list, tuple)):
            return names
        return tuple(name.strip().lower() if isinstance(name, str) else name for name in names)

    @field_validator("allowed_hosts")
    @classmethod
    def _are_names(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            bracketed = name.startswith("[") and name.endswith("]")
            if not name or "/" in name or "*" in name or (":" in name and not bracketed):
                raise ValueError(
                    f"{name!r} is not a host name; give names or addresses without scheme and port, "
                    "separated by commas, an IPv6 address in brackets"
                )
        return names

    @property
    def is_loopback(self) -> bool:
        """Can only this machine reach the server?"""
        return is_loopback(self.host)

    @property
    def url(self) -> str:
        """Where a program on this machine finds the server."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


def is_loopback(host: str) -> bool:
    """Is `host` this machine's own address? A name other than localhost counts as foreign."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


class Settings(BaseSettings):
    """All settings of one server."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        env_file=".env",
        env_file_encoding="utf-8",
        extra="ignore",
        frozen=True,
    )

    broker: BrokerKind = BrokerKind.PAPER
    ibkr: IBKRSettings = IBKRSettings()
    paper: PaperSettings = PaperSettings()
    risk: RiskSettings = RiskSettings()
    signals: SignalSettings = SignalSettings()
    server: ServerSettings = ServerSettings()
    journal: JournalSettings = JournalSettings()
    data_dir: Path = Path(".trademind")
    """Where the paper account and the journal are kept, relative to the working directory."""

    @model_validator(mode="after")
    def _the_account_is_there(self) -> Self:
        accounts, account = self.paper.accounts, self.ibkr.account
        if self.broker is BrokerKind.PAPER and accounts and account not in (None, *accounts):
            raise ValueError(
                f"TRADEMIND_IBKR__ACCOUNT is {account}, but TRADEMIND_PAPER__ACCOUNTS has "
                f"{', '.join(accounts)}; name one of these, or none for the first"
            )
        return self

    @property
    def account(self) -> str | None:
        """The account to trade for; None where the login has only one, or names itself."""
        if self.broker is BrokerKind.IBKR:
            return self.ibkr.account
        # An account of IB's that is set beside a paper gateway with one account is another gateway's.
        accounts = self.paper.accounts
        return (self.ibkr.account or next(iter(accounts))) if accounts else None


def setting_names() -> tuple[str, ...]:
    """Every setting, by its name in the environment, in the order of the model."""

    def walk(model: type[BaseModel], prefix: str) -> Iterator[str]:
        for name, field in model.model_fields.items():
            if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
                yield from walk(field.annotation, f"{prefix}{name.upper()}__")
            else:
                yield prefix + name.upper()

    return tuple(walk(Settings, PREFIX))


def load_settings(**overrides: Any) -> Settings:
    """The settings of this process; `overrides` win over the environment, as in `server={"port": 0}`.

    Raises:
        SettingsError: one line that names the setting and says what is wrong with it.
    """
    env_file = overrides.get("_env_file", Settings.model_config["env_file"])
    try:
        _refuse_unknown(env_file)
        return Settings(**overrides)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        message = first["msg"].removeprefix("Value error, ")
        if message.startswith(PREFIX):  # it is about several settings, and names them
            raise SettingsError(message) from error
        # What follows a setting's name is a place in its value.
        name = PREFIX + "__".join(str(part).upper() for part in first["loc"][:2])
        raise SettingsError(f"{name}: {message} (got {first['input']!r})") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{env_file}: not UTF-8 text ({error.reason} at byte {error.start})") from error


def _refuse_unknown(env_file: Any) -> None:
    known = setting_names()
    given = list(os.environ)
    if isinstance(env_file, (str, Path)) and Path(env_file).is_file():
        given += dotenv_values(env_file, encoding="utf-8")
    for name in given:
        upper = name.upper()
        if upper.startswith(PREFIX) and upper not in known:
            near = difflib.get_close_matches(upper, known, n=1)
            raise SettingsError(
                f"{name}: there is no such setting"
                + (f"; did you mean {near[0]}?" if near else "; .env.example lists them all")
            )
