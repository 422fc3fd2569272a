"""What a customer has: balances of every program and card, today's and those of the next days; profile and coupons."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from include.errors import BadInput, Problem
from include.ledger.people import Name
from include.pipeline.customers.inventory import (
    MOST_DAYS,
    Account,
    HeldCard,
    InProgram,
    Inventory,
    Row,
    inventory,
)
from include.pipeline.numbered import Program
from include.state.keys import Scope
from include.web.api.caller import Caller, needs
from include.web.api.streaming import READ_AT, utc
from include.web.api.talon_one.entries import number_of, points
from include.web.api.talon_one.errors import nobody
from include.web.api.talon_one.inventory_shapes import (
    Card,
    Coupon,
    CustomerInventory,
    Ledger,
    Linked,
    Loyalty,
    Profile,
    ProgramLedgers,
    Projection,
    ProjectionDay,
)
from include.web.api.talon_one.parameters import Moment, ProfileId, written
from include.web.api.talon_one.tiers import add_tier
from include.web.reader import context_of

router = APIRouter(tags=["customer data"])
CUSTOMER = "/v1/customer_profiles/{integrationId:path}"  # an id may hold a slash
_ATTRIBUTES = {
    "Name": "name",
    "Email": "email",
    "Phone": "phone",
    "BirthDate": "birthdate",
    "BillingAddress1": "address_line_1",
    "BillingAddress2": "address_line_2",
    "BillingPostalCode": "address_postal_code",
    "BillingCity": "address_city",
    "BillingRegion": "address_state",
    "BillingCountry": "address_country",
}


@router.get(CUSTOMER + "/inventory", summary="Customer data")
def customer_inventory(
    request: Request,
    response: Response,
    profile_id: ProfileId,
    caller: Annotated[Caller, needs(Scope.REPORTS_READ)],
    profile: Annotated[bool, Query(description="With the profile.")] = False,
    referrals: Annotated[bool, Query(description="With referral codes: a ledger has none.")] = False,
    coupons: Annotated[bool, Query(description="With vouchers that were given to the customer.")] = False,
    loyalty: Annotated[bool, Query(description="With points of programs and cards.")] = False,
    giveaways: Annotated[bool, Query(description="With giveaways: a ledger has none.")] = False,
    achievements: Annotated[bool, Query(description="With achievements: a ledger has none.")] = False,
    until: Annotated[
        Moment | None,
        Query(
            alias="loyaltyProjectionEndDate",
            description=f"With balances of every midnight (UTC) until this day, {MOST_DAYS} days ahead at most; "
            "includes `loyalty`.",
        ),
    ] = None,
) -> CustomerInventory:
    """Return what is asked of a customer; points are what the ledger says now."""
    context = context_of(request)
    days = 0 if until is None else _days_until(until, datetime.now(UTC))
    found = inventory(context, profile_id, days=days, by=caller.name)
    if found is None:
        raise nobody("profile", profile_id)
    response.headers[READ_AT] = utc(found.read_at)
    response.headers["Cache-Control"] = "private, no-cache"
    answer = CustomerInventory()
    if profile:
        answer["profile"] = _profile(found, profile_id, personal=caller.may(Scope.PERSONAL))
    if loyalty or until is not None:
        answer["loyalty"] = _loyalty(found, profile_id, projected=until is not None)
    if coupons:
        answer["coupons"] = [_coupon(row, found.read_at) for row in found.vouchers]
    # What the vendor has and a ledger has not is an empty list for who asks for it.
    if referrals:
        answer["referrals"] = []
    if giveaways:
        answer["giveaways"] = []
    if achievements:
        answer["achievements"] = []
    return answer


def _days_until(until: datetime, now: datetime) -> int:
    """Return how many midnights lie between; BadInput for a day that is past, or too far."""
    days = (until.date() - now.date()).days
    if until <= now or days > MOST_DAYS:
        right = f"must lie in the future, {MOST_DAYS} days from today at most"
        raise BadInput([Problem("loyaltyProjectionEndDate", written(until), right, "bad_end_date")])
    return days


def _loyalty(found: Inventory, profile_id: str, *, projected: bool) -> Loyalty:
    cards = [
        _card(card, held, profile_id, found.read_at, projected=projected)
        for card in found.cards
        for held in card.programs
    ]
    programs = {str(held.program.number): _program(held, projected=projected) for held in found.programs}
    return Loyalty(cards=cards, programs=programs)


def _program(held: InProgram, *, projected: bool) -> ProgramLedgers:
    main, others = _ledgers(held, projected=projected)
    program = held.program
    made = ProgramLedgers(
        id=program.number, title=program.name, name=program.name, ledger=main, subLedgers=others
    )
    if held.joined is not None:
        made["joinDate"] = written(held.joined)
    return made


def _card(card: HeldCard, held: InProgram, profile_id: str, read_at: datetime, *, projected: bool) -> Card:
    main, others = _ledgers(held, projected=projected)
    row = card.row
    created = written(row["created_at"] or row["updated_at"] or read_at)
    made = Card(
        id=number_of(row["card_id"]),
        created=created,
        programID=held.program.number,
        programName=held.program.name,
        programTitle=held.program.name,
        status=row["status"] or "active",
        identifier=row["card_id"],
        usersPerCardLimit=row["users_per_card_limit"] or 0,
        profiles=[Linked(integrationId=profile_id, timestamp=created)],
        ledger=main,
        subledgers=others,
    )
    if row["block_reason"]:
        made["blockReason"] = row["block_reason"]
    if row["updated_at"]:
        made["modified"] = written(row["updated_at"])
    if row["batch_id"]:
        made["batchId"] = row["batch_id"]
    return made


def _ledgers(held: InProgram, *, projected: bool) -> tuple[Ledger, dict[str, Ledger]]:
    """Return the program's own account, empty where there is none, and the subledgers'."""
    made = {
        name: _ledger(held.program, account, projected=projected) for name, account in held.accounts.items()
    }
    return made.pop("", None) or _points(0, 0, 0, 0, 0), made


def _ledger(program: Program, account: Account, *, projected: bool) -> Ledger:
    row = account.row
    made = _points(row["active"], row["pending"], row["negative_balance"], row["expired"], row["spent"])
    if row["holder_kind"] == Name.CUSTOMER.value:  # a card has no tier
        add_tier(made, program, row["subledger_id"], account.tier, row["active"])
    if projected:
        made["projection"] = _projection(account.days)
    return made


def _points(active: int, pending: int, debt: int, expired: int, spent: int) -> Ledger:
    return Ledger(
        currentBalance=points(active),
        pendingBalance=points(pending),
        negativeBalance=points(debt),
        expiredBalance=points(expired),
        spentBalance=points(spent),
        tentativeCurrentBalance=points(active),
        tentativePendingBalance=points(pending),
        tentativeNegativeBalance=points(debt),
    )


def _projection(days: Iterable[Row]) -> Projection:
    expiring = activating = 0
    made = []
    for row in days:
        expiring += row["points_expiring"]
        activating += row["points_activating"]
        made.append(
            ProjectionDay(
                date=written(row["projected_at"]),
                expiringPoints=points(expiring),
                activatingPoints=points(activating),
                projectedBalance=points(row["points_balance"]),
            )
        )
    return Projection(
        projections=made, totalExpiringPoints=points(expiring), totalActivatingPoints=points(activating)
    )


def _profile(found: Inventory, profile_id: str, *, personal: bool) -> Profile:
    person = found.person or {}
    created = (
        person.get("registered_at")
        or person.get("created_at")
        or min((each.joined for each in found.programs if each.joined is not None), default=found.read_at)
    )
    paid = (row["total_amount"] if row["total_amount"] is not None else row["amount"] for row in found.orders)
    shown = {name: person.get(of) for name, of in _ATTRIBUTES.items()} if personal else {}
    return Profile(
        id=number_of(profile_id),
        created=written(created),
        integrationId=profile_id,
        attributes={name: str(value) for name, value in shown.items() if value is not None},
        accountId=0,
        closedSessions=len(found.orders),
        totalSales=float(sum((each for each in paid if each is not None), Decimal(0))),
        lastActivity=written(found.last_row_at or created),
    )


def _coupon(row: Row, now: datetime) -> Coupon:
    used = row["redemption_count"] if row["redemption_count"] is not None else int(row["used_at"] is not None)
    coupon = Coupon(
        id=number_of(row["voucher_id"]),
        created=written(row["created_at"] or row["starts_at"] or now),
        campaignId=number_of(row["campaign_id"] or ""),
        value=row["code"],
        usageLimit=row["redemption_quantity"] or 0,
        usageCounter=used,
        profileRedemptionCount=used,
        state=_state(row, used, now),
        recipientIntegrationId=row["customer_id"],
    )
    for name, of in (("startDate", "starts_at"), ("expiryDate", "expires_at")):
        if row[of] is not None:
            coupon[name] = written(row[of])  # type: ignore[literal-required]
    return coupon


def _state(row: Row, used: int, now: datetime) -> str:
    """Return used, expired, pending or active: the first that holds."""
    if used and used >= (row["redemption_quantity"] or used):
        return "used"
    if row["expires_at"] is not None and row["expires_at"] <= now:
        return "expired"
    return "pending" if row["starts_at"] is not None and row["starts_at"] > now else "active"
