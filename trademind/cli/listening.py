"""What `server start` and `gateway start` share: the log, and a port that is taken before anything opens."""

import errno
import logging
import socket
from typing import Final

from trademind.cli.output import CommandFailed, Exit

MAX_UNSENT: Final = 128 * 1024
"""Bytes that the system keeps of what a client has not taken. By itself it would keep megabytes: old quotes
for one that reads slowly, and minutes until one that does not read is noticed."""


def configure_logging(level: str) -> None:
    """Concise lines on standard error. ib_async tells every message it sends; only its warnings matter."""
    logging.basicConfig(
        level=level.upper(), format="%(asctime)s %(levelname)-7s %(name)s: %(message)s", force=True
    )
    for name in ("ib_async", "uvicorn", "httpx"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # What these say of failed connections and of ticks of a line just given up, the session says better or
    # knows already. A message that cannot be decoded is still reported, by ib_async.Decoder.
    for name in ("ib_async.client", "ib_async.wrapper"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens on `host` and `port` (0 takes a free one).

    It listens at once: two programs can bind the same port, only one can listen on it.

    Raises:
        CommandFailed: the port is in use, or the address is none of this machine's.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        sock = socket.create_server(address[:2], family=family, backlog=1024)
        # asyncio sets it only where it knows the protocol; a frame would wait for the last one's receipt.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):  # not on Windows
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, MAX_UNSENT)
        return sock
    except OSError as error:
        names = ("TRADEMIND_SERVER__HOST", "--port")
        raise cannot_listen(error, host, port, settings=names) from error


def cannot_listen(error: OSError, host: str, port: int, *, settings: tuple[str, str]) -> CommandFailed:
    """Why nobody can listen there, in one line that says what to do. `settings` name host and port."""
    host_setting, port_setting = settings
    where = f"{host}:{port}"
    if error.errno == errno.EADDRINUSE:
        detail = f"{where} is in use by another program; stop that one, or choose another {port_setting}"
        return CommandFailed.because(Exit.FAILED, "port_in_use", detail)
    if error.errno == errno.EACCES:
        detail = f"{where}: this user may not listen on ports below 1024; choose another {port_setting}"
        return CommandFailed.because(Exit.FAILED, "port_not_allowed", detail)
    reason = error.strerror or str(error)
    return CommandFailed.because(
        Exit.USAGE, "settings_invalid", f"{host_setting}: cannot listen on {where} ({reason})"
    )
