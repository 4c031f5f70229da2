"""Is there a gateway, and would it serve us? The questions of `trademind doctor`, asked over a bare socket.

Strategy: the handshake and the few messages it takes are spoken here directly, without ib_async, so that
a diagnosis sees what the gateway says and not what a library makes of it. The checks build on each
other: the first that fails on the way to a session ends the list. The handful of text messages used here
have the same layout in every server version offered, except errors, as noted there.
"""

import asyncio
import contextlib
import struct
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Self

OFFERED = b"v157..200"
"""The text-only server versions that TradeMind speaks."""
MAX_FRAME = 1 << 20
"""Bytes of one message. No answer to a question asked here is nearly as long."""
MAX_SKEW = 3.0
"""Seconds. The gateway tells whole seconds, so one of them proves nothing."""
SPARE_CLIENT_ID = 32_000
"""Where the search for a client id that nobody uses begins, when the wanted one is taken."""

ERRORS_WITHOUT_VERSION = 194
"""From this server version on, an error message has no version field of its own."""

_MARKET_DATA_REQUEST = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One question and its answer; `remedy` says how to mend what is wrong."""

    name: str
    ok: bool
    found: str
    remedy: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What to diagnose.

    Attributes:
        holder: Who rightly holds `client_id` at the moment, if anybody, such as "the running server".
        account: The account that the settings name.
        allow_live: Whether orders for a live account are switched on.
        patience: Seconds to wait for each answer.
    """

    host: str
    port: int
    client_id: int
    holder: str | None = None
    account: str | None = None
    allow_live: bool = False
    patience: float = 5.0


class _Wire:
    """A connection to a gateway: text fields in length-prefixed frames."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.server_version = 0

    @classmethod
    @asynccontextmanager
    async def open(cls, target: Target) -> AsyncIterator[Self]:
        """Raises `OSError` where nothing listens."""
        async with asyncio.timeout(target.patience):
            reader, writer = await asyncio.open_connection(target.host, target.port)
        try:
            yield cls(reader, writer)
        finally:
            writer.close()
            # The peer may have closed first, which is no news here.
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def handshake(self) -> str:
        """Agree on a version; returns the gateway's time as it tells it. Raises `ValueError`, `OSError`."""
        self._writer.write(b"API\0" + struct.pack(">I", len(OFFERED)) + OFFERED)
        fields = await self.receive()
        if len(fields) < 2 or not fields[0].isdigit():
            raise ValueError(f"not a version: {fields[:2]}")
        self.server_version = int(fields[0])
        return fields[1]

    def send(self, *fields: object) -> None:
        payload = b"".join(str(field).encode() + b"\0" for field in fields)
        self._writer.write(struct.pack(">I", len(payload)) + payload)

    async def receive(self) -> list[str]:
        """The next message's fields. Raises `ValueError` for what is no message, `OSError` at the end."""
        try:
            (length,) = struct.unpack(">I", await self._reader.readexactly(4))
            if length > MAX_FRAME:
                raise ValueError(f"a frame of {length} bytes")
            payload = await self._reader.readexactly(length)
        except asyncio.IncompleteReadError as error:
            raise ConnectionResetError("the gateway closed the connection") from error
        return payload.decode(errors="replace").removesuffix("\0").split("\0")

    def error(self, fields: list[str]) -> tuple[int, int, str] | None:
        """(request id, code, message) of an error message, None for any other."""
        if fields[0] != "4":
            return None
        start = 1 if self.server_version >= ERRORS_WITHOUT_VERSION else 2
        try:
            request_id, code, message = fields[start : start + 3]
            return int(request_id), int(code), message
        except ValueError:
            return None


