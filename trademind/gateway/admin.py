"""The admin socket of a running gateway: JSON lines, for the commands of `trademind gateway`.

Strategy: a Unix domain socket in the data directory, which only its owner may open. Where there are none
(Windows, or a path that is too long for one), a port of the loopback interface, whose number and a secret are
in a file that only its owner may read; nothing is done for who does not begin with the secret. Whatever is
not a JSON object ends the connection at its first line, so that a web page, which begins with HTTP, gets
nowhere.

One request is one line, `{"command": "halt", "symbol": "AAPL"}`; so is its answer, `{"ok": true, ...}` or
`{"ok": false, "error": "..."}`. It comes when the effect has been told to the clients.
"""

import asyncio
import contextlib
import hmac
import json
import logging
import os
import secrets
import socket
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from trademind.clock import ManualClock

if TYPE_CHECKING:
    from trademind.gateway.server import PaperGatewayServer

log = logging.getLogger(__name__)

SOCKET: Final = "gateway.sock"
ADDRESS: Final = "gateway.admin"
"""Port and secret, where there is no socket."""
MAX_LINE: Final = 1 << 20
MAX_CONNECTIONS: Final = 8
PATIENCE: Final = 10.0
"""Seconds for a line to come, and for an answer."""
LONGEST_PATH: Final = 100
"""Bytes of a Unix socket's path that every system takes."""

_Command = Callable[["PaperGatewayServer", Mapping[str, Any]], Awaitable[dict[str, Any]]]


class AdminError(Exception):
    """A command cannot be given, or is refused."""


