"""The points roll-forward: cohorts of booked points, and the period between two cuts (docs/ledger.md section 6)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.ledger import rollforward
from include.ledger import rollforward_kernel as kernel
from include.ledger.booking import Rows, book
from include.ledger.rollforward import NONE, Attribution, Cohorts, RollForward, balance, roll_forward
from include.ledger.rows import Ints
from tests.ledger import cohort_reference
from tests.ledger.kernel import rows_of
from tests.ledger.ledger_text import day, ledger
from tests.ledger.random_ledger import random_ledger
from tests.ledger.reference import Posted

WORDS = {
    "earned": kernel.EARNED,
    "earned_reversed": kernel.EARNED_REVERSED,
    "redeemed": kernel.REDEEMED,
    "refunded": kernel.REFUNDED,
    "adjusted_up": kernel.ADJUSTED_UP,
    "adjusted_down": kernel.ADJUSTED_DOWN,
    "expired": kernel.EXPIRED,
    "transferred_in": kernel.TRANSFERRED_IN,
    "transferred_out": kernel.TRANSFERRED_OUT,
    "repaid": kernel.REPAID,
    "debt": kernel.DEBT,
    "debt_repaid": kernel.DEBT_REPAID,
    "outstanding": kernel.OUTSTANDING,
}


DAY = 86_400_000_000


def collected(
    rows: Sequence[Posted], at: int, *, apart: int = False, trace: int = True, unit: int = 1
) -> Cohorts:
    """Every account is a group; `apart` puts each account into a partition of its own.

    Cohorts are instants in units of `unit`.
    """
    names = sorted({row.account for row in rows})
    ranks = {name: i + 1 for i, name in enumerate(sorted({row.id for row in rows}, key=str.encode))}
    cohorts = Cohorts(trace=trace, develop=trace)
    known = [row for row in rows if row.created_at < at]
    for part in [[r for r in known if r.account == name] for name in names] if apart else [known]:
        if not part:
            continue
        numbers, ordered = rows_of(part)
        booked = book(numbers, at, allocations=True)

        def ids(some: Ints, ordered: list[Posted] = ordered) -> tuple[Ints, Ints]:
            related = [
                ranks.get(ordered[i].related, 0) if ordered[i].related is not None else 0 for i in some
            ]
            return np.array([ranks[ordered[i].id] for i in some], np.uint64), np.array(related, np.uint64)

        group = np.array([names.index(ordered[i].account) for i in numbers.account_start[:-1]], np.int64)
        cohorts.add(
            booked,
            Attribution(
                group=group,
                program=np.zeros(group.size, np.int64),
                cohort=numbers.created_at // unit if trace else np.zeros(len(numbers), np.int64),
                allocation_cohort=booked.allocation_at // unit if trace else None,
                ids=ids,
            ),
        )
    return cohorts


def by_word(rows: Sequence[Posted], at: int, **options: int) -> Counter[tuple[str, int, str]]:
    names = sorted({row.account for row in rows})
    found = collected(rows, at, **options).figures()
    return Counter(
        {
            (names[group], cohort, word): int(figures[component])
            for (group, cohort), figures in found.items()
            for word, component in WORDS.items()
            if figures[component]
        }
    )


def figures(text: str, at: str, account: str = "a") -> dict[str, dict[str, int]]:
    """Figures by the name of the lot that a cohort was created with (or `none`), in whole points."""
    rows = ledger(text)
    lots = {row.created_at // DAY: row.id for row in rows if row.points > 0} | {NONE: "none"}
    found: dict[str, dict[str, int]] = {}
    for (name, cohort, word), points in by_word(rows, day(at), unit=DAY).items():
        if name == account:
            found.setdefault(lots[cohort], {})[word] = points // 100
    return found


class TestWhichCohort:
    def test_a_debit_is_of_the_lots_that_it_used(self) -> None:
        assert figures("A earned 100 on 01-01\nB earned 50 on 02-01\nR redeemed -120 on 03-01", "04-01") == {
            "A": {"earned": 100, "redeemed": 100},
            "B": {"earned": 50, "redeemed": 20, "outstanding": 30},
        }

    def test_debt_stands_apart_until_a_later_lot_repays_it(self) -> None:
        before = "A earned 10 on 01-01\nR redeemed -40 on 02-01"
        assert figures(before, "03-01") == {
            "A": {"earned": 10, "redeemed": 10},
            "none": {"redeemed": 30, "debt": 30},
        }
        # the redemption stays where it was booked; 30 points of B go over to `none`
        assert figures(before + "\nB earned 50 on 03-01", "04-01") == {
            "A": {"earned": 10, "redeemed": 10},
            "none": {"redeemed": 30, "debt_repaid": 30},
            "B": {"earned": 50, "repaid": 30, "outstanding": 20},
        }

    def test_a_refund_goes_back_to_the_lots_of_its_redemption(self) -> None:
        text = """
        A earned 60 on 01-01
        B earned 60 on 02-01
        R redeemed -100 on 03-01
        X redemption_refunded 50 on 04-01 of R
        Y redemption_refunded 50 on 04-02 of R
        """
        # R used A 60, B 40; X is the first 50 of A, Y the last 10 of A and the 40 of B
        assert figures(text, "05-01") == {
            "A": {"earned": 60, "redeemed": 60, "refunded": 60, "outstanding": 60},
            "B": {"earned": 60, "redeemed": 40, "refunded": 40, "outstanding": 60},
        }

    def test_a_refund_is_used_up_in_the_order_of_its_redemption(self) -> None:
        text = """
        A earned 60 on 01-01 expires 03-02
        B earned 40 on 02-01 expires 03-02
        R redeemed -100 on 03-01
        X redemption_refunded 100 on 04-01 of R
        S redeemed -70 on 05-01
        Z redemption_refunded 20 on 06-01 of S
        """
        # S takes A's 60 and 10 of B's 40 out of X; Z is the first 20 of those
        assert figures(text, "07-01") == {
            "A": {"earned": 60, "redeemed": 120, "refunded": 80, "outstanding": 20},
            "B": {"earned": 40, "redeemed": 50, "refunded": 40, "outstanding": 30},
        }

    def test_a_refund_of_what_nobody_had_is_of_its_own_cohort(self) -> None:
        text = """
        R redeemed -30 on 01-01
        X redemption_refunded 30 on 02-01 of R
        Y redemption_refunded 10 on 02-02
        """
        assert figures(text, "03-01") == {
            "none": {"redeemed": 30, "debt_repaid": 30},
            "X": {"refunded": 30, "repaid": 30},
            "Y": {"refunded": 10, "outstanding": 10},
        }

    def test_a_posted_expiry_in_excess_is_of_the_lot_it_used(self) -> None:
        assert figures("A earned 100 on 01-01 expires 12-31\nX expired -30 on 06-01", "07-01") == {
            "A": {"earned": 100, "expired": 30, "outstanding": 70}
        }

    TRANSFER = """
        A earned 60 on 01-01
        B earned 60 on 02-01
        O transferred_out -100 on 03-01
        I transferred_in 100 on 03-01 of O account b
        R redeemed -70 on 04-01 account b
        P transferred_out -25 on 05-01 account b
        J transferred_in 30 on 05-01 of P account c
    """

    def test_a_transfer_keeps_its_cohorts_across_accounts(self) -> None:
        # O took A 60, B 40; so I is A 60, B 40; R uses A 60, B 10, P uses B 25; J has 5 that P did not
        assert figures(self.TRANSFER, "06-01", "b") == {
            "A": {"transferred_in": 60, "redeemed": 60},
            "B": {"transferred_in": 40, "redeemed": 10, "transferred_out": 25, "outstanding": 5},
        }
        assert figures(self.TRANSFER, "06-01", "c") == {
            "B": {"transferred_in": 25, "outstanding": 25},
            "J": {"transferred_in": 5, "outstanding": 5},
        }

    def test_the_other_half_may_name_this_one(self) -> None:
        text = (
            "A earned 9 on 01-01\nO transferred_out -9 on 02-01 of I\nI transferred_in 9 on 02-01 account b"
        )
        assert figures(text, "03-01", "b") == {"A": {"transferred_in": 9, "outstanding": 9}}

    def test_a_half_that_comes_too_early_or_names_nobody_is_of_its_own_cohort(self) -> None:
        text = (
            "I transferred_in 9 on 01-15 of O account b\nA earned 9 on 01-01\nO transferred_out -9 on 02-01"
        )
        assert figures(text, "03-01", "b") == {"I": {"transferred_in": 9, "outstanding": 9}}
        assert figures("I transferred_in 9 on 01-15 account b", "03-01", "b") == {
            "I": {"transferred_in": 9, "outstanding": 9}
        }

    def test_partitions_change_nothing(self) -> None:
        rows = ledger(self.TRANSFER)
        assert by_word(rows, day("06-01"), apart=True, unit=DAY) == by_word(rows, day("06-01"), unit=DAY)


def test_redemptions_are_known_by_cohort_and_by_when() -> None:
    rows = ledger(
        """
        A earned 100 on 01-01
        R redeemed -60 on 02-01
        X redemption_refunded 20 on 03-01 of R
        S redeemed -80 on 04-01
        B earned 30 on 05-01
        """
    )
    a, b, r, x, s = (day(text) // DAY for text in ("01-01", "05-01", "02-01", "03-01", "04-01"))
    # S finds A 40 and the 20 refunded, which are A's; its debt of 20 is repaid by B when B comes
    assert collected(rows, day("06-01"), unit=DAY).developed() == {
        (0, a, r): 6000,
        (0, a, x): -2000,
        (0, a, s): 6000,
        (0, b, b): 2000,
    }


def vector(**words: int) -> Ints:
    found = np.zeros(kernel.OUTSTANDING + 1, np.int64)
    for word, points in words.items():
        found[WORDS[word]] = points
    return found


@pytest.mark.parametrize(
    ("opening", "earned", "redeemed", "expired", "closing"),
    [(8_826, 4_892, 4_237, 219, 9_262), (8_420, 4_463, 3_841, 216, 8_826)],
)
def test_published_roll_forwards_foot(
    opening: int, earned: int, redeemed: int, expired: int, closing: int
) -> None:
    start = vector(earned=20_000, redeemed=11_000, expired=9_000 - opening, outstanding=opening)
    end = start + vector(earned=earned, redeemed=redeemed, expired=expired, outstanding=closing - opening)
    line = roll_forward(start, start, end)
    assert (line.opening, line.closing, line.difference) == (opening, closing, 0)
    # one point more in the closing is found
    assert roll_forward(start, start, end + vector(outstanding=1)).difference == -1


def test_what_accounts_bring_to_a_line_is_reclassified() -> None:
    # 70 were in the tier at the start; accounts that are in it at the end had 100 then, and earned 5
    line = roll_forward(
        vector(outstanding=70), vector(earned=100, outstanding=100), vector(earned=105, outstanding=105)
    )
    assert line == RollForward(70, 5, 0, 0, 0, 0, 0, 0, 0, 30, 105, 105, 0)
    assert line.difference == 0


@st.composite
def ledgers(draw: st.DrawFn) -> list[Posted]:
    """Up to three accounts with ids of their own; transfers name each other across accounts."""
    random = Random(draw(st.integers(0, 2**32)))
    rows: list[Posted] = []
    for account in "abc"[: draw(st.integers(1, 3))]:
        own = random_ledger(random, account, most_rows=16)
        rows += [
            replace(row, id=account + row.id, related=None if row.related is None else account + row.related)
            for row in own
        ]
    for kind, other in (("transferred_in", "transferred_out"), ("transferred_out", "transferred_in")):
        others = [row.id for row in rows if row.type == other]
        rows = [
            replace(row, related=random.choice([*others, None]))
            if row.type == kind and random.random() < 0.6
            else row
            for row in rows
        ]
    return rows


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(ledgers(), st.integers(1, 60), st.booleans())
def test_the_kernel_agrees_with_single_units(rows: list[Posted], at: int, apart: bool) -> None:
    assert by_word(rows, at, apart=apart) == cohort_reference.cohorts(rows, at)


@pytest.mark.slow
@settings(max_examples=3_000, deadline=None)
@given(ledgers(), st.integers(1, 60), st.booleans())
def test_the_kernel_agrees_with_single_units_on_many_ledgers(
    rows: list[Posted], at: int, apart: bool
) -> None:
    assert by_word(rows, at, apart=apart) == cohort_reference.cohorts(rows, at)


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(ledgers(), st.lists(st.integers(1, 60), min_size=2, max_size=6), st.booleans())
def test_any_split_of_the_time_line_foots_and_continues(
    rows: list[Posted], cuts: list[int], trace: bool
) -> None:
    nothing = np.zeros(kernel.OUTSTANDING + 1, np.int64)
    states = [collected(rows, at, trace=trace).figures() for at in sorted(cuts)]
    closings: dict[tuple[int, int], int] = {}
    for start, end in zip([{}, *states], states, strict=False):
        lines = {
            key: roll_forward(*[start.get(key, nothing)] * 2, end.get(key, nothing)) for key in {*start, *end}
        }
        assert all(line.difference == 0 for line in lines.values())
        assert sum(line.reclassified for line in lines.values()) == 0
        assert {key: line.opening for key, line in lines.items() if line.opening} == closings
        closings = {key: line.closing for key, line in lines.items() if line.closing}


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(ledgers(), st.integers(1, 60))
def test_cohorts_add_up_to_the_total(rows: list[Posted], at: int) -> None:
    names = sorted({row.account for row in rows})
    one = collected(rows, at, trace=False).figures()
    many = collected(rows, at).figures()
    for group in range(len(names)):
        total = roll_forward(*[np.zeros(kernel.OUTSTANDING + 1, np.int64)] * 2, _sum(one, group))
        assert total == roll_forward(*[np.zeros(kernel.OUTSTANDING + 1, np.int64)] * 2, _sum(many, group))
    for (_, cohort), found in many.items():
        assert cohort == NONE or balance(found) >= 0


def _sum(found: dict[tuple[int, int], Ints], group: int) -> Ints:
    return sum(
        (row for (of, _), row in found.items() if of == group), np.zeros(kernel.OUTSTANDING + 1, np.int64)
    )


@pytest.mark.slow
def test_little_room_is_made_larger() -> None:
    """One refund of a redemption that used 3,000 lots has more pieces than the first room holds."""
    rows = [Posted(f"l{i:05}", "earned", 1, i) for i in range(3_000)]
    rows += [
        Posted("r", "redeemed", -3_000, 4_000),
        Posted("x", "redemption_refunded", 3_000, 5_000, related="r"),
    ]
    found = collected(rows, 6_000).figures()
    assert len(found) == 3_000
    assert all(int(row[kernel.OUTSTANDING]) == 1 for row in found.values())


def test_an_empty_partition_counts_nothing() -> None:
    none = np.empty(0, np.int64)
    rows = Rows(np.zeros(1, np.int64), none, none, none, none.astype(np.uint8), none, none)
    cohorts = Cohorts()
    cohorts.add(book(rows, 1, allocations=True), Attribution(none, none, none, lambda _: (none, none)))
    assert cohorts.figures() == {}


def test_warming_compiles_without_a_ledger() -> None:
    rollforward.warm()
    assert kernel.accumulate.signatures
