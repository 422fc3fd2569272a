"""Money of the liability report: each issue month by the method of its program, then shared over tiers.

docs/ledger.md section 6. Money is computed and rounded per (program, issue month), whatever the report is split
by: totals over months are sums of rounded figures, and a tier's share is apportioned, so that every split adds
up to the same money.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from fractions import Fraction

from include.ledger import rollforward
from include.ledger.ageing import month_number
from include.ledger.chain_ladder import TooFewCohortsError, develop
from include.ledger.liability import apportion, cost_liability, forward_rate
from include.ledger.revenue import NOTHING, CohortState, movement
from include.ledger.rows import Ints
from include.reports.liabilities.programs import Program, RateSource

ByMonth = Mapping[int, Ints]  # figures of one program by issue month, rollforward.NONE included
Developed = Mapping[int, Mapping[int, int]]  # redeemed points of one program by issue month, then by month
ZERO = Decimal(0)


@dataclass(frozen=True)
class Expected:
    """Points expected to be redeemed in all, of each issue month of a program at a cut, and where from."""

    source: RateSource
    ultimates: Mapping[int, Fraction]


def expected(program: Program, figures: ByMonth, developed: Developed, at: int) -> Expected:
    """Return what is expected at a cut; a chain ladder with too few issue months falls back on program_rates.

    Only months that are complete at the cut count as ages. Raises BadInput when the ledger states no rate.
    """
    kept = {
        month: rollforward.issued(row) - rollforward.taken_back(row)
        for month, row in sorted(figures.items())
        if month != rollforward.NONE
    }
    issued = {month: points for month, points in kept.items() if points > 0}
    if not issued:
        return Expected(program.rate_source, {})
    if program.rate_source == "chain_ladder":
        current = month_number(at, program.zone)
        triangle = [_cumulative(developed.get(month, {}), month, current) for month in issued]
        try:
            ultimates = develop(list(issued.values()), triangle).ultimates
        except TooFewCohortsError:
            pass
        else:
            return Expected("chain_ladder", dict(zip(issued, ultimates, strict=True)))
    rate = program.expected_rate(at)
    return Expected("program_rates", {month: rate * points for month, points in issued.items()})


def _cumulative(by_month: Mapping[int, int], issued: int, current: int) -> list[int]:
    """Return points redeemed by the end of each complete month since `issued`, before month `current`."""
    total = sum(points for month, points in by_month.items() if month < issued)
    row = []
    for month in range(issued, current):
        total += by_month.get(month, 0)
        row.append(total)
    return row


@dataclass(frozen=True)
class Money:
    """Money of one line. opening + added - redemption - estimate + revalued + reclassified = closing.

    added: deferred for points issued; redemption, estimate: revenue of the period (deferred_revenue).
    revalued: what the liability at cost moved by (cost). reclassified: what accounts brought to the line.
    """

    opening: Decimal = ZERO
    added: Decimal = ZERO
    redemption: Decimal = ZERO
    estimate: Decimal = ZERO
    revalued: Decimal = ZERO
    reclassified: Decimal = ZERO
    closing: Decimal = ZERO

    def __add__(self, other: Money) -> Money:
        return Money(*(getattr(self, part.name) + getattr(other, part.name) for part in fields(self)))

    @property
    def difference(self) -> Decimal:
        """Return by how much the line does not foot."""
        gained = self.opening + self.added + self.revalued + self.reclassified
        return gained - self.redemption - self.estimate - self.closing


@dataclass(frozen=True)
class Cut:
    """One program at one cut: figures and A by issue month, and what is expected."""

    at: int
    figures: ByMonth
    consideration: Mapping[int, Decimal]
    expected: Expected

    def state(self, month: int) -> CohortState:
        """Return a cohort for the deferred revenue method."""
        row = self.figures.get(month)
        if row is None:
            return NOTHING
        return CohortState(
            consideration=self.consideration.get(month, ZERO),
            issued=rollforward.issued(row),
            reversed=rollforward.taken_back(row),
            redeemed=rollforward.redeemed(row),
            outstanding=rollforward.outstanding(row),
            assumed_total=self.expected.ultimates.get(month, Fraction(0)),
        )

    def cost(self, program: Program, month: int) -> Decimal:
        """Return a cohort's liability at cost."""
        row = self.figures.get(month)
        left = 0 if row is None else rollforward.outstanding(row)
        if row is None or left == 0:
            return 0 * program.step
        rate = forward_rate(self.expected.ultimates.get(month, Fraction(0)), rollforward.redeemed(row), left)
        return cost_liability(left, program.rate("cost_per_point", self.at), rate, program.step)


def cohort_money(program: Program, start: Cut, end: Cut, month: int) -> Money:
    """Return the money of one issue month over a period."""
    if program.method == "cost":
        opening, closing = start.cost(program, month), end.cost(program, month)
        return Money(opening=opening, revalued=closing - opening, closing=closing)
    moved = movement(start.state(month), end.state(month), program.step)
    return Money(
        opening=moved.opening,
        added=moved.added,
        redemption=moved.redemption,
        estimate=moved.change_of_estimate,
        closing=moved.closing,
    )


@dataclass(frozen=True)
class Share:
    """Figures of one tier within an issue month, as `rollforward.roll_forward` takes them."""

    opening: Ints
    start: Ints
    end: Ints


def share_out(program: Program, money: Money, shares: Sequence[Share]) -> list[Money]:
    """Share a cohort's money over the tiers that hold it, to the step.

    Opening and closing go by outstanding points; what accounts brought to a tier, `reclassified`, by the
    outstanding points that they opened with; what was added by points issued in the period, and revenue from
    redemption by points redeemed in it. The rest of a tier is its change of estimate, or its revaluation.
    """
    if len(shares) == 1:
        return [money]

    def split(total: Decimal, *weigh: Callable[[Share], int]) -> list[Decimal]:
        for weight in weigh:
            weights = [weight(share) for share in shares]
            if sum(weights):
                return apportion(total, weights, program.step)
        return apportion(total, [0] * len(shares), program.step)

    def issued(share: Share) -> int:
        return rollforward.issued(share.end)

    opening = split(money.opening, lambda share: rollforward.outstanding(share.opening))
    brought = split(money.opening, lambda share: rollforward.outstanding(share.start))
    added = split(money.added, lambda share: issued(share) - rollforward.issued(share.start), issued)
    redemption = split(
        money.redemption,
        lambda share: rollforward.redeemed(share.end) - rollforward.redeemed(share.start),
        issued,
    )
    closing = split(money.closing, lambda share: rollforward.outstanding(share.end))
    lines = [
        Money(opening=o, added=a, redemption=r, reclassified=b - o, closing=c)
        for o, a, r, b, c in zip(opening, added, redemption, brought, closing, strict=True)
    ]
    if program.method == "cost":
        return [replace(line, revalued=-line.difference) for line in lines]
    return [replace(line, estimate=line.difference) for line in lines]
