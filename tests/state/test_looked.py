"""Who was looked at: the audit chain names nobody, and forgets who it was when they are erased."""

from __future__ import annotations

from include.ledger.people import Name
from include.state import State
from include.state.audit import Action
from include.state.looked import Person

ADA, BO = Person(Name.CUSTOMER, "ada"), Person(Name.CUSTOMER, "bo")
CARD = Person(Name.CARD, "ada")  # a card of the same name is somebody else


def test_a_person_is_one_subject_and_another_person_another(remembered: State) -> None:
    first = remembered.looked.note("ann", Action.CUSTOMER_SEEN, ADA, {"as_of": "now"})
    assert remembered.looked.note("ben", Action.CUSTOMER_EXPORTED, ADA) == first
    others = {remembered.looked.note("ann", Action.CUSTOMER_SEEN, each) for each in (BO, CARD)}
    assert len({first, *others}) == 3
    assert [entry.actor for entry in remembered.audit.newest(subject=first)] == ["ben", "ann"]
    assert remembered.looked.name(first) == ADA
    assert remembered.looked.subjects(*ADA) == [first]
    assert remembered.looked.name("nobody") is None
    assert remembered.looked.subjects(Name.CUSTOMER, "nobody") == []


def test_a_search_says_whom_it_showed(remembered: State) -> None:
    remembered.looked.note_search("ann", [ADA, CARD], {"by": ["name"]})
    [told] = remembered.audit.newest(action=Action.CUSTOMERS_SEARCHED)
    assert [remembered.looked.name(subject) for subject in told.detail["found"]] == [ADA, CARD]
    assert told.detail["by"] == ["name"]
    assert "'ada'" not in str(told)  # its letters alone can be in random hex digits


def test_the_chain_holds_and_leads_to_nobody_after_a_new_name(remembered: State) -> None:
    subject = remembered.looked.note("ann", Action.CUSTOMER_SEEN, ADA)
    other = remembered.looked.note("ann", Action.CUSTOMER_SEEN, BO)
    before = list(remembered.audit.entries())
    renamed = remembered.looked.rename(lambda kind, name: "erased-1" if (kind, name) == tuple(ADA) else None)
    assert renamed == 1
    assert remembered.looked.rename(lambda _kind, _name: None) == 0
    assert list(remembered.audit.entries()) == before
    assert remembered.looked.name(subject) == Person(Name.CUSTOMER, "erased-1")
    assert remembered.looked.name(other) == BO
    assert remembered.looked.subjects(*ADA) == []
    # Whoever is called so later is another person.
    assert remembered.looked.note("ann", Action.CUSTOMER_SEEN, ADA) != subject


def test_names_of_all_characters(remembered: State) -> None:
    for name in ("", "ü", "'; DROP TABLE", "x" * 500, "\u202e", "a\nb"):
        person = Person(Name.CUSTOMER, name)
        assert remembered.looked.name(remembered.looked.note("ann", Action.CUSTOMER_SEEN, person)) == person
