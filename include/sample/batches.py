"""The whole sample ledger as a stream of Arrow batches: the same seed and sizes give the same rows."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from include.sample.members import members
from include.sample.movements import movements
from include.sample.plan import Plan
from include.sample.programs import programs
from include.sample.surroundings import surroundings


def generate(plan: Plan | None = None) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yield (relation, batch): all fields of the catalog in its physical types; in bounded memory.

    Programs and members come first, then movements in the order in which a ledger would have written them.
    """
    chosen = plan or Plan()
    yield from programs(chosen)
    yield from members(chosen)
    yield from movements(chosen)
    yield from surroundings(chosen)
