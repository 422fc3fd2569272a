"""Whom the rows of a file mean: by card, else by customer id, else by case-folded e-mail address.

Nobody and several are errors, and so is somebody who was erased. Addresses are folded by the database where they are
ASCII, which both databases do alike; the few others are folded here, as Unicode says.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from include.errors import BadInput, Problem
from include.imports.options import Mode, Options
from include.imports.sessions import Session, literal
from include.imports.staging import conformed, folded
from include.ledger.people import Name
from include.snapshots.erased import Erased

# What is wrong with whom a row names, by its code.
MESSAGES = {
    "wrong_program": "the row is of another program than the one that was chosen for this import",
    "unknown_card": "no card has this number",
    "card_of_other_program": "this card is of another program",
    "unknown_member": "no customer has this id or e-mail address",
    "several_members": "several customers have this e-mail address: give the customer id",
    "no_card": "this customer has no card of the program",
    "several_cards": "this customer has several cards of the program: give the card's number",
    "erased_member": "this customer was erased",
}
_TYPED = pa.schema(
    [("line", pa.int64()), *((name, pa.string()) for name in ("customer_id", "email", "customer", "card"))]
)
_PERSON = pa.schema([("customer_id", pa.string()), ("email", pa.string())])


def known_program(session: Session, options: Options) -> frozenset[str]:
    """Return how a file may call the chosen program: its id, and its number. BadInput for an unknown program."""
    if options.mode is Mode.BIRTHDAY and not options.program:
        return frozenset()
    number = "external_id" if "external_id" in session.columns("programs") else "NULL"
    found = [
        row
        for batch in session.stream(f"SELECT program_id, CAST({number} AS TEXT) AS number FROM programs")
        for row in batch.to_pylist()
    ]
    for row in found:
        if row["program_id"] == options.program:
            return frozenset(each for each in row.values() if each is not None)
    names = ", ".join(sorted(row["program_id"] for row in found)[:20])
    raise BadInput([Problem("program", options.program, f"choose one of {names}", "unknown_program")])


def match(session: Session, options: Options, erased: Erased | None) -> None:
    """Make `loyalty_matched` from `loyalty_staged`: its columns, customer, card and `code`, null where all is well."""
    programs = known_program(session, options)
    emails = session.one("SELECT count(*) AS n FROM loyalty_staged WHERE folded IS NOT NULL")[0] > 0
    cards = bool(session.columns("cards"))
    if emails:
        _fold_others(session)
    session.execute(
        "CREATE TEMP TABLE loyalty_matched AS " + _matched(session, options, programs, emails, cards)
    )
    if options.card and options.mode is not Mode.BIRTHDAY:
        _only_card(session, options, cards)
    if erased is not None:
        refuse_erased(session, erased)


def _fold_others(session: Session) -> None:
    """Make `loyalty_folded`: addresses that are not ASCII, folded."""
    session.execute("CREATE TEMP TABLE loyalty_folded (folded TEXT, customer_id TEXT)")
    found = session.stream(f"SELECT customer_id, email FROM customers WHERE NOT {_ascii(session)}")
    kept = [
        pa.RecordBatch.from_pydict(
            {"folded": folded(batch.column("email")), "customer_id": batch.column("customer_id")}
        )
        for batch in conformed(found, _PERSON)
    ]
    session.ingest("loyalty_folded", kept)


def _ascii(session: Session) -> str:
    if session.dialect == "postgresql":
        return "(octet_length(email) = char_length(email))"
    return "(length(CAST(email AS BLOB)) = length(email))"


def _matched(session: Session, options: Options, programs: frozenset[str], emails: bool, cards: bool) -> str:
    status = "status" in session.columns("customers")
    lower = 'lower(email COLLATE "C")' if session.dialect == "postgresql" else "lower(email)"
    joins = ["LEFT JOIN customers c ON s.card_id IS NULL AND c.customer_id = s.customer_id"]
    customer, erased = "c.customer_id", ["c.status = 'erased'"]
    several = "1 = 0"
    if emails:
        state = ", max(status) AS status" if status else ""
        also = ", status" if status else ""
        joins.append(
            f"LEFT JOIN (SELECT folded, min(customer_id) AS customer_id, count(*) AS found{state} FROM ("
            f"SELECT {lower} AS folded, customer_id{also} FROM customers WHERE {_ascii(session)} UNION ALL "
            f"SELECT f.folded, f.customer_id{also} FROM loyalty_folded f JOIN customers USING (customer_id)) addresses "
            "WHERE folded IN (SELECT folded FROM loyalty_staged) GROUP BY folded) e "
            "ON s.card_id IS NULL AND c.customer_id IS NULL AND e.folded = s.folded"
        )
        customer = "coalesce(c.customer_id, e.customer_id)"
        erased.append("e.status = 'erased'")
        several = "e.found > 1"
    named = "s.card_id IS NOT NULL"
    unknown_card, other_program = named, "1 = 0"
    if cards:
        there = session.columns("cards")
        owner = "k.customer_id" if "customer_id" in there else "NULL"
        joins.append("LEFT JOIN cards k ON k.card_id = s.card_id")
        customer = f"CASE WHEN {named} THEN {owner} ELSE {customer} END"
        unknown_card = f"{named} AND k.card_id IS NULL"
        if "program_id" in there:
            other_program = f"k.program_id <> {literal(options.program)}"
        if status:
            joins.append(f"LEFT JOIN customers o ON o.customer_id = {owner}")
            erased.append("o.status = 'erased'")
    wrong_program = f"s.program NOT IN ({', '.join(map(literal, sorted(programs)))})" if programs else "1 = 0"
    codes = (
        ("s.ok = 0", "file"),
        (wrong_program, "wrong_program"),
        (unknown_card, "unknown_card"),
        (other_program, "card_of_other_program"),
        (several, "several_members"),
        (f"NOT ({named}) AND ({customer}) IS NULL", "unknown_member"),
        (" OR ".join(erased) if status else "1 = 0", "erased_member"),
    )
    cases = " ".join(f"WHEN {condition} THEN '{code}'" for condition, code in codes)
    return (
        f"SELECT s.*, {customer} AS customer, s.card_id AS card, CASE {cases} END AS code "
        f"FROM loyalty_staged s {' '.join(joins)}"
    )


def _only_card(session: Session, options: Options, cards: bool) -> None:
    """Give rows that name no card the member's only one."""
    mine = "code IS NULL AND card IS NULL"
    if not cards:
        session.execute(f"UPDATE loyalty_matched SET code = 'no_card' WHERE {mine}")
        return
    of_program = (
        f" AND (k.program_id IS NULL OR k.program_id = {literal(options.program)})"
        if "program_id" in session.columns("cards")
        else ""
    )
    theirs = f"FROM cards k WHERE k.customer_id = loyalty_matched.customer{of_program}"
    count = f"(SELECT count(*) {theirs})"
    session.execute(
        f"UPDATE loyalty_matched SET card = (SELECT min(k.card_id) {theirs}), code = CASE WHEN {count} = 0 "
        f"THEN 'no_card' WHEN {count} > 1 THEN 'several_cards' END WHERE {mine}"
    )


