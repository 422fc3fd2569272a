"""What customer data look like: the vendor's objects, with what a ledger can say of them."""

from __future__ import annotations

from typing import Any, NotRequired

from typing_extensions import TypedDict

from include.web.api.talon_one.tiers import Tier


class ProjectionDay(TypedDict):
    """What has happened by `date` to the points of today; expiring and activating are summed from now on."""

    date: str
    expiringPoints: float
    activatingPoints: float
    projectedBalance: float


class Projection(TypedDict):
    """The balance at each midnight (UTC) until the end date."""

    projections: list[ProjectionDay]
    totalExpiringPoints: float
    totalActivatingPoints: float


class Ledger(TypedDict):
    """The points of one account. Nothing is tentative: a ledger knows no open sessions."""

    currentBalance: float
    pendingBalance: float
    negativeBalance: float
    expiredBalance: float
    spentBalance: float
    tentativeCurrentBalance: float
    tentativePendingBalance: float
    tentativeNegativeBalance: float
    currentTier: NotRequired[Tier]
    pointsToNextTier: NotRequired[float]
    nextTierName: NotRequired[str]
    projection: NotRequired[Projection]


class ProgramLedgers(TypedDict):
    """A program, and what the customer has in it without cards."""

    id: int
    title: str
    name: str
    joinDate: NotRequired[str]
    ledger: Ledger
    subLedgers: dict[str, Ledger]


class Linked(TypedDict):
    """A profile that a card is linked to."""

    integrationId: str
    timestamp: str


class Card(TypedDict):
    """A card, and what it has in a program."""

    id: int
    created: str
    programID: int
    programName: str
    programTitle: str
    status: str
    blockReason: NotRequired[str]
    identifier: str
    usersPerCardLimit: int
    profiles: list[Linked]
    ledger: Ledger
    subledgers: dict[str, Ledger]
    modified: NotRequired[str]
    batchId: NotRequired[str]


class Loyalty(TypedDict):
    """Programs by number, and cards."""

    cards: list[Card]
    programs: dict[str, ProgramLedgers]


class Profile(TypedDict):
    """The customer; `attributes` for who may see personal data. Sessions are orders that points name."""

    id: int
    created: str
    integrationId: str
    attributes: dict[str, str]
    accountId: int
    closedSessions: int
    totalSales: float
    lastActivity: str


class Coupon(TypedDict):
    """A voucher that was given to the customer."""

    id: int
    created: str
    campaignId: int
    value: str
    usageLimit: int
    usageCounter: int
    profileRedemptionCount: int
    state: str
    recipientIntegrationId: str
    startDate: NotRequired[str]
    expiryDate: NotRequired[str]


class CustomerInventory(TypedDict):
    """What was asked for. A ledger has neither giveaways nor achievements, nor whom a code has brought."""

    profile: NotRequired[Profile]
    loyalty: NotRequired[Loyalty]
    referrals: NotRequired[list[dict[str, Any]]]
    coupons: NotRequired[list[Coupon]]
    giveaways: NotRequired[list[dict[str, Any]]]
    achievements: NotRequired[list[dict[str, Any]]]
