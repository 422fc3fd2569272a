"""One import: what its rows do, who did what with it, and what can be done next."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from fastapi import APIRouter, Request
from starlette.responses import Response

from include.imports.effects import RowStatus
from include.pipeline import imports
from include.pipeline.imports import keeping
from include.pipeline.imports.asking import who_asked
from include.state.imports import ImportState
from include.web import pages
from include.web.imports.listing import zone_of
from include.web.imports.permitted import Found, Importer
from include.web.imports.shown import ShownImport, rows, unnamed
from include.web.reader import context_of

PER_PAGE = 50
MOST_PAGES = 10_000_000 // PER_PAGE
POLL_SECONDS = 2
# After that long somebody looks whether Airflow is at work.
SLOW = timedelta(minutes=1)

router = APIRouter(prefix="/imports/{import_id}")


@router.get("")
def page(
    request: Request, reader: Importer, found: Found, only: str = "", page: int = 1, asked: str = ""
) -> Response:
    """Show an import."""
    context, record = context_of(request), found.record if found.personal else unnamed(found.record)
    shown = ShownImport(record)
    status = RowStatus(only) if only in set(RowStatus) else None
    number = min(max(page, 1), MOST_PAGES)
    offset = (number - 1) * PER_PAGE
    listed = (
        imports.rows(context, record.import_id, only=status, offset=offset, limit=PER_PAGE + 1)
        if record.rehearsal
        else []
    )
    gone = keeping.gone(context, record.import_id)
    undoing = context.state.imports.undoing(record.import_id)
    posting_asked = record.state is ImportState.REHEARSED and who_asked(context, record) is not None
    busy = shown.at_work or posting_asked
    return pages.show(
        request,
        reader,
        "imports/page.html",
        shown=shown,
        record=record,
        here=found.place,
        rows=rows(listed[:PER_PAGE], personal=found.personal),
        only=status.value if status else "",
        page=number,
        more=len(listed) > PER_PAGE,
        files=_files(found) if found.personal and not gone else [],
        gone=keeping.GONE if gone else "",
        personal=found.personal,
        undoing=undoing,
        posting_asked=posting_asked,
        mine=record.requested_by == reader.name,
        poll=f"every {POLL_SECONDS}s" if busy else "load delay:8s" if asked else "",
        slow=busy and datetime.now(UTC) - record.updated_at > SLOW,
        zone=zone_of(request),
    )


def _files(found: Found) -> list[dict[str, str]]:
    """Return what can be downloaded: each with its kind and what it is."""
    words = {
        "result": "Result: every row, and what became of it",
        "undo": "Undo file: an import that takes it back",
        "original": "The file as it came",
    }
    kinds = ["original"] if found.record.rehearsal is None else list(words)
    if found.record.receipt is None and "undo" in kinds:
        kinds.remove("undo")
    return [{"kind": kind, "words": words[kind]} for kind in words if kind in kinds]
