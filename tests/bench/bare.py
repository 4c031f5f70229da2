"""The peer for reads: the least FastAPI can do, one route that returns a model of the same shape."""

import sys

import uvicorn
from fastapi import FastAPI

from trademind.api.schemas.portfolio import AccountOut

FIGURES = dict.fromkeys(AccountOut.model_fields, "250000.00") | {
    "account_id": "DU1234567",
    "currency": "USD",
    "source": "paper",
    "as_of": "2026-01-30T15:30:00Z",
}


def create_app() -> FastAPI:
    app = FastAPI()
    account = AccountOut.model_validate(FIGURES)

    @app.get("/account")
    async def account_route() -> AccountOut:
        return account

    return app


if __name__ == "__main__":
    uvicorn.run(create_app(), port=int(sys.argv[1]), log_level="warning", access_log=False)
