"""What `book` promises beside the rules: refusals, no rows, and that the invariants can fail."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from include.errors import LedgerViolation
from include.ledger import booking
from include.ledger.balances import balances
from include.ledger.booking import NEVER, NO_RELATED, Rows, TransactionType, book
from include.ledger.invariants import PROBLEM_SENTENCES, chain_violations, identity_violations, problem_codes
from include.ledger.rows import RowProblem
from tests.ledger.kernel import outcomes, rows_of
from tests.ledger.ledger_text import day, ledger

TEXT = """
    A earned 100 on 01-01 expires 02-01
    R redeemed -60 on 01-15
    B earned 80 on 03-01 activates 04-01
    F redemption_refunded 20 on 03-01 expires 12-01
    X expired -50 on 03-02
    C redeemed -5 on 01-03 account other
"""


def rows(**changes: object) -> Rows:
    one = np.array([10, 20])
    plain = Rows(
        account_start=np.array([0, 2]),
        created_at=one,
        activates_at=one,
        expires_at=np.array([NEVER, NEVER]),
        type=np.array([TransactionType.EARNED, TransactionType.REDEEMED], np.uint8),
        points=np.array([100, -60]),
        related=np.array([NO_RELATED, NO_RELATED]),
    )
    return dataclasses.replace(plain, **{name: np.asarray(value) for name, value in changes.items()})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"created_at": [20, 10], "activates_at": [20, 20]}, "row 1 is out of order"),
        ({"created_at": [10, 30], "activates_at": [10, 30]}, "row 1 was not created before"),
        ({"activates_at": [9, 20]}, "row 0 activates before"),
        ({"activates_at": [10, NEVER]}, "row 1 activates before it was created, or never"),
        ({"type": np.array([0, 8], np.uint8)}, "row 1 has an unknown type"),
        ({"points": [-100, -60]}, "row 0 has a sign"),
        ({"points": [100, 60]}, "row 1 has a sign"),
        ({"points": [100]}, "have .* rows"),
        ({"account_start": [0, 1]}, "end at row 1"),
        ({"account_start": [1, 2]}, "rows"),
        (
            {
                "created_at": [10, 10],
                "activates_at": [10, 10],
                "points": [-1, 1],
                "type": np.array([2, 0], np.uint8),
            },
            "row 1 is out of order",
        ),
    ],
)
def test_rows_that_break_their_promise_are_refused(changes, message):
    assert book(rows(), 30, allocations=False).active.tolist() == [40]
    with pytest.raises(ValueError, match=message):
        book(rows(**changes), 30, allocations=False)


def test_the_end_of_time_is_no_instant():
    with pytest.raises(ValueError, match="out of range"):
        book(rows(), NEVER, allocations=False)


def test_sums_beyond_64_bits_are_refused():
    with pytest.raises(LedgerViolation, match="begins at row 0"):
        book(rows(points=[2**63 - 1, -(2**62)]), 30, allocations=False)


def test_no_rows():
    none = np.array([], np.int64)
    empty = Rows(np.array([0]), none, none, none, none.astype(np.uint8), none, none)
    booked = book(empty, 5, allocations=True)
    assert booked.active.size == booked.expiry_lot.size == booked.allocation_lot.size == len(booked.rows) == 0
    assert identity_violations(booked).size == chain_violations(booked).size == 0


def test_allocations_only_when_asked():
    assert book(rows(), 30, allocations=False).allocation_points.tolist() == []
    assert book(rows(), 30, allocations=True).allocation_points.tolist() == [60]


def test_balances_are_the_words_of_section_4():
    """Before: 100 earned, 60 redeemed, 40 expired; 20 refunded, 10 of it expired early by X; 80 pending."""
    found, ordered = rows_of(ledger(TEXT))
    figures = balances(book(found, day("03-03"), allocations=False))
    at = [ordered[i].account for i in found.account_start[:-1]]
    one, other = at.index("a"), at.index("other")
    assert figures.active.tolist()[one] == 1000
    assert figures.pending[one] == 8000
    assert figures.expired[one] == 5000
    assert figures.spent[one] == 4000
    assert figures.lifetime_earned[one] == 18000
    assert (figures.points_balance[one], figures.chain_balance[one], figures.outstanding[one]) == (
        1000,
        9000,
        9000,
    )
    assert (figures.points_balance[other], figures.chain_balance[other]) == (-500, -500)
    assert figures.is_member[[one, other]].tolist() == [True, False]


@pytest.mark.parametrize(
    "name",
    ["points_change", "left", "active", "pending", "expired", "debt", "expiry_points", "expiry_unposted"],
)
def test_the_identity_notices_a_hundredth_anywhere(name):
    booked = book(rows_of(ledger(TEXT))[0], day("03-03"), allocations=False)
    assert identity_violations(booked).tolist() == []
    values = getattr(booked, name)
    for i in range(values.size):
        changed = values.copy()
        changed[i] += 1
        assert identity_violations(dataclasses.replace(booked, **{name: changed})).size == 1, i


@pytest.mark.parametrize(
    "name", ["points_change", "balance_after", "active", "debt", "expiry_points", "expiry_balance_after"]
)
def test_the_chain_notices_a_hundredth_anywhere(name):
    booked = book(rows_of(ledger(TEXT))[0], day("03-03"), allocations=False)
    assert chain_violations(booked).tolist() == []
    values = getattr(booked, name)
    for i in range(values.size):
        changed = values.copy()
        changed[i] += 1
        assert chain_violations(dataclasses.replace(booked, **{name: changed})).size == 1, i


def test_every_problem_has_a_sentence_and_a_code():
    assert set(PROBLEM_SENTENCES) == set(RowProblem)
    assert problem_codes(RowProblem.ZERO_POINTS | RowProblem.REVERSAL_OF_EXPIRED) == (
        "reversal_of_expired",
        "zero_points",
    )


def test_threads_book_side_by_side():
    found, ordered = rows_of(ledger(TEXT))
    with ThreadPoolExecutor(4) as pool:
        every = list(
            pool.map(lambda _: outcomes(book(found, day("03-03"), allocations=True), ordered), range(40))
        )
    assert all(one == every[0] for one in every)


def test_warm_compiles_what_there_is():
    """After it, booking compiles nothing more: no compiled function gains a version."""
    booking.warm()
    from include.ledger import booking_kernel, hashing, invariants, ordering

    functions = [f for m in (booking_kernel, hashing, invariants, ordering) for f in vars(m).values()]
    compiled = {f: len(f.signatures) for f in functions if hasattr(f, "signatures")}
    assert len(compiled) > 20
    found, _ = rows_of(ledger(TEXT))
    booked = book(found, day("03-03"), allocations=False)
    identity_violations(booked)
    chain_violations(booked)
    assert {f: len(f.signatures) for f in compiled} == compiled
