"""The list of exports: search, filters and order out of the address, what the reader may see, and live progress."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import Annotated, Any, NamedTuple
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field, field_validator
from starlette.responses import RedirectResponse, Response

from include import kinds, targets
from include.pipeline import exports as catalogue
from include.pipeline import pace
from include.reports import models
from include.state.deliveries import DeliveryState
from include.state.exports import Choices, Export, LastRun, Sort, Status
from include.state.exports import Query as Wanted
from include.state.runs import RunStatus
from include.web import pages
from include.web.editor import choices
from include.web.reader import Asking, Reader, Right, context_of

PER_PAGE = 50
LONGEST_TEXT = 200
# A run at work writes its progress down every two seconds.
SILENT = timedelta(minutes=1)


class Column(NamedTuple):
    """A column by which the list can be ordered. descending: how the first click orders."""

    sort: Sort
    heading: str
    descending: bool


COLUMNS = (
    Column("name", "Name", descending=False),
    Column("status", "Status", descending=False),
    Column("model", "Model", descending=False),
    Column("created_at", "Created at", descending=True),
    Column("created_by", "Created by", descending=False),
    Column("filesize", "Filesize", descending=True),
    Column("next_at", "Next run", descending=False),
)
STATUS_KINDS = {
    Status.PENDING: "quiet",
    Status.PROCESSING: "busy",
    Status.FINISHED: "good",
    Status.FAILED: "bad",
    Status.ACTIVE: "good",
    Status.INACTIVE: "quiet",
}
SENDING = ("sending", "busy")
DELIVERY_WORDS = {
    DeliveryState.CLAIMED: SENDING,
    DeliveryState.READY: SENDING,
    DeliveryState.SENDING: SENDING,
    DeliveryState.CONFIRMED: ("delivered", "good"),
    DeliveryState.UNCERTAIN: ("uncertain", "warn"),
    DeliveryState.FAILED: ("failed", "bad"),
    DeliveryState.CONFLICT: ("conflict", "bad"),
}

Menu = Mapping[str, list[tuple[str, str]]]
"""What a filter offers, by heading: each with its value and its words."""
Text = Annotated[str, Field(max_length=LONGEST_TEXT)]

router = APIRouter()


class Asked(BaseModel):
    """What the address asks for. Texts are empty where nothing is; a value that no form gives is refused."""

    model_config = ConfigDict(frozen=True)

    q: Text = ""
    status: Status | None = None
    model: Text = ""
    target: Text = ""
    owner: Text = ""
    sort: Sort = "created_at"
    descending: bool = True
    page: Annotated[int, Field(ge=1, le=1_000_000)] = 1

    @field_validator("status", mode="before")
    @classmethod
    def _any_status(cls, value: object) -> object:
        return value or None  # a form sends its empty choice too

    @field_validator("q", "model", "target", "owner")
    @classmethod
    def _plain(cls, value: str) -> str:
        """Take out what no name holds; PostgreSQL takes no NUL."""
        return " ".join("".join(each if each.isprintable() else " " for each in value).split())

    @property
    def filtered(self) -> bool:
        """Whether anything narrows the list."""
        return bool(self.q or self.status or self.model or self.target or self.owner)

    def address(self, **changes: Any) -> str:
        """Return the query of the address that asks for this with changes; without what goes without saying."""
        said = self.model_copy(update=changes).model_dump(mode="json", exclude_defaults=True)
        return urlencode({name: "false" if value is False else value for name, value in said.items()})

    def sorted_by(self, column: Column) -> str:
        """Return the query of the address that a click on the column's heading leads to."""
        descending = not self.descending if column.sort == self.sort else column.descending
        return self.address(sort=column.sort, descending=descending, page=1)

    @property
    def to_pages(self) -> str:
        """Return the query of the address of any page, ready for the page's number."""
        asked = self.address(page=1)
        return f"{asked}&" if asked else ""

    def wanted(self, visible: Collection[str] | None) -> Wanted:
        """Return it in the words of the state."""
        return Wanted(
            text=self.q,
            status=self.status,
            model=self.model,
            target=self.target,
            owner=self.owner,
            sort=self.sort,
            descending=self.descending,
            page=self.page,
            per_page=PER_PAGE,
            visible=visible,
        )


class Delivered(NamedTuple):
    """The last delivery to a target, in words; `at` is None where there was none yet."""

    label: str
    words: str
    kind: str
    at: datetime | None


@dataclass(frozen=True)
class Row:
    """An export as the list shows it. `news`: how far a run at work is. `share`: that of 1, None while nobody knows."""

    export: Export
    news: str
    share: float | None
    deliveries: tuple[Delivered, ...]

    @property
    def models(self) -> tuple[str, ...]:
        """What its models are called."""
        return tuple(map(models.title, self.export.models))

    @property
    def at_work(self) -> bool:
        """Whether a run is at work, so that the row changes by itself."""
        return self.export.status is Status.PROCESSING

    @property
    def no_next(self) -> str:
        """Why it runs no more by itself, where no next run is known."""
        if self.export.document.get("schedule") is None:
            return "By hand"
        if not self.export.enabled:
            return "Switched off"
        return "Paused" if self.export.paused else "No further run"

    @property
    def badges(self) -> tuple[tuple[str, str], ...]:
        """The words that say how it stands, each with its kind; of a repeated one, whether it is on comes first."""
        activity, status = self.export.activity, self.export.status
        shown = [activity] if activity is not None else []
        if activity is None or status is not Status.PENDING:
            shown.append(status)
        return tuple((each.value, STATUS_KINDS[each]) for each in shown)


