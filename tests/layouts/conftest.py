"""Files of every layout, made by two runs of the whole pipeline; stages run in this process."""

from __future__ import annotations

import pytest

from include.layouts.layout import layouts
from tests.layouts.tiny import CLUB, IFRS, Desk, at, of_layout

# The days on which something happens, and the last one; a day more would say the same again.
DAYS = [
    "2026-01-09",
    *(f"2026-{day}" for day in ("01-10", "01-15", "02-05", "02-10", "02-11", "02-12", "02-19", "02-28")),
]
ACCOUNTING = tuple(name for name in layouts() if name.startswith("accounting."))
OTHERS = tuple(name for name in layouts() if not name.startswith("accounting."))


@pytest.fixture(scope="session")
def club(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return Desk(tmp_path_factory.mktemp("club"), CLUB)


@pytest.fixture(scope="session")
def every(club: Desk, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """The files of each layout, with all of its columns."""
    books = Desk(tmp_path_factory.mktemp("books"), IFRS)
    columns = {name: [column.name for column in layout.columns] for name, layout in layouts().items()}
    daily = {"filters": {"field": "date", "in": DAYS}}
    some, accounting = (
        {
            name: of_layout(name, fields=columns[name], **(daily if "dashboard" in name else {}))
            for name in names
        }
        for names in (OTHERS, ACCOUNTING)
    )
    return club.export(some) | books.export(accounting, start=at("02-01"))


@pytest.fixture(scope="session")
def defaults(club: Desk) -> dict[str, list[str]]:
    """The files of each layout where the definition names no fields."""
    return club.export({name: of_layout(name) for name in OTHERS})
