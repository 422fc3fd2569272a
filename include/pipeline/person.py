"""Whom an erasure is of: found in the ledger by id, card or e-mail address, with every name that they have there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from include.errors import BadInput, Problem
from include.ledger.catalog import RELATIONS
from include.ledger.people import Name
from include.ledger.people import names as naming
from include.pipeline.context import Context
from include.snapshots import names
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

    One read of the ids of the whole ledger. A person whom the ledger does not know has no rows there.
    """
    with open_read(Source.from_settings(context.settings), values=False) as reading:
        if card is not None:
            owners = [
                row["customer_id"] for row in _where(reading, "cards", ("card_id", "customer_id"), {card})
            ]
            customer = owners[0] if owners else None
        person = Person(customer, set() if customer is not None else {card or ""})
        if customer is not None:
            _gather(reading, person, customer)
        vouchers = _where(reading, "vouchers", ("card_id", "voucher_type", "code"), person.cards)
        person.codes = {row["code"] for row in vouchers if row["voucher_type"] == "LOYALTY_CARD"}
        return person, _counted(reading, person)


def _gather(reading: Reading, person: Person, customer: str) -> None:
    """Add what else the ledger calls a customer."""
    for row in list(_where(reading, "customers", ("customer_id", *_ALSO), {customer})):
        person.also |= {row[name] for name in _ALSO if row[name] and not _shared(reading, name, row[name])}
    person.cards = {
        row["card_id"] for row in _where(reading, "cards", ("customer_id", "card_id"), {customer})
    }
    if person.cards:
        for row in _where(reading, "transactions", ("card_id", "customer_id"), person.cards):
            if row["customer_id"] not in (None, customer):
                person.kept_cards.add(row["card_id"])
    person.cards -= person.kept_cards


def _shared(reading: Reading, field: str, value: str) -> bool:
    """Say whether several customers have a value: then it stands for none of them."""
    return len(list(_where(reading, "customers", (field,), {value}))) > 1


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


def _where(
    reading: Reading, relation: str, columns: tuple[str, ...], values: set[str]
) -> Iterator[dict[str, Any]]:
    """Yield the rows whose first column holds one of the values."""
    wanted = pa.array(list(values), pa.string())
    for batch in _batches(reading, relation, columns) if values else ():
        yield from batch.filter(pc.is_in(batch[columns[0]], value_set=wanted)).to_pylist()


def _batches(reading: Reading, relation: str, columns: tuple[str, ...]) -> Iterator[pa.RecordBatch]:
    """Yield these columns; nothing where the ledger lacks the relation, nulls where it lacks a column."""
    if reading.has(relation):
        yield from reading.stream_lenient(relation, columns)
