"""The points roll-forward of finance teams: every row foots, and what is neither earned nor redeemed is net."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from include.errors import LedgerViolation
from include.reports import liability, points_accounting
from include.reports.model import LocalSnapshot
from tests.examples import examples
from tests.reports.liability_ledger import rendered, row, snapshot

LOSSES = ("earned_reversed", "redeemed", "expired")
FIGURES = ("earned", "earned_reversed", "redeemed", "refunded", "expired")


def foots(line: dict[str, Any]) -> bool:
    moved = line["earned"] + line["refunded"] - sum(line[name] for name in LOSSES)
    return bool(
        line["outstanding_start"] + moved == line["outstanding_end"]
        and line["outstanding_difference"] == moved
        and all(line[name] >= 0 for name in FIGURES)
    )


# rows of February | after: earned, reversed, redeemed, reimbursed, expired (start is 100, from January)
CASES = {
    "each movement in its column": (
        [("b", "earned", 50, {}), ("c", "earned_reversed", -5, {"related_transaction_id": "b"}),
         ("d", "redeemed", -30, {}), ("e", "redemption_refunded", 10, {"related_transaction_id": "d"})],
        (50, 5, 30, 10, 0),
    ),
    # + 25 - 5 = 20 by hand
    "adjustments that add are earned": ([("b", "adjusted", 25, {}), ("c", "adjusted", -5, {})], (20, 0, 0, 0, 0)),
    # + 5 - 25 = - 20 by hand
    "adjustments that take away are reversed": (
        [("b", "adjusted", 5, {}), ("c", "adjusted", -25, {})], (0, 20, 0, 0, 0),
    ),
    # - 30 + 30: a transfer within the program is nothing
    "a transfer between members is net": (
        [("b", "transferred_out", -30, {}), ("c", "transferred_in", 30, {"customer_id": "d"})], (0, 0, 0, 0, 0),
    ),
    # adjusted + 10, transferred out to another program - 40: - 30
    "a transfer out of the program is reversed": (
        [("b", "adjusted", 10, {}), ("c", "transferred_out", -40, {})], (0, 30, 0, 0, 0),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_worked_cases(case: str, tmp_path: Path):
    rows, after = CASES[case]
    ledger = [row("a", "earned", 100, "2026-01-10")]
    ledger += [
        row(name, kind, points, f"2026-02-0{day}", **more)
        for day, (name, kind, points, more) in enumerate(rows, 1)
    ]
    of = snapshot(tmp_path, ledger)
    (line,) = rendered(points_accounting, of, tmp_path, "2026-03-01", "2026-02-01")
    assert tuple(line[name] // 100 for name in FIGURES) == after
    assert line["outstanding_start"] == 10_000
    assert line["date"].isoformat() == "2026-02-28"
    assert foots(line)


def test_the_last_day_is_that_of_the_definitions_zone(tmp_path: Path):
    of = snapshot(tmp_path, [row("a", "earned", 100, "2026-01-10")])
    (line,) = rendered(points_accounting, of, tmp_path, "2026-03-01", "2026-02-01", timezone="Asia/Tokyo")
    assert line["date"].isoformat() == "2026-03-01", "midnight UTC is nine in the morning there"


def test_the_sample_foots_and_says_what_the_liability_says(sample: LocalSnapshot, tmp_path: Path):
    asked = (sample, tmp_path, "2026-06-01", "2026-05-01")
    lines = rendered(points_accounting, *asked)
    points = rendered(liability, *asked, method="none")
    assert len(lines) == 2
    assert all(map(foots, lines))
    for line, said in zip(lines, points, strict=True):
        assert (line["outstanding_start"], line["outstanding_end"]) == (said["opening"], said["closing"])
        assert (line["redeemed"], line["expired"]) == (said["redeemed"], said["expired"])


@given(
    st.fixed_dictionaries(
        {
            **{name: st.integers(0, 10**9) for name in (*FIGURES, "transferred_in", "transferred_out")},
            **{name: st.integers(-(10**9), 10**9) for name in ("opening", "adjusted", "reclassified")},
        }
    )
)
@examples(200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_roll_forward_that_foots_foots_here(said: dict[str, int]):
    signs = {"earned_reversed": -1, "redeemed": -1, "transferred_out": -1, "expired": -1}
    row = {"program_id": "p", "program_name": "P", **said}
    row["closing"] = sum(value * signs.get(name, 1) for name, value in said.items())
    assert foots(points_accounting._line(row, None))
    with pytest.raises(LedgerViolation, match="program p does not foot"):
        points_accounting._line(row | {"closing": row["closing"] + 1}, None)
