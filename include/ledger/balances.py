"""The figures of docs/ledger.md section 4, per account, from what booking gives. Nothing is computed twice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from include.ledger.booking import Booked
from include.ledger.rows import Ints


@dataclass(frozen=True)
class Balances:
    """One value per account: points in int64 hundredths, instants in int64 microseconds (-1: none)."""

    active: Ints
    pending: Ints
    expired: Ints
    spent: Ints  # redeemed - refunded
    negative_balance: Ints  # debt; it or active is 0
    lifetime_earned: Ints
    last_activity_at: Ints

    @property
    def points_balance(self) -> Ints:
        """What a member is told: active - negative_balance."""
        return self.active - self.negative_balance

    @property
    def chain_balance(self) -> Ints:
        """What history's last balance_after is: active + pending - negative_balance."""
        return self.active + self.pending - self.negative_balance

    @property
    def outstanding(self) -> Ints:
        """What liability is owed for: active + pending."""
        return self.active + self.pending

    @property
    def is_member(self) -> NDArray[np.bool_]:
        """Accounts with points outstanding; a customer is a member when one of his accounts is."""
        return self.outstanding > 0


def balances(booked: Booked) -> Balances:
    """The balances of every account at `booked.at`."""
    return Balances(
        active=booked.active,
        pending=booked.pending,
        expired=booked.expired,
        spent=booked.redeemed - booked.refunded,
        negative_balance=booked.debt,
        lifetime_earned=booked.lifetime_earned,
        last_activity_at=booked.last_activity_at,
    )
