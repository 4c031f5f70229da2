"""`trademind doctor`: what stands between this machine and a trade, and how to mend it."""

import asyncio
import importlib.util
import platform
from dataclasses import asdict
from importlib import metadata
from typing import Annotated, Any

import typer

import trademind
from trademind.brokers.ibkr.diagnose import Check, Target, diagnose
from trademind.cli.client import Server, Url
from trademind.cli.output import CommandFailed, Exit, Json, print_json, reporting
from trademind.settings import BrokerKind, Settings, load_settings

PACKAGES = ("ib_async", "fastapi", "uvicorn", "pydantic", "httpx", "typer")
IB_ASYNC_MAJOR = "2"


def doctor(
    host: Annotated[str | None, typer.Option(help="Of the gateway, if not as the settings say.")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Of the gateway.")] = None,
    client_id: Annotated[int | None, typer.Option(min=0, help="The client id to try.")] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Check the gateway, the session and this machine. Every failed check says how to mend it.

    Looks at the gateway of the settings; with the embedded paper gateway, at the running server's.
    """
    with reporting(as_json):
        settings = load_settings()
        connection, checks = _server_check(settings, url, is_needed=port is None and host is None)
        target = _target(settings, connection, host, port, client_id)
        if target is not None:
            checks += asyncio.run(diagnose(target))
        checks += [_event_loop(connection), _nest_asyncio(connection), _packages()]
        if as_json:
            print_json(
                {"ok": all(check.ok for check in checks), "checks": [asdict(check) for check in checks]}
            )
        else:
            _print(checks)
        if not all(check.ok for check in checks):
            raise typer.Exit(Exit.FAILED)


def _print(checks: list[Check]) -> None:
    width = max(len(check.name) for check in checks)
    for check in checks:
        mark = typer.style("ok  ", fg="green") if check.ok else typer.style("FAIL", fg="red")
        typer.echo(f"{mark}  {check.name:<{width}}  {check.found}")
        if check.remedy is not None:
            typer.echo(f"      {'':<{width}}  -> {check.remedy}")


def _server_check(
    settings: Settings, url: str | None, *, is_needed: bool
) -> tuple[dict[str, Any] | None, list[Check]]:
    """The running server's account of its session, and the check that it has one."""
    name = "server"
    where = url or settings.server.url
    try:
        with Server(where) as server:
            found: dict[str, Any] = server.get("/api/system/connection")
    except CommandFailed as failure:
        if is_needed and settings.broker is BrokerKind.PAPER:
            remedy = "start it with `trademind server start`, or name another gateway with --port"
            detail = f"{failure} (the embedded paper gateway runs inside it)"
            return None, [Check(name=name, ok=False, found=detail, remedy=remedy)]
        return None, [Check(name=name, ok=True, found=f"none runs at {where}; not needed here")]
    if not found["ready"]:
        reason = found["last_error"] or f"waiting for {', '.join(found['missing']) or 'the gateway'}"
        return found, [
            Check(
                name=name,
                ok=False,
                found=f"runs at {where}, session {found['state']}: {reason}",
                remedy=found["advice"] or "see the checks of the gateway below",
            )
        ]
    return found, [Check(name=name, ok=True, found=f"runs at {where}, session ready")]


def _target(
    settings: Settings,
    connection: dict[str, Any] | None,
    host: str | None,
    port: int | None,
    client_id: int | None,
) -> Target | None:
    """Which gateway to look at; None where only a running server could have told."""
    ibkr = settings.ibkr
    if settings.broker is BrokerKind.IBKR or port is not None or host is not None:
        host, port = host or ibkr.host, port or ibkr.port
    elif connection is not None:
        host, port = str(connection["host"]), int(connection["port"])
    else:
        return None
    is_servers = connection is not None and (connection["host"], connection["port"]) == (host, port)
    wanted = client_id if client_id is not None else ibkr.client_id
    holder = None
    if is_servers and connection is not None and connection["ready"] and wanted == connection["client_id"]:
        holder = "the running server"
    return Target(
        host=host,
        port=port,
        client_id=wanted,
        holder=holder,
        account=settings.account,
        allow_live=ibkr.allow_live,
    )


def _event_loop(connection: dict[str, Any] | None) -> Check:
    if connection is not None:
        return Check(name="event loop", ok=True, found=f"the server runs on {connection['event_loop']}")
    loop = "uvloop" if importlib.util.find_spec("uvloop") else "asyncio"
    return Check(name="event loop", ok=True, found=f"a server would run on {loop}")


def _nest_asyncio(connection: dict[str, Any] | None) -> Check:
    name = "nest_asyncio"
    # The mark that nest_asyncio leaves on the module it has patched.
    if hasattr(asyncio, "_nest_patched") or (connection is not None and connection["nest_asyncio"]):
        return Check(
            name=name,
            ok=False,
            found="patched in: the event loop runs tasks inside tasks",
            remedy="remove nest_asyncio.apply() from what is imported; only notebooks need it, through "
            "trademind.notebook",
        )
    return Check(name=name, ok=True, found="not patched in")


def _packages() -> Check:
    name = "packages"
    found = [f"trademind {trademind.__version__}", f"python {platform.python_version()}"]
    missing = []
    for package in PACKAGES:
        try:
            found.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            missing.append(package)
    if missing:
        remedy = "install it anew, in TradeMind's directory: pip install -c .ci/constraints.txt -e ."
        return Check(name=name, ok=False, found=f"{', '.join(missing)} not installed", remedy=remedy)
    if metadata.version("ib_async").partition(".")[0] != IB_ASYNC_MAJOR:
        remedy = f"pip install 'ib_async>={IB_ASYNC_MAJOR}.1,<{int(IB_ASYNC_MAJOR) + 1}'"
        return Check(name=name, ok=False, found=", ".join(found), remedy=remedy)
    return Check(name=name, ok=True, found=", ".join(found))
