"""`trademind bars --follow`: bars as they end, line by line."""

from typing import Any

import typer

from trademind.cli.output import CommandFailed, Exit, print_json
from trademind.cli.watch import market_frames


def follow_bars(url: str, wanted: dict[str, Any], *, as_json: bool) -> None:
    """Print each bar when it has ended, for ever; what is missing is told on standard error.

    Raises:
        CommandFailed: no server answers at first, or such bars cannot be followed.
    """
    for frame in market_frames(url, {"bars": [wanted]}, None):
        match frame:
            case {"type": "event", "data": bar} if as_json:
                print_json(bar, in_one_line=True)
            case {"type": "event", "data": bar}:
                typer.echo(_line(bar))
            case {"type": "gap", "channel": "bars", "data": data}:
                typer.echo(f"bars may be missing: {data['reason']}", err=True)
            case {"type": "error", "data": {"retry_safe": True} as data}:
                typer.echo(f"{data['code']}: {data['detail']}", err=True)
            case {"type": "error", "data": data}:
                raise CommandFailed(Exit.FAILED, data)


def _line(bar: dict[str, Any]) -> str:
    prices = "  ".join(f"{bar[name]:>10.10g}" for name in ("open", "high", "low", "close"))
    volume = "-" if bar["volume"] is None else f"{bar['volume']:.10g}"
    return f"{bar['time']}  {bar['symbol']}  {prices}  {volume:>10}"
