"""What changed between two files of one export: rows added, removed and changed, by key; exact, from their texts.

The rows of both go through DuckDB with bounded memory, so the order of rows does not matter and files may be
larger than memory. Where no columns but amounts tell two rows apart, their order in the file does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import NamedTuple, Self

import pyarrow as pa

from include.errors import BadInput, Problem
from include.formats import artefact, totals
from include.formats.manifest import Manifest, ManifestFile, read_manifest
from include.formats.reading import Unpacked, unpack_bundle
from include.ledger.catalog import ARROW_TYPES, FieldType
from include.ledger.columns import Column
from include.shaping.engine import Engine

CHANGE = Column("change", FieldType.ENUM)
_ROWS_AT_ONCE = 20_000
_NAMING = (FieldType.ENUM, FieldType.TEXT, FieldType.DATE, FieldType.INSTANT)
# How the texts of numbers become what a format takes.
_CASTS = {
    FieldType.POINTS: "CAST(CAST({} AS DECIMAL(38, 2)) * 100 AS BIGINT)",
    FieldType.MONEY: "CAST({} AS DECIMAL(18, 4))",
    FieldType.RATE: "CAST({} AS DECIMAL(18, 8))",
    FieldType.INTEGER: "CAST({} AS BIGINT)",
}


class Pair(NamedTuple):
    """One row that differs, before and after, as texts; None on the side that does not have it."""

    before: tuple[str | None, ...] | None
    after: tuple[str | None, ...] | None


@dataclass(frozen=True)
class Side:
    """The files that one run made of one export; several when they were split. All have the same columns."""

    files: Sequence[tuple[Path, ManifestFile]]

    @property
    def columns(self) -> list[Column]:
        """Return the columns of the files."""
        return self.files[0][1].written_columns()

    @property
    def rows(self) -> int:
        """Return how many rows they have."""
        return sum(entry.rows for _, entry in self.files)

    @property
    def totals(self) -> dict[str, Decimal]:
        """Return the exact sums by their names."""
        found: dict[str, Decimal] = {}
        for _, entry in self.files:
            for name, total in entry.totals.items():
                found[name] = found.get(name, Decimal(0)) + Decimal(total)
        return found

    def batches(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yield the rows as texts, numbered in their order."""
        done = 0
        schema = _schema(len(names))
        for path, entry in self.files:
            places = [[column.name for column in entry.columns].index(name) for name in names]
            with Unpacked(path, entry) as content:
                rows = content.rows()
                while some := list(islice(rows, _ROWS_AT_ONCE)):
                    cells = [pa.array([row[place] for row in some], pa.string()) for place in places]
                    numbers = pa.array(range(done, done + len(some)), pa.int64())
                    yield pa.RecordBatch.from_arrays([*cells, numbers], schema=schema)
                    done += len(some)


def delivered(before: Path, after: Path, key: Sequence[str] = ()) -> Iterator[tuple[str, Difference]]:
    """Yield each export that both manifests speak of, by id, with what changed; the difference is closed behind.

    The files lie beside their manifests. Raises BadInput for manifests that are none, or have no export in common.
    """
    one, other = read_manifest(before), read_manifest(after)
    names = [name for name in _exports(one) if name in _exports(other)]
    if not names:
        right = f"must be of the same exports as {before.name}: {', '.join(_exports(one))}"
        raise BadInput([Problem(str(after), ", ".join(_exports(other)), right, "exports_differ")])
    with TemporaryDirectory(prefix="diff-") as scratch:
        for name in names:
            sides = []
            for path, manifest in ((before, one), (after, other)):
                folder = path.parent
                if manifest.bundle is not None:
                    folder = Path(mkdtemp(dir=scratch))
                    unpack_bundle(path.parent / manifest.bundle.name, folder)
                sides.append(Side([(folder / file.name, file) for file in _exports(manifest)[name]]))
            with Difference(sides[0], sides[1], key, Path(scratch)) as difference:
                yield name, difference


def _exports(manifest: Manifest) -> dict[str, list[ManifestFile]]:
    found: dict[str, list[ManifestFile]] = {}
    for file in manifest.files:
        if file.holds == "rows":
            found.setdefault(file.export or manifest.origin.export_id, []).append(file)
    return found


