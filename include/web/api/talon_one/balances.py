"""Balances of a profile and of a card, at any instant: the past, now, and a projection of what is to come."""

from __future__ import annotations

from typing import Annotated, NamedTuple, NotRequired

from fastapi import APIRouter, Query, Request, Response
from typing_extensions import TypedDict

from include.ledger.people import Name
from include.pipeline.holders.accounts import HolderAccounts, Row, accounts_of, card_of
from include.pipeline.numbered import Program
from include.snapshots.excerpt import Holder
from include.state.keys import Scope
from include.web.api.caller import Caller, needs
from include.web.api.streaming import AS_OF, READ_AT, utc
from include.web.api.talon_one.entries import points
from include.web.api.talon_one.errors import nobody
from include.web.api.talon_one.parameters import CARD, PROFILE, CardId, EndDate, ProfileId, listed, written
from include.web.api.talon_one.programs import Of
from include.web.api.talon_one.tiers import WithTier, add_tier
from include.web.reader import context_of

router = APIRouter(tags=["balances"])
Asks = Annotated[Caller, needs(Scope.REPORTS_READ)]
_NOTHING = dict.fromkeys(("active", "pending", "spent", "expired", "negative_balance"), 0)


class ProjectedTier(TypedDict):
    """What the tier ends with: the active points then, what is missing to stay, and the tier that they reach."""

    projectedActivePoints: float
    stayInTierPoints: NotRequired[float]
    projectedTierName: NotRequired[str]


class Balance(WithTier, TypedDict):
    """The points of one account, with its tier where that is asked for."""

    activePoints: float
    pendingPoints: float
    spentPoints: float
    expiredPoints: float
    negativePoints: float
    projectedTier: NotRequired[ProjectedTier]


class Balances(TypedDict):
    """The account of the program itself, and by id those of its subledgers."""

    balance: Balance
    subledgerBalances: dict[str, Balance]


class Linked(TypedDict):
    """A profile that a card is linked to."""

    integrationId: str
    timestamp: str


class CardBalances(Balances, TypedDict):
    """The accounts of a card, and whose it is."""

    profiles: list[Linked]


@router.get(
    PROFILE + "/balances",
    summary="Balances of a profile",
)
def of_profile(
    request: Request,
    response: Response,
    asks: Asks,
    program: Of,
    profile: ProfileId,
    end: EndDate = None,
    subledger: Annotated[str | None, Query(alias="subledgerId", description="Only this subledger.")] = None,
    tiers: Annotated[bool, Query(alias="includeTiers", description="With the tiers.")] = False,
    projected: Annotated[
        bool, Query(alias="includeProjectedTier", description="With what each tier will end with.")
    ] = False,
) -> Balances:
    """What a customer has in the program: the own points, without those of cards."""
    holder = Holder(Name.CUSTOMER, profile)
    found = accounts_of(context_of(request), holder, program, end, by=asks.name, tiers=tiers, ends=projected)
    if found is None:
        raise nobody("profile", profile)
    _tell(response, found)
    only = () if subledger is None else (subledger,)
    return _balances(found, only, _Tiers(program, tiers, projected))


@router.get(
    CARD + "/balances",
    summary="Balances of a card",
)
def of_card(
    request: Request,
    response: Response,
    asks: Asks,
    program: Of,
    card: CardId,
    end: EndDate = None,
    subledgers: Annotated[
        list[str] | None, Query(alias="subledgerId", description="Only these subledgers; may be repeated.")
    ] = None,
) -> CardBalances:
    """What a card has in the program, and whose it is."""
    context = context_of(request)
    known = card_of(context, card, program)
    found = accounts_of(context, Holder(Name.CARD, card), program, end, by=asks.name) if known else None
    if known is None or found is None:
        raise nobody("loyalty card", card)
    _tell(response, found)
    profiles = []
    if known.owner is not None and known.since is not None:
        profiles.append(Linked(integrationId=known.owner, timestamp=written(known.since)))
    answer = _balances(found, listed(subledgers or []), _Tiers(program))
    return CardBalances(**answer, profiles=profiles)


class _Tiers(NamedTuple):
    """Whether tiers, and what they end with, are shown, of which program."""

    program: Program
    shown: bool = False
    projected: bool = False


def _tell(response: Response, found: HolderAccounts) -> None:
    response.headers[AS_OF] = utc(found.at)
    response.headers[READ_AT] = utc(found.read_at)
    response.headers["Cache-Control"] = "private, no-cache"


def _balances(found: HolderAccounts, only: tuple[str, ...], tiers: _Tiers) -> Balances:
    shown = [subledger for subledger in found.accounts if subledger and (not only or subledger in only)]
    shown += [subledger for subledger in only if subledger and subledger not in found.accounts]
    return Balances(
        balance=_balance(found, "", tiers),
        subledgerBalances={subledger: _balance(found, subledger, tiers) for subledger in shown},
    )


def _balance(found: HolderAccounts, subledger: str, tiers: _Tiers) -> Balance:
    row = found.accounts.get(subledger) or _NOTHING
    balance = Balance(
        activePoints=points(row["active"]),
        pendingPoints=points(row["pending"]),
        spentPoints=points(row["spent"]),
        expiredPoints=points(row["expired"]),
        negativePoints=points(row["negative_balance"]),
    )
    held = found.tiers.get(subledger if subledger in found.accounts else "")
    if tiers.shown:
        add_tier(balance, tiers.program, subledger, held, row["active"])
    if tiers.projected and held is not None and subledger in found.ends:
        balance["projectedTier"] = _projected(tiers.program, subledger, held, found.ends[subledger]["active"])
    return balance


def _projected(program: Program, subledger: str, held: Row, active: int) -> ProjectedTier:
    projected = ProjectedTier(projectedActivePoints=points(active))
    step = program.step(held["tier_id"])
    if step is not None and step.threshold is not None and step.threshold > active:
        projected["stayInTierPoints"] = points(step.threshold - active)
    then = program.reached(active, subledger)
    if then is not None:
        projected["projectedTierName"] = then.name
    return projected