async def diagnose(target: Target) -> list[Check]:
    """Every check, in order. Never raises for what a gateway does or does not do."""
    checks: list[Check] = []
    client_id = target.client_id
    if target.holder is not None:
        held = f"{client_id}, held by {target.holder}"
        checks.append(Check(name="client id", ok=True, found=held))
        client_id = SPARE_CLIENT_ID
    try:
        async with _Wire.open(target) as wire:
            checks.insert(0, Check(name="port", ok=True, found=f"{target.host}:{target.port} listens"))
            protocol = await _protocol(wire, target)
            checks.insert(1, protocol)
            if not protocol.ok:
                return checks
            free, accounts = await _log_on(wire, client_id, target)
            if target.holder is None:
                checks.append(free)
            if free.ok:
                return checks + await _session_checks(wire, target, accounts)
    except (OSError, TimeoutError) as error:
        return [*checks, _not_listening(target, error)] if not checks else [*checks, _gone(error)]
    # The wanted id is taken, or the gateway does not let us on; the rest is worth knowing all the same.
    return checks + await _with_spare_id(target)


async def _with_spare_id(target: Target) -> list[Check]:
    try:
        async with _Wire.open(target) as wire:
            if not (await _protocol(wire, target)).ok:
                return []
            free, accounts = await _log_on(wire, SPARE_CLIENT_ID, target)
            return await _session_checks(wire, target, accounts) if free.ok else []
    except (OSError, TimeoutError):
        # Already told by the checks before.
        return []


