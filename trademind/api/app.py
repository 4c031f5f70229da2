"""The application: one app, its own session, nothing global."""

from fastapi import FastAPI

import trademind
from trademind.api.errors import add_handlers
from trademind.api.lifespan import RuntimeOpener, lifespan_of
from trademind.api.openapi import DescribedApp
from trademind.api.routes import (
    backtests,
    bar_jobs,
    contracts,
    executions,
    health,
    market,
    orders,
    portfolio,
    risk,
    scanner,
    signals,
    strategies,
    stream,
    system,
)
from trademind.api.security import Guard
from trademind.runtime import open_runtime as open_real_runtime
from trademind.settings import Settings, load_settings


def create_app(
    settings: Settings | None = None, *, open_runtime: RuntimeOpener = open_real_runtime
) -> FastAPI:
    """A TradeMind application, ready for an ASGI server.

    Its lifespan opens the session and closes it. The app starts also while the gateway is down: `/readyz`
    and whatever needs the session then answer 503 until it is there.

    Args:
        settings: Read from the environment and `.env` if left out.
        open_runtime: Opens the object graph; another one gives the app another broker.

    Raises:
        SettingsError: a setting is wrong.
    """
    settings = settings or load_settings()
    app = DescribedApp(
        title="TradeMind",
        version=trademind.__version__,
        description="A trading server for Interactive Brokers.",
        lifespan=lifespan_of(settings, open_runtime),
        # A redirect would turn a POST to /api/orders/ into a question about where it went.
        redirect_slashes=False,
    )
    # Routes are tried in this order, so the one that is asked for most comes first; and on the app itself,
    # because FastAPI works its way through an included router anew for every request.
    portfolio.add_account_route(app)
    parts = (
        portfolio, orders, market, bar_jobs, scanner, executions, contracts, risk, signals, strategies,
        backtests, system, stream, health,
    )  # fmt: skip
    for part in parts:
        app.include_router(part.router)
    add_handlers(app)
    app.add_middleware(Guard, allowed_hosts=settings.server.allowed_hosts)
    return app
