"""A run whose figures do not add up stops, names whose they are, and ships nothing (sections 4 to 6).

Sound code books sound figures, so each test breaks one of them on the way.
"""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from include.errors import LedgerViolation
from include.reports import ageing, balance, history, liability, projection
from include.reports.engine import replay
from tests.ledger.ledger_text import day
from tests.reports.small import rows, taken

TEXT = (
    "A earned 100 on 01-01 expires 03-02\nB earned 7 on 01-02 activates 03-02\nC earned 1 on 01-01 account x"
)
PROGRAMS = [{"program_id": "p", "name": "Club", "currency": "EUR", "time_zone": "UTC"}]


@pytest.fixture
def run(tmp_path):
    of = taken(tmp_path, TEXT, programs=PROGRAMS)

    def render(module: ModuleType, **options: Any) -> list[dict[str, Any]]:
        return rows(module, of, tmp_path, day("03-01"), **options)

    return render


def broken_by_a_hundredth(monkeypatch: pytest.MonkeyPatch, figure: str, module: ModuleType = replay) -> None:
    """Make booking give the first account, or the first row, a hundredth of a point more."""
    book = module.book

    def wrong(*asked: Any, **how: Any) -> Any:
        booked = book(*asked, **how)
        values = getattr(booked, figure)
        return replace(booked, **{figure: values + (np.arange(values.size) == 0)})

    monkeypatch.setattr(module, "book", wrong)


@pytest.mark.parametrize("figure", ["active", "pending", "debt", "expired", "left", "lapsed"])
def test_balances_that_do_not_add_up(figure, run, monkeypatch):
    broken_by_a_hundredth(monkeypatch, figure)
    with pytest.raises(LedgerViolation, match=r"differ from active \+ pending - debt for p customer (a|x)$"):
        run(balance)


def test_a_history_that_does_not_chain(run, monkeypatch):
    broken_by_a_hundredth(monkeypatch, "balance_after")
    with pytest.raises(LedgerViolation, match=r"history do not chain for p customer (a|x)$"):
        run(history)


def test_a_liability_that_does_not_foot(run, monkeypatch):
    roll_forward = liability.roll_forward
    monkeypatch.setattr(
        liability, "roll_forward", lambda *cuts: replace(line := roll_forward(*cuts), earned=line.earned + 1)
    )
    with pytest.raises(LedgerViolation, match=r"of program p, .* does not foot by 1 hundredths"):
        run(liability, start=day("01-01"), method="none")


@pytest.mark.parametrize(
    ("moved", "message"),
    [
        ("closing", "counts 10801 hundredths of a point, its accounts hold 10800"),
        ("reclassified", "sum to 1 hund"),
    ],
)
def test_a_liability_that_is_not_what_accounts_hold(moved, message, run, monkeypatch):
    roll_forward = liability.roll_forward

    def wrong(*cuts: Any) -> Any:  # two figures that are wrong together foot
        line = roll_forward(*cuts)
        other = {"closing": "earned", "reclassified": "expired"}[moved]
        return replace(line, **{moved: getattr(line, moved) + 1, other: getattr(line, other) + 1})

    monkeypatch.setattr(liability, "roll_forward", wrong)
    with pytest.raises(LedgerViolation, match=message):
        run(liability, start=day("01-01"), method="none")


def test_ages_that_are_not_what_accounts_hold(run, monkeypatch):
    monkeypatch.setattr(ageing, "_lines", lambda *_: iter(()))
    with pytest.raises(LedgerViolation, match="ages of program p count 0 hundredths of a point"):
        run(ageing)


def test_a_projection_that_does_not_lead_to_the_balance(run, monkeypatch):
    changes = projection.changes

    def wrong(*asked: Any) -> Any:
        found = changes(*asked)
        return replace(
            found, points=found.points + (np.arange(found.points.size) == 0).reshape(found.points.shape)
        )

    monkeypatch.setattr(projection, "changes", wrong)
    with pytest.raises(LedgerViolation, match=r"do not lead to the projected balance for p customer a$"):
        run(projection, days=3)
