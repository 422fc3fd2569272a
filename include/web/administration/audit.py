"""The audit log: searching it, taking what was found along, and whether the chain is whole."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import Response, StreamingResponse

from include.ledger.people import Name
from include.pipeline.audit import parts as audit_parts
from include.pipeline.audit.anchors import places
from include.pipeline.context import Context
from include.state.audit import Action, Entry
from include.state.audit_search import Search, actors, every, search
from include.web import pages
from include.web.administration.permitted import OWN_FORM, Administrator, text
from include.web.forms import Posted
from include.web.reader import Reader, context_of

HERE = "/administration/audit"
FIELDS = ("actor", "action", "subject", "customer", "text", "since", "until")
COLUMNS = ("sequence", "at", "actor", "action", "subject", "detail", "previous_sha256", "sha256")
LONGEST_FIELD = 300
_NEUTRAL = ("=", "+", "-", "@", "\t", "\r")

router = APIRouter(prefix=HERE)


@router.get("")
def listing(request: Request, reader: Administrator, before: int | None = None) -> Response:
    """Show the entries that are searched for, the newest first."""
    given = {name: request.query_params.get(name, "") for name in FIELDS}
    # PostgreSQL takes no text with NUL.
    typed = {name: value.replace("\0", "\ufffd").strip()[:LONGEST_FIELD] for name, value in given.items()}
    return _shown(request, reader, typed, before)


@router.post("/export")
def export(request: Request, reader: Administrator, form: Posted) -> Response:
    """Send everything that is found as a file, which is written into the audit log itself."""
    typed = {name: text(form, name)[:LONGEST_FIELD] for name in FIELDS}
    context = context_of(request)
    wanted, wrong = _wanted(context, typed)
    if wrong:
        return _shown(request, reader, typed, None, status=422)
    kind: Literal["csv", "jsonl"] = "csv" if form.get("form") == "csv" else "jsonl"
    told = wanted.told() if wanted else {"customer": "of nobody"}
    entry = context.state.audit.write(reader.name, Action.AUDIT_EXPORTED, kind, told)
    found = every(context.state.database, wanted) if wanted else iter(())
    rows = (
        _csv(found)
        if kind == "csv"
        else (f"{json.dumps(each.document(), ensure_ascii=False)}\n" for each in found)
    )
    name = f"audit-{entry.at:%Y-%m-%d-%H%M%S}.{kind}"
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Content-Security-Policy": "sandbox; default-src 'none'; frame-ancestors 'none'",
    }
    media = "text/csv; charset=utf-8" if kind == "csv" else "application/x-ndjson"
    return StreamingResponse(_pieces(rows), media_type=media, headers=headers)


@router.post("/verify", dependencies=[OWN_FORM])
def verify(request: Request, reader: Administrator, after: int = 0) -> Response:
    """Check the chain for two seconds from an entry on; the last part holds it against its anchors."""
    if not 0 <= after < 2**62:
        raise HTTPException(422, "after must be the number of an entry")
    context = context_of(request)
    walked = audit_parts.walk(context, after)
    held = audit_parts.hold(context) if walked.over and walked.problem is None else None
    shown: dict[str, Any] = {"walked": walked, "held": held}
    if "hx-request" in request.headers:
        return pages.fragment(request, reader, "administration/verified.html", **shown)
    return _shown(request, reader, dict.fromkeys(FIELDS, ""), None, **shown)


def _shown(
    request: Request,
    reader: Reader,
    typed: dict[str, str],
    before: int | None,
    *,
    status: int = 200,
    **more: Any,
) -> Response:
    context = context_of(request)
    wanted, wrong = _wanted(context, typed, before)
    found = search(context.state.database, wanted) if wanted else None
    anchored = context.state.audit.newest(action=Action.ANCHORED, limit=1)
    return pages.show(
        request,
        reader,
        "administration/audit.html",
        status=status,
        tab="audit",
        typed=typed,
        wrong=wrong,
        entries=found.entries if found else [],
        older=found.more if found else None,
        looked_to=found.looked_to if found else None,
        before=before,
        query=urlencode({name: value for name, value in typed.items() if value}),
        actors=actors(context.state.database),
        actions=sorted(Action),
        head=context.state.audit.head(),
        anchored=anchored[0] if anchored else None,
        places=places(context),
        **({"walked": None, "held": None} | more),
    )


def _wanted(
    context: Context, typed: dict[str, str], before: int | None = None
) -> tuple[Search | None, dict[str, str]]:
    """Return what a form searches for, None for what nothing can be, and what is wrong with it by field."""
    wrong: dict[str, str] = {}
    span = {name: _instant(typed[name], name, wrong) for name in ("since", "until")}
    if typed["action"] and typed["action"] not in set(Action):
        wrong["action"] = "one of the list"
    if before is not None and not 0 < before < 2**62:
        wrong["text"] = "the number of an entry before which to look must be above 0"
    subjects = [typed["subject"]] if typed["subject"] else []
    if typed["customer"]:
        # The log names nobody: this is what it calls them.
        subjects += context.state.looked.subjects(Name.CUSTOMER, typed["customer"])
    if wrong or (typed["customer"] and not subjects):
        return None, wrong
    found = Search(
        actor=typed["actor"] or None,
        action=typed["action"] or None,
        subjects=tuple(subjects),
        text=typed["text"],
        before=before,
        **span,
    )
    return found, wrong


def _instant(given: str, name: str, wrong: dict[str, str]) -> datetime | None:
    """Return the instant of a field, which is in UTC where it names no zone."""
    if not given:
        return None
    try:
        found = datetime.fromisoformat(given)
        found = found if found.tzinfo else found.replace(tzinfo=UTC)
        return found.astimezone(UTC)
    except (ValueError, OverflowError):
        wrong[name] = "a date and time such as 2026-02-01T00:00"
        return None


def _csv(entries: Iterable[Entry]) -> Iterator[str]:
    """Yield lines of CSV; a text that a spreadsheet would take for a formula begins with an apostrophe."""
    page = io.StringIO()
    writer = csv.writer(page, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for entry in entries:
        document = entry.document()
        document["detail"] = json.dumps(document["detail"], ensure_ascii=False, sort_keys=True)
        writer.writerow([_neutral(document[name]) for name in COLUMNS])
        yield page.getvalue()
        page.seek(0)
        page.truncate()
    yield page.getvalue()


def _neutral(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_NEUTRAL) else value


def _pieces(lines: Iterable[str], size: int = 64 * 1024) -> Iterator[bytes]:
    """Yield the lines in pieces of about this size: one message for each line would be slow."""
    held: list[str] = []
    length = 0
    for line in lines:
        held.append(line)
        length += len(line)
        if length >= size:
            yield "".join(held).encode()
            held, length = [], 0
    yield "".join(held).encode()
