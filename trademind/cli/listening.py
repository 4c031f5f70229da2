"""What `server start` and `gateway start` share: the log, and a port that is taken before anything opens."""

import errno
import logging
import socket

from trademind.cli.output import CommandFailed, Exit


def configure_logging(level: str) -> None:
    """Concise lines on standard error. ib_async tells every message it sends; only its warnings matter."""
    logging.basicConfig(
        level=level.upper(), format="%(asctime)s %(levelname)-7s %(name)s: %(message)s", force=True
    )
    for name in ("ib_async", "uvicorn", "httpx"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # What it says of a connection that failed, the session's supervisor says, too, with what to do about it.
    logging.getLogger("ib_async.client").setLevel(logging.CRITICAL)


def listen(host: str, port: int, *, setting: str) -> socket.socket:
    """A socket that listens on `host` and `port` (0 takes a free one).

    It listens at once: two programs can bind the same port, only one can listen on it.

    Raises:
        CommandFailed: the port is in use, or the address is none of this machine's.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return socket.create_server(address[:2], family=family, backlog=1024)
    except OSError as error:
        raise cannot_listen(error, host, port, setting=setting) from error


def cannot_listen(error: OSError, host: str, port: int, *, setting: str) -> CommandFailed:
    """Why nobody can listen there, in one line that says what to do."""
    where = f"{host}:{port}"
    if error.errno == errno.EADDRINUSE:
        detail = f"{where} is in use by another program; stop that one, or choose another --port"
        return CommandFailed.because(Exit.FAILED, "port_in_use", detail)
    if error.errno == errno.EACCES:
        detail = f"{where}: this user may not listen on ports below 1024; choose another --port"
        return CommandFailed.because(Exit.FAILED, "port_not_allowed", detail)
    reason = error.strerror or str(error)
    return CommandFailed.because(
        Exit.USAGE, "settings_invalid", f"{setting}: cannot listen on {where} ({reason})"
    )
