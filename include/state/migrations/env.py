"""What Alembic runs: our tables only, batch mode for SQLite, one database transaction for all revisions."""

from __future__ import annotations

from alembic import context

from include.state.database import VERSION_TABLE
from include.state.tables import METADATA, PREFIX, Instant


def ours(name: str | None, kind: str, _parents: object) -> bool:
    """Leave every table alone that does not carry our prefix: the database may be shared."""
    return kind != "table" or (name or "").startswith(PREFIX)


def plain(kind: str, item: object, _context: object) -> str | bool:
    """Write our own types into new revisions as what they are: a revision must not change with the code."""
    return "sa.BigInteger()" if kind == "type" and isinstance(item, Instant) else False


with context.config.attributes["engine"].connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=METADATA,
        version_table=VERSION_TABLE,
        include_name=ours,
        render_item=plain,
        render_as_batch=True,
    )
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
