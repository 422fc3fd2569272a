"""Imports of points and birthdays: receive -> rehearse -> approve -> post -> report; the one door for all ways in.

Each step can be done again after a crash and gives the record as it stands. A file is recognised by its bytes and
choices; what it books, by ids that follow from them; so whoever does a step again books nothing twice.
"""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from include.errors import BadInput, NeedsPerson, NotYet, Permanent, Problem
from include.imports import kept, members, received
from include.imports.effects import Receipt, Rehearsal, RowOutcome, RowStatus
from include.imports.options import Mode, Options
from include.imports.posting import Posted
from include.imports.sessions import opened, why_not
from include.pipeline import process
from include.pipeline.context import Context, Progress, silent
from include.pipeline.imports import keeping, stage
from include.pipeline.privacy import erasure_key
from include.scratch import working_folder
from include.state.imports import ImportRecord, ImportState, unknown
from include.state.imports import import_id as id_of
from include.state.keys import Scope
from include.state.leases import ATTEMPT

_ASK_AGAIN = timedelta(seconds=5)
_NAME_CHARACTERS = 200
# A smaller file is worked on where it is asked for: a new process takes a second to start.
_BYTES_IN_PLACE = 1 << 20
_ALL = 10_000


def receive(
    context: Context,
    source: Path | BinaryIO,
    *,
    name: str,
    options: Options,
    by: str,
    again: bool = False,
    renewed: bool = False,
) -> ImportRecord:
    """Keep a file and record it; the same bytes with the same choices give the record that is there.

    again: the same file is meant to be imported once more. renewed: the file is meant to have other bytes than one of
    its name that was imported. Raises BadInput for those two where they were not said, for an unknown program, for a
    file that is too large, and where imports are off.
    """
    check(context, options)
    with working_folder(context.settings.scratch, stage.FOLDER) as folder:
        file = received.receive(source, folder)
        seen = context.state.imports.same(file.sha256, options)
        if seen and not again:
            return seen[-1]
        shown = _shown(name)
        if not seen and not renewed:
            _refuse_renewed(context, shown, options, file.sha256)
        repeat = seen[-1].repeat + 1 if seen else 0
        return _record(context, file, shown, options, by, repeat)


def rehearse(context: Context, import_id: str, *, progress: Progress = silent) -> ImportRecord:
    """Find out what posting would do, changing nothing; a file that cannot be read is `wrong`, and the notes say why.

    An import that is being posted, or is over, stays as it is. Raises NotYet while somebody else works on it.
    """
    record = get(context, import_id)
    if record.state is ImportState.POSTING or (record.finished and record.state is not ImportState.WRONG):
        return record
    keeping.refuse_gone(context, import_id)
    of = get(context, record.undoes) if record.undoes else None
    with _mine(context, import_id):
        call = _step("rehearse", _large(record, of))
        found: stage.Rehearsed = call(context.settings, record, of, erasure_key(context), progress=progress)
        state = _after(context, record, found.figures)
        by = record.requested_by
        context.state.imports.rehearsed(import_id, found.figures, found.rows_key, state, by=by)
        return context.state.imports.offered(import_id, [*found.files, _original(record)])


def approve(context: Context, import_id: str, *, by: str, note: str = "") -> ImportRecord:
    """Agree to an import that waits for a second person; BadInput when it waits for none, or `by` asked for it.

    Who made an API key asks, and agrees, with it; it agrees where it was made for that.
    """
    record = get(context, import_id)
    if record.state is not ImportState.WAITING:
        right = f"it is {record.state}: only an import that waits for a second person can be approved"
        raise BadInput([Problem("import", import_id, right, "not_waiting")])
    keys = context.state.keys
    key = keys.acting(by)
    lacks = key is not None and Scope.IMPORTS_APPROVE not in key.scopes
    if lacks or _same_person(keys.person_behind(by), keys.person_behind(record.requested_by)):
        right = "whoever asked for an import cannot approve it: a second person must look at the rehearsal"
        raise BadInput([Problem("by", by, right, "second_person")])
    return context.state.imports.approve(import_id, by=by, note=note)


