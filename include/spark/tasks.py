"""What runs in Spark's Python workers: transactions are read and spread, and ranges of accounts booked and reported.

Each function takes and gives Arrow batches, as `mapInArrow` does. Files come from the store by our own readers, each
checked against the snapshot's manifest, and a range is rendered by `reports.engine.render` as a run renders all: sorted
and booked by the same kernel, in memory that does not follow the range's size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from itertools import chain
from pathlib import Path
from typing import cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from include.errors import Permanent
from include.formats.styles import plain
from include.ledger.catalog import BOOKING_COLUMNS, RELATIONS, arrow_schema
from include.ledger.hashing import account_hashes
from include.reports.engine import files
from include.reports.engine.blocking import Blocking
from include.reports.engine.files import Spool
from include.reports.engine.joins import hash_range
from include.reports.engine.packed import pack
from include.reports.engine.partitions import Stretch, in_cut
from include.reports.engine.render import Job, render, render_stretch
from include.reports.model import LocalSnapshot, ReportModule
from include.scratch import working_folder
from include.snapshots.local import local
from include.snapshots.store import Store
from include.spark.booked import TRANSACTIONS, BookedModule
from include.spark.failures import told
from include.spark.plan import Plan, code
from include.spark.types import spark_batch
from include.state.tables import instant

Batches = Iterator[pa.RecordBatch]
Task = Callable[[Batches], Batches]
RANGE = "account_range"
PROBLEMS = pa.schema([("rule", pa.string()), ("count", pa.int64()), ("ids", pa.list_(pa.string()))])
IDS = pa.schema([("transaction_id", pa.string())])
# A file of what was seen of a range, in pieces that follow each other.
PARTS = pa.schema([(RANGE, pa.int32()), ("piece", pa.binary())])
_PIECE_BYTES = 16 << 20
_BATCH_ROWS = 65_536
_ACCOUNT = ("program_id", "subledger_id", "card_id", "customer_id")


def spread(plan: Plan) -> Task:
    """Return what reads the files whose places in the manifest it is given, and numbers the range of each row."""

    @told
    def task(places: Batches) -> Batches:
        for batch in _rows(plan, places, plan.columns):
            kept = in_cut(batch, plan.asked.cut)
            hashes = account_hashes(*(kept.column(name) for name in _ACCOUNT))
            numbers = pa.array(hash_range(hashes, plan.tasks).astype(np.int32))
            yield kept.append_column(RANGE, numbers)

    return task


def problems(plan: Plan) -> Task:
    """Return what finds rows that stop a run, in the files whose places it is given: PROBLEMS."""

    @told
    def task(places: Batches) -> Batches:
        blocking = Blocking()
        for batch in _rows(plan, places, BOOKING_COLUMNS):
            in_cut(batch, plan.asked.cut, blocking)
        found = [dict(zip(PROBLEMS.names, each, strict=True)) for each in blocking.found()]
        yield pa.RecordBatch.from_pylist(found, schema=PROBLEMS)

    return task


def ids(plan: Plan) -> Task:
    """Return what gives the ids of the rows of the cut, from the files whose places it is given: IDS."""

    @told
    def task(places: Batches) -> Batches:
        for batch in _rows(plan, places, BOOKING_COLUMNS):
            yield in_cut(batch, plan.asked.cut).select(IDS.names)

    return task


def report(plan: Plan) -> Task:
    """Return what reports a range of accounts, given all of its rows, in any order."""

    @told
    def task(rows: Batches) -> Batches:
        module, asked = plan.module, plan.asked
        with working_folder(plan.scratch, "spark") as folder:
            taken = folder / f"{TRANSACTIONS}.parquet"
            _write(plan, rows, taken)
            others = shared(plan)
            snapshot = LocalSnapshot({**others.files, TRANSACTIONS: [taken]}, others.columns)
            made = Spool(folder / "rows.arrow")

            def sink(batches: Batches) -> None:
                for batch in batches:
                    arrays = [plain(array) for array in batch.columns]
                    made.write(pa.RecordBatch.from_arrays(arrays, batch.schema.names))

            render([Job(module, asked, sink)], snapshot, folder)
            taken.unlink()
            columns = module.columns(asked.options)
            for batch in made.batches():
                yield spark_batch(columns, batch)

    return task


def part(plan: Plan) -> Task:
    """Return what sees a range of accounts, given all of its rows, in any order, for who joins all ranges: PARTS."""

    @told
    def task(rows: Batches) -> Batches:
        first = next((batch for batch in rows if len(batch)), None)
        if first is None:
            return
        number = first.column(RANGE)[0].as_py()
        with working_folder(plan.scratch, "spark") as folder:
            taken, packed = folder / f"{TRANSACTIONS}.parquet", folder / "part.zip"
            _write(plan, chain([first], rows), taken)
            others = shared(plan)
            snapshot = LocalSnapshot({**others.files, TRANSACTIONS: [taken]}, others.columns)
            jobs = [Job(cast("ReportModule", BookedModule(plan.module)), plan.asked, list)]
            render_stretch(jobs, snapshot, folder, Stretch(number, plan.tasks), partial(pack, path=packed))
            with packed.open("rb") as file:
                while piece := file.read(_PIECE_BYTES):
                    yield pa.RecordBatch.from_arrays(
                        [pa.array([number], pa.int32()), pa.array([piece])], schema=PARTS
                    )

    return task


def _rows(plan: Plan, places: Batches, columns: tuple[str, ...]) -> Batches:
    """Yield transactions of the files that `places` (a column of numbers) name, unless none is of the cut."""
    _same_code(plan)
    held = plan.manifest.relations[TRANSACTIONS]
    for numbers in places:
        for place in numbers.column(0).to_pylist():
            one = held.model_copy(update={"files": (held.files[place],)})
            manifest = plan.manifest.model_copy(update={"relations": {TRANSACTIONS: one}})
            with working_folder(plan.scratch, "spark") as folder:
                before = instant(plan.asked.as_of)
                paths = local(Store(plan.store_url), manifest, [TRANSACTIONS], folder, before=before)
                yield from files.batches(TRANSACTIONS, paths[TRANSACTIONS], columns, batch_rows=_BATCH_ROWS)


def _write(plan: Plan, rows: Batches, path: Path) -> None:
    """Write the rows into a file, as a snapshot has them."""
    _same_code(plan)
    schema = arrow_schema(RELATIONS[TRANSACTIONS], plan.columns)
    with pq.ParquetWriter(path, schema, compression="lz4", write_statistics=False) as writer:
        for batch in rows:
            if len(batch):
                writer.write_batch(batch.select(schema.names).cast(schema))


_folders = ExitStack()
_shared: dict[tuple[str, str, frozenset[str]], LocalSnapshot] = {}


def shared(plan: Plan) -> LocalSnapshot:
    """Bring the other relations to this machine, once for all in this process who ask for the same."""
    needs = frozenset(plan.module.needs(plan.asked.options)) - {TRANSACTIONS}
    key = (plan.store_url, plan.manifest.id, needs)
    if key not in _shared:
        _shared.clear()
        _folders.close()
        # The folder goes with the next task, or when somebody sees that this process is gone.
        folder = _folders.enter_context(working_folder(plan.scratch, "spark-shared"))
        found = local(Store(plan.store_url), plan.manifest, sorted(needs), folder)
        _shared[key] = LocalSnapshot(found, plan.manifest.columns())
    return _shared[key]


def _same_code(plan: Plan) -> None:
    if plan.code != code():
        right = "install the same version of this product on the driver and on every executor"
        raise Permanent(f"the driver runs {plan.code}, this executor {code()}: {right}")
