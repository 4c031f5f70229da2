"""The HTTP peers: the least FastAPI can do with models of the same shapes, and no broker behind it."""

import sys

import uvicorn
from fastapi import FastAPI

from trademind.api.schemas.order_requests import OrderIn
from trademind.api.schemas.portfolio import AccountOut

FIGURES = dict.fromkeys(AccountOut.model_fields, "250000.00") | {
    "account_id": "DU1234567",
    "currency": "USD",
    "source": "paper",
    "as_of": "2026-01-30T15:30:00Z",
    "stale": False,
}


def create_app() -> FastAPI:
    app = FastAPI()
    account = AccountOut.model_validate(FIGURES)

    @app.get("/account")
    async def account_route() -> AccountOut:
        return account

    @app.post("/orders", status_code=201)
    async def order_route(order: OrderIn) -> OrderIn:
        return order

    return app


if __name__ == "__main__":
    uvicorn.run(create_app(), port=int(sys.argv[1]), log_level="warning", access_log=False)
