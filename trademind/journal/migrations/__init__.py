"""How the journal's tables come to be, and how those of an earlier version become the present ones.

Alembic's scripts are in `versions`. They run inside one transaction of the connection they are given, so a
journal has either the old tables or the new ones, however the process ends. Where the tables are the newest
already, which is nearly always, Alembic is not even loaded.
"""

import asyncio
import importlib
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Column, Connection, MetaData, Table, Text, inspect, select

REVISIONS: Final = ("0001", "0002", "0003")
"""Every schema there has been, oldest first. A test compares them with the scripts."""

VERSION_TABLE: Final = "journal_version"
"""A name of our own: in PostgreSQL other programs' tables may be beside ours."""

_version = Table(VERSION_TABLE, MetaData(), Column("version_num", Text))


def revision(connection: Connection) -> str | None:
    """Which schema the database has; None where it has no journal."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found: str | None = connection.execute(select(_version.c.version_num)).scalar()
    return found


async def load() -> None:
    """Load what `upgrade` needs: that takes a good part of a second, in which the loop would stand still."""
    await asyncio.to_thread(importlib.import_module, "alembic.command")


def upgrade(connection: Connection) -> None:
    """Bring the tables to the newest schema, as part of the connection's transaction."""
    from alembic import command

    command.upgrade(config(connection), "head")


def config(connection: Connection | None = None) -> Any:
    """Alembic's configuration; there is no file to find."""
    from alembic.config import Config

    made = Config()
    # A % would be taken for a reference to another option.
    made.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    made.set_main_option("path_separator", "os")
    made.attributes["connection"] = connection
    return made
