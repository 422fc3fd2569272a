"""A program's figures of the current day, as far as it has gone."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated

from fastapi import APIRouter, Request, Response

from include.state.keys import Scope
from include.web.api.caller import Caller, needs
from include.web.api.streaming import AS_OF, utc
from include.web.api.talon_one.parameters import PROGRAM
from include.web.api.talon_one.program_days import Day, program_days
from include.web.api.talon_one.programs import Of
from include.web.reader import context_of

router = APIRouter(tags=["statistics"])


@router.get(PROGRAM + "/statistics", summary="Statistics of a program")
def statistics(
    request: Request, response: Response, caller: Annotated[Caller, needs(Scope.REPORTS_READ)], program: Of
) -> Day:
    """Return what the program's points and members come to; the header Loyalty-As-Of says when."""
    found = program_days(context_of(request), program.program_id, date.min, datetime.now(UTC), by=caller.name)
    response.headers[AS_OF] = utc(found.as_of)
    return next(reversed(found.days.values()))