def refuse(context: Context, import_id: str, *, by: str, reason: str = "") -> ImportRecord:
    """Say that an import will not be posted; BadInput when it is too late."""
    record = get(context, import_id)
    if record.state is ImportState.REFUSED:
        return record
    if record.state is ImportState.POSTING or (record.finished and record.state is not ImportState.WRONG):
        right = f"it is {record.state}: nothing can be refused any more (`loyalty imports undo` takes points back)"
        raise BadInput([Problem("import", import_id, right, "too_late")])
    return context.state.imports.refuse(import_id, by=by, reason=reason)


def post(context: Context, import_id: str, *, by: str, progress: Progress = silent) -> ImportRecord:
    """Book what was rehearsed, in one database transaction, and keep its files; done already: the record.

    Raises NeedsPerson while a second person must agree, NotYet while somebody else works on it, and BadInput for rows
    that are wrong or no longer do what the rehearsal said (then it must be rehearsed again).
    """
    record = get(context, import_id)
    if record.state in {ImportState.POSTED, ImportState.UNDONE}:
        return record
    _refuse_early(record)
    if record.undoes:
        _refuse_undone(get(context, record.undoes))
    with _mine(context, import_id) as confirm:
        by = record.posted_by or by
        record = context.state.imports.posting(import_id, by=by)
        posted = _posted(context, record, progress)
        confirm()
        kept_files = _step("archive", _large(record, None))(context.settings, record, progress=progress)
        made = [*kept_files, _original(record)]
        return context.state.imports.posted(import_id, _receipt(record, posted, made), made, by=by)


def undo(context: Context, import_id: str, *, by: str, progress: Progress = silent) -> ImportRecord:
    """Make and rehearse the import that takes a posted one back; approve and post it as any other."""
    record = get(context, import_id)
    _refuse_undone(record)
    keeping.refuse_gone(context, import_id)
    before = context.state.imports.undoing(import_id)
    if before and before[0].state not in {ImportState.REFUSED, ImportState.WRONG}:
        return rehearse(context, before[0].import_id, progress=progress)
    entry = next(each for each in record.files or [] if each["kind"] == "undo")
    options = record.options.model_copy(update={"mode": Mode.UNDO})
    made = context.state.imports.receive(
        name=_shown(f"undo of {record.file_name}"),
        sha256=entry["sha256"],
        size=entry["bytes"],
        options=options,
        by=by,
        repeat=len(before),
        undoes=import_id,
    )
    context.store.put_new(stage.received_key(made.import_id), context.store.chunks(entry["key"]))
    return rehearse(context, made.import_id, progress=progress)


def run(context: Context, import_id: str, *, by: str, progress: Progress = silent) -> ImportRecord:
    """Rehearse an import and post it, as far as no second person is needed and nothing is wrong."""
    record = get(context, import_id)
    if record.state in {ImportState.RECEIVED, ImportState.WRONG}:
        record = rehearse(context, import_id, progress=progress)
    if record.state in {ImportState.REHEARSED, ImportState.POSTING}:
        record = post(context, import_id, by=by, progress=progress)
    return record


def resume(context: Context, progress: Progress = silent) -> list[ImportRecord]:
    """Finish what a crash left half posted; return those imports. What somebody works on now is left alone."""
    left = context.state.imports.list([ImportState.POSTING], limit=_ALL)
    return [
        post(context, each.import_id, by=each.posted_by or each.requested_by, progress=progress)
        for each in left
        if context.state.leases.holder(_lease_of(each.import_id)) is None
    ]


def get(context: Context, import_id: str) -> ImportRecord:
    """Return an import; BadInput for one that nobody knows."""
    record = context.state.imports.get(import_id)
    if record is None:
        raise unknown(import_id)
    return record


