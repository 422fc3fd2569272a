"""Whom the rows of a file mean: by card, else by customer id, else by case-folded e-mail address.

Nobody and several are errors, and so are an id and an address of two customers, and somebody who was erased.
Addresses are folded by the database where they are ASCII, which both databases do alike; the few others are folded
here, as Unicode says.
"""

from __future__ import annotations

import functools

import pyarrow as pa
import pyarrow.compute as pc

from include.errors import BadInput, Problem
from include.imports.bench import Bench, Lines, conformed
from include.imports.options import Mode, Options
from include.imports.sessions import Session, literal
from include.imports.staging import FOUND, TEXT, folded
from include.ledger.people import Name
from include.reports.engine.files import ahead
from include.snapshots.erased import Erased

# What is wrong with whom a row names, by its code.
MESSAGES = {
    "wrong_program": "the row is of another program than the one that was chosen for this import",
    "unknown_card": "no card has this number",
    "card_of_other_program": "this card is of another program",
    "card_of_nobody": "this card belongs to no customer",
    "unknown_member": "no customer has this id or e-mail address",
    "several_members": "several customers have this e-mail address: give the customer id",
    "members_differ": "the customer id is one customer's, and the e-mail address another's: leave out the wrong one",
    "no_card": "this customer has no card of the program",
    "several_cards": "this customer has several cards of the program: give the card's number",
    "erased_member": "this customer was erased",
}
_PERSON = pa.schema([("customer_id", TEXT), ("email", TEXT)])
_NAMED = pa.schema([*FOUND, *_PERSON])


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


def match(session: Session, bench: Bench, lines: Lines, options: Options, erased: Erased | None) -> None:
    """Make `loyalty_found` of `loyalty_staged`; its `code` is null where all is well."""
    programs = known_program(session, options)
    by_mail, by_card = session.one(
        "SELECT count(folded) AS mails, count(card_id) AS cards FROM loyalty_staged"
    )
    if by_mail:
        _fold_others(session)
    cards = session.columns("cards")
    found = _found(session, options, programs, by_mail > 0, cards if by_card else frozenset())
    if options.card and options.mode is not Mode.BIRTHDAY:
        found = _only_card(found, options, cards)
    if not options.program:
        found = with_birthdays(session, found)
    bench.fill("loyalty_found", FOUND, lines, ahead(session.stream(found)))
    session.execute("DROP TABLE loyalty_staged")
    if erased is not None:
        refuse_erased(bench, lines, erased, "erased_member")


def with_birthdays(session: Session, found: str) -> str:
    """Return a query of rows of customers with the birthday that each has; BadInput where the ledger keeps none."""
    if "birthday" not in session.columns("customers"):
        right = "it lacks the column birthday: add it as text"
        raise BadInput([Problem("ledger", "customers", right, "no_birthdays")])
    return (
        f"SELECT m.*, b.birthday AS old_birthday FROM ({found}) m "
        "LEFT JOIN customers b ON b.customer_id = m.customer"
    )


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


