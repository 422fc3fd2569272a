"""What rehearsing and posting do in a process of their own: the rows of a file, between store and ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from include.connections import Secrets
from include.errors import Permanent
from include.imports import kept, posting, rehearsal, undo
from include.imports.bench import Bench
from include.imports.effects import Rehearsal
from include.imports.plan import Plan
from include.imports.posting import Posted
from include.imports.reading import open_file
from include.imports.rehearsal import Unreadable
from include.imports.sessions import Session, Taken, opened
from include.pipeline.context import Context, Progress
from include.scratch import working_folder
from include.settings import Settings
from include.snapshots.erased import Erased, everybody
from include.snapshots.store import Store
from include.state.imports import ImportRecord

FOLDER = "imports"
CSV = "text/csv"


class Rehearsed(NamedTuple):
    """What a rehearsal found, where its rows are kept, and the files of it that people may get."""

    figures: Rehearsal
    rows_key: str | None
    files: list[dict[str, Any]]


def rehearse(
    settings: Settings, record: ImportRecord, of: ImportRecord | None, secrets: Secrets, *, progress: Progress
) -> Rehearsed:
    """Rehearse an import. of: the one that it takes back. secrets: with the key of erased people."""
    context = Context(settings)
    with working_folder(settings.scratch, FOLDER) as folder, opened(settings, write=False) as session:
        erased = everybody(context.state, secrets)
        try:
            if of is None:
                found, path = _file(context, session, record, erased, folder, progress)
            else:
                assert of.rows_key is not None
                rows = local(context.store, of.rows_key, folder)
                with Bench(folder) as bench:
                    found, path = undo.rehearse(
                        session, bench, of.import_id, rows, record.options, erased, progress
                    )
        except Unreadable as error:
            notes = tuple(str(each) for each in error.problems)
            unread = Rehearsal(at=session.now, rows=0, done=0, skipped=0, wrong=len(notes), notes=notes)
            return Rehearsed(unread, None, [])
        key = f"{FOLDER}/{record.import_id}/{found.digest}/rows.parquet"
        name = f"{record.file_name}.rehearsal.csv"
        told = _keep(
            context.store, record, found.digest, folder, name, lambda out: kept.write_result(path, None, out)
        )
        context.store.put_new(key, path, move=True)
        return Rehearsed(found, key, [told | {"kind": "rehearsal"}])


def _file(
    context: Context,
    session: Session,
    record: ImportRecord,
    erased: Erased | None,
    folder: Path,
    progress: Progress,
) -> tuple[Rehearsal, Path]:
    path = local(context.store, received_key(record.import_id), folder)
    with _opened(path, record, session, folder) as file, Bench(folder) as bench:
        return rehearsal.rehearse(session, bench, file, record.options, erased, progress)


@contextmanager
def _opened(path: Path, record: ImportRecord, session: Session, folder: Path) -> Iterator[Any]:
    file = open_file(path, name=record.file_name, mode=record.options.mode, now=session.now, scratch=folder)
    with rehearsal.readable():
        found = file.__enter__()
    try:
        yield found
    finally:
        file.__exit__(None, None, None)


def post(settings: Settings, record: ImportRecord, secrets: Secrets, *, progress: Progress) -> Posted:
    """Book the rows that were rehearsed, or find them booked. secrets: with the key of erased people."""
    context = Context(settings)
    assert record.rows_key is not None
    assert record.rehearsal is not None
    with working_folder(settings.scratch, FOLDER) as folder:
        rows = local(context.store, record.rows_key, folder)
        erased = everybody(context.state, secrets)
        plan = Plan(
            record.import_id, record.options, rows, record.requested_by, record.rehearsal.done, erased
        )
        try:
            with opened(settings, write=True) as session, Bench(folder) as bench:
                return posting.post(session, plan, bench, progress)
        except Taken:
            with opened(settings, write=False) as session:
                found = posting.found(session, plan)
            if found is None:
                raise Permanent(
                    f"{record.import_id}: the ledger has other rows with its transaction ids"
                ) from None
            return found


def archive(settings: Settings, record: ImportRecord, *, progress: Progress) -> list[dict[str, Any]]:
    """Keep what became of each row, and the file that takes them back, as files that people may get."""
    store = Store(settings.store_url)
    assert record.rows_key is not None
    assert record.rehearsal is not None
    digest = record.rehearsal.digest
    with working_folder(settings.scratch, FOLDER) as folder:
        rows = local(store, record.rows_key, folder)
        name, own, points = record.file_name, record.import_id, bool(record.options.program)
        result = _keep(
            store, record, digest, folder, f"{name}.result.csv", lambda out: kept.write_result(rows, own, out)
        )
        progress("archive", 1, 2)
        back = _keep(
            store,
            record,
            digest,
            folder,
            f"{name}.undo.csv",
            lambda out: kept.write_undo(rows, own, out, points=points),
        )
        progress("archive", 2, 2)
    return [result | {"kind": "result"}, back | {"kind": "undo"}]


def received_key(import_id: str) -> str:
    """Return where the bytes are kept that were received."""
    return f"{FOLDER}/{import_id}/received"


def local(store: Store, key: str, folder: Path) -> Path:
    """Return an object as a local file."""
    path = store.path(key)
    if path is not None and path.exists():
        return path
    return store.get_to(key, folder / key.rsplit("/", 1)[-1])


def _keep(
    store: Store,
    record: ImportRecord,
    digest: str,
    folder: Path,
    name: str,
    write: Callable[[BinaryIO], kept.Written],
) -> dict[str, Any]:
    """Write a file into the store; return its entry."""
    kind = name.rsplit(".", 2)[-2]
    path = folder / f"{kind}.csv"
    with path.open("wb") as out:
        written = write(out)
    key = f"{FOLDER}/{record.import_id}/{digest}/{kind}.csv"
    store.put_new(key, path, move=True)
    return {"name": name, "key": key, "sha256": written.sha256, "bytes": written.bytes, "media_type": CSV}
