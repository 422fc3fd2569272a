"""The sample's customers, their tiers over time, and their cards, a slice at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from include.sample.movements import batch
from include.sample.plan import CLUB, DAY, TRAVEL, Plan
from include.sample.programs import TIERS
from include.sample.text import Integers, instants, numbered, pick

_SLICE = 100_000
_GIVEN = (
    "Ada",
    "Björn",
    "Chloé",
    "Dmitri",
    "Élise",
    "Fatima",
    "Gökhan",
    "Hana",
    "Ines",
    "Jun",
    "Kwame",
    "Léa",
)
_FAMILY = (
    "Martin",
    "Müller",
    "O'Neill",
    "García",
    "Nowak",
    "Sørensen",
    "Okafor",
    "Tanaka",
    "Dubois",
    "Smith",
)
_CITIES = ("Paris", "Lyon", "Berlin", "Boston", "Denver", "London")
_STATES = (None, None, None, "MA", "CO", None)
_COUNTRIES = ("FR", "FR", "DE", "US", "US", "GB")
_CITIES_LENGTH = len(_CITIES)


def _slices(total: int) -> Iterator[Integers]:
    for first in range(0, total, _SLICE):
        yield np.arange(first, min(total, first + _SLICE))


def _tier_times(plan: Plan, index: Integers, total: int) -> list[Integers]:
    """Return when customers reached each tier; at or after the end: not yet. The active climb, and sooner."""
    joined = plan.joined_us(index, total)
    left = plan.end_us - joined
    silver = joined + (left * (0.1 + 2.0 * index / total)).astype(np.int64)
    gold = silver + (left * (0.1 + 6.0 * index / total)).astype(np.int64)
    return [joined, silver, gold]


def members(plan: Plan) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yield customers, tier changes and cards."""
    for part, index in enumerate(_slices(plan.customers)):
        yield "customers", _customers(plan, index, part)
        yield "tier_changes", _tier_changes(plan, index)
    for index in _slices(plan.cards):
        yield "cards", _cards(plan, index)


def _customers(plan: Plan, index: Integers, part: int) -> pa.RecordBatch:
    rng, count = plan.random(3, part), len(index)
    number = plan.customer_numbers(index)
    given, family = (
        pick(_GIVEN, rng.integers(0, len(_GIVEN), count)),
        pick(_FAMILY, rng.integers(0, len(_FAMILY), count)),
    )
    city = rng.integers(0, _CITIES_LENGTH, count)
    born = rng.integers(-14_000, 13_500, count)  # days around 1970: 1931 to 2006
    has_birthdate = rng.random(count) < 0.8
    birthdate = pa.array(born.astype(np.int32), mask=~has_birthdate).cast(pa.date32())
    joined = instants(plan.joined_us(index, plan.customers))
    tier = (
        sum((times < plan.end_us).astype(np.int64) for times in _tier_times(plan, index, plan.customers)) - 1
    )
    address = pc.binary_join_element_wise(numbered("customer", number, 7), "example.com", "@")
    columns = {
        "customer_id": numbered("c", number, 7),
        "source_id": address,
        "name": pc.binary_join_element_wise(given, family, " "),
        "description": pick(("Asked for the silver tier", None), (number % 100 > 0).astype(np.int64)),
        "email": address,
        "phone": numbered("+331", number, 8, rng.random(count) < 0.6),
        "birthdate": birthdate,
        "birthday": pc.strftime(birthdate.cast(pa.timestamp("s")), "%m/%d"),
        "address_line_1": pc.binary_join_element_wise(numbered("", 1 + number % 99, 2), "Main Street", " "),
        "address_line_2": pick(("Flat 4", None), (number % 6 > 0).astype(np.int64)),
        "address_postal_code": numbered("", number % 100_000, 5),
        "address_city": pick(_CITIES, city),
        "address_state": pick(_STATES, city),
        "address_country": pick(_COUNTRIES, city),
        "tier": pick([name.title() for name in TIERS], np.asarray(tier)),
        "status": pick(("active", "inactive"), (rng.random(count) < 0.02).astype(np.int64)),
        "referrer_id": _referrers(plan, index),
        "registered_at": joined,
        "created_at": joined,
        "updated_at": joined,
        "metadata": pick(('{"newsletter":true}', '{"newsletter":false}'), number % 2),
    }
    return batch("customers", columns, count)


def _referrers(plan: Plan, index: Integers) -> pa.Array:
    """Return who referred each customer: for some, somebody more active who joined before."""
    other = index // 3
    joined, before = (plan.joined_us(each, plan.customers) for each in (index, other))
    return numbered("c", plan.customer_numbers(other), 7, (index % 9 == 4) & (before < joined))


def _tier_changes(plan: Plan, index: Integers) -> pa.RecordBatch:
    """Return the changes of a slice of customers in the club, and of card owners in travel."""
    parts = []
    owners = index[(index % 2 == 1) & (index < 2 * plan.cards)]
    for program, who in ((0, index), (1, owners)):
        for tier, times in enumerate(_tier_times(plan, who, plan.customers)):
            reached = (times < plan.end_us) & ((program == 0) | (tier < 2))
            parts.append(np.column_stack([
                np.full(reached.sum(), program), np.full(reached.sum(), tier),
                plan.customer_numbers(who[reached]), times[reached],
            ]))  # fmt: skip
    rows = np.concatenate(parts)
    program, tier, customer, moment = rows[np.lexsort((rows[:, 2], rows[:, 3]))].T
    names = [f"{name}-{level}" for name in (CLUB, TRAVEL) for level in TIERS]
    columns = {
        "program_id": pick((CLUB, TRAVEL), program),
        "subledger_id": pick(("", "base"), program),
        "customer_id": numbered("c", np.ascontiguousarray(customer), 7),
        "changed_at": instants(np.ascontiguousarray(moment)),
        "tier_id": pick(names, program * len(TIERS) + tier),
        "expires_at": instants(moment + 365 * DAY, tier > 0),
        "reason": pick(("Joined", "Points reached"), (tier > 0).astype(np.int64)),
    }
    return batch("tier_changes", columns, len(rows))


def _cards(plan: Plan, index: Integers) -> pa.RecordBatch:
    count, owner = len(index), plan.owner(index)
    blocked = index % 97 == 0
    made = instants(plan.joined_us(index, plan.cards))
    columns = {
        "card_id": numbered("k", index, 7),
        "program_id": pick((TRAVEL,), np.zeros(count, np.int64)),
        "customer_id": numbered("c", plan.customer_numbers(np.maximum(owner, 0)), 7, owner >= 0),
        "status": pick(("active", "blocked"), blocked.astype(np.int64)),
        "block_reason": pick((None, "reported lost"), blocked.astype(np.int64)),
        "users_per_card_limit": pa.array(np.ones(count, np.int64)),
        "generated": pa.array(np.ones(count, bool)),
        "batch_id": numbered("b", index // 1000, 5),
        "attributes": pick(('{"color":"blue"}', None), (index % 4 > 0).astype(np.int64)),
        "created_at": made,
        "updated_at": made,
    }
    return batch("cards", columns, count)