def history(
    context: Context,
    *,
    limit: int = 100,
    before: datetime | None = None,
    states: Collection[ImportState] = (),
) -> list[ImportRecord]:
    """Return imports, the newest first; `before`: those asked for earlier."""
    return context.state.imports.list(states, before=before, limit=limit)


def rows(
    context: Context, import_id: str, *, only: RowStatus | None = None, offset: int = 0, limit: int = 50
) -> list[RowOutcome]:
    """Return rows of the last rehearsal in the order of the file; none before it."""
    record = get(context, import_id)
    if record.rows_key is None:
        return []
    with context.store.reader(record.rows_key) as file:
        return kept.outcomes(file, only, offset, limit)


def files(context: Context, import_id: str) -> list[dict[str, Any]]:
    """Return what people may get: entries with name, key, sha256, bytes, media_type and kind."""
    return list(get(context, import_id).files or [])


def result_file(context: Context, import_id: str) -> Iterator[bytes] | None:
    """Return what became of each row as CSV, of the rehearsal until the import is posted; None before."""
    return _chunks(context, import_id, "result") or _chunks(context, import_id, "rehearsal")


def undo_file(context: Context, import_id: str) -> Iterator[bytes] | None:
    """Return the CSV that takes a posted import back; None before it is posted."""
    return _chunks(context, import_id, "undo")


def original(context: Context, import_id: str) -> Iterator[bytes]:
    """Return the bytes that were received."""
    return context.store.chunks(stage.received_key(get(context, import_id).import_id))


def needs_second_person(context: Context, options: Options, rehearsed: Rehearsal) -> bool:
    """Return whether a second person must agree: for a reset, and for more rows than the installation says.

    options: the choices of the import, or of the one with which a chain of taking back begins.
    """
    return options.mode is Mode.RESET or rehearsed.rows > context.settings.import_approval_rows


def why_not_writable(context: Context) -> str | None:
    """Return why nothing can be imported here, None where it can."""
    return why_not(context.settings)


def check(context: Context, options: Options) -> None:
    """Raise BadInput where no file could be imported like this, whatever is in it."""
    if options.mode is Mode.UNDO:
        right = "no file undoes an import: `loyalty imports undo` does"
        raise BadInput([Problem("mode", options.mode.value, right, "bad_mode")])
    if options.mode is Mode.BIRTHDAY and (options.program or options.card or options.subledger):
        right = "birthdays belong to customers: choose no program, subledger or card"
        raise BadInput([Problem("program", options.program, right, "program_not_possible")])
    with opened(context.settings, write=False) as session:
        members.known_program(session, options)


def programs(context: Context) -> dict[str, str]:
    """Return the names of the ledger's programs by their ids."""
    with opened(context.settings, write=False) as session:
        found = session.stream("SELECT program_id, name FROM programs ORDER BY program_id")
        return {row["program_id"]: row["name"] for batch in found for row in batch.to_pylist()}


