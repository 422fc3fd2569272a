"""The canonical ledger tables on any SQLAlchemy database, made from the catalog (docs/ledger.md 1 and 2).

There are no foreign keys: a ledger is filled by many systems in any order, and `check` says what does not
match. SQLite's NUMERIC is a float and its dates are text, so there exact values are scaled integers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Index,
    MetaData,
    Numeric,
    String,
    Table,
    Text,
    inspect,
)
from sqlalchemy.dialects.mysql import DATETIME, VARCHAR
from sqlalchemy.engine import Dialect, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import AddConstraint, CreateIndex, CreateTable
from sqlalchemy.types import TypeDecorator, TypeEngine

from include.errors import Permanent
from include.ledger.catalog import PLACES, RELATIONS, Field, FieldType, Relation

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# What reports, checks and looks at one customer find rows by, beside the keys.
_INDEXES: dict[str, tuple[tuple[str, ...], ...]] = {
    "transactions": (("created_at",), ("customer_id",), ("card_id",)),
    "customers": (("email",),),
    "cards": (("customer_id",),),
    "tier_changes": (("customer_id",),),
    "redemptions": (("transaction_id",), ("redeemed_at",)),
    "vouchers": (("code",), ("customer_id",)),
    "orders": (("created_at",),),
}


_INDEXED = 190  # so many characters of a text without a length MySQL keeps in an index


class Exact(TypeDecorator[Decimal]):
    """A Decimal with a fixed number of places: NUMERIC(18, places), on SQLite a scaled integer."""

    impl = Numeric
    cache_ok = True

    def __init__(self, places: int) -> None:
        super().__init__(18, places)
        self.places = places

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return what the database stores."""
        plain = BigInteger() if dialect.name == "sqlite" else Numeric(18, self.places)
        return dialect.type_descriptor(plain)

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        """Return what is sent; ValueError for a value with more places than are kept."""
        if value is None:
            return None
        scaled = Decimal(value).scaleb(self.places)
        if scaled != int(scaled):
            raise ValueError(f"{value} has more than {self.places} decimals")
        return int(scaled) if dialect.name == "sqlite" else Decimal(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        """Return the Decimal that was stored."""
        if value is None:
            return None
        return Decimal(value).scaleb(-self.places) if dialect.name == "sqlite" else Decimal(value)


class Instant(TypeDecorator[datetime]):
    """An aware datetime in UTC: timestamptz, DATETIME(6) on MySQL, integer microseconds on SQLite."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return what the database stores."""
        if dialect.name == "sqlite":
            return dialect.type_descriptor(BigInteger())
        if dialect.name in {"mysql", "mariadb"}:
            return dialect.type_descriptor(DATETIME(fsp=6))
        return dialect.type_descriptor(DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Return what is sent; ValueError for an instant without a zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone")
        if dialect.name == "sqlite":
            return (value - EPOCH) // timedelta(microseconds=1)
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name in {"mysql", "mariadb"} else utc

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Return the instant that was stored, in UTC."""
        if value is None:
            return None
        if dialect.name == "sqlite":
            return EPOCH + timedelta(microseconds=value)
        stored: datetime = value
        return stored.replace(tzinfo=UTC) if stored.tzinfo is None else stored.astimezone(UTC)


def _text(length: int) -> TypeEngine[str]:
    """Text that compares as bytes. MySQL needs a length to index it, and four bytes for any character."""
    binary = VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin")
    return String().with_variant(Text(collation="C"), "postgresql").with_variant(binary, "mysql", "mariadb")


_PLAIN: dict[FieldType, TypeEngine[Any]] = {
    FieldType.ID: _text(190),
    FieldType.ENUM: _text(40),
    FieldType.TEXT: Text(),
    FieldType.JSON: Text(),
    FieldType.INSTANT: Instant(),
    FieldType.DATE: Date(),
    FieldType.INTEGER: BigInteger(),
    FieldType.BOOLEAN: Boolean(),
}


def sql_type(field: Field) -> TypeEngine[Any]:
    """Return the column type of a field."""
    places = PLACES.get(field.type)
    return _PLAIN[field.type] if places is None else Exact(places)


def _table(metadata: MetaData, relation: Relation, *, keyed: bool) -> Table:
    columns: list[Column[Any]] = []
    for field in relation.fields:
        in_key = field.name in relation.key
        # An optional key field (subledger_id) is '' when a ledger does not use it.
        default = "" if in_key and not field.required else None
        columns.append(
            Column(
                field.name,
                sql_type(field),
                primary_key=keyed and in_key,
                nullable=field.may_be_null and not in_key,
                server_default=default,
                autoincrement=False,
                comment=field.meaning,
            )
        )
    table = Table(
        relation.name,
        metadata,
        *columns,
        comment=relation.meaning,
        mysql_charset="utf8mb4",
        mysql_engine="InnoDB",
    )
    for names in _INDEXES.get(relation.name, ()):
        long = {name: _INDEXED for name in names if relation.field(name).type is FieldType.TEXT}
        columns_of = (table.c[name] for name in names)
        Index(f"ix_{relation.name}_{'_'.join(names)}", *columns_of, mysql_length=long, mariadb_length=long)
    return table


def metadata(*, keyed: bool = True) -> MetaData:
    """Return all canonical tables; without `keyed` no primary keys, which fills fastest."""
    result = MetaData()
    for relation in RELATIONS.values():
        _table(result, relation, keyed=keyed)
    return result


METADATA = metadata()


def create(engine: Engine) -> None:
    """Create the tables that are missing, with keys and indexes; tables that exist stay as they are.

    Raises Permanent when the database refuses (rights, space).
    """
    with _refusals():
        METADATA.create_all(engine, checkfirst=True)


def create_bare(engine: Engine) -> tuple[Table, ...]:
    """Create missing tables without keys and indexes, for a bulk load, and return them for `add_keys`."""
    with _refusals():
        known = set(inspect(engine).get_table_names())
        bare = metadata(keyed=False)
        missing = [name for name in bare.tables if name not in known]
        with engine.begin() as connection:
            for name in missing:
                connection.execute(CreateTable(bare.tables[name]))
    return tuple(METADATA.tables[name] for name in missing)


def add_keys(engine: Engine, tables: Sequence[Table]) -> None:
    """Give tables from `create_bare` their primary keys and indexes. SQLite cannot: create them with keys."""
    with _refusals(), engine.begin() as connection:
        for table in tables:
            connection.execute(AddConstraint(table.primary_key, isolate_from_table=False))
            for index in sorted(table.indexes, key=lambda index: str(index.name)):
                connection.execute(CreateIndex(index))


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        raise Permanent(f"the ledger's tables cannot be made: {error.orig}") from error


def decimals(points: pa.Array) -> pa.Array:
    """Return points (int64 hundredths) as decimal128(18, 2)."""
    hundredths = points.fill_null(0).to_numpy(zero_copy_only=False)
    words = np.empty((len(hundredths), 2), np.int64)  # little-endian 128-bit integers
    words[:, 0], words[:, 1] = hundredths, hundredths >> 63
    bitmap = None
    if points.null_count:
        bitmap = pa.array(points.is_valid().to_numpy(zero_copy_only=False)).buffers()[1]
    return pa.Array.from_buffers(pa.decimal128(18, 2), len(hundredths), [bitmap, pa.py_buffer(words)])