@router.get("/exports")
def listing(request: Request, reader: Asking, asked: Annotated[Asked, Query()]) -> Response:
    """Show the list; only its table to a script that has the rest already."""
    context = context_of(request)
    catalogue.refresh(context)
    exports = context.state.exports
    ids = exports.ids()
    visible = _visible(reader, ids)
    found = exports.search(asked.wanted(visible))
    last_page = max(-(-found.total // PER_PAGE), 1)
    if asked.page > last_page:
        asked = asked.model_copy(update={"page": last_page})
        found = exports.search(asked.wanted(visible))
    values: dict[str, Any] = {
        "alone": _is_for_script(request),
        "asked": asked,
        "rows": [shown(each) for each in found.rows],
        "total": found.total,
        "first": (asked.page - 1) * PER_PAGE + 1,
        "last_page": last_page,
        "columns": COLUMNS,
        "any": bool(ids if visible is None else visible),
        "may_make": reader.may(Right.EDIT),
    }
    if values["alone"]:
        answer = pages.fragment(request, reader, "exports/found.html", **values)
        if (
            "hx-boosted" not in request.headers
        ):  # typing leaves one entry in the history, a click on a link its own
            answer.headers["HX-Replace-Url"] = f"{pages.root(request)}/exports?{asked.address()}".rstrip("?")
    else:
        menus = _menus(exports.choices(visible))
        answer = pages.show(request, reader, "exports/listing.html", menus=menus, **values)
    answer.headers["Vary"] = "HX-Request"
    return answer


@router.get("/processing")
def processing(
    request: Request, reader: Asking, shown_ids: Annotated[list[str], Query(alias="id", max_length=PER_PAGE)]
) -> Response:
    """Show anew what is at work of the rows that a page shows."""
    visible = reader.readable(frozenset(shown_ids))
    found = context_of(request).state.exports.search(Wanted(visible=visible, per_page=PER_PAGE))
    return pages.fragment(
        request, reader, "exports/processing.html", rows=[shown(each) for each in found.rows]
    )


@router.get("/dags/{definition_id}")
def of_dag(request: Request, reader: Asking, definition_id: str) -> Response:
    """Lead from the tab of a DAG to its export, or say that it has none; 403 where the DAG is not theirs to see."""
    reader.require(Right.SEE, definition_id)
    if context_of(request).state.exports.get(definition_id) is None:
        return pages.show(request, reader, "exports/no_export.html", dag=definition_id, section="")
    return RedirectResponse(f"{pages.root(request)}/exports/{quote(definition_id, safe='')}", 303)


def shown(export: Export) -> Row:
    """Return an export as the list shows it."""
    run = export.last_run if export.status is Status.PROCESSING else None
    deliveries = tuple(_delivered(export, label) for label, _ in export.targets)
    if run is None:
        return Row(export, "", None, deliveries)
    made = run.status == RunStatus.RENDERED.value
    share = min(run.rows_done / run.rows_total, 1) if run.rows_total and not made else None
    return Row(export, _news(run, datetime.now(UTC)), share, deliveries)


def _menus(there: Choices) -> dict[str, Menu]:
    """Return the menus of the filters, with the words of the form in which exports are made."""
    of_model = sorted(((each, models.title(each)) for each in there.models), key=itemgetter(1))
    known = kinds.names(targets)
    called = choices.CHOICES["targets.kind"]
    of_kind = [(each, choices.choice(called, each)) for each in there.targets if each in known]
    named = [(each, each) for each in there.targets if each not in known]
    return {
        "status": {"": [(each.value, each.value) for each in Status]},
        "model": {"": of_model},
        "target": {"Kind": of_kind, "Name": named},
        "owner": {"": [(each, each) for each in there.owners]},
    }


def _delivered(export: Export, label: str) -> Delivered:
    last = export.last_deliveries.get(label)
    if last is None:
        return Delivered(label, "not yet", "quiet", None)
    words, kind = DELIVERY_WORDS[DeliveryState(last.state)]
    return Delivered(label, words, kind, last.at)


def _news(run: LastRun, now: datetime) -> str:
    """Return how far a run at work is: `Book: 1,200 of 3,400 rows, about 2 min left`. Nothing is made up."""
    if run.status == RunStatus.RENDERED.value:
        return "Delivering"
    stage = run.stage.replace("_", " ").capitalize() or "Waiting"
    told = [stage]
    if run.rows_total:
        told.append(f"{min(run.rows_done, run.rows_total):,} of {pages.plural(run.rows_total, 'row')}")
    elif run.rows_done:
        told.append(pages.plural(run.rows_done, "row"))
    silence = now - run.updated_at
    left = pace.time_left(run)
    if silence > SILENT and run.rows_total:
        told.append(f"no news for {silence // timedelta(minutes=1)} min")
    elif left is not None:
        told.append(pace.shown(left))
    return ", ".join(told).replace(", ", ": ", 1)


def _visible(reader: Reader, ids: frozenset[str]) -> frozenset[str] | None:
    """Return which of all exports the reader may see, None for all of them."""
    readable = reader.readable(ids)
    return None if readable == ids else readable


def _is_for_script(request: Request) -> bool:
    """Say whether htmx asks for the table; it asks for whole pages when people go back."""
    return "hx-request" in request.headers and "hx-history-restore-request" not in request.headers
