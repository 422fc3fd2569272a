"""Booking over random ledgers: the kernel is the reference, and what holds of every ledger holds of these."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.ledger import kernel, reference
from tests.ledger.random_ledger import random_ledger
from tests.ledger.reference import Outcome, Posted

# Draws that Hypothesis controls, so that a failure shrinks to a small ledger.
small_ledgers = st.randoms(use_true_random=False).map(lambda random: random_ledger(random, "a", most_rows=12))
seeds = st.integers(0, 2**64 - 1)
instants = st.integers(1, 60)
few = examples(300, suppress_health_check=list(HealthCheck))
LEDGERS_PER_SEED = 100


def many_ledgers(seed: int) -> list[Posted]:
    random = Random(seed)
    rows = [row for i in range(LEDGERS_PER_SEED) for row in random_ledger(random, f"account {i}")]
    random.shuffle(rows)
    return rows


@few
@given(small_ledgers, instants)
def test_the_kernel_is_the_reference(rows, at):
    assert kernel.replay(rows, at) == reference.replay(rows, at)


def compare_many(seed: int, at: int) -> None:
    rows = many_ledgers(seed)
    found, wanted = kernel.replay(rows, at), reference.replay(rows, at)
    assert found.keys() == wanted.keys()
    for account, outcome in wanted.items():
        assert found[account] == outcome, [row for row in rows if row.account == account]


@settings(few, max_examples=20)
@given(seeds, instants)
@pytest.mark.slow
def test_the_kernel_is_the_reference_on_2_000_ledgers(seed, at):
    compare_many(seed, at)


@pytest.mark.slow
@settings(few, max_examples=220)
@given(seeds, instants)
def test_the_kernel_is_the_reference_on_22_000_ledgers(seed, at):
    compare_many(seed, at)


@pytest.mark.slow
def test_the_random_ledgers_reach_every_corner():
    """Guards the generator: what it never makes, the comparison never compares."""
    seen: Counter[str] = Counter()
    for seed in range(10):
        for outcome in reference.replay(many_ledgers(seed), 5 + 5 * seed).values():
            seen.update(name for names in outcome.problems.values() for name in names)
            seen.update(f"allocation {kind}" for *_, kind in outcome.allocations)
            seen["debt"] += outcome.debt > 0
            seen["pending"] += outcome.pending > 0
            seen["derived expiry"] += len(outcome.expiry_at)
            seen["expiries at one instant"] += len(set(outcome.expiry_at.values())) < len(outcome.expiry_at)
            seen["confirmed"] += sum(confirmed > 0 for _, _, confirmed, _ in outcome.history)
            seen["partly confirmed"] += sum(
                confirmed > 0 > change for _, change, confirmed, _ in outcome.history
            )
            seen["uncovered"] += len(outcome.uncovered)
    wanted = {
        *(
            "reversal_target_missing",
            "reversal_target_doubled",
            "reversal_of_expired",
            "debit_before_any_earn",
        ),
        *("expired_more_than_outstanding", "zero_points", "without_expiry", "expiry_target_missing"),
        *("expires_before_usable", "allocation 0", "allocation 1", "allocation 2", "debt", "pending"),
        *("derived expiry", "expiries at one instant", "confirmed", "partly confirmed", "uncovered"),
    }
    assert {name for name in wanted if seen[name] < 10} == set()


@few
@given(seeds, instants)
def test_the_identity_of_section_4(seed, at):
    rows = random_ledger(Random(seed), "a")
    for outcome in kernel.replay(rows, at).values():
        posted = sum(row.points for row in rows if row.created_at < at and row.type != "expired")
        assert posted - outcome.expired == outcome.active + outcome.pending - outcome.debt
        assert min(outcome.active, outcome.debt) == 0
        assert outcome.history[-1][3] == outcome.active + outcome.pending - outcome.debt


@few
@given(seeds, instants)
def test_every_point_of_a_lot_and_of_a_debit_is_somewhere(seed, at):
    rows = [row for row in random_ledger(Random(seed), "a") if row.created_at < at]
    outcome = kernel.replay(rows, at).get("a", Outcome())
    used, met = Counter(), Counter()
    for debit, lot, points, _, _ in outcome.allocations:
        assert points > 0
        used[lot] += points
        met[debit] += points
    for name, change, confirmed, _ in outcome.history:
        if name.startswith("expiry:"):
            used[name.removeprefix("expiry:")] -= change
        met[name] += confirmed
    for row in rows:
        if row.points > 0:
            assert used[row.id] + outcome.remaining[row.id] == row.points
        else:
            assert (
                met[row.id] + outcome.debts.get(row.id, 0) + outcome.uncovered.get(row.id, 0) == -row.points
            )


@few
@given(seeds, instants, instants)
def test_travelling_in_time_changes_nothing_that_was(seed, one, other):
    """The state at T is a prefix of any later booking: same rows, same expiries, same cumulative figures."""
    rows = random_ledger(Random(seed), "a")
    at, later = sorted((one, other))
    then = kernel.replay(rows, at).get("a", Outcome())
    now = kernel.replay(rows, later).get("a", Outcome())
    created_at = {row.id: row.created_at for row in rows}

    def was(name: str) -> bool:
        """Rows created before T; expiries with instant <= T, of lots created before T."""
        if name in now.expiry_at:
            return now.expiry_at[name] <= at and created_at[name.removeprefix("expiry:")] < at
        return created_at[name] < at

    def changes(outcome: Outcome) -> dict[str, tuple[int, int]]:
        return {name: (change, confirmed) for name, change, confirmed, _ in outcome.history if was(name)}

    def balances(outcome: Outcome) -> dict[str, int]:
        return {name: balance for name, _, _, balance in outcome.history if created_at.get(name, at) < at}

    assert len(changes(then)) == len(then.history)
    assert changes(then) == changes(now)
    assert balances(then) == balances(now)
    assert {n: p for n, p in then.problems.items() if was(n)} == {
        n: p for n, p in now.problems.items() if was(n)
    }
    # A lot created at T may repay at T what another would have repaid then: only instants before T are settled.
    assert [a for a in then.allocations if a[3] < at] == [a for a in now.allocations if a[3] < at]
    assert then.active + then.pending - then.debt == sum(change for change, _ in changes(now).values())
    excess = sum(
        -c for name, (c, _) in changes(now).items() if name in now.expiry_at or _is_expiry(rows, name)
    )
    assert then.expired == excess


def _is_expiry(rows: list[Posted], name: str) -> bool:
    return any(row.id == name and row.type == "expired" for row in rows)


@examples(40)
@given(seeds, instants)
@pytest.mark.slow
def test_accounts_book_the_same_alone_and_together_in_any_order_of_rows(seed, at):
    rows = many_ledgers(seed)
    together = kernel.replay(rows, at)
    for account in list(together)[:10]:
        alone = [row for row in rows if row.account == account]
        assert kernel.replay(alone, at) == {account: together[account]}
        assert kernel.replay(alone[::-1], at) == {account: together[account]}
