"""A delivery to a spreadsheet, from the look to the reading back.

Everything that readers can see changes in one step, for all tabs at once: rows, looks, charts, and the stamp by which
a later attempt knows that it was done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from include.targets.protocol import Accepted, Outcome, Progress, Seen
from include.targets.sheets.appending import Appending
from include.targets.sheets.book import Book, Request, Spreadsheet
from include.targets.sheets.charts import charts
from include.targets.sheets.loading import load, remove, tidied
from include.targets.sheets.placing import Place
from include.targets.sheets.replacing import Replacing
from include.targets.sheets.tables import Delivery, Table, filled
from include.targets.sheets.upserting import Upserting

if TYPE_CHECKING:
    from include.targets.google_sheets import Options

_WAYS: dict[str, type[Place]] = {"replace": Replacing, "append": Appending, "upsert": Upserting}
_TOLD_EVERY = 5_000  # rows


def bring(
    sheet: Spreadsheet, options: Options, delivery: Delivery, progress: Progress
) -> tuple[Accepted, ...]:
    """Bring all tables to their tabs; return what became of each file of the parcel that has rows there."""
    total = sum(file.bytes for file in delivery.parcel.files)
    rows, told = max(1, sum(table.rows for table in delivery.tables)), 0

    def tell() -> None:
        nonlocal told
        told += 1
        if told % _TOLD_EVERY == 0:
            progress(min(total * told // rows, total), total)

    book = sheet.look()
    places = _places(sheet, options, delivery, book, tell)
    waiting = [place for place in places if not place.is_done]
    for place in waiting:
        place.check()
    if waiting:
        _step(sheet, options, waiting, places)
        if options.verify == "read_back":
            for place in waiting:
                place.verify()
    progress(total, total)
    return tuple(_accepted(delivery, places, {place.number for place in waiting}))


def seen(sheet: Spreadsheet, options: Options, delivery: Delivery) -> Seen:
    """Say what is on the tabs, changing nothing."""
    places = _places(sheet, options, delivery, sheet.look(), lambda: None)
    found = {place.state() for place in places}
    return Seen.OTHER if Seen.OTHER in found else Seen.ABSENT if Seen.ABSENT in found else Seen.SAME


def _places(
    sheet: Spreadsheet, options: Options, delivery: Delivery, book: Book, tell: Callable[[], None]
) -> list[Place]:
    zone = book.zone if options.timezone == "spreadsheet" else delivery.parcel.about.timezone
    made = options.create is not None and not any(tab.stamps for tab in book.tabs)
    way = _WAYS[options.mode]
    return [way(sheet, options, delivery, table, book, zone, made, tell) for table in delivery.tables]


def _step(sheet: Spreadsheet, options: Options, waiting: Sequence[Place], places: Sequence[Place]) -> None:
    first = waiting[0]
    jobs = [place.job() for place in waiting]
    growth = sum(place.growth(job.height) for place, job in zip(waiting, jobs, strict=True))
    most_bytes = options.request_megabytes * 1_000_000
    loads, tidy = load(sheet, first.book, first.delivery.parcel, jobs, most_bytes, growth)
    requests: list[Request] = []
    with tidied(sheet, tidy):
        for place, brought in zip(waiting, loads, strict=True):
            requests += place.requests(brought)
        if options.charts is not None:
            drawn: list[tuple[Table, int]] = [(place.table, place.id) for place in places]
            delivery = first.delivery
            title = filled(options.charts.tab, delivery.parcel, delivery.manifest)
            requests += charts(options.charts, title, first.book, drawn, header=options.header)
        requests += _emptied(first)
        if not sheet.change([*requests, *tidy], done=first.number):
            remove(sheet, tidy)


def _emptied(place: Place) -> Iterator[Request]:
    """Yield what removes the tab that Google puts into every new spreadsheet, where nobody has written on it."""
    book, wanted = place.book, {table.tab.casefold() for table in place.delivery.tables}
    if not place.made or place.options.create is None or place.options.create.template or len(book.tabs) != 1:
        return
    (tab,) = book.tabs
    if tab.id == 0 and tab.title.casefold() not in wanted and not any(place.sheet.rows(tab, tab.columns)):
        yield {"deleteSheet": {"sheetId": tab.id}}


def _accepted(delivery: Delivery, places: Sequence[Place], brought: set[int]) -> Iterator[Accepted]:
    for file in delivery.parcel.files:
        its_own = [
            place for place in places if file.name in {piece.parcel_name for piece in place.table.pieces}
        ]
        if not its_own:
            continue
        outcomes = {place.outcome if place.number in brought else Outcome.ALREADY_THERE for place in its_own}
        order = (Outcome.REPLACED, Outcome.CREATED, Outcome.ALREADY_THERE)
        yield Accepted(
            name=file.name,
            place=its_own[0].address if len(its_own) == 1 else its_own[0].sheet.address,
            bytes=file.bytes,
            sha256=file.sha256,
            outcome=next(outcome for outcome in order if outcome in outcomes),
        )
