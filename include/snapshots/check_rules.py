"""The rules that a ledger is checked by, each one query on its rows (docs/ledger.md section 3 rule 8).

A query gives the ids of the rows that break its rule. The tables are the relations, instants as microseconds,
points in hundredths, values that could not be read as null (and listed in the table `invalid`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from include.ledger.catalog import RELATIONS, Field, FieldType, Relation

# relation.field -> the relation whose key, or named field, it must be found in.
REFERENCES: dict[str, dict[str, tuple[str, str]]] = {
    "program_rates": {"program_id": ("programs", "program_id")},
    "tiers": {"program_id": ("programs", "program_id")},
    "tier_changes": {
        "program_id": ("programs", "program_id"),
        "customer_id": ("customers", "customer_id"),
        "tier_id": ("tiers", "tier_id"),
    },
    "customers": {"referrer_id": ("customers", "customer_id")},
    "cards": {"program_id": ("programs", "program_id"), "customer_id": ("customers", "customer_id")},
    "transactions": {
        "program_id": ("programs", "program_id"),
        "customer_id": ("customers", "customer_id"),
        "card_id": ("cards", "card_id"),
        "order_id": ("orders", "order_id"),
        "reward_id": ("rewards", "reward_id"),
        "campaign_id": ("campaigns", "campaign_id"),
        "related_transaction_id": ("transactions", "transaction_id"),
    },
    "redemptions": {
        "transaction_id": ("transactions", "transaction_id"),
        "customer_id": ("customers", "customer_id"),
        "reward_id": ("rewards", "reward_id"),
        "voucher_id": ("vouchers", "voucher_id"),
        "order_id": ("orders", "order_id"),
    },
    "orders": {"customer_id": ("customers", "customer_id"), "store_id": ("stores", "store_id")},
    "rewards": {"program_id": ("programs", "program_id")},
    "vouchers": {"campaign_id": ("campaigns", "campaign_id"), "customer_id": ("customers", "customer_id")},
    "publications": {"voucher_code": ("vouchers", "code"), "customer_id": ("customers", "customer_id")},
    "campaigns": {"program_id": ("programs", "program_id")},
    "coupons": {"pool_id": ("coupon_pools", "pool_id"), "customer_id": ("customers", "customer_id")},
    "gift_card_transactions": {"voucher_id": ("vouchers", "voucher_id")},
    "events": {"customer_id": ("customers", "customer_id")},
    "content_approvals": {"customer_id": ("customers", "customer_id")},
}
_CREATING = "'earned', 'redemption_refunded', 'transferred_in'"
_DEBITING = "'earned_reversed', 'redeemed', 'expired', 'transferred_out'"
WRONG_SIGN = f"(type IN ({_CREATING}) AND points < 0) OR (type IN ({_DEBITING}) AND points > 0)"
NO_HOLDER = "COALESCE(card_id, '') = '' AND COALESCE(customer_id, '') = ''"


@dataclass(frozen=True)
class Rule:
    """One rule. `query` has one column, the id of each row that breaks it."""

    name: str
    relation: str
    blocking: bool
    sentence: str
    query: str


def row_id_sql(relation: Relation) -> str:
    """Return the SQL of a row's id: its key, parts joined by '/', nulls as `(null)`."""
    parts = [f"COALESCE(CAST({part} AS VARCHAR), '(null)')" for part in relation.key]
    return f"concat_ws('/', {', '.join(parts)})"


def checked_fields(relation: Relation) -> tuple[Field, ...]:
    """Return the fields that a check reads: keys, what may not be null, references, and values that have rules."""
    named = {*relation.key, *REFERENCES.get(relation.name, {}), *_EXTRA.get(relation.name, ())}
    return tuple(
        x
        for x in relation.fields
        if x.required or x.name in named or x.type in {FieldType.ENUM, FieldType.POINTS}
    )


_EXTRA = {
    "transactions": ("subledger_id", "recorded_at", "activates_at", "expires_at"),
    "program_rates": ("expected_redemption_rate",),
    "vouchers": ("code",),
}


def rules(columns: Mapping[str, Sequence[str]], read_at: int) -> Iterator[Rule]:
    """Yield the rules for a ledger that has these columns by relation."""
    for name, present in columns.items():
        relation = RELATIONS[name]
        yield from _of_fields(relation, present)
        yield from _references(relation, columns)
    yield from _of_transactions(columns, read_at)


