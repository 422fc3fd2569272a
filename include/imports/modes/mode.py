"""What a mode says of its files: which columns it reads under which headers, and what values it takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType

CUSTOMER = ("customer_id", "customerprofileid", "profileIntegrationID")
EMAIL = ("Email",)
CARD = ("card_id", "identifier", "cardIdentifier")
# An export of our balances has cards and customers in one column, and says in another which is which.
MEMBERS: Mapping[str, tuple[str, ...]] = MappingProxyType({
    "customer_id": CUSTOMER, "email": EMAIL, "card_id": CARD,
    "holder_kind": ("holder_kind",), "holder_id": ("holder_id",),
})  # fmt: skip
ACCOUNTS: Mapping[str, tuple[str, ...]] = MappingProxyType({
    **MEMBERS,
    "program": ("program_id", "loyaltyProgramID"),
    "subledger_id": ("subledger_id", "subledgerid", "loyaltySubledger"),
})  # fmt: skip
MEMBER = ("customer_id", "email", "card_id", "holder_id")  # a file has at least one of these
BALANCES = ("points_balance", "currentBalance", "loyalty_points")


class Sign(Enum):
    """Which points a mode takes."""

    ANY = "any"  # unsigned means plus
    UNSIGNED_PLUS = "balance"  # a balance may be below zero; a plus would mean to add
    POSITIVE = "positive"


@dataclass(frozen=True)
class ModeFile:
    """One thing that an import may do.

    fields: by the name of the row's field, the headers that it is read from; case, blanks, - and _ do not count.
    required: of each of these groups, a file has at least one. exact: fields whose header must be as it stands here.
    renamed: headers that look right and are not, with what to do. example: a template's header and rows.
    """

    name: str
    title: str
    description: str
    fields: Mapping[str, tuple[str, ...]]
    required: tuple[tuple[str, ...], ...]
    example: tuple[tuple[str, ...], ...]
    sign: Sign = Sign.ANY
    exact: frozenset[str] = frozenset()
    renamed: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
