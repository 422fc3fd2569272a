"""The log of one customer, downloaded. By POST: somebody who may see personal data asked for it on our own page."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from starlette.datastructures import QueryParams
from starlette.responses import Response, StreamingResponse

from include.errors import BadInput
from include.ledger.people import Name
from include.pipeline.customers.log import Log, log
from include.snapshots.excerpt import Holder
from include.state.tables import instant
from include.web.customers.asked import asked
from include.web.customers.page import NOBODY, shown
from include.web.downloads.sending import disposition
from include.web.forms import Posted
from include.web.reader import Asking, Right, context_of

router = APIRouter()
_PIECE_BYTES = 1 << 20
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_CHOICES = ("delimiter", "decimal_sign", "encoding", "newline", "instants", "timezone", "quoting", "profile")


@router.post("/customers/log")
def exported(request: Request, reader: Asking, form: Posted) -> Response:
    """Send the log as a file; 403 without the right, 404 for nobody, 422 with the page where a field is wrong."""
    reader.require(Right.PERSONAL)
    values = {name: str(value) for name, value in form.items() if isinstance(value, str)}
    holder = Holder(Name.CARD if values.get("kind") == Name.CARD else Name.CUSTOMER, values.get("id", ""))
    days = asked(QueryParams({name: values.get(name, "") for name in ("from", "until", "zone")}))
    wanted = Log(
        layout=values.get("layout", ""),
        since=days.view.shown.since,
        before=days.view.shown.before,
        program=values.get("program", ""),
        zone=days.view.zone or "UTC",
        options=_options(values),
    )
    problems = dict(days.problems)
    stack = ExitStack()
    try:
        if not problems:
            made = stack.enter_context(log(context_of(request), holder, wanted, by=reader.name))
            if made is None:
                raise HTTPException(404, NOBODY)
            content = _pieces(made.path, stack.pop_all())
            headers = {
                "Content-Disposition": disposition(_name(holder, wanted)),
                "Content-Length": str(made.bytes),
                # Airflow would compress it on the way, and its length would be another.
                "Content-Encoding": "identity",
            }
            return StreamingResponse(content, headers=headers, media_type="text/csv")
    except BadInput as error:
        problems |= {each.where: each.right for each in error.problems}
    finally:
        stack.close()
    return shown(request, reader, holder, problems=problems)


def _options(values: Mapping[str, str]) -> dict[str, Any]:
    """Return the options of the file that the form names."""
    found: dict[str, Any] = {name: values[name] for name in _CHOICES if values.get(name)}
    if found.get("delimiter") == "tab":
        found["delimiter"] = "\t"
    found["dates"] = found["instants"] if "%" not in found.get("instants", "%") else "iso8601"
    return found | {"header": values.get("header", "yes") == "yes"}


def _name(holder: Holder, wanted: Log) -> str:
    """Return the file's name: whose log, from when to when; an id that is no plain word is left out."""
    who = f"_{holder.id}" if _PLAIN.fullmatch(holder.id) else ""
    days = [instant(each).strftime("%Y-%m-%d") for each in (wanted.since, wanted.before) if each is not None]
    period = "".join(f"_{day}" for day in days)
    return f"{wanted.layout.replace('.', '-')}{who}{period}.csv"


def _pieces(path: Path, stack: ExitStack) -> Iterator[bytes]:
    """Yield the file; it goes when it was sent, or the browser left."""
    with stack, path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            yield piece