def _shown(name: str) -> str:
    """Return a file's name as it is kept: no folders, nothing that is not to be seen, not too long."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    return "".join(each for each in last if each.isprintable())[:_NAME_CHARACTERS] or "unnamed"


def _refuse_renewed(context: Context, name: str, options: Options, sha256: str) -> None:
    before = (each for each in context.state.imports.named(name, options) if each.sha256 != sha256)
    if one := next(before, None):  # the same bytes may have come in the same breath
        right = (
            f"a file of this name, with other bytes, was given by {one.requested_by} on "
            f"{one.requested_at:%Y-%m-%d %H:%M} UTC as {one.import_id} ({one.state}): say that the new one is meant "
            "(a box on the page, --renewed on the command line, renewed=true by REST, same_name of an inbox)"
        )
        raise BadInput([Problem("file", name, right, "same_name_new_bytes")])


def _record(
    context: Context, file: received.Received, name: str, options: Options, by: str, repeat: int
) -> ImportRecord:
    made = id_of(file.sha256, options, repeat)
    context.store.put_new(stage.received_key(made), file.path, move=True)
    return context.state.imports.receive(
        name=name, sha256=file.sha256, size=file.bytes, options=options, by=by, repeat=repeat
    )


def _after(context: Context, record: ImportRecord, found: Rehearsal) -> ImportState:
    if found.wrong:
        return ImportState.WRONG
    first = record
    while first.undoes:
        first = get(context, first.undoes)
    second = needs_second_person(context, first.options, found)
    return ImportState.WAITING if second and found.done else ImportState.REHEARSED


def _original(record: ImportRecord) -> dict[str, Any]:
    return {
        "name": record.file_name,
        "key": stage.received_key(record.import_id),
        "sha256": record.sha256,
        "bytes": record.bytes,
        "media_type": "application/octet-stream",
        "kind": "original",
    }


def _refuse_early(record: ImportRecord) -> None:
    if record.state is ImportState.WAITING:
        raise NeedsPerson(
            f"{record.import_id}: a person other than {record.requested_by} must approve it first"
        )
    right, code = {
        ImportState.RECEIVED: ("it must be rehearsed first", "not_rehearsed"),
        ImportState.WRONG: (
            "rows are wrong: nothing of the file is posted until all are right",
            "rows_wrong",
        ),
        ImportState.REFUSED: ("it was refused", "refused"),
    }.get(record.state, ("", ""))
    if code:
        raise BadInput([Problem("import", record.import_id, right, code)])


def _refuse_undone(record: ImportRecord) -> None:
    if record.state is not ImportState.POSTED:
        right = f"it is {record.state}: only an import that is posted can be taken back"
        raise BadInput([Problem("import", record.import_id, right, "not_posted")])


def _same_person(one: str, other: str) -> bool:
    return one.strip().casefold() == other.strip().casefold()


def _posted(context: Context, record: ImportRecord, progress: Progress) -> Posted:
    try:
        call = _step("post", _large(record, None))
        found: Posted = call(context.settings, record, erasure_key(context), progress=progress)
    except BadInput as error:
        changed = any(each.code == "rehearse_again" for each in error.problems)
        imports = context.state.imports
        (imports.reopen if changed else imports.give_up)(record.import_id)
        raise
    except Permanent:
        context.state.imports.give_up(record.import_id)
        raise
    return found


def _receipt(record: ImportRecord, posted: Posted, made: list[dict[str, Any]]) -> Receipt:
    hashes = {each["kind"]: each["sha256"] for each in made}
    assert record.rehearsal is not None
    return Receipt(
        at=posted.at,
        rows=record.rehearsal.done,
        points_in=record.rehearsal.points_in,
        points_out=record.rehearsal.points_out,
        first_transaction=posted.first,
        last_transaction=posted.last,
        result_sha256=hashes["result"],
        undo_sha256=hashes["undo"],
    )


def _chunks(context: Context, import_id: str, kind: str) -> Iterator[bytes] | None:
    key = next((each["key"] for each in files(context, import_id) if each["kind"] == kind), None)
    return None if key is None else context.store.chunks(key)


def _large(record: ImportRecord, of: ImportRecord | None) -> bool:
    return max(record.bytes, of.bytes if of else 0) > _BYTES_IN_PLACE


def _step(name: str, apart: bool) -> Callable[..., Any]:
    """Return a step of `import_stage`, to be done here or in a process of its own."""
    return partial(process.in_process, f"{stage.__name__}:{name}") if apart else getattr(stage, name)


def _lease_of(import_id: str) -> str:
    return f"import:{import_id}"


@contextmanager
def _mine(context: Context, import_id: str) -> Iterator[Callable[[], None]]:
    """Hold the import for this attempt; give what confirms that it still does."""
    owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
    leases = context.state.leases
    lease = leases.acquire(_lease_of(import_id), owner, ATTEMPT)
    if lease is None:
        raise NotYet(f"somebody works on {import_id} already", datetime.now(UTC) + _ASK_AGAIN)
    with leases.kept(lease, ATTEMPT) as beat:
        yield beat.confirm
