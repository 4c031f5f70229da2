"""`trademind gateway …`: the paper gateway, alone, for any IB client."""

import asyncio
import contextlib
import signal
from contextlib import AsyncExitStack
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from trademind.aio import short_collections
from trademind.cli import gateway_control
from trademind.cli.listening import cannot_listen, configure_logging
from trademind.cli.market_options import (
    Actions,
    Feed,
    FeedKind,
    File,
    Hours,
    Loop,
    Others,
    Speed,
    Start,
    market,
)
from trademind.cli.output import Json, print_json, reporting
from trademind.errors import SettingsError
from trademind.settings import PaperSettings, Settings, is_loopback, load_settings

app = typer.Typer(
    help="Run the paper gateway alone, make it misbehave, or start its account over.", no_args_is_help=True
)
gateway_control.register(app)

DEFAULT_PORT = 7497
"""TWS's port for paper trading, which IB clients try by default."""

DataDir = Annotated[Path | None, typer.Option(help="Where the account is kept, if not as the settings say.")]


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise typer.BadParameter(f"{text!r} is not a number") from None


@app.command()
def start(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help=f"Port; {DEFAULT_PORT} if nothing says otherwise.")
    ] = None,
    cash: Annotated[
        Decimal | None, typer.Option(parser=_decimal, help="Opening balance of a new account, in US dollars.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of the synthetic market.")] = None,
    pacing: Annotated[
        bool | None,
        typer.Option("--pacing/--no-pacing", help="Whether IB's limits apply, such as 50 messages a second."),
    ] = None,
    feed: Feed = None,
    file: File = None,
    loop: Loop = None,
    others: Others = None,
    actions: Actions = None,
    hours: Hours = None,
    speed: Speed = None,
    start: Start = None,
    faults: Annotated[Path | None, typer.Option(help="A YAML file of scripted faults.")] = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Start a paper gateway that any TWS API client can connect to. Ctrl-C stops it."""
    with reporting(as_json):
        settings = _settings(
            data_dir=data_dir,
            cash=cash,
            seed=seed,
            port=port,
            pacing=pacing,
            feed=feed,
            file=file,
            loop=loop,
            others=others,
            actions=actions,
            hours=hours,
            speed=speed,
            start=start,
        )
        if cash is not None and settings.paper.accounts:
            raise SettingsError(
                "--cash is the balance of a single account, and TRADEMIND_PAPER__ACCOUNTS names others with "
                "theirs; leave one of the two out"
            )
        configure_logging(settings.server.log_level)
        if not is_loopback(host):
            typer.echo(f"listening on {host}: whoever can reach it can use the paper account", err=True)
        wanted = settings.paper.port or (DEFAULT_PORT if port is None else 0)
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(_run(settings, host, wanted, faults, as_json))


@app.command()
def reset(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Forget the paper account: its positions, orders and fills. The next one starts with its cash."""
    with reporting(as_json):
        directory = _settings(data_dir=data_dir).data_dir
        if not yes:
            question = f"Forget the paper account in {directory}?"
            typer.confirm(question, abort=True, err=True)
        from trademind.gateway.store import AccountStore
        from trademind.journal.backup import set_aside
        from trademind.journal.location import held

        AccountStore(directory).reset()
        # Its orders are no longer anybody's; the journal that tells of them is kept under another name.
        journal = directory.absolute() / "journal.db"
        with held(journal):
            set_aside(journal)
        if as_json:
            print_json({"reset": str(directory)})
        else:
            typer.echo(f"The paper account in {directory} starts over.")


def _settings(
    *,
    data_dir: Path | None = None,
    feed: FeedKind | None = None,
    file: Path | None = None,
    **paper: object,
) -> Settings:
    overrides = market(feed=feed, file=file, **paper)
    if data_dir is not None:
        overrides["data_dir"] = data_dir
    return load_settings(**overrides)


async def _run(settings: Settings, host: str, port: int, faults: Path | None, as_json: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        # Windows has no signal handlers on the loop; there Ctrl-C arrives as KeyboardInterrupt.
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, stop.set)
    # Loaded here, so that the other commands answer without it.
    from trademind.gateway.assembly import paper_gateway
    from trademind.gateway.timeline import check_step

    gateway = paper_gateway(settings.paper, data_dir=settings.data_dir, host=host, port=port)
    steps = []
    if faults is not None:
        steps = gateway_control.script(faults, lambda step: check_step(step, gateway.universe))
    async with AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(gateway)
        except OSError as error:
            raise cannot_listen(error, host, port, settings=("--host", "--port")) from error
        try:
            gateway.core.timeline.add(*steps)
        except ValueError as error:
            raise SettingsError(str(error)) from error
        accounts, now = list(gateway.core.exchange.accounts), gateway.core.clock.now()
        if as_json:
            banner = {"host": host, "port": gateway.port, "account_id": accounts[0], "accounts": accounts}
            print_json(banner | _market_json(settings.paper, now), in_one_line=True)
        else:
            names = f"account{'s' if len(accounts) > 1 else ''} {', '.join(accounts)}"
            told = [f"Paper gateway on {host}:{gateway.port}", names, *_market_words(settings.paper, now)]
            typer.echo(" | ".join([*told, f"kept in {settings.data_dir}"]))
        with short_collections():
            await stop.wait()


def _market_json(paper: PaperSettings, now: datetime) -> dict[str, Any]:
    return {
        "feed": paper.feed,
        "file": None if paper.replay_file is None else str(paper.replay_file),
        "loop": paper.loop,
        "others": paper.others if paper.feed == "replay" else None,
        "seed": paper.seed,
        "hours": paper.hours,
        "time": now.isoformat(),
        "speed": paper.speed,
    }


def _market_words(paper: PaperSettings, now: datetime) -> list[str]:
    """Which market runs, as far as it is not the usual one, in which the present is the world's."""
    words = []
    if paper.feed == "replay":
        words.append(f"replays {paper.replay_file}{' again and again' if paper.loop else ''}")
    if paper.feed == "synthetic" or paper.others == "synthetic":
        words.append(f"seed {paper.seed}")
    if paper.hours == "exchange":
        words.append("exchange hours")
    if paper.feed == "replay" or paper.start is not None or paper.speed != 1:
        local = now.astimezone(ZoneInfo("America/New_York"))
        speed = "" if paper.speed == 1 else f", {paper.speed:g} times as fast"
        words.append(f"paper time {local:%Y-%m-%d %H:%M} New York{speed}")
    return words