class Difference:
    """Two sides compared. Close it, or use it as a context manager.

    key: the columns that tell rows apart. Where none are given, they are found in the later side: its ids, and as many
    others after them as that needs. Amounts are no names: they are what changes. Raises BadInput where the columns
    differ, where the key is not among them, or stands for several rows of one side.
    """

    def __init__(self, before: Side, after: Side, key: Sequence[str], scratch: Path) -> None:
        self._before, self._after = before, after
        self.columns = after.columns
        self._names = [column.name for column in self.columns]
        ids = [column.name for column in self.columns if column.type is FieldType.ID]
        named = [*ids, *(column.name for column in self.columns if column.type in _NAMING)]
        self.key = list(key) or named
        self._check()
        self._engine = Engine(scratch)
        try:
            self._load("now", after)
            self._load("then", before)
            if key:
                self._check_key()
            else:
                self.key = self._telling(named)
            for name in ("then", "now"):
                self._number(name)
            self.added, self.removed, self.changed = self._counts()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Let go of what DuckDB holds."""
        self._engine.close()

    @property
    def same(self) -> bool:
        """Return whether both have the same rows, in whatever order."""
        return not (self.added or self.removed or self.changed)

    def sentence(self) -> str:
        """Return it in words, with the totals that moved."""
        head = "no row changed" if self.same else (
            f"{self.added:,} added, {self.removed:,} removed, {self.changed:,} changed"
        )  # fmt: skip
        sums = [
            f"{name} {then:,f} -> {now:,f}"
            for name, then, now in totals.moved(self._before.totals, self._after.totals)
        ]
        rows = f"{self._before.rows:,} -> {self._after.rows:,} rows"
        return "; ".join([f"{head} ({rows})", *sums])

    @property
    def written(self) -> tuple[Column, ...]:
        """Return the columns of `batches`: the kind of change, then the file's; all but numbers are texts.

        Where the file has a column `change` of its own, the kind is called `change_`.
        """
        taken = {name.casefold() for name in self._names}
        kind = CHANGE.name
        while kind in taken:
            kind += "_"
        return (
            CHANGE._replace(name=kind),
            *(x if x.type in _CASTS else Column(x.name, FieldType.TEXT, x.pii) for x in self.columns),
        )

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield every row that differs, by key: added, removed, or `before` with its `after` right behind it."""
        schema = pa.schema([pa.field(column.name, ARROW_TYPES[column.type]) for column in self.written])
        cells = [_CASTS.get(column.type, "{}") for column in self.columns]
        names = [f"v{at}" for at in range(len(cells))]
        keys = [f"coalesce(a.{each}, b.{each}) AS k{at}" for at, each in enumerate(self._keys())]
        order = ", ".join(f"k{at}" for at in range(len(keys)))
        sides = [
            f"""
            SELECT CASE WHEN {other}.row IS NULL THEN '{alone}' ELSE '{paired}' END AS kind, {place} AS place,
                   coalesce(a.row, b.row) AS row, {", ".join(keys)}, {_named(cells, side)}
            FROM paired WHERE {side}.row IS NOT NULL
            """
            for side, other, alone, paired, place in (
                ("a", "b", "added", "after", 1), ("b", "a", "removed", "before", 0)
            )
        ]  # fmt: skip
        columns = ", ".join([f'kind AS "{CHANGE.name}"', *names])
        query = f"""
            WITH paired AS ({self._paired()})
            SELECT {columns} FROM ({" UNION ALL ".join(sides)}) ORDER BY {order}, row, place
        """
        plain = pa.schema(
            [pa.field(name, field.type) for name, field in zip([CHANGE.name, *names], schema, strict=True)]
        )
        for batch in self._engine.run(query, plain):
            yield pa.RecordBatch.from_arrays(batch.columns, schema=schema)

    def pairs(self, first: int, count: int) -> list[Pair]:
        """Return some of the rows that differ, by key, as their texts; first: how many to leave out."""
        places = range(len(self._names))
        sides = [f"{side}.row IS NOT NULL AS {side}_is" for side in "ba"]
        cells = [f"{side}.c{at} AS {side}{at}" for side in "ba" for at in places]
        order = ", ".join(f"coalesce(a.{key}, b.{key})" for key in self._keys())
        query = f"""
            WITH paired AS ({self._paired()})
            SELECT {", ".join([*sides, *cells])} FROM paired
            ORDER BY {order}, coalesce(a.row, b.row) LIMIT {int(count)} OFFSET {int(first)}
        """
        schema = pa.schema(
            [
                *((f"{side}_is", pa.bool_()) for side in "ba"),
                *((f"{x}{at}", pa.string()) for x in "ba" for at in places),
            ]
        )
        return [
            Pair(
                *(tuple(row[f"{side}{at}"] for at in places) if row[f"{side}_is"] else None for side in "ba")
            )
            for batch in self._engine.run(query, schema)
            for row in batch.to_pylist()
        ]

    def write(self, folder: Path, stem: str) -> Path:
        """Write the rows that differ into a folder, like the later file; return where."""
        file = self._after.files[0][1].file_options()
        path = folder / f"{stem}{file.extension}"
        return artefact.write(path, self.written, self.batches(), file).path

    def _check(self) -> None:
        then = [column.name for column in self._before.columns]
        if then != self._names:
            right = f"must be the columns of the other file: {', '.join(self._names)}"
            raise BadInput([Problem("columns", ", ".join(then), right, "columns_differ")])
        wrong = [name for name in self.key if name not in self._names]
        if wrong or not self.key:
            right = f"must be columns of the file: {', '.join(self._names)}"
            raise BadInput([Problem("key", name, right, "unknown_field") for name in wrong or [""]])

    def _check_key(self) -> None:
        shared = max(
            side.rows - self._distinct(name, self.key)
            for name, side in (("then", self._before), ("now", self._after))
        )
        if shared:
            right = (
                f"must tell rows apart, but {shared:,} have that of another row; add columns, or leave it out"
            )
            raise BadInput([Problem("key", ", ".join(self.key), right, "key_not_unique")])

    def _keys(self) -> list[str]:
        return [f"c{self._names.index(each)}" for each in self.key]

    def _load(self, name: str, side: Side) -> None:
        reader = pa.RecordBatchReader.from_batches(_schema(len(self._names)), side.batches(self._names))
        self._engine.add_reader("read", reader)
        self._engine.execute(f"CREATE TABLE {name}_read AS SELECT * FROM read")

    def _number(self, name: str) -> None:
        """Number the rows of one key in their order."""
        number = f"row_number() OVER (PARTITION BY {', '.join(self._keys())} ORDER BY row)"
        self._engine.execute(f"CREATE TABLE {name}_rows AS SELECT *, {number} AS n FROM {name}_read")
        self._engine.execute(f"DROP TABLE {name}_read")

    def _telling(self, names: Sequence[str]) -> list[str]:
        """Return as many of these columns as tell the later rows apart, all where nothing does."""
        for count in range(1, len(names)):
            if self._distinct("now", names[:count]) == self._after.rows:
                return list(names[:count])
        return list(names)

    def _distinct(self, table: str, names: Sequence[str]) -> int:
        kept = ", ".join(f"c{self._names.index(name)}" for name in names)
        query = f"SELECT count(*) AS found FROM (SELECT DISTINCT {kept} FROM {table}_read)"
        [row] = self._engine.run(query, pa.schema([("found", pa.int64())]))
        return int(row.column("found")[0].as_py())

    def _paired(self) -> str:
        """Return the query of the pairs of rows (b, a) that differ; one of the two is all null for a row alone."""
        on = " AND ".join(f"b.{key} IS NOT DISTINCT FROM a.{key}" for key in [*self._keys(), "n"])
        differ = " OR ".join(f"a.c{at} IS DISTINCT FROM b.c{at}" for at in range(len(self._names)))
        return (
            f"SELECT a, b FROM then_rows AS b FULL JOIN now_rows AS a ON {on} "
            f"WHERE a.row IS NULL OR b.row IS NULL OR {differ}"
        )

    def _counts(self) -> tuple[int, int, int]:
        names = ("added", "removed", "changed")
        query = f"""
            WITH paired AS ({self._paired()})
            SELECT count(*) FILTER (b.row IS NULL) AS added, count(*) FILTER (a.row IS NULL) AS removed,
                   count(*) FILTER (a.row IS NOT NULL AND b.row IS NOT NULL) AS changed FROM paired
        """
        [found] = [
            row
            for batch in self._engine.run(query, pa.schema([(x, pa.int64()) for x in names]))
            for row in batch.to_pylist()
        ]
        return found["added"], found["removed"], found["changed"]


def _schema(count: int) -> pa.Schema:
    return pa.schema([*((f"c{at}", pa.string()) for at in range(count)), ("row", pa.int64())])


def _named(casts: Sequence[str], side: str) -> str:
    return ", ".join(f"{cast.format(f'{side}.c{at}')} AS v{at}" for at, cast in enumerate(casts))
