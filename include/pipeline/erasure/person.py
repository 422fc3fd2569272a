"""Whom an erasure is of: found by id, card or e-mail address, with every name that ledger and snapshots know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from include.errors import BadInput, Problem
from include.ledger.catalog import RELATIONS
from include.ledger.people import Name
from include.ledger.people import names as naming
from include.pipeline.context import Context
from include.snapshots import names, stored
from include.snapshots.names import Hasher
from include.snapshots.reading import Reading
from include.snapshots.source import Source, open_read
from include.state.erasures import ErasureDetail

_ALSO = ("email", "source_id", "phone")


@dataclass
class Person:
    """Somebody by their names: the customer's id, or a card that nobody owns; `also` are addresses and foreign ids.

    kept_cards: cards of theirs on which other customers have movements, which keep their numbers.
    """

    customer: str | None
    cards: set[str] = field(default_factory=set)
    kept_cards: set[str] = field(default_factory=set)
    codes: set[str] = field(default_factory=set)
    also: set[str] = field(default_factory=set)

    def subject(self, hashed: Hasher) -> str:
        """Return the keyed hash that stands for the person."""
        if self.customer is not None:
            return hashed.name(Name.CUSTOMER, self.customer)
        [card] = self.cards
        return hashed.name(Name.CARD, card)

    def detail(self, hashed: Hasher, pseudonym: str, reason: str | None) -> ErasureDetail:
        """Return what the state will know: hashes of all names, each card and code with a pseudonym of its own."""
        main = [(Name.CUSTOMER, self.customer)] if self.customer is not None else []
        things = [*((Name.CARD, card) for card in self.cards), *((Name.CODE, code) for code in self.codes)]
        new = {pair: names.pseudonym() for pair in things} | dict.fromkeys(main, pseudonym)
        if self.customer is None:
            new[things[0]] = pseudonym
        said = {value: name for (_, value), name in new.items()} | dict.fromkeys(self.also, pseudonym)
        return ErasureDetail(
            check=hashed.check,
            names={hashed.name(kind, value): name for (kind, value), name in new.items()},
            mentions={hashed.mention(value): name for value, name in said.items() if names.is_mention(value)},
            reason=reason,
        )


def by_email(context: Context, address: str) -> str:
    """Return the id of the customer with this address, in whatever case; BadInput for none, and for several."""
    found: list[str] = []
    with open_read(Source.from_settings(context.settings), values=False) as reading:
        for batch in _batches(reading, "customers", ("customer_id", "email")):
            same = pc.equal(pc.utf8_lower(batch["email"]), address.lower())
            found += batch.filter(same)["customer_id"].to_pylist()
    if len(found) != 1:
        right = (
            f"customers {', '.join(sorted(found))} have this address: give the id of the one who is meant"
            if found
            else "no customer of the ledger has this address"
        )
        raise BadInput([Problem("--email", address, right, "unknown_customer")])
    return found[0]


def find(context: Context, *, customer: str | None, card: str | None) -> tuple[Person, Counter[str]]:
    """Return who that is and, by relation, how many rows of the ledger name them; a card's owner where it has one.

    One read of the ids of the whole ledger, and of all snapshots: they may hold names that the ledger has lost since.
    A person whom the ledger does not know has no rows there.
    """
    with open_read(Source.from_settings(context.settings), values=False) as reading:
        known = _Known(context, reading)
        if card is not None:
            owners = known.where("cards", ("card_id", "customer_id"), {card})
            customer = next((row["customer_id"] for row in owners if _is_of(row)), None)
        person = Person(customer, set() if customer is not None else {card or ""})
        if customer is not None:
            _gather(known, person, customer)
        vouchers = known.where("vouchers", ("card_id", "voucher_type", "code"), person.cards)
        ours = (row["code"] for row in vouchers if row["voucher_type"] == "LOYALTY_CARD")
        person.codes = {code for code in ours if code}
        return person, _counted(reading, person)


@dataclass(frozen=True)
class _Known:
    """The ledger, and after it every snapshot, as one place to look into."""

    context: Context
    reading: Reading

    def where(self, relation: str, columns: tuple[str, ...], values: set[str]) -> list[dict[str, Any]]:
        """Return the rows whose first column holds one of the values."""
        if not values:
            return []
        wanted, context = pa.array(list(values), pa.string()), self.context
        kept = stored.batches(context.store, context.state, relation, columns, context.settings.scratch)
        found: list[dict[str, Any]] = []
        for batch in chain(_batches(self.reading, relation, columns), kept):
            found += batch.filter(pc.is_in(batch[columns[0]], value_set=wanted)).to_pylist()
        return found


def _gather(known: _Known, person: Person, customer: str) -> None:
    """Add what else a customer is called, now and in snapshots."""
    also: dict[str, set[str]] = {name: set() for name in _ALSO}
    for row in known.where("customers", ("customer_id", *_ALSO), {customer}):
        for name in _ALSO:
            also[name] |= {row[name]} if row[name] else set()
    for name, values in also.items():
        # What several customers have stands for none of them.
        others = known.where("customers", (name, "customer_id"), values)
        person.also |= values - {row[name] for row in others if _is_of(row, customer)}
    person.cards = {row["card_id"] for row in known.where("cards", ("customer_id", "card_id"), {customer})}
    for relation in ("cards", "transactions"):
        for row in known.where(relation, ("card_id", "customer_id"), person.cards):
            if _is_of(row, customer):
                person.kept_cards.add(row["card_id"])
    person.cards -= person.kept_cards


def _is_of(row: dict[str, Any], but: str | None = None) -> bool:
    """Say whether a row is of a customer other than `but`; in newer snapshots erased ones have their pseudonyms."""
    whose = row["customer_id"]
    return whose not in (None, but) and not whose.startswith(names.PREFIX)


def _counted(reading: Reading, person: Person) -> Counter[str]:
    """Return by relation how many rows name the person."""
    theirs: dict[Name, set[str]] = {
        Name.CUSTOMER: {person.customer} if person.customer is not None else set(),
        Name.CARD: person.cards,
        Name.CODE: person.codes,
    }
    counts: Counter[str] = Counter()
    for relation in reading.relations:
        fields = naming(RELATIONS[relation])
        for batch in _batches(reading, relation, tuple(fields)) if fields else ():
            named = pa.array(np.zeros(len(batch), bool))
            for name, kind in fields.items():
                named = pc.or_(
                    named, pc.is_in(batch[name], value_set=pa.array(list(theirs[kind]), pa.string()))
                )
            counts[relation] += pc.sum(named).as_py()
    return +counts


def _batches(reading: Reading, relation: str, columns: tuple[str, ...]) -> Iterator[pa.RecordBatch]:
    """Yield these columns; nothing where the ledger lacks the relation, nulls where it lacks a column."""
    if reading.has(relation):
        yield from reading.stream_lenient(relation, columns)
