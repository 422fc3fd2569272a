"""How long the files of imports stay: until their time is over, or until somebody in them is erased.

What was booked stays in the ledger, and its record in the state; without its rows an import cannot be taken back here.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from include.errors import BadInput, NotYet, Problem
from include.ledger.people import Name
from include.pipeline.context import Context
from include.pipeline.erasure.holding import Held
from include.pipeline.imports.stage import FOLDER, local, received_key
from include.scratch import working_folder
from include.snapshots.erased import Erased
from include.state.imports import ImportRecord, ImportState

GONE = "Its files were removed: their time was over, or somebody in them was erased."
_ALL = 10_000_000
_ASK_AGAIN = timedelta(seconds=5)
_BATCH_ROWS = 65_536
_TYPED = {"customer_id": Name.CUSTOMER, "customer": Name.CUSTOMER, "card_id": Name.CARD, "card": Name.CARD}


def gone(context: Context, import_id: str) -> bool:
    """Return whether the files of an import were removed: then it can be neither taken back nor imported again here."""
    return not context.store.exists(received_key(import_id))


def refuse_gone(context: Context, import_id: str) -> None:
    """Raise BadInput where the files of an import were removed."""
    if gone(context, import_id):
        raise BadInput([Problem("import", import_id, GONE, "files_gone")])


def retire(context: Context) -> list[str]:
    """Remove the files of imports that have been over for longer than files are kept; return the imports' ids."""
    limit = datetime.now(UTC) - context.settings.keep_files
    removed = []
    for record in context.state.imports.list(limit=_ALL):
        if record.finished and record.files and record.updated_at < limit:
            _remove(context, record.import_id)
            removed.append(record.import_id)
    return removed


def clear(context: Context, erased: Erased) -> int:
    """Remove the files that name somebody who was erased, or may and cannot be looked into; return of how many imports.

    Those that were not posted are refused. Raises NotYet while one of them is being posted.
    """
    removed = 0
    for import_id, record in _kept(context):
        if record is not None and not _holds(context, record, erased):
            continue
        if record is not None and record.state is ImportState.POSTING:
            raise NotYet(f"{import_id} is being posted", datetime.now(UTC) + _ASK_AGAIN)
        if record is not None and not record.finished:
            context.state.imports.refuse(
                import_id, by="erasure", reason="it may name somebody who was erased"
            )
        _remove(context, import_id)
        removed += 1
    return removed


def holding(context: Context, erased: Erased) -> list[tuple[ImportRecord, Held]]:
    """Return the imports of which `clear` would remove the files, and whether they name somebody or only may."""
    found = [(each, _holds(context, each, erased)) for _, each in _kept(context) if each is not None]
    return [(record, held) for record, held in found if held]


def _kept(context: Context) -> list[tuple[str, ImportRecord | None]]:
    """Return the ids under which the store keeps files of imports, with the records of those that have one."""
    records = {each.import_id: each for each in context.state.imports.list(limit=_ALL)}
    folders = sorted({entry.key.split("/")[1] for entry in context.store.list(FOLDER)})
    return [(import_id, records.get(import_id)) for import_id in folders]


def _remove(context: Context, import_id: str) -> None:
    for entry in list(context.store.list(f"{FOLDER}/{import_id}")):
        context.store.delete(entry.key)
    context.state.imports.forget_files(import_id)


def _holds(context: Context, record: ImportRecord, erased: Erased) -> Held:
    """Say whether the rows of an import name one of the people; one that has no rows may."""
    if record.rows_key is None or not context.store.exists(record.rows_key):
        return Held.MAYBE
    with working_folder(context.settings.scratch, FOLDER) as folder:
        named = _names(local(context.store, record.rows_key, folder), erased)
    return Held.NAMED if named else Held.NOT


def _names(rows: Path, erased: Erased) -> bool:
    with pq.ParquetFile(rows, pre_buffer=False) as file:
        for batch in file.iter_batches(_BATCH_ROWS, columns=[*_TYPED, "email", "reason"]):
            masks = [erased.among(kind, batch.column(name)) for name, kind in _TYPED.items()]
            masks += [erased.mentioned(batch.column(name)) for name in ("email", "reason")]
            if any(pc.any(mask).as_py() for mask in masks):
                return True
    return False
