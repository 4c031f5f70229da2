"""Account reads: how many a server answers, beside its peers, in turns."""

from typing import Final

from tests.bench.load import Load, get
from tests.bench.report import rounds, show
from tests.bench.servers import bare_fastapi, gateway_port, threads_and_queues, trademind

CONNECTIONS: Final = 16


async def table(quick: bool) -> None:
    seconds = 0.5 if quick else 4.0
    best: dict[str, Load] = {}
    with trademind() as ours, bare_fastapi() as bare, threads_and_queues(gateway_port(ours)) as threads:
        for _ in range(rounds(quick)):
            for name, server, path in (
                ("bare FastAPI route, same model", bare, "/account"),
                ("TradeMind GET /api/portfolio/account", ours, "/api/portfolio/account"),
                ("ibapi in a thread, GET /account", threads, "/account"),
            ):
                load = await get(server.port, path, seconds=seconds, connections=CONNECTIONS)
                if name not in best or load.requests_per_second > best[name].requests_per_second:
                    best[name] = load
    full = next(iter(best.values())).requests_per_second
    show(
        f"Account reads, one worker, {CONNECTIONS} connections",
        ("server", "requests/s", "of bare", "p50 ms", "p99 ms"),
        (
            (
                name,
                f"{load.requests_per_second:,.0f}",
                f"{load.requests_per_second / full:.2f}",
                f"{load.p50:.2f}",
                f"{load.p99:.2f}",
            )
            for name, load in best.items()
        ),
    )
