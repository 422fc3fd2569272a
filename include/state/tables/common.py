"""What every table of the state database is made of: names, types, and the database's clock.

All names begin with `loyalty_`, so that the tables can live beside others. Instants are BIGINT microseconds
of UTC (SQLite has no type for them); documents are JSON. Migrations make these tables; see `upgrade`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Dialect,
    MetaData,
    String,
    TypeDecorator,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

PREFIX = "loyalty_"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def microseconds(instant: datetime) -> int:
    """Return a zoned instant as whole microseconds since 1970 UTC, exactly."""
    return (instant - EPOCH) // MICROSECOND


def instant(value: int) -> datetime:
    """Return the UTC instant of microseconds since 1970, exactly."""
    return EPOCH + value * MICROSECOND


class Instant(TypeDecorator[datetime]):
    """A zoned datetime in Python, BIGINT microseconds in the database."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        """Refuse an instant without a zone; store microseconds."""
        if value is not None and value.tzinfo is None:
            raise ValueError(f"an instant without a zone: {value}")
        return None if value is None else microseconds(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Give UTC back."""
        return None if value is None else instant(value)


class Now(FunctionElement[int]):
    """The database's own clock in microseconds, so that the clocks of hosts need not agree."""

    type = BigInteger()
    inherit_cache = True
    name = "loyalty_now"


@compiles(Now, "postgresql")
def _now_postgresql(_element: Now, _compiler: Any, **_: Any) -> str:
    return "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)"


@compiles(Now, "sqlite")
def _now_sqlite(_element: Now, _compiler: Any, **_: Any) -> str:
    return "CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)"


METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
KEY = String(64)
NAME = String(255)
DOCUMENT = JSON(none_as_null=True)
