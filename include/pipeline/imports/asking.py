"""Who asked to post an import that needs no second person: Airflow runs it, and only the pages know rights.

They, and an inbox that an administrator made, write it into the audit chain; the DAG looks there before it posts.
"""

from __future__ import annotations

from include.pipeline.context import Context
from include.state.audit import Action
from include.state.imports import ImportRecord

_STANDING = "standing"


def ask(context: Context, import_id: str, who: str, *, standing: bool = False) -> None:
    """Write down that `who`, who may import, wants it posted. standing: whatever a rehearsal will say."""
    context.state.audit.write(who, Action.IMPORT_ASKED, import_id, {_STANDING: standing})


def who_asked(context: Context, record: ImportRecord) -> str | None:
    """Return who wants the import posted as its last rehearsal shows it; None where nobody does."""
    said = context.state.audit.newest(action=Action.IMPORT_ASKED, subject=record.import_id)
    seen = record.rehearsal.at if record.rehearsal else None
    return next(
        (each.actor for each in said if each.detail[_STANDING] or (seen is not None and each.at >= seen)),
        None,
    )