def _found(
    session: Session, options: Options, programs: frozenset[str], emails: bool, cards: frozenset[str]
) -> str:
    """Return the query of what the ledger knows of each row: line, customer, card, code."""
    status = "status" in session.columns("customers")
    # SQLite finds rows by an index of its own making only where it knows that both sides are text.
    lower = 'lower(email COLLATE "C")' if session.dialect == "postgresql" else "CAST(lower(email) AS TEXT)"
    joins = ["LEFT JOIN customers c ON s.card_id IS NULL AND c.customer_id = s.customer_id"]
    customer, erased = "c.customer_id", ["c.status = 'erased'"]
    several = differ = "1 = 0"
    if emails:
        state = ", max(status) AS status" if status else ""
        also = ", status" if status else ""
        joins.append(
            f"LEFT JOIN (SELECT folded, min(customer_id) AS customer_id, count(*) AS found{state} FROM ("
            f"SELECT {lower} AS folded, customer_id{also} FROM customers WHERE {_ascii(session)} UNION ALL "
            f"SELECT f.folded, f.customer_id{also} FROM loyalty_folded f JOIN customers USING (customer_id)) addresses "
            "WHERE folded IN (SELECT folded FROM loyalty_staged) GROUP BY folded) e "
            "ON s.card_id IS NULL AND e.folded = s.folded"
        )
        customer = "coalesce(c.customer_id, e.customer_id)"
        erased.append("c.customer_id IS NULL AND e.status = 'erased'")
        several = "c.customer_id IS NULL AND e.found > 1"
        differ = "e.found = 1 AND e.customer_id <> c.customer_id"
    named = "s.card_id IS NOT NULL"
    unknown_card, other_program = named, "1 = 0"
    if cards:
        owner = "k.customer_id" if "customer_id" in cards else "NULL"
        joins.append("LEFT JOIN cards k ON k.card_id = s.card_id")
        customer = f"CASE WHEN {named} THEN {owner} ELSE {customer} END"
        unknown_card = f"{named} AND k.card_id IS NULL"
        if "program_id" in cards and options.program:
            other_program = f"k.program_id <> {literal(options.program)}"
        if status:
            joins.append(f"LEFT JOIN customers o ON o.customer_id = {owner}")
            erased.append("o.status = 'erased'")
    nobodys = "1 = 0" if options.program else f"{named} AND ({customer}) IS NULL"
    wrong_program = f"s.program NOT IN ({', '.join(map(literal, sorted(programs)))})" if programs else "1 = 0"
    codes = (
        (wrong_program, "wrong_program"),
        (unknown_card, "unknown_card"),
        (other_program, "card_of_other_program"),
        (nobodys, "card_of_nobody"),
        (several, "several_members"),
        (differ, "members_differ"),
        (f"NOT ({named}) AND ({customer}) IS NULL", "unknown_member"),
        (" OR ".join(erased) if status else "1 = 0", "erased_member"),
    )
    cases = " ".join(f"WHEN {condition} THEN '{code}'" for condition, code in codes)
    return (
        f"SELECT s.line, {customer} AS customer, s.card_id AS card, CASE {cases} END AS code "
        f"FROM loyalty_staged s {' '.join(joins)}"
    )


def _only_card(found: str, options: Options, cards: frozenset[str]) -> str:
    """Return the query with the member's only card where a row names none."""
    if "customer_id" not in cards:
        none = "CASE WHEN m.code IS NULL AND m.card IS NULL THEN 'no_card' ELSE m.code END"
        return f"SELECT m.line, m.customer, m.card, {none} AS code FROM ({found}) m"
    ours = (
        f"WHERE k.program_id IS NULL OR k.program_id = {literal(options.program)} "
        if "program_id" in cards
        else ""
    )
    return (
        "SELECT m.line, m.customer, coalesce(m.card, o.card) AS card, "
        "CASE WHEN m.code IS NOT NULL OR m.card IS NOT NULL THEN m.code WHEN o.found IS NULL THEN 'no_card' "
        f"WHEN o.found > 1 THEN 'several_cards' END AS code FROM ({found}) m LEFT JOIN ("
        f"SELECT k.customer_id, min(k.card_id) AS card, count(*) AS found FROM cards k {ours}GROUP BY k.customer_id"
        ") o ON o.customer_id = m.customer AND m.card IS NULL AND m.code IS NULL"
    )


def refuse_erased(bench: Bench, lines: Lines, erased: Erased, code: str) -> None:
    """Give a code to the rows of `loyalty_found` that name somebody who was erased, or by whom they were found."""
    named = bench.query(
        "SELECT f.*, s.customer_id, s.email FROM loyalty_found f JOIN loyalty_said s ON s.line = f.line",
        _NAMED,
    )
    bench.fill("loyalty_marked", FOUND, lines, (_marked(batch, erased, code) for batch in named))
    bench.rename("loyalty_marked", "loyalty_found")


def _marked(batch: pa.RecordBatch, erased: Erased, code: str) -> pa.RecordBatch:
    codes = batch.column("code")
    seen = pc.is_in(codes, value_set=pa.array([None, "unknown_member", "unknown_card"], TEXT))
    marked = pc.if_else(pc.and_(seen, _gone(batch, erased)), code, codes)
    return batch.set_column(batch.schema.get_field_index("code"), "code", marked)


def _gone(batch: pa.RecordBatch, erased: Erased) -> pa.Array:
    """Return which rows name, or were found by, somebody who was erased."""
    named = [erased.among(Name.CUSTOMER, batch.column(name)) for name in ("customer_id", "customer")]
    named += [erased.among(Name.CARD, batch.column("card")), erased.mentioned(batch.column("email"))]
    return functools.reduce(pc.or_, named)
