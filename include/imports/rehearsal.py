"""A rehearsal: all that posting would do, found without changing anything, and the rows that would be posted.

The rows are one Parquet file, which is what posting books: what people agreed to is what happens. Result files and undo
files are made from it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from include.errors import BadInput
from include.imports import figures, members, outcome, staging
from include.imports.bench import Bench, Lines
from include.imports.effects import Rehearsal, RowStatus
from include.imports.options import Mode, Options
from include.imports.outcome import MESSAGES, SKIPPED
from include.imports.reading import ImportFile
from include.imports.rows import Batch
from include.imports.sessions import Session
from include.imports.staging import NUMBER, TEXT
from include.reports.engine.files import ahead
from include.snapshots.erased import Erased

# line: of the file. customer_id, email, card_id: as the file says; customer, card: who that is. Points and balances are
# hundredths, instants microseconds.
PLAN = pa.schema(
    [
        ("line", NUMBER),
        ("status", TEXT),
        ("code", TEXT),
        ("message", TEXT),
        ("customer_id", TEXT),
        ("email", TEXT),
        ("card_id", TEXT),
        ("customer", TEXT),
        ("card", TEXT),
        ("subledger", TEXT),
        ("points", NUMBER),
        ("expected", NUMBER),
        ("activates", NUMBER),
        ("expires", NUMBER),
        ("reason", TEXT),
        ("related", TEXT),
        ("birthday", TEXT),
        ("old_birthday", TEXT),
        ("balance_before", NUMBER),
        ("balance_after", NUMBER),
    ]
)
_BALANCES = ("balance_before", "balance_after")
_GROUP_ROWS = 65_536
Progress = Callable[[str, int, int | None], None]


class Unreadable(BadInput):
    """The file cannot be read as what it should be: nothing of it can be posted."""


def rehearse(
    session: Session,
    bench: Bench,
    file: ImportFile,
    options: Options,
    erased: Erased | None,
    progress: Progress,
) -> tuple[Rehearsal, Path]:
    """Return what posting a file would do, and its rows as a file of the bench; raises what reading the file raises."""
    lines = staging.stage(session, bench, _counted(file, progress), options.subledger)
    notes = (*file.notes, *_of_which_program(session, options))
    progress("match", 0, bench.rows("loyalty_said"))
    members.match(session, bench, lines, options, erased)
    return conclude(session, bench, lines, options, notes, progress)


def conclude(
    session: Session, bench: Bench, lines: Lines, options: Options, notes: tuple[str, ...], progress: Progress
) -> tuple[Rehearsal, Path]:
    """Return what posting the rows of `loyalty_found` would do, and the rows as a file of the bench's folder."""
    path = bench.folder / "rows.parquet"
    with readable():
        counts = _write(outcome.work_out(session, bench, lines, options), bench, path, progress)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return figures.figures(session, bench, options.program, counts, notes, digest), path


def _of_which_program(session: Session, options: Options) -> Iterator[str]:
    """Yield a note where balances are set by rows that do not say of which program they are, and there are several."""
    if options.mode is not Mode.RESET:
        return
    [programs] = session.one("SELECT count(*) AS n FROM programs")
    [said] = session.one("SELECT count(program) AS n FROM loyalty_staged")
    if programs > 1 and not said:
        yield (
            f"no row says its program, and the ledger has {programs}: the balances are taken as those of "
            f"{options.program} alone, not as sums of several"
        )


def _counted(file: ImportFile, progress: Progress) -> Iterator[Batch]:
    done = 0
    with readable():
        for batch in file.batches():
            yield batch
            done += len(batch.rows)
            progress("read", done, None)


@contextmanager
def readable() -> Iterator[None]:
    """Turn what is wrong with a file as a whole into Unreadable."""
    try:
        yield
    except BadInput as error:
        raise Unreadable(error.problems) from error


def _write(rows: Iterator[pa.RecordBatch], bench: Bench, path: Path, progress: Progress) -> Counter[str]:
    """Write rows of OUTCOME as the plan, and what figures sum as `loyalty_effects`; return how many of each status."""
    counts: Counter[str] = Counter()
    effects = bench.table(
        "loyalty_effects", figures.EFFECTS, bench.hashed("spread", bench.rows("loyalty_said"))
    )
    with pq.ParquetWriter(path, PLAN, compression="zstd", compression_level=1) as writer:
        for batch in ahead(rows):
            judged = _judged(batch)
            writer.write_batch(judged, row_group_size=_GROUP_ROWS)
            for each in pc.value_counts(judged.column("status")).to_pylist():
                counts[each["values"]] += each["counts"]
            done = batch.filter(batch.column("code").is_null())
            effects.write(
                done.append_column("spread", pc.coalesce(done.column("customer"), done.column("card")))
            )
            progress("rehearse", counts.total(), None)
    return counts


def _judged(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return rows as the plan has them: each with its status, and a sentence where it is not booked."""
    codes = batch.column("code")
    columns = {name: batch.column(name) for name in batch.schema.names}
    columns["status"] = pc.if_else(
        codes.is_null(),
        RowStatus.DONE.value,
        pc.if_else(
            pc.is_in(codes, value_set=pa.array(list(SKIPPED))), RowStatus.SKIPPED.value, RowStatus.WRONG.value
        ),
    )
    # The balances of accounts that no row books were not looked up.
    known = pc.or_kleene(
        pc.not_equal(columns["status"], RowStatus.WRONG.value), pc.equal(codes, "stale_balance")
    )
    for name in _BALANCES:
        columns[name] = pc.if_else(known, columns[name], None)
    columns["message"] = _messages(batch) if codes.null_count < len(codes) else pa.nulls(len(batch), TEXT)
    arrays = [columns[field.name].cast(field.type) for field in PLAN]
    return pa.RecordBatch.from_arrays(arrays, schema=PLAN)


def _messages(batch: pa.RecordBatch) -> pa.Array:
    codes = batch.column("code")
    which = pc.index_in(codes, value_set=pa.array(list(MESSAGES), TEXT))
    texts = pc.if_else(
        pc.equal(codes, "file"), batch.column("said"), pa.array(MESSAGES.values(), TEXT).take(which)
    )
    stale = pc.fill_null(pc.equal(codes, "stale_balance"), False)
    rows = batch.select(["balance_before", "expected"]).filter(stale).to_pylist()
    told = [
        MESSAGES["stale_balance"].format(
            before=figures.hundredths(row["balance_before"]), expected=figures.hundredths(row["expected"])
        )
        for row in rows
    ]
    return pc.replace_with_mask(texts, stale, pa.array(told, TEXT))