def refuse_erased(session: Session, erased: Erased) -> None:
    """Mark the rows that name somebody who was erased, or by whom they were found."""
    session.execute("CREATE TEMP TABLE loyalty_gone (line BIGINT)")
    typed = session.stream(
        "SELECT line, customer_id, email, customer, card FROM loyalty_matched "
        "WHERE code IS NULL OR code IN ('unknown_member', 'unknown_card')"
    )
    spooled = [batch for batch in _gone(conformed(typed, _TYPED), erased) if batch.num_rows]
    if session.ingest("loyalty_gone", spooled):
        session.execute(
            "UPDATE loyalty_matched SET code = 'erased_member' WHERE line IN (SELECT line FROM loyalty_gone)"
        )


def _gone(batches: Iterator[pa.RecordBatch], erased: Erased) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        rows = [row["line"] for row in batch.to_pylist() if _is_gone(row, erased)]
        yield pa.RecordBatch.from_pydict({"line": pa.array(rows, pa.int64())})


def _is_gone(row: dict[str, Any], erased: Erased) -> bool:
    customers = {row["customer_id"], row["customer"]} - {None}
    if any(erased.name(Name.CUSTOMER, each) is not None for each in customers if each):
        return True
    card, email = row["card"], row["email"]
    if card and erased.name(Name.CARD, card) is not None:
        return True
    return bool(email) and erased.text(str(email)) != email
