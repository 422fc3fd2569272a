"""Finding a customer by id, card number, e-mail address or name, at a cost that has an end.

What an index answers comes first: ids, cards, and addresses as they are written; where one is found that is who was
meant. Else names, parts of names, and addresses in another case are looked for in all customers, for as long as
`SLOW_SECONDS` and no longer. People who were erased are not there.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from include.errors import Transient
from include.ledger.people import Name
from include.pipeline.context import Context
from include.pipeline.customers.look import is_id, opened
from include.pipeline.privacy import erasure_key
from include.snapshots.excerpt import Looking
from include.snapshots.names import PREFIX
from include.snapshots.reading import Which
from include.state.looked import Person

SECONDS = 10
SLOW_SECONDS = 3
MOST_HITS = 20
_CUSTOMER = ("customer_id", "name", "email", "registered_at")
_CARD = ("card_id", "customer_id", "status")
# A shorter text stands in too many names.
_SHORTEST_PART = 3


@dataclass(frozen=True)
class Hit:
    """A customer, or a card that nobody owns, and by what it was found: id, card, e-mail, name, beginning."""

    person: Person
    by: str
    name: str | None = None
    email: str | None = None
    card: str | None = None


@dataclass(frozen=True)
class Search:
    """What was found, the exact ones first. more: there are others. cut: not all was looked through."""

    hits: tuple[Hit, ...]
    more: bool = False
    cut: bool = False


def search(context: Context, text: str, *, personal: bool, by: str) -> Search:
    """Return who a text finds, and tell the audit chain whom it showed to whom; the text is not kept.

    personal: names and addresses may be looked for and shown; without it only whole ids and card numbers are found.
    Raises what opening the ledger raises.
    """
    text = text.strip()
    if not is_id(text):
        return Search(())
    found: dict[Person, Hit] = {}
    with opened(context, SECONDS, erasure_key(context)) as ledger:
        _collect(found, _exact(ledger, text, personal=personal))
        exact = bool(found)
        if not exact:
            _collect(found, _moved(ledger, text))
        if personal and not exact:
            _collect(found, _beginning(ledger, text))
    cut = personal and not exact and len(found) <= MOST_HITS and not _looked_through(context, found, text)
    shown = tuple(found.values())[:MOST_HITS]
    people = [hit.person for hit in shown]
    ways = sorted({hit.by for hit in shown})
    context.state.looked.note_search(by, people, {"by": ways, "personal": personal})
    return Search(shown, len(found) > MOST_HITS, cut)


def _collect(found: dict[Person, Hit], hits: Iterator[Hit]) -> None:
    for hit in hits:
        found.setdefault(hit.person, hit)
        if len(found) > MOST_HITS:
            return


def _exact(ledger: Looking, text: str, *, personal: bool) -> Iterator[Hit]:
    """Yield who has exactly this id, card or address: indexes know them."""
    yield from _customers(ledger, Which("customer_id", (text,)), "id", personal=personal)
    for row in _rows(ledger, "cards", _CARD, Which("card_id", (text,))):
        if not row["customer_id"]:
            yield Hit(Person(Name.CARD, row["card_id"]), "card", card=row["card_id"])
            continue
        of = Which("customer_id", (row["customer_id"],))
        known = list(_customers(ledger, of, "card", personal=personal))
        for hit in known or [Hit(Person(Name.CUSTOMER, row["customer_id"]), "card")]:
            yield Hit(hit.person, hit.by, hit.name, hit.email, row["card_id"])
    if personal and "@" in text:
        written = tuple(dict.fromkeys((text, text.lower())))
        yield from _customers(ledger, Which("email", written, limit=MOST_HITS + 1), "e-mail")


def _moved(ledger: Looking, text: str) -> Iterator[Hit]:
    """Yield who has transactions, and stands in no list of customers or cards."""
    for column, kind in (("customer_id", Name.CUSTOMER), ("card_id", Name.CARD)):
        for _ in _rows(ledger, "transactions", (column,), Which(column, (text,), limit=1)):
            yield Hit(Person(kind, text), "id" if kind is Name.CUSTOMER else "card")


def _beginning(ledger: Looking, text: str) -> Iterator[Hit]:
    yield from _customers(ledger, Which("customer_id", (text,), "begins", MOST_HITS + 1), "beginning")


def _looked_through(context: Context, found: dict[Person, Hit], text: str) -> bool:
    """Look through all customers; return whether the time was enough."""
    whiches = [(Which("email", (text,), "folded", MOST_HITS + 1), "e-mail")] if "@" in text else []
    whiches.append((Which("name", (text,), "folded", MOST_HITS + 1), "name"))
    if len(text) >= _SHORTEST_PART:
        whiches.append((Which("name", (text,), "contains", MOST_HITS + 1), "name"))
        whiches.append((Which("source_id", (text,), limit=MOST_HITS + 1), "id"))
    end = time.monotonic() + SLOW_SECONDS
    with opened(context, SLOW_SECONDS, erasure_key(context)) as ledger:
        for which, way in whiches:
            if len(found) > MOST_HITS:
                return True
            if time.monotonic() > end:
                return False
            try:
                _collect(found, _customers(ledger, which, way))
            except Transient:  # the database ended it, and with it the database transaction
                return False
    return True


def _customers(ledger: Looking, which: Which, way: str, *, personal: bool = True) -> Iterator[Hit]:
    for row in _rows(ledger, "customers", _CUSTOMER if personal else _CUSTOMER[:1], which):
        person = Person(Name.CUSTOMER, row["customer_id"])
        yield Hit(person, way, row.get("name"), row.get("email"))


def _rows(ledger: Looking, relation: str, columns: tuple[str, ...], which: Which) -> Iterator[dict[str, Any]]:
    """Yield rows of people who are there: who was erased has a pseudonym by now."""
    for row in ledger.table(relation, columns, which).to_pylist():
        if not str(row[columns[0]]).startswith(PREFIX):
            yield row
