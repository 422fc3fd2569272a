"""What the address of a customer's page asks for: an instant, a zone, some transactions; and what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from starlette.datastructures import QueryParams

from include.definitions.zones import instant_at, start_of, zone
from include.pipeline.customers.figures import TYPES, View
from include.pipeline.customers.picked import Filter
from include.state.tables import microseconds

FIRST_YEAR, LAST_YEAR = 1970, 2199
MOST_PAGES = 1_000_000
LONGEST_TEXT = 200
# What forms of the page keep of each other. A subledger has a = before it: the only one of a program has no name.
NAMES = ("at", "zone", "program", "subledger", "type", "from", "until", "text", "lots")


@dataclass(frozen=True)
class Asked:
    """The view, the texts of the address by name, and sentences about those that are wrong, which do not count."""

    view: View
    texts: Mapping[str, list[str]]
    problems: dict[str, str] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """Return what was asked under a name; empty where nothing was."""
        return next(iter(self.texts.get(name, ())), "")

    def kept(self, *but: str) -> list[tuple[str, str]]:
        """Return all that was asked, but what these names say, as a form or an address repeats it."""
        return [(name, text) for name, texts in self.texts.items() if name not in but for text in texts]


def asked(query: QueryParams) -> Asked:
    """Return what an address asks for; what is wrong in it is told and left out."""
    texts = {name: [text for text in query.getlist(name) if text] for name in NAMES}
    texts = {name: found for name, found in texts.items() if found}
    problems: dict[str, str] = {}
    reading = _Reading(texts, problems)
    where = reading.zone()
    shown = Filter(
        program=reading.one("program"),
        subledger=reading.one("subledger")[1:] if reading.one("subledger").startswith("=") else None,
        types=tuple(kind for kind in texts.get("type", ()) if kind in TYPES),
        since=reading.day("from", where),
        before=reading.day("until", where, after=True),
        text=reading.one("text")[:LONGEST_TEXT],
        page=_page(query.get("page", "")),
    )
    if shown.since is not None and shown.before is not None and shown.since >= shown.before:
        problems["until"] = "The last day must not lie before the first."
    view = View(reading.moment("at", where), where.key if where else "", shown, query.get("lots") == "all")
    return Asked(view, texts, problems)


@dataclass(frozen=True)
class _Reading:
    texts: Mapping[str, list[str]]
    problems: dict[str, str]

    def one(self, name: str) -> str:
        return next(iter(self.texts.get(name, ())), "")

    def zone(self) -> ZoneInfo | None:
        text = self.one("zone")
        if not text:
            return None
        try:
            return zone(text)
        except ValueError as error:
            self.problems["zone"] = f"The time zone {error}."
            return None

    def moment(self, name: str, where: ZoneInfo | None) -> int | None:
        text = self.one(name)
        if not text:
            return None
        try:
            found = datetime.fromisoformat(text)
        except ValueError:
            found = None
        if found is None or found.tzinfo is not None or "T" not in text or not _is_near(found):
            self.problems[name] = (
                f"Give a date and a time between {FIRST_YEAR} and {LAST_YEAR}, such as 2026-03-01T00:00."
            )
            return None
        return microseconds(instant_at(found.date(), found.time(), where or ZoneInfo("UTC")))

    def day(self, name: str, where: ZoneInfo | None, *, after: bool = False) -> int | None:
        """Return the instant at which a day begins, or at which it is over."""
        text = self.one(name)
        if not text:
            return None
        try:
            found = date.fromisoformat(text)
        except ValueError:
            found = None
        if found is None or not _is_near(datetime.combine(found, time())):
            self.problems[name] = f"Give a day between {FIRST_YEAR} and {LAST_YEAR}, such as 2026-03-01."
            return None
        return microseconds(start_of(found + timedelta(days=after), where or ZoneInfo("UTC")))


def _is_near(moment: datetime) -> bool:
    return FIRST_YEAR <= moment.year <= LAST_YEAR


def _page(text: str) -> int:
    return (
        min(int(text), MOST_PAGES)
        if text.isascii() and text.isdigit() and len(text) < 10 and int(text)
        else 1
    )
