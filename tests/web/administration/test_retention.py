"""What is kept how long; looking what would go takes nothing away."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import BigInteger, type_coerce, update

from include.pipeline import retention
from include.state.tables import MICROSECOND, RUNS
from tests.web.posting import text_of
from tests.web.runs import stored

PAGE = "/loyalty/administration/retention"


def aged(context, days: int) -> None:
    """Let all runs be that much older."""
    before = type_coerce(RUNS.c.updated_at, BigInteger) - timedelta(days=days) // MICROSECOND
    with context.state.database.write() as connection:
        connection.execute(update(RUNS).values(updated_at=before))


def test_the_settings_are_shown(browser):
    told = text_of(browser("admin", "ADMIN").get(PAGE))
    assert "Files of runs 400 days" in told
    assert "Snapshots of the ledger 35 days" in told
    assert "Look what would go now" in told


def test_a_look_names_what_upkeep_would_take_and_takes_nothing(browser, installation):
    context = installation.context
    stored(context, {"old.csv": b"a\n1\n"}, "old-export")
    aged(context, 500)
    told = text_of(browser("admin", "ADMIN").get(f"{PAGE}?look=yes"))
    assert "files of 2 runs" in told
    assert "old-export" in told
    assert len(list(retention.over(context))) == 2
    assert len(retention.retire_files(context)) == 2
    assert "files of 0 runs" in text_of(browser("admin", "ADMIN").get(f"{PAGE}?look=yes"))
