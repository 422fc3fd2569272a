"""The tier of an account, and what is missing to the next one, as the vendor tells them."""

from __future__ import annotations

from typing import Any, NotRequired

from typing_extensions import TypedDict

from include.pipeline.numbered import Program
from include.web.api.talon_one.entries import number_of, points
from include.web.api.talon_one.parameters import written


class Tier(TypedDict):
    """The tier that somebody has; its id is a number made of the ledger's."""

    id: int
    name: str
    startDate: str
    expiryDate: NotRequired[str]


class WithTier(TypedDict):
    """What is said of tiers beside the points of an account; nothing where there is none."""

    currentTier: NotRequired[Tier]
    pointsToNextTier: NotRequired[float]
    nextTierName: NotRequired[str]


def add_tier(
    target: WithTier, program: Program, subledger: str, held: dict[str, Any] | None, active: int
) -> None:
    """Add to what is told of an account its tier, and what so many active points (hundredths) lack to the next one.

    held: the row of `customer_tiers`; None for who has no tier.
    """
    if held is not None:
        tier = Tier(id=number_of(held["tier_id"]), name=held["tier"], startDate=written(held["starts_at"]))
        if held["expires_at"] is not None:
            tier["expiryDate"] = written(held["expires_at"])
        target["currentTier"] = tier
    following = program.after(held["tier_id"] if held else None, subledger)
    if following is not None:
        target["nextTierName"] = following.name
        if following.threshold is not None:
            target["pointsToNextTier"] = points(max(0, following.threshold - active))