def _why(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer"
    return str(error) or type(error).__name__


def _not_listening(target: Target, error: Exception) -> Check:
    return Check(
        name="port",
        ok=False,
        found=f"nothing listens on {target.host}:{target.port} ({_why(error)})",
        remedy="start TWS or IB Gateway and log in; in its API settings switch on socket clients and compare "
        "the port (IB Gateway 4002 paper, 4001 live; TWS 7497 paper, 7496 live)",
    )


def _gone(error: Exception) -> Check:
    return Check(
        name="session",
        ok=False,
        found=f"the gateway ended the conversation ({_why(error)})",
        remedy="look at the gateway's own window: it may be restarting, or asking to confirm the connection",
    )


async def _protocol(wire: _Wire, target: Target) -> Check:
    try:
        async with asyncio.timeout(target.patience):
            told = await wire.handshake()
    except (OSError, ValueError, TimeoutError) as error:
        return Check(
            name="TWS API",
            ok=False,
            found=f"what listens does not speak the TWS API ({_why(error)})",
            remedy="if it is TWS or IB Gateway: add this machine to its trusted IPs, switch on socket "
            "clients and restart it; otherwise another program has this port",
        )
    return Check(name="TWS API", ok=True, found=f"server version {wire.server_version}, its time {told}")


async def _log_on(wire: _Wire, client_id: int, target: Target) -> tuple[Check, tuple[str, ...]]:
    """Start the API as `client_id`: whether that works, and the accounts."""
    name = "client id"
    wire.send(71, 2, client_id, "")
    accounts: tuple[str, ...] | None = None
    is_ready = False
    try:
        async with asyncio.timeout(target.patience):
            while accounts is None or not is_ready:
                fields = await wire.receive()
                if (error := wire.error(fields)) is not None and error[1] == 326:
                    return Check(
                        name=name,
                        ok=False,
                        found=f"{client_id} is in use by another program",
                        remedy="stop that program, or give this one another TRADEMIND_IBKR__CLIENT_ID",
                    ), ()
                if fields[0] == "15":
                    accounts = tuple(account for account in fields[2].split(",") if account)
                is_ready = is_ready or fields[0] == "9"
    except (OSError, ValueError, IndexError, TimeoutError) as failure:
        return Check(
            name=name,
            ok=False,
            found=f"the gateway does not let client {client_id} on ({_why(failure)})",
            remedy="look at the gateway's own window: it may ask to confirm the connection, or wait for a "
            "log-in",
        ), ()
    return Check(name=name, ok=True, found=f"{client_id} is free"), accounts


async def _session_checks(wire: _Wire, target: Target, accounts: tuple[str, ...]) -> list[Check]:
    return [
        *_account_checks(target, accounts),
        await _clock(wire, target),
        await _market_data(wire, target),
    ]


def _account_checks(target: Target, accounts: tuple[str, ...]) -> list[Check]:
    listed = ", ".join(accounts) or "none"
    if target.account is not None and target.account not in accounts:
        return [
            Check(
                name="accounts",
                ok=False,
                found=f"{listed}; {target.account} is not among them",
                remedy="set TRADEMIND_IBKR__ACCOUNT to one of these, or log the gateway in elsewhere",
            )
        ]
    if not accounts:
        remedy = "log the gateway in to an account"
        return [Check(name="accounts", ok=False, found="none", remedy=remedy)]
    if len(accounts) > 1 and target.account is None:
        remedy = "name the one to use in TRADEMIND_IBKR__ACCOUNT"
        return [Check(name="accounts", ok=False, found=listed, remedy=remedy)]
    used = target.account or accounts[0]
    if used.startswith("D"):
        kind = f"{used} is a paper account"
    elif target.allow_live:
        kind = f"{used} is a LIVE account, and orders for it are allowed"
    else:
        kind = f"{used} is a live account: read-only without TRADEMIND_IBKR__ALLOW_LIVE=true"
    return [Check(name="accounts", ok=True, found=listed), Check(name="paper or live", ok=True, found=kind)]


async def _clock(wire: _Wire, target: Target) -> Check:
    name = "clock"
    asked = time.time()
    wire.send(49, 1)
    try:
        fields = await _answer(wire, target, lambda fields: fields[0] == "49")
        # The middle of the second it tells, against the middle of the time it took.
        skew = int(fields[2]) + 0.5 - (asked + time.time()) / 2
    except (OSError, ValueError, IndexError, TimeoutError) as error:
        found = f"the gateway does not tell its time ({_why(error)})"
        return Check(name=name, ok=False, found=found, remedy="restart the gateway")
    if abs(skew) > MAX_SKEW:
        return Check(
            name=name,
            ok=False,
            found=f"the gateway's clock is {abs(skew):.0f} s {'ahead' if skew > 0 else 'behind'}",
            remedy="let both machines set their clocks by NTP",
        )
    return Check(name=name, ok=True, found=f"within {MAX_SKEW:.0f} s of the gateway's")


async def _market_data(wire: _Wire, target: Target) -> Check:
    """Ask for AAPL, live or delayed, and wait for one price."""
    name = "market data"
    request_id = str(_MARKET_DATA_REQUEST)
    wire.send(59, 1, 3)  # delayed data will do where there is no subscription
    contract = (0, "AAPL", "STK", "", 0.0, "", "", "SMART", "", "USD", "", "")
    wire.send(1, 11, request_id, *contract, 0, "", 0, 0, "")

    def is_answer(fields: list[str]) -> bool:
        error = wire.error(fields)
        if error is not None:
            # 10167: no live data, delayed data follow.
            return error[0] == _MARKET_DATA_REQUEST and error[1] != 10167
        return fields[0] == "1" and len(fields) > 4 and fields[2] == request_id and float(fields[4]) > 0

    try:
        fields = await _answer(wire, target, is_answer)
    except (OSError, ValueError, IndexError, TimeoutError) as failure:
        found = f"no price of AAPL ({_why(failure)})"
        remedy = (
            "outside trading hours, try again later; otherwise see the data farms in the gateway's window"
        )
        return Check(name=name, ok=False, found=found, remedy=remedy)
    if (error := wire.error(fields)) is not None:
        remedy = "subscribe to US stock data, and share it with the paper account, in IB's account management"
        return Check(name=name, ok=False, found=f"IB says {error[1]}: {error[2]}", remedy=remedy)
    wire.send(2, 2, request_id)
    return Check(name=name, ok=True, found=f"AAPL answers with a price of {fields[4]}")


async def _answer(wire: _Wire, target: Target, is_it: Callable[[list[str]], bool]) -> list[str]:
    async with asyncio.timeout(target.patience):
        while True:
            fields = await wire.receive()
            if is_it(fields):
                return fields
