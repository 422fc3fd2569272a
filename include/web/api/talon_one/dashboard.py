"""A program's figures day by day: as JSON of any days, or as the files that the vendor's dashboard exports.

The current day is never in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import Response
from typing_extensions import TypedDict

from include.errors import BadInput, Problem
from include.pipeline.answers.report import Question, answered, definition_of
from include.state.keys import Scope
from include.web.api.caller import Caller, needs
from include.web.api.etags import etag_of, tagged
from include.web.api.streaming import AS_OF, sent, utc
from include.web.api.talon_one.parameters import PROGRAM, Moment, written
from include.web.api.talon_one.program_days import DAY, Day, midnight, program_days, whole_days
from include.web.api.talon_one.programs import Of
from include.web.reader import context_of

router = APIRouter(tags=["statistics"])
MOST_DAYS = 3_660
Data = Literal["members", "points_total", "earned_redeemed"]
Frame = Literal["last_7_days", "last_30_days", "last_3_months", "last_year"]
_PERIODS = {"last_year": "last_12_months"}


class Dashboard(TypedDict):
    """The days, the first one first."""

    totalResultSize: int
    data: list[Day]


@router.get(
    PROGRAM + "/dashboard",
    summary="Statistics of a program by day",
    response_model=Dashboard,
)
def dashboard(
    request: Request,
    caller: Annotated[Caller, needs(Scope.REPORTS_READ)],
    program: Of,
    since: Annotated[
        Moment | None, Query(alias="rangeStart", description="Days that begin then or later.")
    ] = None,
    before: Annotated[Moment | None, Query(alias="rangeEnd", description="Days that begin before.")] = None,
    subledger: Annotated[
        str | None, Query(alias="subledgerId", description="Figures by day are of all subledgers: refused.")
    ] = None,
    data: Annotated[
        Data | None,
        Query(description="Beside the vendor's: a CSV file with the columns of its dashboard export."),
    ] = None,
    frame: Annotated[
        Frame | None,
        Query(alias="timeFrame", description="With `data`, instead of a range: through yesterday."),
    ] = None,
) -> Response:
    """Return each day of the range (UTC) that is over."""
    problems = list(_problems(since, before, subledger, data, frame))
    if problems:
        raise BadInput(problems)
    if data is not None:
        return _file(request, program.program_id, caller, data, since, before, frame)
    assert since is not None, "_problems() comes first"
    assert before is not None, "_problems() comes first"
    days = list(whole_days(since, before, datetime.now(UTC)))
    if not days:
        return tagged(request, Dashboard(totalResultSize=0, data=[]), etag_of())
    end = midnight(days[-1] + DAY)
    found = program_days(context_of(request), program.program_id, days[0], end, by=caller.name)
    content = Dashboard(totalResultSize=len(found.over), data=found.over)
    response = tagged(request, content, etag_of(content))
    response.headers[AS_OF] = utc(found.as_of)
    return response


def _problems(
    since: datetime | None,
    before: datetime | None,
    subledger: str | None,
    data: Data | None,
    frame: Frame | None,
) -> Iterator[Problem]:
    if subledger is not None:
        right = "figures by day are of all subledgers of a program together: leave it out"
        yield Problem("subledgerId", subledger, right, "not_by_subledger")
    if frame is not None and data is None:
        yield Problem("timeFrame", frame, "goes with data, which asks for a file", "frame_without_data")
    if frame is not None and (since or before):
        yield Problem("timeFrame", frame, "is instead of rangeStart and rangeEnd", "frame_and_range")
    if frame is None:
        for name, moment in (("rangeStart", since), ("rangeEnd", before)):
            if moment is None:
                yield Problem(
                    name, "", "is needed: an RFC 3339 timestamp such as 2026-03-01T00:00:00Z", "missing"
                )
    if since is not None and before is not None:
        if before <= since:
            yield Problem("rangeEnd", written(before), f"must lie after {written(since)}", "start_after_end")
        elif before - since > timedelta(days=MOST_DAYS):
            yield Problem(
                "rangeEnd", written(before), f"a range has {MOST_DAYS:,} days at most", "range_too_long"
            )


def _file(
    request: Request,
    program_id: str,
    caller: Caller,
    data: Data,
    since: datetime | None,
    before: datetime | None,
    frame: Frame | None,
) -> Response:
    document = {
        "model": data,
        "layout": f"talon_one.dashboard_{data}",
        "options": {"programs": [program_id]},
        "timezone": "UTC",
        "period": "all_time" if frame is None else _PERIODS.get(frame, frame),
        "file": {"format": "csv", "compression": "none"},
    }
    if frame is not None:
        question = Question(definition_of(document))
    else:
        assert since is not None, "_problems() comes first"
        assert before is not None, "_problems() comes first"
        days = list(whole_days(since, before, datetime.now(UTC)))
        if not days:
            raise BadInput([Problem("rangeStart", written(since), "no day of the range is over", "no_day")])
        start, end = midnight(days[0]), midnight(days[-1] + DAY)
        question = Question(definition_of(document), start=start, end=end)
    drawn = answered(context_of(request), question, personal=False, by=caller.name)
    return sent(request, drawn, name=f"{data}.csv")
