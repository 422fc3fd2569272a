"""Which fields name a person, and which are about the person whom a row names.

Erasing somebody (docs/privacy.md) gives every field of `names` a pseudonym and empties the fields of `about` in that
person's own rows. Numbers, dates, types and codes of things stay, so that every sum stays.
"""

from __future__ import annotations

from enum import StrEnum

from include.ledger.fields import FieldType, Relation


class Name(StrEnum):
    """By what a field names a person: the customer's id, the number of a card, the code that stands for a card."""

    CUSTOMER = "customer"
    CARD = "card"
    CODE = "code"


_NAMED_BY = {"customer_id": Name.CUSTOMER, "referrer_id": Name.CUSTOMER, "card_id": Name.CARD}
_CODES = {("vouchers", "code"), ("publications", "voucher_code"), ("redemptions", "coupon_code")}
# Personal data, but of the staff who did something, not of the customer whom they did it to.
_OF_STAFF = frozenset({"admin_user", "changed_by", "reviewed_by"})
# Rows of `changes` speak of rows of other relations, which they name.
RECORDS = {
    "customers": Name.CUSTOMER,
    "customer": Name.CUSTOMER,
    "cards": Name.CARD,
    "card": Name.CARD,
}


def names(relation: Relation) -> dict[str, Name]:
    """Return the fields of a relation that name a person; `changes.entity_id` is none, see RECORDS."""
    found = {name: _NAMED_BY[name] for name in relation.names if name in _NAMED_BY}
    return found | {field: Name.CODE for of, field in _CODES if of == relation.name}


def naming(relation: Relation) -> tuple[str, ...]:
    """Return the fields that say whose a row is: those of `names`, and what tells whose a change is."""
    return (*names(relation), *(("entity", "entity_id") if relation.name == "changes" else ()))


def about(relation: Relation) -> tuple[str, ...]:
    """Return the fields that hold data about the person whom a row of the relation is of."""
    return tuple(field.name for field in relation.fields if field.pii and field.name not in _OF_STAFF)


def free(relation: Relation) -> tuple[str, ...]:
    """Return the fields of free text and free properties, in which anybody may be mentioned.

    A customer's own name, address or telephone number is none: two may live at one.
    """
    kinds = (FieldType.TEXT, FieldType.JSON)
    found = (field for field in relation.fields if field.type in kinds)
    own = relation.name == "customers"
    return tuple(
        field.name
        for field in found
        if not (own and field.pii and field.type is FieldType.TEXT and field.name != "description")
    )
