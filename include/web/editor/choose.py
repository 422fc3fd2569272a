"""Which model an export is of: all models, grouped by what they are about, each with a sentence of meaning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from markupsafe import Markup

from include.reports import models
from include.reports.reference import every_column, summary
from include.web.editor import words

# What people look for stands first. A model that is in no group is under the last heading.
_GROUPS: Mapping[str, tuple[str, ...]] = {
    "Members and what they hold": (
        "balance", "customers", "customer_tiers", "top_earners", "join_dates", "tier_changes", "tier_moves",
    ),
    "Points, movement by movement": (
        "history", "transactions", "lots", "points_expiration", "projection", "allocations",
    ),
    "Finance": ("liability", "points_accounting", "journal", "ageing", "program_rates"),
    "Rewards, vouchers and cards": (
        "redemption", "redemptions", "rewards", "vouchers", "publications", "voucher_transactions", "cards",
        "gift_card_transactions", "coupons", "coupon_pools", "campaigns",
    ),
    "Day by day, month by month": (
        "members", "earned_redeemed", "points_total", "rollforward_by_day", "rewards_by_day", "tiers_by_day",
        "liability_by_month", "expiry_by_month", "redemption_by_cohort", "top_earners_by_frame",
    ),
    "Shop": ("orders", "products", "stores"),
}  # fmt: skip
_REST = "Programs and records of the system"
_TIMES = {
    "none": "As of a moment",
    "optional": "Of a period, or everything so far",
    "required": "Of a period",
}
PACK = "pack"  # in addresses, where a model would stand


@dataclass(frozen=True)
class Choice:
    """One model. columns: how many it has; personal: those that are about a person; time: what it is asked about."""

    name: str
    title: str
    meaning: Markup
    time: str
    columns: int
    personal: int

    def has(self, asked: list[str]) -> bool:
        """Say whether all of these words, in lower case, are in its name, its title or its meaning."""
        text = f"{self.name} {self.title} {self.meaning.striptags()}".casefold()
        return all(word in text for word in asked)


def groups(search: str = "") -> dict[str, list[Choice]]:
    """Return the models that have all words of the search, by heading; headings without one are left out."""
    asked = search.casefold().split()
    found = {heading: [each for each in choices if each.has(asked)] for heading, choices in _all().items()}
    return {heading: choices for heading, choices in found.items() if choices}


def choice(name: str) -> Choice:
    """Return one model; StopIteration where there is none."""
    return next(each for choices in _all().values() for each in choices if each.name == name)


@cache
def _all() -> dict[str, list[Choice]]:
    grouped = {name for names in _GROUPS.values() for name in names}
    rest = tuple(name for name in models.names() if name not in grouped)
    headings = {**_GROUPS, _REST: rest}
    known = frozenset(models.names())
    return {
        heading: [_choice(name) for name in names if name in known] for heading, names in headings.items()
    }


def _choice(name: str) -> Choice:
    model = models.load(name, where="model")
    columns = every_column(model)
    personal = sum(column.pii for column in columns)
    return Choice(
        name, model.TITLE, words.plain(f"{summary(model)}."), _TIMES[model.PERIOD], len(columns), personal
    )
