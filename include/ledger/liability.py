"""Money owed for outstanding points by the cost method, and how money is rounded and shared out.

Pure arithmetic of docs/ledger.md section 6. Points are integers of hundredths, money is Decimal, everything
between is an exact Fraction: a figure is rounded once, half up, at the program's money step. The deferred
revenue method is `revenue.py`; nothing here knows where points come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

HUNDREDTHS = 100

# ISO 4217: currencies whose minor unit is not a hundredth.
_DECIMALS = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
MINOR_PLACES = {code: places for places, codes in _DECIMALS.items() for code in codes.split()}


def money_step(currency: str, declared: Decimal | None = None) -> Decimal:
    """Return the step that money of a program is rounded to: `declared`, else the currency's minor unit.

    Raises ValueError when a declared step is not positive.
    """
    if declared is None:
        return Decimal(1).scaleb(-MINOR_PLACES.get(currency, 2))
    if declared <= 0:
        raise ValueError(f"a money step is greater than 0, not {declared}")
    return declared.normalize()


def rounded(amount: Fraction | Decimal | int, step: Decimal) -> Decimal:
    """Return the multiple of `step` nearest to `amount`; halves go away from zero. Exact up to 28 digits."""
    steps = Fraction(amount) / Fraction(step)
    whole = (2 * abs(steps.numerator) + steps.denominator) // (2 * steps.denominator)
    return (whole if steps >= 0 else -whole) * step


def forward_rate(ultimate: Fraction | int, redeemed: int, outstanding: int) -> Fraction:
    """Return the share of outstanding points that will still be redeemed, 0 to 1.

    `ultimate` is how many points are expected to be redeemed in all, `redeemed` how many were so far
    (refunds subtracted). With nothing outstanding it is 0.
    """
    if outstanding <= 0:
        return Fraction(0)
    return min(Fraction(1), max(Fraction(0), (Fraction(ultimate) - redeemed) / outstanding))


def cost_liability(outstanding: int, cost_per_point: Decimal, rate: Fraction, step: Decimal) -> Decimal:
    """Return outstanding points (active + pending, hundredths) x cost per point x forward rate, rounded."""
    return rounded(Fraction(outstanding, HUNDREDTHS) * Fraction(cost_per_point) * rate, step)


def apportion(total: Decimal, weights: Sequence[Fraction | int], step: Decimal) -> list[Decimal]:
    """Share `total` (a multiple of `step`) in proportion to `weights`, each share a multiple of `step`.

    Shares sum to `total` exactly: every share is rounded down, and the steps left over go one each to the
    largest remainders, the first of equal ones. Weights may be negative as long as their sum is not 0; when
    it is, the first share takes all. Without weights the result is empty.
    """
    if not weights:
        return []
    steps = int(Fraction(total) / Fraction(step))
    whole = sum((Fraction(weight) for weight in weights), Fraction(0))
    if whole == 0:
        return [total, *[0 * step for _ in weights[1:]]]
    exact = [steps * Fraction(weight) / whole for weight in weights]
    shares = [share.numerator // share.denominator for share in exact]
    left = steps - sum(shares)
    by_remainder = sorted(range(len(exact)), key=lambda i: (shares[i] - exact[i], i))
    for i in by_remainder[:left]:
        shares[i] += 1
    return [share * step for share in shares]