def _of_fields(relation: Relation, present: Sequence[str]) -> Iterator[Rule]:
    name, row_id = relation.name, row_id_sql(relation)
    for field in relation.fields:
        if field.name not in present:
            continue
        if not field.may_be_null:
            unread = f"SELECT row_id FROM invalid WHERE relation = '{name}' AND field = '{field.name}'"
            empty = f"{field.name} IS NULL AND {row_id} NOT IN ({unread})"
            sentence = f"{field.name} is null, which no row may hold"
            yield Rule(
                f"null_{field.name}", name, True, sentence, f"SELECT {row_id} FROM {name} WHERE {empty}"
            )
        if field.values:
            known = ", ".join(f"'{value}'" for value in field.values)
            is_type = (name, field.name) == ("transactions", "type")
            sentence = f"{field.name} is none of {', '.join(field.values)}"
            rule = "unknown_type" if is_type else f"unknown_{field.name}_value"
            yield Rule(
                rule,
                name,
                is_type,
                sentence,
                f"SELECT {row_id} FROM {name} WHERE {field.name} NOT IN ({known})",
            )
    key = ", ".join(f"COALESCE({part}, '')" if relation.field(part).type is FieldType.ID else part
                    for part in relation.key if part in present)  # fmt: skip
    missing = [part for part in relation.key if part not in present and relation.field(part).required]
    if not missing:
        query = f"SELECT any_value({row_id}) FROM {name} GROUP BY {key} HAVING count(*) > 1"
        yield Rule(f"duplicate_{relation.key[-1]}", name, True, "the key stands in more than one row", query)


def _references(relation: Relation, columns: Mapping[str, Sequence[str]]) -> Iterator[Rule]:
    for field, (other, target) in REFERENCES.get(relation.name, {}).items():
        if field in columns[relation.name] and target in columns.get(other, ()):
            found = f"SELECT {target} FROM {other} WHERE {target} IS NOT NULL"
            condition = f"COALESCE({field}, '') <> '' AND {field} NOT IN ({found})"
            query = f"SELECT {row_id_sql(relation)} FROM {relation.name} WHERE {condition}"
            sentence = f"{field} is not found in {other}"
            yield Rule(f"unknown_{field}", relation.name, False, sentence, query)


def _of_transactions(columns: Mapping[str, Sequence[str]], read_at: int) -> Iterator[Rule]:
    name, row_id = "transactions", row_id_sql(RELATIONS["transactions"])
    select = f"SELECT {row_id} FROM transactions WHERE "
    yield Rule("empty_program_id", name, True, "program_id is empty", select + "program_id = ''")
    yield Rule("null_holder", name, True, "there is neither a card nor a customer", select + NO_HOLDER)
    yield Rule(
        "wrong_sign", name, True, "points have a sign that the type does not allow", select + WRONG_SIGN
    )
    known = "COALESCE(recorded_at, created_at)" if "recorded_at" in columns[name] else "created_at"
    future = f"greatest(created_at, {known}) > {read_at}"
    yield Rule(
        "created_in_the_future",
        name,
        False,
        "the row lies in the future of the database's clock",
        select + future,
    )
    if "recorded_at" in columns[name]:
        sentence = "recorded_at lies before created_at: it was known before it happened"
        yield Rule("recorded_before_created", name, False, sentence, select + "recorded_at < created_at")
    programs = "SELECT program_id FROM programs WHERE "
    wrong = "NOT regexp_full_match(currency, '[A-Z]{3}')"
    yield Rule("bad_currency", "programs", False, "currency is no ISO 4217 code", programs + wrong)
    sentence = "time_zone is no IANA time zone"
    unknown = "time_zone NOT IN (SELECT name FROM time_zones)"
    yield Rule("bad_time_zone", "programs", False, sentence, programs + unknown)
    if "expected_redemption_rate" in columns.get("program_rates", ()):
        rates = row_id_sql(RELATIONS["program_rates"])
        query = f"SELECT {rates} FROM program_rates WHERE expected_redemption_rate NOT BETWEEN 0 AND 1"
        yield Rule(
            "rate_out_of_range", "program_rates", False, "a redemption rate lies between 0 and 1", query
        )
    if "transaction_id" in columns.get("redemptions", ()):
        named = "SELECT transaction_id FROM redemptions WHERE transaction_id IS NOT NULL"
        one = f"type = 'redeemed' AND transaction_id NOT IN ({named})"
        yield Rule(
            "redeemed_without_redemption", name, False, "no redemption names this transaction", select + one
        )
        twice = f"{named} GROUP BY 1 HAVING count(*) > 1"
        sentence = "more than one redemption names this transaction"
        yield Rule("redeemed_with_two_redemptions", name, False, sentence, twice)
        other = """SELECT redemption_id FROM redemptions JOIN transactions t USING (transaction_id)
                   WHERE t.type <> 'redeemed'"""
        yield Rule(
            "redemption_of_another_type",
            "redemptions",
            False,
            "its transaction is not a `redeemed` one",
            other,
        )
