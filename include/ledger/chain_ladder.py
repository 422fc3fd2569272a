"""How many points will be redeemed in all, from how earlier cohorts were redeemed (docs/ledger.md section 6).

Volume-weighted chain ladder without tail: a development factor is the sum of redeemed points at age j + 1
over the sum at age j, both over the cohorts that have reached age j + 1; a cohort's ultimate is its latest
figure times the factors still ahead of it, never more than was issued. Exact fractions throughout.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

MINIMUM_COHORTS = 3


class TooFewCohortsError(ValueError):
    """Fewer issue months than a chain ladder needs."""


@dataclass(frozen=True)
class Development:
    """factors: from age j to age j + 1. ultimates: points redeemed in all, one per cohort, oldest first."""

    factors: tuple[Fraction, ...]
    ultimates: tuple[Fraction, ...]


def develop(issued: Sequence[int], redeemed: Sequence[Sequence[int]]) -> Development:
    """Return the development of cohorts, oldest first.

    `issued[i]` points were issued in month i; `redeemed[i][j]` of them were redeemed by the end of age j (age
    0 is the issue month). Ages are complete months; a younger cohort never has more ages than an older one. A
    cohort without any complete age is projected from the share that other cohorts redeemed at age 0. Where
    no points were redeemed at an age, the factor from it is 1.

    Raises TooFewCohortsError below three cohorts with a complete age, ValueError on a malformed triangle.
    """
    if len(issued) != len(redeemed):
        raise ValueError("one row of redeemed points for each cohort")
    ages = [len(row) for row in redeemed]
    if any(older < younger for older, younger in pairwise(ages)):
        raise ValueError("a younger cohort has more ages than an older one")
    complete = sum(1 for age in ages if age)
    if complete < MINIMUM_COHORTS:
        raise TooFewCohortsError(f"a chain ladder needs {MINIMUM_COHORTS} issue months, there are {complete}")
    factors = tuple(_factor(redeemed, age) for age in range(ages[0] - 1))
    first = _ratio(sum(row[0] for row in redeemed if row), sum(issued[:complete]), Fraction(0))
    ultimates = []
    for points, row in zip(issued, redeemed, strict=True):
        ultimate = Fraction(row[-1]) if row else points * first
        for factor in factors[max(0, len(row) - 1) :]:
            ultimate *= factor
        ultimates.append(max(Fraction(0), min(Fraction(points), ultimate)))
    return Development(factors, tuple(ultimates))


def _factor(redeemed: Sequence[Sequence[int]], age: int) -> Fraction:
    reached = [row for row in redeemed if len(row) > age + 1]
    return _ratio(sum(row[age + 1] for row in reached), sum(row[age] for row in reached), Fraction(1))


def _ratio(above: int, below: int, otherwise: Fraction) -> Fraction:
    return Fraction(above, below) if below > 0 else otherwise
