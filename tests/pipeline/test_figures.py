"""Rows and totals of runs, exactly, and how they went."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from include.pipeline.figures import series, totals
from include.state.history import Figures

MANIFEST = {"name": "a.csv.manifest.json", "bytes": 10}


def file(rows, export=None, **figures):
    return {"name": "a.csv", "rows": rows, "totals": figures, "export": export}


def run(day, *files):
    return Figures(f"{day}", datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day), 0, (*files, MANIFEST))


def test_files_of_one_export_add_up_and_exports_stay_apart():
    split = [file(2, points="1.10"), file(3, points="2.20")]
    assert totals([*split, MANIFEST]) == {"rows": Decimal(5), "points": Decimal("3.30")}
    pack = [file(2, "balances", active="1"), file(3, "history", active="9")]
    assert totals(pack) == {
        "balances: rows": Decimal(2), "balances: active": Decimal(1),
        "history: rows": Decimal(3), "history: active": Decimal(9),
    }  # fmt: skip


def test_what_tells_of_changes_is_no_total():
    assert totals([file(2, points="1"), {**file(7, points="5"), "holds": "changes"}]) == {
        "rows": Decimal(2),
        "points": Decimal(1),
    }


def test_a_figure_that_a_run_does_not_have_is_a_gap():
    found = series([run(0, file(1)), run(1, file(2, points="5.5")), run(2, file(4, points="7"))])
    rows, points = found
    assert (rows.name, rows.values, rows.change) == ("rows", (1, 2, 4), 2)
    assert (points.values, points.last, points.change) == ((None, Decimal("5.5"), 7), 7, Decimal("1.5"))
    assert series([run(0, file(1))])[0].change is None
    assert series([]) == ()


@given(st.lists(st.decimals(-(10**12), 10**12, places=2), min_size=1, max_size=20))
def test_sums_are_exact(amounts):
    files = [file(1, points=str(amount)) for amount in amounts]
    assert totals(files)["points"] == sum(amounts)