class AdminSocket:
    """Takes commands for a gateway while its context lasts."""

    def __init__(self, server: "PaperGatewayServer", directory: Path) -> None:
        self._server = server
        self._socket = directory / SOCKET
        self._address = directory / ADDRESS
        self._secret = ""
        self._open = 0

    async def __aenter__(self) -> Self:
        self._remove()
        if hasattr(socket, "AF_UNIX") and len(os.fsencode(self._socket.absolute())) <= LONGEST_PATH:
            listener = socket.socket(socket.AF_UNIX)
            try:
                # Nobody can connect before `listen`, by when nobody else may.
                listener.bind(str(self._socket.absolute()))
                self._socket.chmod(0o600)
                self._listening = await asyncio.start_unix_server(self._serve, sock=listener, limit=MAX_LINE)
            except OSError:
                listener.close()
                raise
        else:
            self._secret = secrets.token_urlsafe(32)
            self._listening = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=MAX_LINE)
            port = self._listening.sockets[0].getsockname()[1]
            self._write_address(port)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listening.close()
        self._remove()

    def _write_address(self, port: int) -> None:
        descriptor = os.open(self._address, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            json.dump({"port": port, "secret": self._secret}, file)

    def _remove(self) -> None:
        # The account's lock is held: what lies there is of a gateway that is no more.
        for path in (self._socket, self._address):
            path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            if self._open <= MAX_CONNECTIONS:
                await self._converse(reader, writer)
        except (ConnectionError, TimeoutError, ValueError, asyncio.LimitOverrunError):
            pass  # gone, too slow, or not a client of this socket
        finally:
            self._open -= 1
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        is_known = not self._secret
        while True:
            async with asyncio.timeout(PATIENCE):
                line = await reader.readline()
            if not line:
                return
            try:
                request = json.loads(line)
            except RecursionError:
                if is_known:
                    writer.write(json.dumps(_refusal("a command is not nested that deeply")).encode() + b"\n")
                    await writer.drain()
                return
            if not isinstance(request, dict):
                return
            if not is_known:
                said = request.get("secret")
                if not isinstance(said, str) or not hmac.compare_digest(said.encode(), self._secret.encode()):
                    return
                is_known = True
            writer.write(json.dumps(await self._answer(request)).encode() + b"\n")
            await writer.drain()

    async def _answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        command = COMMANDS.get(str(request.get("command")))
        if command is None:
            return _refusal(f"the commands are {', '.join(COMMANDS)}")
        try:
            answer = await command(self._server, request)
            await self._server.settle()
        except (AdminError, ValueError) as error:
            return _refusal(str(error))
        except Exception:
            # The edge of a connection: a command that fails must not end the others.
            log.exception("the command %s failed", request.get("command"))
            return _refusal("the command failed; the gateway's log says why")
        return {"ok": True, **answer}


def _refusal(why: str) -> dict[str, Any]:
    return {"ok": False, "error": why}


# The commands


async def _status(server: "PaperGatewayServer", request: Mapping[str, Any]) -> dict[str, Any]:
    core = server.core
    clients = [session.client_id for session in core.sessions if session.client_id is not None]
    return {
        "port": server.port,
        "accounts": list(core.exchange.accounts),
        "time": core.clock.now().isoformat(),
        "clients": clients,
        "link": "up" if core.connectivity.is_up else "lost",
        "farms": {farm.value: state.value for farm, state in core.connectivity.farms.items()},
        "faults": len(core.timeline.steps()),
        **core.control.status(),
    }


async def _add_faults(server: "PaperGatewayServer", request: Mapping[str, Any]) -> dict[str, Any]:
    from trademind.gateway.scripts import read_steps
    from trademind.gateway.timeline import check_step

    steps = read_steps(request.get("steps"), lambda step: check_step(step, server.universe))
    return {"numbers": server.core.timeline.add(*steps)}


async def _list_faults(server: "PaperGatewayServer", request: Mapping[str, Any]) -> dict[str, Any]:
    from trademind.gateway.scripts import write_step

    return {
        "faults": [
            {"number": number, "left": left, **write_step(step)}
            for number, step, left in server.core.timeline.steps()
        ]
    }


async def _clear_faults(server: "PaperGatewayServer", request: Mapping[str, Any]) -> dict[str, Any]:
    number = request.get("number")
    if number is not None and not isinstance(number, int):
        raise AdminError("a step's number is a whole number")
    cleared = server.core.timeline.clear(number)
    if number is not None and not cleared:
        raise AdminError(f"there is no step {number}")
    return {"cleared": cleared}


async def _price(server: "PaperGatewayServer", request: Mapping[str, Any]) -> dict[str, Any]:
    symbol, price = _text(request, "symbol"), _decimal(request, "price")
    if price is None:
        server.core.control.release(symbol)
    else:
        bid, ask = _decimal(request, "bid"), _decimal(request, "ask")
        server.core.control.set_price(symbol, price, bid=bid, ask=ask)
    return {"symbol": symbol, "price": None if price is None else f"{price:f}"}


async def _halt(server: "PaperGatewayServer", request: Mapping[str, Any]) -> dict[str, Any]:
    symbol = _text(request, "symbol")
    server.core.control.halt(symbol)
    return {"symbol": symbol, "halted": True}


async def _resume(server: "PaperGatewayServer", request: Mapping[str, Any]) -> dict[str, Any]:
    symbol = _text(request, "symbol")
    server.core.control.resume(symbol)
    return {"symbol": symbol, "halted": False}


async def _advance(server: "PaperGatewayServer", request: Mapping[str, Any]) -> dict[str, Any]:
    seconds = _decimal(request, "seconds")
    if seconds is None or not 0 <= seconds <= 10**9:
        raise AdminError("the clock is moved by 0 to a billion seconds")
    clock = server.core.clock
    if not isinstance(clock, ManualClock):
        raise AdminError("this gateway's clock runs by itself")
    clock.advance(timedelta(seconds=float(seconds)))
    await server.move()
    return {"time": clock.now().isoformat()}


COMMANDS: Final[Mapping[str, _Command]] = {
    "status": _status,
    "faults.add": _add_faults,
    "faults.list": _list_faults,
    "faults.clear": _clear_faults,
    "price": _price,
    "halt": _halt,
    "resume": _resume,
    "advance": _advance,
}


def _text(request: Mapping[str, Any], name: str) -> str:
    value = request.get(name)
    if not isinstance(value, str) or not value:
        raise AdminError(f"the command needs `{name}`")
    return value


def _decimal(request: Mapping[str, Any], name: str) -> Decimal | None:
    value = request.get(name)
    if value is None:
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise AdminError(f"{name}: {str(value)[:80]!r} is not a number")
    return number


# The other end


def ask(directory: Path, command: str, **parameters: Any) -> dict[str, Any]:
    """Give a command to the gateway whose account is in `directory`, and wait for its answer.

    Raises:
        AdminError: it is refused, in words; or there is no gateway.
    """
    request = {"command": command, **parameters}
    try:
        with contextlib.closing(_connect(directory, request)) as connection:
            connection.settimeout(PATIENCE)
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as answers:
                line = answers.readline(MAX_LINE)
        answer = json.loads(line)
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise AdminError(
            f"no paper gateway is running with this data directory ({directory}); start one with "
            "`trademind gateway start`, or give --data-dir"
        ) from error
    except (OSError, ValueError) as error:
        raise AdminError(f"no paper gateway answers for {directory}: {error}") from error
    if not answer.pop("ok"):
        raise AdminError(answer["error"])
    return dict(answer)


def _connect(directory: Path, request: dict[str, Any]) -> socket.socket:
    path = directory / SOCKET
    if path.exists():
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.settimeout(PATIENCE)
            connection.connect(str(path.absolute()))
        except OSError:
            connection.close()
            raise
        return connection
    address = json.loads((directory / ADDRESS).read_text("utf-8"))
    request["secret"] = address["secret"]
    return socket.create_connection(("127.0.0.1", int(address["port"])), PATIENCE)
