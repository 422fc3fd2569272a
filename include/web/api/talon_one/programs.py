"""The program that a path names by its number."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path, Request

from include.pipeline.numbered import Program, program_numbered
from include.web.api.caller import Calling
from include.web.api.talon_one.errors import nobody
from include.web.reader import context_of


def program_of(
    request: Request,
    caller: Calling,  # noqa: ARG001 - nobody else is told which programs there are
    number: Annotated[int, Path(alias="loyaltyProgramId", description="The program's number (external_id).")],
) -> Program:
    """Return the program; HTTPException 404 where the ledger has none of this number."""
    found = program_numbered(context_of(request), number)
    if found is None:
        raise nobody("loyalty program", number)
    return found


Of = Annotated[Program, Depends(program_of)]
