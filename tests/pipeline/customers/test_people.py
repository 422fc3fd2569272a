"""Who a customer is: shared cards, a card of nobody, people who were erased; every look is told and names nobody."""

from __future__ import annotations

import pytest

from include.ledger.people import Name
from include.pipeline import Context
from include.pipeline.customers import look as customers
from include.pipeline.customers.figures import View
from include.pipeline.customers.look import look, owner_of
from include.pipeline.erasure.erase import erase
from include.snapshots.excerpt import Holder
from include.state.audit import Action
from include.state.looked import Person
from tests.pipeline.customers.looks import BY, of, seen
from tests.pipeline.people import WHO

pytestmark = pytest.mark.slow  # it reads a whole sample ledger, or starts processes


def test_a_customer_has_the_cards_that_the_customer_owns_and_all_that_happened_on_them(
    small: Context,
) -> None:
    figures = seen(small, of(WHO)).figures
    assert {row["holder_id"]: row["active"] for row in figures.accounts} == {
        WHO: 100_00 - 30_00,
        "card-own": 50_00,
        "card-shared": 20_00 - 5_00,  # 5 were spent by somebody else
    }
    assert {row["customer_id"] for row in figures.entries if row["card_id"] == "card-shared"} == {
        WHO,
        "customer-0002",
    }


def test_who_only_used_a_card_does_not_have_it(small: Context) -> None:
    [account] = seen(small, of("customer-0002")).figures.accounts
    assert (account["holder_id"], account["active"]) == ("customer-0002", 40_00)


def test_a_card_without_owner_has_a_page_of_its_own(small: Context) -> None:
    figures = seen(small, Holder(Name.CARD, "card-free")).figures
    assert [(row["holder_kind"], row["holder_id"], row["active"]) for row in figures.accounts] == [
        ("card", "card-free", 7_00)
    ]
    assert owner_of(small, "card-free") is None
    assert owner_of(small, "card-own") == WHO


@pytest.mark.parametrize(
    "name",
    [
        "nobody",
        "",
        "CUSTOMER-0001",
        " customer-0001",
        "customer-0001\0",
        "\ud800",
        "x" * 501,
        "' OR 1=1 --",
        "%",
        "customer_0001",
    ],
)
def test_whom_nobody_knows(small: Context, name: str) -> None:
    assert look(small, of(name), View(), by=BY) is None
    assert small.state.audit.newest(action=Action.CUSTOMER_SEEN) == []


def test_who_was_erased_is_known_no_more(small: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    before = seen(small, of(WHO))
    subject = small.state.looked.subjects(Name.CUSTOMER, WHO)
    done = erase(small, customer=WHO)
    assert look(small, of(WHO), View(), by=BY) is None
    assert look(small, of(done.pseudonym), View(), by=BY) is None
    assert look(small, Holder(Name.CARD, "card-own"), View(), by=BY) is None
    assert owner_of(small, "card-own") is None
    # Of somebody else's card nothing says who used it.
    rows = seen(small, of("customer-0002")).figures
    assert WHO not in str(rows)
    # The audit chain says as before that somebody was looked at; who that was is gone.
    [told] = small.state.audit.newest(subject=subject[0])
    assert told.action == Action.CUSTOMER_SEEN
    assert small.state.looked.name(subject[0]) == Person(Name.CUSTOMER, done.pseudonym)
    assert small.state.looked.subjects(Name.CUSTOMER, WHO) == []
    assert before.rows == 5
    # A process of its own knows them too: the key comes with what it is asked.
    monkeypatch.setattr(customers, "ROWS_IN_PLACE", 0)
    assert look(small, of(WHO), View(), by=BY) is None
    assert seen(small, of("customer-0002")).figures.accounts == rows.accounts


def test_every_look_is_told_and_names_nobody(small: Context) -> None:
    seen(small, of(WHO))
    seen(small, of(WHO))
    seen(small, of("customer-0003"))
    told = small.state.audit.newest(action=Action.CUSTOMER_SEEN)
    assert [each.actor for each in told] == [BY] * 3
    first, second, third = (each.subject for each in told)
    assert second == third
    assert first != second
    assert "customer-000" not in str(told)
    assert small.state.looked.subjects(Name.CUSTOMER, WHO) == [second]
