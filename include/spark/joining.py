"""The driver's part of reports that are not of single accounts: what tasks saw of ranges, joined in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from include.formats.styles import plain
from include.reports.engine.packed import unpack
from include.reports.engine.render import Job, join
from include.reports.engine.shares import Seen
from include.reports.model import LocalSnapshot
from include.scratch import working_folder
from include.snapshots.local import local
from include.snapshots.store import Store
from include.spark import tasks
from include.spark.booked import TRANSACTIONS, BookedModule, unbooked
from include.spark.plan import Plan
from include.spark.types import report_schema, spark_batch


def check(plan: Plan) -> None:
    """Raise BadInput for a report that is not made of booked accounts, or cannot be made."""
    with working_folder(plan.scratch, "spark-join") as folder:
        if not BookedModule(plan.module).report(plan.asked, _snapshot(plan, folder), folder).cuts:
            raise unbooked(plan.report)


def joined(plan: Plan, parts: Iterable[tuple[int, bytes]]) -> pa.Table:
    """Return the report's rows from its parts: numbers of ranges, and the pieces of each one's file in order."""
    columns = plan.module.columns(plan.asked.options)

    def sink(batches: Iterator[pa.RecordBatch]) -> list[pa.RecordBatch]:
        rows = []
        for batch in batches:
            arrays = [plain(array) for array in batch.columns]
            rows.append(spark_batch(columns, pa.RecordBatch.from_arrays(arrays, batch.schema.names)))
        return rows

    with working_folder(plan.scratch, "spark-join") as folder:
        for number, piece in parts:
            with (folder / f"{number:05}.zip").open("ab") as file:
                file.write(piece)

        def stretches(own: Path) -> Iterator[Seen]:
            for path in sorted(folder.glob("*.zip")):
                place = own / path.stem
                place.mkdir()
                yield unpack(path, place)

        [rows] = join([Job(plan.module, plan.asked, sink)], _snapshot(plan, folder), folder, stretches)
    return pa.Table.from_batches(rows, report_schema(columns))


def _snapshot(plan: Plan, folder: Path) -> LocalSnapshot:
    others = tasks.shared(plan)
    return LocalSnapshot(_Files(plan, others.files, folder), others.columns)


class _Files(Mapping[str, Sequence[Path]]):
    """The files of relations; those of transactions are fetched where a report's end reads them."""

    def __init__(self, plan: Plan, others: Mapping[str, Sequence[Path]], folder: Path) -> None:
        self._plan, self._files, self._folder = plan, dict(others), folder

    def __getitem__(self, relation: str) -> Sequence[Path]:
        if relation == TRANSACTIONS and relation not in self._files:
            store = Store(self._plan.store_url)
            self._files |= local(store, self._plan.manifest, [TRANSACTIONS], self._folder)
        return self._files[relation]

    def __iter__(self) -> Iterator[str]:
        return iter({*self._files, TRANSACTIONS})

    def __len__(self) -> int:
        return len({*self._files, TRANSACTIONS})
