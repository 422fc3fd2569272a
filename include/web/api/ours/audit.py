"""The audit log: entries by number, and a search; the chain of hashes can be checked from what it gives."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from include.state.audit import Action, Entry
from include.state.audit_search import Search, search
from include.state.keys import Scope
from include.web.api.caller import Caller, needs
from include.web.api.instants import Instant
from include.web.reader import context_of

router = APIRouter(prefix="/audit", tags=["audit"])
MOST = 1000
LAST = 2**62
Text = Annotated[str, Query(max_length=300)]


class Entries(BaseModel):
    """Entries, the newest first."""

    items: list[Entry]
    before: int | None = Field(
        description="Ask with this `before` to go on; null when there is nothing older."
    )


@router.get("", response_model=Entries)
def entries(
    request: Request,
    caller: Annotated[Caller, needs(Scope.AUDIT_READ)],  # noqa: ARG001 - it must be there
    actor: Text = "",
    action: Action | None = None,
    subject: Text = "",
    text: Text = "",
    since: Instant | None = None,
    until: Instant | None = None,
    before: Annotated[int | None, Query(ge=1, le=LAST)] = None,
    limit: Annotated[int, Query(ge=1, le=MOST)] = 100,
) -> Any:
    """Search the audit log. A search by text looks at 50,000 entries at a time; `before` goes on."""
    given = {
        name: value.replace("\0", "�")
        for name, value in {"actor": actor, "subject": subject, "text": text}.items()
    }
    wanted = Search(
        actor=given["actor"] or None,
        action=action,
        subjects=(given["subject"],) if given["subject"] else (),
        text=given["text"],
        since=since,
        until=until,
        before=before,
    )
    found = search(context_of(request).state.database, wanted, limit)
    return {"items": found.entries, "before": found.more}
