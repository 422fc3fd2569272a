"""Revenue deferred for points and recognised as they are redeemed (IFRS 15, ASC 606), per cohort.

Pure arithmetic of docs/ledger.md section 6, method deferred_revenue. A cohort is what was issued in one issue
month. Its consideration A is fixed at issue; what is earned of it depends on R, the points redeemed so far,
and E, the points that will have been redeemed in all. Points are integers (any one unit), money is Decimal.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from include.ledger.liability import rounded

# The scale at which one order's share of the price is fixed at issue, in places of the currency unit. Sums
# over rows are then sums of integers: neither their order nor the number of partitions changes a digit.
CONSIDERATION_PLACES = 8


def points_price(points: Fraction | Decimal, standalone_price: Decimal, redemption_rate: Decimal) -> Decimal:
    """Return P = points x stand-alone price x expected redemption rate, half up at CONSIDERATION_PLACES."""
    exact = Fraction(points) * Fraction(standalone_price) * Fraction(redemption_rate)
    return rounded(exact, Decimal(1).scaleb(-CONSIDERATION_PLACES))


def order_consideration(price: Decimal, goods_price: Decimal, points: Decimal) -> Decimal:
    """Return A of one order: its price x P / (goods price + P), half up at CONSIDERATION_PLACES.

    `price` is what was paid, `goods_price` the stand-alone price of the goods, `points` is P. An order whose
    goods and points are both worth nothing defers nothing.
    """
    worth = Fraction(goods_price) + Fraction(points)
    if worth == 0:
        return Decimal(0)
    return rounded(Fraction(price) * Fraction(points) / worth, Decimal(1).scaleb(-CONSIDERATION_PLACES))


@dataclass(frozen=True)
class CohortState:
    """One cohort at one cut.

    consideration: A at issue, not yet rounded to the money step and before earn reversals.
    issued, reversed: points issued, and how many of them an earn reversal took back.
    redeemed: points redeemed so far, refunds subtracted. outstanding: active + pending.
    assumed_total: points expected to be redeemed in all, by the redemption rate that holds at the cut.
    """

    consideration: Decimal
    issued: int
    reversed: int
    redeemed: int
    outstanding: int
    assumed_total: Fraction

    def amount(self, step: Decimal) -> Decimal:
        """Return A: reduced pro rata by earn reversals (never below 0), half up at `step`."""
        if self.issued <= 0:
            return rounded(self.consideration, step)
        kept = max(0, self.issued - self.reversed)
        return rounded(Fraction(self.consideration) * kept / self.issued, step)

    @property
    def redeemed_so_far(self) -> int:
        """Return R, which is never below 0 (a refund may name no redemption that we know)."""
        return max(0, self.redeemed)

    @property
    def estimated_total(self) -> Fraction:
        """Return E = max(R, min(assumed total, R + outstanding))."""
        so_far = self.redeemed_so_far
        return max(Fraction(so_far), min(self.assumed_total, Fraction(so_far + self.outstanding)))

    def cumulative(self, step: Decimal) -> Decimal:
        """Return revenue recognised so far: round(A x R / E); with nothing outstanding all of A."""
        amount = self.amount(step)
        if self.outstanding <= 0:
            return amount
        total = self.estimated_total
        return rounded(Fraction(amount) * self.redeemed_so_far / total, step) if total else 0 * step

    def deferred(self, step: Decimal) -> Decimal:
        """Return the liability: A less the revenue recognised so far."""
        return self.amount(step) - self.cumulative(step)


NOTHING = CohortState(Decimal(0), 0, 0, 0, 0, Fraction(0))


@dataclass(frozen=True)
class Movement:
    """What one period did to one cohort; opening + added - redemption - change_of_estimate = closing."""

    opening: Decimal
    added: Decimal
    redemption: Decimal
    change_of_estimate: Decimal
    closing: Decimal

    @property
    def revenue(self) -> Decimal:
        """Return the period's revenue."""
        return self.redemption + self.change_of_estimate


def movement(start: CohortState, end: CohortState, step: Decimal) -> Movement:
    """Return the movement between two states of one cohort.

    Revenue is the difference of two rounded cumulatives. Of it, round(A x dR / E) comes from redemption and
    the remainder from the change of estimate, where E is the estimate that the period ends with, applied from
    its start: the redemptions of the period are valued at the new estimate, and what the new estimate says
    about earlier redemptions is the change.
    """
    revenue = end.cumulative(step) - start.cumulative(step)
    total = end.estimated_total
    delta = end.redeemed_so_far - start.redeemed_so_far
    redemption = rounded(Fraction(end.amount(step)) * delta / total, step) if total else 0 * step
    return Movement(
        opening=start.deferred(step),
        added=end.amount(step) - start.amount(step),
        redemption=redemption,
        change_of_estimate=revenue - redemption,
        closing=end.deferred(step),
    )
