"""The export, run or delivery that an address names, for who may: what somebody may not see is not there for them."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import HTTPException, Path, Request

from include.errors import BadInput
from include.pipeline import exports as catalogue
from include.state.exports import Export
from include.state.keys import Scope
from include.state.runs import RunRecord
from include.web.api.caller import Caller
from include.web.reader import context_of

NO_EXPORT = "There is no export of this id."
NO_RUN = "There is no such run."
_KEY = re.compile(r"[0-9a-f]{64}")
DefinitionId = Annotated[str, Path(max_length=200, examples=["weekly-history"])]
RunKey = Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="The key of a run.")]


def export_of(
    request: Request, caller: Caller, scope: Scope, definition_id: str, *, deleted: bool = False
) -> Export:
    """Return an export; HTTPException 403 without the scope for it, whether or not it is there, else 404."""
    caller.require(scope, definition_id)
    context = context_of(request)
    catalogue.refresh(context)
    found = context.state.exports.get(definition_id, deleted=deleted)
    if found is None:
        raise HTTPException(404, NO_EXPORT)
    return found


def run_of(request: Request, caller: Caller, scope: Scope, run_key: str) -> RunRecord:
    """Return a run; HTTPException 403 for who may see none, 404 where there is none that they may see."""
    if caller.key is not None and scope not in caller.key.scopes:
        caller.require(scope)
    if not is_key(run_key):  # PostgreSQL takes not every text
        raise HTTPException(404, NO_RUN)
    try:
        found = context_of(request).state.runs.get(run_key)
    except BadInput:
        raise HTTPException(404, NO_RUN) from None
    if not caller.may(scope, found.definition_id):
        raise HTTPException(404, NO_RUN)
    return found


def is_key(text: str) -> bool:
    """Say whether a text may be the key of a run or delivery."""
    return _KEY.fullmatch(text) is not None
