"""The log of one customer as a file, by the report, the layout and the format that a whole export would have."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from include.connections import Secrets
from include.definitions.content import Part
from include.errors import BadInput, Problem
from include.formats import artefact
from include.formats.artefact import Artefact
from include.formats.options import file_options, file_problems
from include.pipeline import process
from include.pipeline.checks import layout_of, model_of
from include.pipeline.context import Context, Progress, silent
from include.pipeline.customers.look import FOLDER, READ_SECONDS, ROWS_IN_PLACE, is_id, opened
from include.pipeline.privacy import erasure_key
from include.reports.engine.render import Job, render
from include.reports.model import Asked
from include.scratch import working_folder
from include.settings import Settings
from include.shaping.shape import Shape
from include.snapshots.excerpt import Excerpt, Holder, TooLong
from include.state.audit import Action
from include.state.looked import Person
from include.state.tables import instant

_APART = "include.pipeline.customers.log:made_apart"
# What each layout of a log is made of; the first is our own: the history, with every column.
LAYOUTS: Mapping[str, tuple[str, str | None]] = MappingProxyType({
    "history": ("history", None),
    "talon_one.customer_ledger": ("transactions", "talon_one.customer_ledger"),
    "wupsales.history": ("history", "wupsales.history"),
})  # fmt: skip


@dataclass(frozen=True)
class Log:
    """Which log: rows of `[since, before)` in microseconds (None: from the first, to now), of one program or of all.

    options: of the format csv. zone: for what `zone` means to the report; instants go by the option `timezone`.
    own: without what was booked on a customer's cards.
    """

    layout: str = "history"
    since: int | None = None
    before: int | None = None
    program: str = ""
    zone: str = "UTC"
    options: dict[str, Any] = field(default_factory=dict)
    own: bool = False

    def check(self) -> None:
        """Raise BadInput with all that is wrong."""
        problems = []
        if self.layout not in LAYOUTS:
            right = f"known are {', '.join(LAYOUTS)}"
            problems.append(Problem("layout", self.layout, right, "unknown_layout"))
        if self.since is not None and self.before is not None and self.since >= self.before:
            problems.append(Problem("before", "", "must lie after the first day", "start_after_end"))
        problems += [
            Problem(each.where.removeprefix("file.options."), each.value, each.right, each.code)
            for each in file_problems(self.file, "file")
        ]
        if problems:
            raise BadInput(problems)

    @property
    def file(self) -> dict[str, Any]:
        """Return the file's part of a definition."""
        return {"format": "csv", "options": dict(self.options), "compression": "none"}


@contextmanager
def log(context: Context, holder: Holder, wanted: Log, *, by: str) -> Iterator[Artefact | None]:
    """Give the file, which is there while the block runs; None for whom nobody knows.

    The audit chain is told before anybody gets it: who took whose log, as what, and its sha256. Raises BadInput for
    a log that cannot be, and what a look at a customer raises.
    """
    wanted.check()
    if not is_id(holder.id):
        yield None
        return
    secrets = erasure_key(context)
    with working_folder(context.settings.scratch, FOLDER) as folder:
        try:
            made = _made(context, holder, wanted, folder, secrets, most_rows=ROWS_IN_PLACE)
        except TooLong:
            shutil.rmtree(folder)
            folder.mkdir(mode=0o700)
            made = process.in_process(
                _APART, context.settings, holder, wanted, folder, secrets, progress=silent
            )
        if made is not None:
            detail = {
                "layout": wanted.layout,
                "rows": made.rows,
                "bytes": made.bytes,
                "sha256": made.sha256,
                "since": None if wanted.since is None else instant(wanted.since),
                "before": None if wanted.before is None else instant(wanted.before),
            }
            person = Person(holder.kind, holder.id)
            context.state.looked.note(by, Action.CUSTOMER_EXPORTED, person, detail)
        yield made


def made_apart(
    settings: Settings, holder: Holder, wanted: Log, folder: Path, secrets: Secrets, *, progress: Progress
) -> Artefact | None:
    """Make the file of a holder of many rows, in a process of its own. secrets: with the key of erased people."""
    return _made(Context(settings), holder, wanted, folder, secrets, progress=progress)


def _made(
    context: Context,
    holder: Holder,
    wanted: Log,
    folder: Path,
    secrets: Secrets,
    *,
    most_rows: int | None = None,
    progress: Progress = silent,
) -> Artefact | None:
    model, options = model_of(_part(wanted))
    with opened(context, READ_SECONDS, secrets) as ledger:
        taken = ledger.excerpt(holder, model.needs(options), folder, most_rows=most_rows)
    return None if taken is None else _written(taken, wanted, folder, progress)


def _written(taken: Excerpt, wanted: Log, folder: Path, progress: Progress) -> Artefact:
    """Write the log of an excerpt into its folder."""
    part = _part(wanted)
    model, options = model_of(part)
    # Days to come have no rows yet: what would expire in them is a projection, and no log.
    as_of = taken.read_at if wanted.before is None else min(wanted.before, taken.read_at)
    start = None if wanted.since is None else min(wanted.since, as_of)
    shape = Shape(
        part,
        model.columns(options),
        at=instant(as_of),
        start=None if start is None else instant(start),
        zone=wanted.zone,
        scratch=folder,
        layout=layout_of(part),
    )
    asked = Asked(
        start=start,
        end=as_of if start is not None else None,
        as_of=as_of,
        known_at=taken.read_at,
        options=options,
        timezone=wanted.zone,
        wanted=shape.wanted,
        keep=part.filters,
    )

    def sink(batches: Any) -> Artefact:
        rows = shape.apply(batches)
        return artefact.write(folder / "log.csv", shape.columns, rows, file_options(wanted.file), Secrets())

    [made] = render([Job(model, asked, sink)], taken.snapshot, folder, progress=progress)
    return made


def _part(wanted: Log) -> Part:
    """Return the log as an export of a definition: by time, and with personal columns, for who may see them."""
    model, layout = LAYOUTS[wanted.layout]
    document: dict[str, Any] = {"id": "log", "model": model, "layout": layout, "order": ["created_at"]}
    if layout is None:
        from include.reports import history

        document["options"] = {"profile": "all"}
        document["fields"] = [x.name for x in history.columns(history.Options(profile="all"))]
    filters: list[dict[str, Any]] = []
    if wanted.program:
        filters.append({"field": "program_id", "is": wanted.program})
    if wanted.own:
        filters.append({"any": [{"field": "card_id", "is_unknown": True}, {"field": "card_id", "is": ""}]})
    if filters:
        document["filters"] = filters
    return Part.model_validate(document)
