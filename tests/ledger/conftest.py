"""`case`: a ledger before, rows applied, what holds after; on the reference and on the kernel."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.ledger import kernel, reference
from tests.ledger.ledger_text import day, ledger
from tests.ledger.reference import Outcome

FIGURES = ("active", "pending", "expired", "debt", "spent")


class Case:
    """A ledger before, the rows applied to it, and what is asserted after, in whole points."""

    def __init__(self, replay: Callable, before: str, apply: str) -> None:
        self.replay, self.rows = replay, ledger(before + "\n" + apply)
        replay(ledger(before), day("12-30"))  # what is there before must be sound by itself

    def outcome(self, at: str, account: str = "a") -> Outcome:
        return self.replay(self.rows, day(at))[account]

    def after(self, at: str, account: str = "a", **figures: int) -> None:
        outcome = self.outcome(at, account)
        wanted = dict.fromkeys(FIGURES, 0) | {name: value * 100 for name, value in figures.items()}
        assert {name: getattr(outcome, name) for name in FIGURES} == wanted

    def left(self, at: str, **lots: int) -> None:
        assert self.outcome(at).remaining == {name: value * 100 for name, value in lots.items()}

    def used(self, at: str, *pieces: tuple[str, str, int]) -> None:
        found = [(debit, lot, points // 100) for debit, lot, points, _, _ in self.outcome(at).allocations]
        assert found == list(pieces)

    def history(self, at: str, *rows: tuple[str, int, int, int]) -> None:
        found = [(name, *(value // 100 for value in values)) for name, *values in self.outcome(at).history]
        assert found == list(rows)


@pytest.fixture(params=[reference.replay, kernel.replay], ids=["reference", "kernel"])
def case(request: pytest.FixtureRequest) -> Callable[[str, str], Case]:
    return lambda before, apply: Case(request.param, before, apply)
