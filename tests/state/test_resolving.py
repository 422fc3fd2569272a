"""A person's word on a delivery: taken once, never while an attempt is at work, and no late attempt changes it."""

from datetime import UTC, datetime, timedelta

import pytest

from include import state
from include.errors import BadInput
from include.state import RunRecord, StaleFence
from include.state.audit import Action
from include.state.deliveries import DeliveryState
from include.state.tables import DELIVERIES
from tests.state.expiry import expire
from tests.state.racing import race

LONG = timedelta(minutes=5)
KEY = "k" * 64
RECEIPT = {"target": "sftp", "key": KEY, "files": [], "word": {"arrived": True, "by": "ann"}}


def claim(remembered, owner="one", ttl=LONG, key=KEY, **more):
    return remembered.deliveries.claim(key, owner, ttl, **{"run_key": "r" * 64, "target": "acme"} | more)


@pytest.fixture
def doubtful(remembered):
    """A delivery whose reply was lost."""
    mine = claim(remembered)
    remembered.deliveries.sending(mine)
    remembered.deliveries.uncertain(mine, "the reply was lost")
    return remembered.deliveries.get(KEY)


def test_what_arrived_is_confirmed_by_whose_word_and_not_sent_again(remembered, doubtful):
    done = remembered.deliveries.resolve(doubtful, arrived=True, receipt=RECEIPT, by="ann", note="Bob has it")
    assert (done.state, done.receipt) == (DeliveryState.CONFIRMED, RECEIPT)
    assert done.message == "ann says that it arrived: Bob has it"
    assert not claim(remembered, "two").taken
    told = remembered.audit.newest(subject=KEY, action=Action.RESOLVED)
    assert [(each.actor, each.detail["arrived"], each.detail["note"]) for each in told] == [
        ("ann", True, "Bob has it")
    ]


def test_what_did_not_arrive_is_open_with_nothing_in_doubt(remembered, doubtful):
    kept = {**RECEIPT, "word": {"arrived": False, "by": "ann"}}
    done = remembered.deliveries.resolve(doubtful, arrived=False, receipt=kept, by="ann")
    assert (done.state, done.may_have_sent) == (DeliveryState.FAILED, False)
    again = claim(remembered, "two")
    assert (again.taken, again.may_have_sent, again.receipt) == (True, False, kept)


@pytest.mark.parametrize("arrived", [True, False])
def test_never_while_an_attempt_is_at_work(remembered, arrived):
    mine = claim(remembered, "host:1")
    seen = remembered.deliveries.get(KEY)
    with pytest.raises(BadInput, match="host:1 is delivering it now"):
        remembered.deliveries.resolve(seen, arrived=arrived, receipt=RECEIPT, by="ann")
    with pytest.raises(BadInput, match="host:1 is delivering it now"):
        remembered.deliveries.reopen(KEY, by="ann")
    remembered.deliveries.sending(mine)
    remembered.deliveries.confirmed(mine, {})
    with pytest.raises(BadInput, match="it is confirmed"):
        remembered.deliveries.resolve(seen, arrived=arrived, receipt=RECEIPT, by="ann")
    with pytest.raises(BadInput, match="the key of a delivery"):
        remembered.deliveries.reopen("unknown", by="ann")
    assert remembered.audit.newest(action=Action.RESOLVED) == []


@pytest.mark.slow
@pytest.mark.parametrize("arrived", [True, False])
def test_an_attempt_that_died_can_be_resolved_and_its_zombie_changes_nothing(remembered, arrived):
    zombie = claim(remembered, "zombie", LONG)
    remembered.deliveries.sending(zombie)
    expire(remembered, DELIVERIES)
    seen = remembered.deliveries.get(KEY)
    assert not seen.is_live
    done = remembered.deliveries.resolve(seen, arrived=arrived, receipt=RECEIPT, by="ann")
    for write in (
        lambda: remembered.deliveries.confirmed(zombie, {}),
        lambda: remembered.deliveries.uncertain(zombie, "?"),
        lambda: remembered.deliveries.failed(zombie, "!"),
    ):
        with pytest.raises(StaleFence):
            write()
    assert remembered.deliveries.get(KEY) == done


def test_a_word_on_what_has_changed_since_is_refused(remembered, doubtful):
    remembered.deliveries.failed(claim(remembered, "two"), "connection refused")
    with pytest.raises(BadInput, match=r"since you looked \(failed: connection refused"):
        remembered.deliveries.resolve(doubtful, arrived=False, receipt=RECEIPT, by="ann")


