"""A transaction as Talon.One's lists have it.

Points are given by `type` and an amount without a sign. Ids are numbers there: a ledger's id that is one stays as it
is, any other gives a number that is made of it and is always the same. The CSV exports have the ledger's own ids.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NotRequired

from typing_extensions import TypedDict

from include.pipeline.holders.transactions import properties, uuid_of
from include.web.api.talon_one.parameters import written

LONGEST_NAME = 255
IMMEDIATE, UNLIMITED = "immediate", "unlimited"
# JavaScript knows whole numbers up to 2^53: ids that are numbers lie below the half of it, the others above.
_OWN_NUMBERS = 2**52


class Entry(TypedDict):
    """One transaction. What may be missing is there where the ledger says it."""

    transactionUUID: str
    id: int
    created: str
    programId: int
    type: str
    name: str
    startDate: str
    expiryDate: str
    subledgerId: str
    amount: float
    customerSessionId: NotRequired[str]
    rulesetId: NotRequired[int]
    ruleName: NotRequired[str]
    cardIdentifier: NotRequired[str]
    flags: NotRequired[dict[str, bool]]


class Entries(TypedDict):
    """A page of transactions, the newest first."""

    hasMore: bool
    data: list[Entry]


def entry(row: Mapping[str, Any], program: int) -> Entry:
    """Return a row of `holder_transactions.COLUMNS` as the vendor's. program: its number."""
    details = properties(row["details"])
    adds = row["points"] > 0
    found = Entry(
        transactionUUID=uuid_of(row["transaction_id"], details),
        id=number_of(row["transaction_id"]),
        created=written(row["created_at"]),
        programId=program,
        type="addition" if adds else "subtraction",
        name=(row["reason"] or "")[:LONGEST_NAME],
        startDate=_start(row) if adds else IMMEDIATE,
        expiryDate=written(row["expires_at"]) if adds and row["expires_at"] is not None else UNLIMITED,
        subledgerId=row["subledger_id"] or "",
        amount=points(abs(row["points"])),
    )
    session, ruleset, flags = (details.get(name) for name in ("customersessionid", "rulesetid", "flags"))
    if session:
        found["customerSessionId"] = str(session)[:LONGEST_NAME]
    if isinstance(ruleset, int):
        found["rulesetId"] = ruleset
    if row["rule_name"]:
        found["ruleName"] = row["rule_name"]
    if row["card_id"]:
        found["cardIdentifier"] = row["card_id"]
    if isinstance(flags, dict):
        found["flags"] = {name: each for name, each in flags.items() if isinstance(each, bool)}
    return found


def number_of(name: str) -> int:
    """Return the number that an id of the ledger is known by."""
    if name.isascii() and name.isdigit() and str(int(name)) == name and int(name) < _OWN_NUMBERS:
        return int(name)
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    return _OWN_NUMBERS + int.from_bytes(digest, "big") % _OWN_NUMBERS


def points(hundredths: int) -> float:
    """Return points as JSON's number: whole ones without decimals."""
    whole, rest = divmod(hundredths, 100)
    return hundredths / 100 if rest else whole


def _start(row: Mapping[str, Any]) -> str:
    starts: datetime | None = row["activates_at"]
    return IMMEDIATE if starts is None or starts <= row["created_at"] else written(starts)
