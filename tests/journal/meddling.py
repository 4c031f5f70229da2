"""Another program that writes to the journal's database, which none should."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from trademind.journal.location import locate


@asynccontextmanager
async def writing(place: str) -> AsyncIterator[AsyncConnection]:
    """A connection in the middle of a transaction; what is not committed is taken back."""
    location = locate(place)
    if location.url is not None:
        engine = create_async_engine(location.url, poolclass=NullPool)
    else:
        url = f"sqlite+aiosqlite:///{location.path}"
        engine = create_async_engine(url, poolclass=NullPool, connect_args={"isolation_level": None})
    async with engine.connect() as connection:
        if location.url is None:
            await connection.exec_driver_sql("PRAGMA foreign_keys = ON")
            await connection.exec_driver_sql("BEGIN IMMEDIATE")
        yield connection
    await engine.dispose()
