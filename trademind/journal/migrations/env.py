"""What Alembic runs to reach the database: it is given the connection, and leaves the transaction alone."""

from alembic import context

from trademind.journal.migrations import VERSION_TABLE
from trademind.journal.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    # SQLite can do this as long as the transaction is begun explicitly, as `database` does.
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
