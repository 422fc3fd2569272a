"""What sample is asked for, and who is in it: everything else follows from these numbers and the seed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import gcd

import numpy as np

from include.errors import BadInput, Problem
from include.sample.text import Integers

END = datetime(2026, 7, 1, tzinfo=UTC)
DAY = 86_400_000_000  # microseconds
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

CLUB, TRAVEL = "club", "travel"
SUBLEDGERS = ("base", "bonus")
_OPEN_AT_START = 0.3


@dataclass(frozen=True)
class Plan:
    """A sample ledger. Accounts are numbered: first one per customer (club), then two per card (travel).

    Customers and cards are numbered by activity, most active first, and join in that order: 30 % are there at
    the start. whale: the share of all transactions that the first customer's club account has.
    """

    customers: int = 20_000
    transactions: int = 500_000
    years: int = 3
    seed: int = 1
    end: datetime = END
    whale: float = 0.0

    def __post_init__(self) -> None:
        problems = [
            Problem(f"sample: {name}", str(value), f"give {right}", "bad_sample")
            for name, value, right, wrong in (
                ("customers", self.customers, "10 to 9,999,999", not 10 <= self.customers < 10**7),
                ("transactions", self.transactions, "0 to 100,000,000", not 0 <= self.transactions <= 10**8),
                ("years", self.years, "1 to 20", not 1 <= self.years <= 20),
                ("whale", self.whale, "a share from 0 to 0.9", not 0 <= self.whale <= 0.9),
                ("end", self.end, "an instant with a zone", self.end.tzinfo is None),
                ("seed", self.seed, "a number that is not negative", self.seed < 0),
            )
            if wrong
        ]
        if problems:
            raise BadInput(problems)

    @property
    def end_us(self) -> int:
        """The end in microseconds; nothing happens at or after it."""
        return (self.end - _EPOCH) // timedelta(microseconds=1)

    @property
    def start_us(self) -> int:
        """The beginning in microseconds."""
        return self.end_us - int(self.years * 365.25) * DAY

    @property
    def cards(self) -> int:
        """How many cards there are."""
        return self.customers * 2 // 5

    @property
    def accounts(self) -> int:
        """How many accounts there are."""
        return self.customers + 2 * self.cards

    def random(self, stage: int, part: int = 0) -> np.random.Generator:
        """Return the random numbers of one part of one stage: parts do not depend on each other."""
        return np.random.default_rng([self.seed, stage, part])

    def open_count(self, total: int, share_of_time: float) -> int:
        """Return how many of `total` customers or cards have joined after that share of the time."""
        return max(1, int(total * (_OPEN_AT_START + (1 - _OPEN_AT_START) * share_of_time)))

    def joined_us(self, indices: Integers, total: int) -> Integers:
        """Return when customers or cards joined; always before `open_count` counts them."""
        share = np.maximum(0.0, (indices / total - _OPEN_AT_START) / (1 - _OPEN_AT_START))
        joined: Integers = (self.start_us + share * (self.end_us - self.start_us)).astype(np.int64)
        early = indices < int(total * _OPEN_AT_START)
        before: Integers = np.where(early, 1 + indices * 7919 % 300, 0) * DAY
        return joined - before

    def customer_numbers(self, indices: Integers) -> Integers:
        """Return the numbers in customers' ids: a shuffle, so that ids do not tell activity."""
        step = 6_700_417  # a prime
        while gcd(step, self.customers) != 1:
            step += 2
        return (indices * step + 12_345) % self.customers

    def owner(self, cards: Integers) -> Integers:
        """Return the customer who owns each card, -1 for every fiftieth, which nobody owns."""
        return np.where(cards % 50 == 49, -1, cards * 2 + 1)
