"""`trademind server start`: the server, in this process."""

import logging
from typing import Annotated

import typer

from trademind.cli.listening import configure_logging, listen
from trademind.cli.market_options import Actions, Feed, File, Hours, Loop, Others, Speed, Start, group, market
from trademind.cli.output import Json, reporting
from trademind.errors import SettingsError
from trademind.settings import BrokerKind, load_settings

app = typer.Typer(help="Run the server.", no_args_is_help=True)
log = logging.getLogger(__name__)


@app.callback()
def _group() -> None: ...


@app.command()
def start(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = None,
    feed: Feed = None,
    file: File = None,
    loop: Loop = None,
    others: Others = None,
    actions: Actions = None,
    hours: Hours = None,
    speed: Speed = None,
    start_at: Start = None,
    as_json: Json = False,
) -> None:
    """Start the server, on the gateway that the settings name. Ctrl-C stops it."""
    with reporting(as_json):
        paper = market(
            feed=feed,
            file=file,
            loop=loop,
            others=others,
            actions=actions,
            hours=hours,
            speed=speed,
            start=start_at,
        )
        settings = load_settings(**group("server", host=host, port=port), **paper)
        if paper and settings.broker is BrokerKind.IBKR:
            raise SettingsError(
                "--feed, --file, --loop, --others, --actions, --hours, --speed and --start are the paper "
                "gateway's, but TRADEMIND_BROKER is ibkr; leave them out, or set it to paper"
            )
        configure_logging(settings.server.log_level)
        # Before the session opens: a second server must not disturb the first one's.
        with listen(settings.server.host, settings.server.port) as sock:
            if not settings.server.is_loopback:
                log.warning(
                    "listening on %s: there is no login, whoever can reach it can trade", settings.server.host
                )
            # Loaded here, so that the commands that only ask a server answer without loading one.
            from trademind.cli.serving import serve

            serve(settings, sock, as_json)
