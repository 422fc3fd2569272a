"""An id that nobody has is refused before anything is removed, unless the person may stand where nobody can look."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from include.definitions.model import ExportDefinition
from include.errors import BadInput
from include.pipeline import Context
from include.pipeline.erasure import erase
from include.pipeline.erasure.holding import Held
from tests.pipeline.people import CLEAR, WHO, make

pytestmark = pytest.mark.slow
HIDDEN = {"fields": {"customer_id": "mask", "holder_id": "mask"}}


@pytest.fixture
def masked(small: Context, define: Callable[..., ExportDefinition], inline: None) -> str:
    """The key of a run whose file nobody can look into."""
    return make(small, define(id="masked", model="balance", privacy=HIDDEN, **CLEAR))


def refused(context: Context, *people: dict[str, str], **more: Any) -> list[tuple[str, str]]:
    """What is refused, as code and value, with nothing recorded by it."""
    before = context.state.erasures.list()
    with pytest.raises(BadInput) as caught:
        erase.ask_all(context, people, **more)
    assert context.state.erasures.list() == before
    return [(problem.code, problem.value) for problem in caught.value.problems]


def test_an_id_that_nobody_has_is_refused_and_no_file_is_removed(small: Context, masked: str) -> None:
    people = [{"customer": WHO}, {"customer": "customer-9999"}, {"card": "no-card"}]
    assert refused(small, *people) == [("unknown_customer", "customer-9999"), ("unknown_customer", "no-card")]
    assert small.state.runs.get(masked).files_gone_at is None
    with pytest.raises(BadInput, match="customer-9999"):
        erase.look(small, customer="customer-9999")
    looked = erase.look(small, customer="customer-9999", anyway=True)
    assert looked.nothing
    assert looked.runs == ((small.state.runs.get(masked), Held.MAYBE),)
    with pytest.raises(BadInput, match=r"customer-9999.*write the id as the ledger does.*--anyway"):
        erase.erase(small, customer="customer-9999")


def test_who_may_stand_only_where_nobody_can_look_is_erased_when_that_is_said(
    small: Context, masked: str
) -> None:
    erase.erase(small, customer="customer-9999", anyway=True)
    assert small.state.runs.get(masked).files_gone_why == "erasure"
    assert not erase.look(small, customer="customer-9999").nothing


def test_who_stands_in_a_stored_file_alone_is_known(
    small: Context, define: Callable[..., ExportDefinition], inline: None
) -> None:
    other = "customer-0002"
    key = make(small, define(id="clear", model="customers", fields=["customer_id", "referrer_id"], **CLEAR))
    run = small.state.runs.get(key)
    assert erase.look(small, customer=other).runs == ((run, Held.NAMED),)


@pytest.mark.parametrize("anyway", [False, True])
def test_a_pseudonym_is_nobody_to_erase(small: Context, masked: str, anyway: bool) -> None:
    done = erase.erase(small, customer=WHO)
    with pytest.raises(BadInput, match="is the pseudonym of somebody who was erased"):
        erase.look(small, customer=done.pseudonym, anyway=anyway)
    for who in [{"customer": done.pseudonym}, *({"card": each} for each in done.detail.names.values())]:
        assert refused(small, who, anyway=anyway) == [("a_pseudonym", next(iter(who.values())))]
