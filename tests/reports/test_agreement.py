"""Reports of one run must agree by program, to the hundredth; a difference is named with both figures."""

from __future__ import annotations

import pyarrow as pa
import pytest

from include.reports import balance, history, liability, points_accounting, redemption
from include.reports.agreement import Tally, disagreements
from include.reports.engine.render import Job, render
from include.reports.model import Asked, LocalSnapshot
from tests.reports.conftest import SAMPLE_END

DAY = 86_400_000_000
START = SAMPLE_END - 90 * DAY


def tally(export: str, model: str, batch: dict, *, start: int | None = START, **more) -> Tally:
    options = balance.Options(**more)
    one = Tally(export, model, Asked(start, SAMPLE_END, SAMPLE_END, SAMPLE_END, options, "UTC"))
    assert len(list(one.watch(iter([pa.record_batch(batch)])))) == 1
    return one


def balances(active: int, **more) -> Tally:
    # 500.00 active + 20.00 pending - 0 debt
    zero = {"pending": [2000], "negative_balance": [0]}
    return tally("balances", "balance", {"program_id": ["p"], "active": [active], **zero}, **more)


def liabilities(closing: int, redeemed: int = 0) -> Tally:
    figures = {"closing": [closing], "opening": [10000], "outstanding": [closing], "redeemed": [redeemed]}
    return tally("books", "liability", {"program_id": ["p"], **figures})


def test_what_agrees_is_silent():
    moved = tally("log", "history", {"program_id": ["p", "p"], "points_change": [50000, -8000]})
    spent = tally("spent", "redemption", {"program_id": ["p"], "points_cost": [700]})
    assert disagreements([balances(50000), liabilities(52000, 700), moved, spent]) == []


def test_a_hundredth_too_much_is_named_with_both_figures():
    assert disagreements([balances(50001), liabilities(52000)]) == [
        "points held at the end of program p: balances says 520.01, books says 520.00"
    ]


def test_a_program_that_one_report_lacks_is_a_difference():
    spent = tally("spent", "redemption", {"program_id": ["other"], "points_cost": [50]})
    assert disagreements([liabilities(1, 0), spent]) == [
        "points redeemed in the period of program other: books says 0.00, spent says 0.50"
    ]


def test_only_programs_that_both_were_asked_for_are_compared():
    assert disagreements([balances(1, programs=("q",)), liabilities(52000)]) == []


def test_balances_of_one_kind_of_holder_are_not_all_that_is_held():
    assert disagreements([balances(1, holders="cards"), liabilities(52000)]) == []


def test_a_report_of_which_only_the_first_rows_were_read_says_nothing():
    # An export with a limit stops reading: what it read is no total.
    rows = [pa.record_batch({"program_id": ["p"], "points_change": [points]}) for points in (7, 8)]
    first = Tally(
        "first", "history", Asked(START, SAMPLE_END, SAMPLE_END, SAMPLE_END, balance.Options(), "UTC")
    )
    read = first.watch(iter(rows))
    next(read)
    assert disagreements([first, liabilities(52000)]) == []
    list(read)
    assert disagreements([first, liabilities(52000)]) == [
        "points moved in the period of program p: first says 0.15, books says 420.00"
    ]


def test_all_that_ever_moved_is_what_is_held():
    moved = tally("log", "history", {"program_id": ["p"], "points_change": [-5]}, start=None)
    assert disagreements([moved, liabilities(20)]) == [
        "points held at the end of program p: log says -0.05, books says 0.20"
    ]


@pytest.mark.parametrize("since", [START, SAMPLE_END - 400 * DAY])
def test_the_reports_of_the_sample_ledger_agree(sample: LocalSnapshot, tmp_path, since):
    modules = {"b": balance, "h": history, "l": liability, "r": redemption, "p": points_accounting}
    asked = {
        name: Asked(since, SAMPLE_END, SAMPLE_END, SAMPLE_END, module.Options(), "UTC")
        for name, module in modules.items()
    }
    tallies = [Tally(name, module.KIND, asked[name]) for name, module in modules.items()]
    jobs = [
        Job(module, asked[name], lambda rows, one=one: list(one.watch(rows)))
        for (name, module), one in zip(modules.items(), tallies, strict=True)
    ]
    render(jobs, sample, tmp_path)
    assert disagreements(tallies) == []
    # Each quantity was really added up, over more than one program.
    assert all(len(+sums) > 1 for one in tallies for sums in one.sums.values())
    tallies[0].sums["points held at the end"].subtract(list(tallies[0].sums["points held at the end"])[:1])
    assert len(disagreements(tallies)) == 2, "with each of the two that say how much is held"
