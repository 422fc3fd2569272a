"""One attempt at a snapshot: each relation out of the one database transaction, whole or what differs of it."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow as pa

from include.ledger.catalog import RELATIONS
from include.ledger.people import naming
from include.snapshots import increment, proof, updates
from include.snapshots.days import DAY_MICROSECONDS, Days, DayTotals, told_by
from include.snapshots.erased import Erased
from include.snapshots.late import Comparison
from include.snapshots.local import Damaged
from include.snapshots.manifest import (
    Increment,
    SnapshotFile,
    SnapshotManifest,
    SnapshotRelation,
    SnapshotTotals,
    attempt_folder,
)
from include.snapshots.parquet import RelationFiles
from include.snapshots.proof import FileTally, Proof, RelationProof
from include.snapshots.reading import UPDATED_AT, Reading
from include.snapshots.source import Source, public_url
from include.snapshots.store import Store
from include.state.identity import code_version
from include.state.leases import Heartbeat
from include.state.tables import instant

LOG = logging.getLogger(__name__)
Progress = Callable[[str, int, int | None], None]
"""Called with the stage, the rows done and the rows in all (None: unknown)."""
BATCHES_AHEAD = 3
_LARGEST = "transactions"


@dataclass(frozen=True)
class _Taken:
    """A relation as it was taken: `tallies` of all its files by key; `rows_read` came from the ledger."""

    relation: SnapshotRelation
    tallies: dict[str, FileTally]
    rows_read: int
    totals: DayTotals | None = None
    increment: Increment | None = None
    turn: int = 0

    @property
    def proof(self) -> RelationProof | None:
        """What the source said of it, where that is what the files hold."""
        if self.totals is None:
            return None
        made = RelationProof(
            formula=self.totals.formula, days=dict(self.totals.days), files=self.tallies, turn=self.turn
        )
        return made if made.holds() else None


class _Stopped(Exception):
    """The relations that are read at the same time could not be read."""


class _Lost(Exception):
    """A file of the base, by its key, is not what it was."""


@dataclass
class Attempt:
    """Where an attempt reads from and writes to, and whom it asks and tells on the way.

    proving: the source computes control totals, so that the next snapshot can begin from this one. proof_days: how
    many of the last days are proven each time, the others in turn; 0: all. base: the one that this one begins from.
    """

    name: str
    source: Source
    store: Store
    key: str
    scratch: Path
    beat: Heartbeat
    progress: Progress | None
    erased: Erased | None
    proving: bool
    proof_days: int
    base: increment.Base | None
    _names: int = field(default=0, init=False)
    _stopped: threading.Event = field(default_factory=threading.Event, init=False)
    _telling: threading.Lock = field(default_factory=threading.Lock, init=False)

    def extract(self, reading: Reading, asked: dict[str, list[str]]) -> SnapshotManifest:
        """Read every relation that was asked for; return the manifest, which has no generation yet."""
        has = [name for name in asked if reading.has(name)]
        present = {name: self._present(reading, name, asked[name]) for name in has}
        taken = self._taken(reading, present)
        relations: dict[str, SnapshotRelation] = {}
        for name in has:
            absent = tuple(column for column in asked[name] if column not in present[name])
            relations[name] = taken[name].relation.model_copy(update={"absent": absent})
        oldest = reading.oldest_open_transaction()
        recorded = reading.has("transactions") and "recorded_at" in reading.columns("transactions")
        proven = {name: made for name, each in taken.items() if (made := each.proof) is not None}
        read_at = instant(reading.read_at)
        booked = taken.get("transactions")
        return SnapshotManifest(
            id="",
            source=public_url(self.source.url),
            source_key=self.key,
            mapping_hash=self.source.mapping_sha256,
            generation=0,
            attempt=self.name,
            read_at=read_at,
            oldest_open_transaction=None if oldest is None else instant(oldest),
            has_recorded_at=recorded,
            relations=relations,
            absent=tuple(name for name in asked if name not in relations),
            totals=proof.totals(booked.relation.files, booked.tallies) if booked else SnapshotTotals(),
            code_version=code_version(),
            erasures=self.erased.digest if self.erased else None,
            rows_read=sum(each.rows_read for each in taken.values()),
            whole_at=(self.base.manifest.whole_at if self.base else read_at) if self.proving else None,
            proof=Proof(relations=proven).stored(self.store, attempt_folder(self.key, self.name)),
            increment=booked.increment if booked else None,
        )

    def _present(self, reading: Reading, relation: str, columns: Sequence[str]) -> list[str]:
        """Return what to read of a relation, in the catalog's order, whatever order it was asked in."""
        there = reading.columns(relation)
        wanted = {*columns, *(told_by(RELATIONS[relation], there) if self.proving and columns else ())}
        return [name for name in RELATIONS[relation].names if name in there and name in wanted]

    def _taken(self, reading: Reading, present: dict[str, list[str]]) -> dict[str, _Taken]:
        """Take the relations: the largest beside all others where all is read whole and the ledger allows it."""

        def take(one: Reading, names: Sequence[str]) -> dict[str, _Taken]:
            return {name: self._relation(one, name, present[name], reading.columns(name)) for name in names}

        others = [name for name in present if name != _LARGEST]
        if self.base is not None or len(others) == len(present) or not others:
            return take(reading, list(present))
        with reading.beside() as beside:
            if beside is None:
                return take(reading, list(present))
            with ThreadPoolExecutor(1, "relations") as pool:
                rest = pool.submit(take, beside, others)
                rest.add_done_callback(lambda done: self._stopped.set() if done.exception() else None)
                try:
                    largest = take(reading, [_LARGEST])
                except _Stopped:
                    largest = {}  # for the other one's sake, whose error follows
                except BaseException:
                    self._stopped.set()
                    raise
                return largest | rest.result()

    def _relation(
        self, reading: Reading, relation: str, present: Sequence[str], there: Sequence[str]
    ) -> _Taken:
        if not present:
            return _Taken(self._files(relation, present, relation).close(), {}, 0)
        columns = self.base.columns(relation, present, there) if self.base else tuple(present)
        trusted = relation in self.source.trusted
        if trusted and (made := self._updated(reading, relation, columns)) is not None:
            return made
        proving = self.proving and not trusted
        today = reading.read_at // DAY_MICROSECONDS
        asked = increment.to_prove(self.base, relation, self.proof_days, today) if proving else None
        totals = reading.day_totals(relation, columns, asked) if proving else None
        while (plan := increment.plan(self.base, relation, columns, totals, asked)) is not None:
            assert self.base is not None
            try:
                made = self._again(reading, relation, columns, plan, self.base)
            except _Lost as lost:
                self.base = self.base.without(str(lost))
                continue
            made = replace(made, totals=plan.totals, turn=plan.proof.turn + 1 if asked else 0)
            if made.proof is not None:
                return made
            LOG.warning("%s: days that were read are not what the ledger counts; it is read whole", relation)
            break
        if asked:
            totals = reading.day_totals(relation, columns)
        files = self._files(relation, columns, relation)
        held = self._copy(self._stream(reading, relation, columns), files)
        return _Taken(held, files.tallies, files.rows, totals)

    def _again(
        self,
        reading: Reading,
        relation: str,
        columns: Sequence[str],
        plan: increment.Plan,
        base: increment.Base,
    ) -> _Taken:
        """Take over the base's files without days that differ, and read those; raise _Lost for a file that is bad."""
        counts = {day: total.rows for day, total in plan.proof.days.items()}
        comparison = (
            Comparison(base.manifest, plan.comparable, counts) if relation == "transactions" else None
        )
        files: list[SnapshotFile] = []
        tallies: dict[str, FileTally] = {}
        for file in plan.files:
            if file.key not in plan.touched:
                files.append(file)
                tallies[file.key] = plan.proof.files[file.key]
                continue
            cut = self._files(relation, columns, f"{relation}-{self._next()}-rest", one=True)
            self._cut(file, plan, cut, comparison)
            files += cut.close().files
            tallies |= cut.tallies
        fresh = self._files(relation, columns, f"{relation}-{self._next()}-days")
        read = self._stream(reading, relation, columns, plan.days)
        files += self._copy(
            _seen(read, comparison), fresh, rows_before=sum(file.rows for file in files)
        ).files
        tallies |= fresh.tallies
        held = SnapshotRelation(
            columns=tuple(columns), rows=sum(file.rows for file in files), files=tuple(files)
        )
        found = comparison.found(len(plan.differing)) if comparison else None
        return _Taken(held, tallies, fresh.rows, increment=found)

    def _updated(self, reading: Reading, relation: str, columns: tuple[str, ...]) -> _Taken | None:
        """Take over the base's rows but those updated since, and read these; None where all must be read."""
        held = self.base.manifest.relations.get(relation) if self.base else None
        if self.base is None or held is None or held.columns != columns or not reading.reads_days:
            return None
        if not updates.can_replace(relation, columns) or any(
            file.key in self.base.bad for file in held.files
        ):
            return None
        updated = updates.Updated(relation)
        fresh = self._files(relation, columns, f"{relation}-{self._next()}-updated")
        read = self._stream(reading, relation, columns, updates.since(self.base.manifest), by=UPDATED_AT)
        made = self._copy(updated.seen(read), fresh)
        if updated.too_many:
            return None
        files, keys = list(made.files), updated.keys()
        try:
            for file in held.files:
                files += self._not_updated(file, relation, columns, updated, keys)
        except Damaged as error:
            LOG.warning("%s; the relation is read whole", error)
            return None
        rows = sum(file.rows for file in files)
        if rows != (counted := reading.count(relation)):
            LOG.warning("%s: %s rows are known, and there are %s; it is read whole", relation, rows, counted)
            return None
        return _Taken(SnapshotRelation(columns=columns, rows=rows, files=tuple(files)), {}, fresh.rows)

    def _not_updated(
        self,
        file: SnapshotFile,
        relation: str,
        columns: tuple[str, ...],
        updated: updates.Updated,
        keys: pa.Array,
    ) -> tuple[SnapshotFile, ...]:
        """Return a file of the base, or what is left of it without rows of these keys."""
        if not updated.touches(self.store, file, keys, self.scratch / "base"):
            return (file,)
        rest = self._files(relation, columns, f"{relation}-{self._next()}-rest", one=True)
        for batch in increment.rows_of(self.store, file, self.scratch / "base"):
            self.beat.check()
            rest.write(updated.without(batch, keys))
        return rest.close().files

    def _cut(
        self, file: SnapshotFile, plan: increment.Plan, rest: RelationFiles, comparison: Comparison | None
    ) -> None:
        """Write the rows of a file whose days do not differ; show the others to whoever compares them."""
        if comparison is None and not plan.rest(file):
            return
        try:
            for batch in increment.rows_of(self.store, file, self.scratch / "base"):
                self.beat.check()
                if comparison:
                    comparison.before(batch)
                rest.write(plan.without(rest.relation, batch))
        except Damaged as error:
            LOG.warning("%s; its days are read again", error)
            raise _Lost(file.key) from error

    def _files(self, relation: str, columns: Sequence[str], name: str, *, one: bool = False) -> RelationFiles:
        folder = attempt_folder(self.key, self.name)
        return RelationFiles(
            relation, columns, store=self.store, folder=folder, scratch=self.scratch, name=name, one=one
        )

    def _next(self) -> int:
        self._names += 1
        return self._names

    def _copy(
        self, batches: Iterator[pa.RecordBatch], files: RelationFiles, rows_before: int = 0
    ) -> SnapshotRelation:
        """Write a relation's stream, while the next batch is already being read."""
        pending, read = deque[Future[None]](), rows_before
        with ThreadPoolExecutor(1, "parquet") as writer:
            for batch in batches:
                self.beat.check()
                if self._stopped.is_set():
                    raise _Stopped
                while len(pending) >= BATCHES_AHEAD:
                    pending.popleft().result()
                pending.append(writer.submit(files.write, batch))
                read += len(batch)
                self._tell(files.relation, read, None)
            for last in pending:
                last.result()
            relation = writer.submit(files.close).result()
        self._tell(files.relation, rows_before + relation.rows, rows_before + relation.rows)
        return relation

    def _stream(
        self,
        reading: Reading,
        relation: str,
        columns: Sequence[str],
        days: Days | None = None,
        *,
        by: str | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Read a relation without the people who were erased; who a row is of is looked at, wanted or not."""
        if days is not None and not days.ranges and not days.no_day:
            return
        there = reading.columns(relation)
        whose = [name for name in naming(RELATIONS[relation]) if name in there and name not in columns]
        wanted = [*columns, *(whose if self.erased else ())]
        read = (
            reading.stream(relation, wanted)
            if days is None
            else reading.stream_days(relation, wanted, days, by)
        )
        for batch in read:
            yield self.erased.apply(relation, batch).select(list(columns)) if self.erased else batch

    def _tell(self, relation: str, rows_done: int, rows_total: int | None) -> None:
        if self.progress:
            with self._telling:
                self.progress(f"snapshot {relation}", rows_done, rows_total)


def _seen(batches: Iterator[pa.RecordBatch], comparison: Comparison | None) -> Iterator[pa.RecordBatch]:
    """Yield batches that the comparison has seen."""
    for batch in batches:
        if comparison:
            comparison.now(batch)
        yield batch
