"""The delivery protocol: claimed once, every write fenced, and a crash never forgets that something may be out."""

from datetime import timedelta

import pytest

from include import state
from include.errors import BadInput, NotYet
from include.state import StaleFence
from include.state.deliveries import DeliveryState
from include.state.tables import DELIVERIES
from tests.state.expiry import expire
from tests.state.racing import race

LONG = timedelta(minutes=5)
FILE = {"sha256": "a" * 64, "rows": 3, "totals": {"points": "1.00"}}


def claim(remembered, owner="one", ttl=LONG):
    return remembered.deliveries.claim("k" * 64, owner, ttl, run_key="r" * 64, target="0 folder")


def test_the_way_from_claim_to_confirmation(remembered):
    deliveries = remembered.deliveries
    mine = claim(remembered)
    assert (mine.taken, mine.fence, mine.may_have_sent) == (True, 1, False)
    states = []
    for step in (
        lambda: deliveries.ready(mine, **FILE),
        lambda: deliveries.sending(mine),
        lambda: deliveries.confirmed(mine, {"path": "/out/a.csv"}),
    ):
        step()
        states.append(deliveries.get(mine.key).state)
    assert states == [DeliveryState.READY, DeliveryState.SENDING, DeliveryState.CONFIRMED]
    done = deliveries.get(mine.key)
    assert (done.sha256, done.rows, done.totals) == ("a" * 64, 3, {"points": "1.00"})
    assert done.receipt == {"path": "/out/a.csv"}
    assert deliveries.list(run_key="r" * 64) == [done]
    assert deliveries.list(states=[DeliveryState.FAILED]) == []


def test_a_second_attempt_waits_while_the_first_is_alive(remembered):
    mine = claim(remembered)
    with pytest.raises(NotYet) as caught:
        claim(remembered, "two")
    assert caught.value.until == remembered.deliveries.get(mine.key).expires_at


def test_a_confirmed_delivery_is_not_done_again(remembered):
    mine = claim(remembered)
    remembered.deliveries.confirmed(mine, {"id": 1})
    again = claim(remembered, "two")
    assert (again.taken, again.state, again.receipt) == (False, DeliveryState.CONFIRMED, {"id": 1})
    with pytest.raises(StaleFence):
        remembered.deliveries.sending(again)


@pytest.mark.parametrize(
    "write", ["renew", "ready", "sending", "confirmed", "uncertain", "failed", "conflict"]
)
@pytest.mark.slow
def test_a_zombie_changes_nothing(remembered, write):
    zombie = claim(remembered, "zombie", LONG)
    expire(remembered, DELIVERIES)
    second = claim(remembered, "second")
    before = remembered.deliveries.get(second.key)
    arguments = {
        "ready": FILE,
        "confirmed": {"receipt": {}},
        "uncertain": {"message": "?"},
        "failed": {"message": "!"},
        "conflict": {"message": "x"},
    }
    with pytest.raises(StaleFence):
        getattr(remembered.deliveries, write)(zombie, **arguments.get(write, {}))
    assert remembered.deliveries.get(second.key) == before


@pytest.mark.slow
def test_an_expired_claim_may_not_begin_to_send_but_may_tell_what_happened(remembered):
    late = claim(remembered, "late", LONG)
    expire(remembered, DELIVERIES)
    with pytest.raises(StaleFence):
        remembered.deliveries.sending(late)
    remembered.deliveries.confirmed(late, {"id": 1})
    assert remembered.deliveries.get(late.key).state is DeliveryState.CONFIRMED


@pytest.mark.slow
def test_two_crashes_do_not_forget_that_something_may_be_out(remembered):
    first = claim(remembered, "first", LONG)
    remembered.deliveries.sending(first)
    expire(remembered, DELIVERIES)
    second = claim(remembered, "second", LONG)
    assert second.may_have_sent
    expire(remembered, DELIVERIES)
    assert claim(remembered, "third").may_have_sent
    assert remembered.deliveries.get(first.key).attempts == 3


@pytest.mark.parametrize(("nothing_sent", "look"), [(False, True), (True, False)])
def test_a_failure_is_tried_again_at_once(remembered, nothing_sent, look):
    mine = claim(remembered)
    remembered.deliveries.sending(mine)
    remembered.deliveries.failed(mine, "connection refused", nothing_sent=nothing_sent)
    again = claim(remembered, "two")
    assert (again.taken, again.fence, again.may_have_sent) == (True, 2, look)
    assert again.message == "connection refused"


def test_an_uncertain_delivery_is_taken_again_to_look(remembered):
    mine = claim(remembered)
    remembered.deliveries.sending(mine)
    remembered.deliveries.uncertain(mine, "the reply was lost")
    assert claim(remembered, "two").may_have_sent


def test_a_conflict_waits_for_a_person(remembered):
    mine = claim(remembered)
    remembered.deliveries.conflict(mine, "another file has that name")
    again = claim(remembered, "two")
    assert (again.taken, again.state) == (False, DeliveryState.CONFLICT)
    remembered.deliveries.reopen(mine.key, by="ann")
    assert claim(remembered, "two").taken


def test_what_is_confirmed_is_not_opened_again(remembered):
    mine = claim(remembered)
    remembered.deliveries.confirmed(mine, {})
    with pytest.raises(BadInput):
        remembered.deliveries.reopen(mine.key, by="ann")


@pytest.mark.slow
def test_twenty_processes_race_for_one_delivery(state_url):
    state.open(state_url)
    answers = race(claim_once, [(state_url, f"process {number}") for number in range(20)])
    assert sorted(answers) == ["held"] * 19 + ["taken"]


def claim_once(url, owner):
    try:
        return "taken" if claim(state.open(url), owner).taken else "settled"
    except NotYet:
        return "held"