@pytest.mark.slow
def test_of_twenty_who_resolve_at_once_one_is_heard(state_url, remembered, doubtful):
    """Ten say that it arrived, ten that it did not; whoever comes first decides, and the audit chain has one entry."""
    answers = race(resolve_once, [(state_url, f"person {n}", n % 2 == 0) for n in range(20)])
    assert sorted(answers) == ["heard"] + ["refused"] * 19
    done, winner = remembered.deliveries.get(KEY), f"person {answers.index('heard')}"
    arrived = answers.index("heard") % 2 == 0
    assert done.state is (DeliveryState.CONFIRMED if arrived else DeliveryState.FAILED)
    assert done.message.startswith(f"{winner} says")
    assert [entry.actor for entry in remembered.audit.newest(action=Action.RESOLVED)] == [winner]


def resolve_once(url, who, arrived):
    deliveries = state.open(url).deliveries
    seen = next(each for each in [deliveries.get(KEY)] if each)
    if seen.fence != 1:
        return "refused"
    try:
        deliveries.resolve(seen, arrived=arrived, receipt=RECEIPT, by=who)
    except BadInput:
        return "refused"
    return "heard"


@pytest.mark.slow
def test_a_resolver_and_an_attempt_do_not_both_win(state_url, remembered, doubtful):
    answers = race(resolve_or_claim, [(state_url, f"one {n}", n % 2 == 0) for n in range(10)])
    assert answers.count("resolved") + answers.count("claimed") >= 1
    assert answers.count("resolved") <= 1
    if "resolved" in answers and "claimed" not in answers:
        assert remembered.deliveries.get(KEY).state is DeliveryState.CONFIRMED
    if "claimed" in answers:
        assert answers.count("resolved") == 0
        assert remembered.deliveries.get(KEY).is_live


def resolve_or_claim(url, who, resolves):
    remembered = state.open(url)
    if resolves:
        return {"heard": "resolved"}.get(resolve_once(url, who, True), "refused")
    try:
        return "claimed" if claim(remembered, who).taken else "settled"
    except Exception as error:  # noqa: BLE001 - which one is the answer
        return type(error).__name__


def test_deliveries_are_listed_by_what_one_looks_for(remembered):
    runs = {
        name: remembered.runs.pin(
            RunRecord(
                definition_id=name, definition_version="v" * 64, definition={},
                as_of=datetime(2026, 7, 1, tzinfo=UTC), known_at=datetime(2026, 7, 1, tzinfo=UTC),
            )
        ).run_key
        for name in ("daily", "weekly")
    }  # fmt: skip
    made = [("a1", "daily", "acme"), ("a2", "daily", "mail"), ("b1", "weekly", "acme")]
    claims = [claim(remembered, key=k, run_key=runs[run], target=target) for k, run, target in made]
    remembered.deliveries.conflict(claims[1], "another file")
    at = remembered.deliveries.get("a2").updated_at
    found = {
        name: [each.key for each in remembered.deliveries.list(**asked)]
        for name, asked in {
            "all": {},
            "export": {"definition_ids": ["daily"]},
            "run": {"run_key": runs["weekly"]},
            "target": {"target": "acme"},
            "waiting": {"states": [DeliveryState.CONFLICT, DeliveryState.UNCERTAIN]},
            "since": {"since": at},
            "key": {"key": "a"},
            "newest": {"limit": 2},
            "all of it": {"definition_ids": ["daily"], "target": "acme", "key": "a"},
        }.items()
    }
    assert found == {
        "all": ["a1", "a2", "b1"],
        "export": ["a1", "a2"],
        "run": ["b1"],
        "target": ["a1", "b1"],
        "waiting": ["a2"],
        "since": ["a2"],
        "key": ["a1", "a2"],
        "newest": ["a2", "b1"],
        "all of it": ["a1"],
    }
    assert [each.key for each in remembered.deliveries.live()] == ["a1", "b1"]
    claim(remembered, key="a3", run_key=runs["daily"], target="acme", sending=1)
    past, future = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
    assert sorted(remembered.deliveries.destinations(past)) == sorted([
        (runs["daily"], "acme"), (runs["daily"], "mail"), (runs["weekly"], "acme"),
    ])  # fmt: skip
    assert remembered.deliveries.destinations(future) == []


def test_a_wildcard_is_no_key(remembered):
    claim(remembered)
    assert remembered.deliveries.list(key="%") == []
