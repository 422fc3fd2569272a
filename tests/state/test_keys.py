"""A key opens what it was made for, as long and as often as it may, and the state cannot make it up."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import BigInteger, select, text, type_coerce, update

from include import state
from include.errors import BadInput
from include.state import keys
from include.state.audit import Action
from include.state.keys import LONGEST, Scope, TooManyRequests, key_hash
from include.state.tables import API_KEYS, MICROSECOND

pytestmark = pytest.mark.slow  # a whole ledger, or hundreds of small transactions

ABOUT = {"name": "warehouse", "scopes": ["runs:read", "files:read"], "by": "ann"}


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """Nothing is remembered between two questions, unless a test says so."""
    monkeypatch.setattr(keys, "CACHED_SECONDS", 0)


@pytest.fixture
def clock(monkeypatch):
    """Set the state's clock: what it says stands still until a test moves it on, half a minute into a minute at first."""
    ours = Clock(monkeypatch)
    ours.set(datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC))
    return ours


class Clock:
    def __init__(self, monkeypatch) -> None:
        self._monkeypatch = monkeypatch
        self.now = None
        self.monotonic = 1000.0
        monkeypatch.setattr(keys.time, "monotonic", lambda: self.monotonic)

    def set(self, now: datetime) -> None:
        if self.now is not None:
            self.monotonic += (now - self.now).total_seconds()
        self.now = now
        value = (now - datetime(1970, 1, 1, tzinfo=UTC)) // MICROSECOND
        from sqlalchemy import literal

        self._monkeypatch.setattr(keys, "Now", lambda: literal(value, BigInteger))

    def on(self, **more: float) -> None:
        self.set(self.now + timedelta(**more))


def asked(remembered, key: str, times: int) -> int:
    """Ask until it is refused; return how many were served."""
    for number in range(times):
        try:
            remembered.keys.authenticate(key)
        except TooManyRequests:
            return number
    return times


def told(remembered) -> list[str]:
    return [each.action for each in remembered.audit.entries()]


def test_a_key_is_known_by_its_whole_text_only(remembered):
    made = remembered.keys.make(**ABOUT)
    found = remembered.keys.authenticate(made.key)
    assert (found.id, found.name, found.scopes) == (
        made.record.id,
        "warehouse",
        {Scope.RUNS_READ, Scope.FILES_READ},
    )
    changed = made.key[:-1] + ("A" if made.key[-1] != "A" else "B")
    other = remembered.keys.make(**ABOUT)
    crossed = f"{made.record.shown}{other.key.removeprefix(other.record.shown)}"
    for wrong in (
        changed,
        crossed,
        "",
        made.record.shown,
        made.key + " ",
        made.key.upper(),
        "loy_é",
        "\0",
        "x" * 10**6,
    ):
        assert remembered.keys.authenticate(wrong) is None


def test_the_state_does_not_hold_the_key(remembered):
    made = remembered.keys.make(**ABOUT)
    secret = made.key.removeprefix(made.record.shown)
    assert len(secret) == 43  # 32 bytes
    with remembered.database.read() as connection:
        rows = [str(dict(row._mapping)) for row in connection.execute(select(API_KEYS))]
        rows += [str(tuple(row)) for row in connection.execute(text("SELECT * FROM loyalty_audit"))]
    assert secret not in "".join(rows)
    assert key_hash(made.key) in rows[0]
    assert secret not in repr(made.record)


def test_hashes_are_compared_in_constant_time_for_unknown_keys_too(remembered, monkeypatch):
    compared = []
    monkeypatch.setattr(
        keys.hmac, "compare_digest", lambda one, other: compared.append((one, other)) or one == other
    )
    made = remembered.keys.make(**ABOUT)
    remembered.keys.authenticate(made.key)
    remembered.keys.authenticate(f"loy_{'0' * 16}_{'x' * 43}")
    assert [len(one) for pair in compared for one in pair] == [64] * 4


def test_a_key_that_expired_is_refused(remembered, clock):
    key = remembered.keys.make(**ABOUT, expires=timedelta(days=1)).key
    assert remembered.keys.authenticate(key)
    clock.on(hours=23, minutes=59)
    assert remembered.keys.authenticate(key)
    clock.on(minutes=1)
    assert remembered.keys.authenticate(key) is None
    assert [each.status for each in remembered.keys.list()] == ["expired"]


def test_a_key_that_was_revoked_is_refused_here_at_once_and_elsewhere_soon(state_url, monkeypatch, clock):
    here, elsewhere = state.open(state_url), state.open(state_url)
    monkeypatch.setattr(keys, "CACHED_SECONDS", 3600)
    made = here.keys.make(**ABOUT)
    assert here.keys.authenticate(made.key)
    assert elsewhere.keys.authenticate(made.key)
    record = here.keys.revoke(made.record.id, by="bob")
    assert (record.status, record.revoked_by) == ("revoked", "bob")
    assert here.keys.authenticate(made.key) is None
    assert elsewhere.keys.authenticate(made.key)  # what it knows is not that old yet
    monkeypatch.setattr(keys, "CACHED_SECONDS", 0)
    assert elsewhere.keys.authenticate(made.key) is None
    again = here.keys.revoke(made.record.id, by="cyd")
    assert again.revoked_by == "bob"
    assert told(here).count(Action.API_KEY_REVOKED) == 1


def test_a_scope_holds_for_the_exports_of_the_key(remembered):
    for_all = remembered.keys.make(**ABOUT).record
    assert for_all.may(Scope.RUNS_READ, "a")
    assert for_all.may(Scope.RUNS_READ)
    assert not for_all.may(Scope.PERSONAL, "a")
    for_one = remembered.keys.make(**ABOUT, exports=["a"]).record
    assert for_one.may(Scope.RUNS_READ, "a")
    assert not for_one.may(Scope.RUNS_READ, "b")
    assert not for_one.may(Scope.RUNS_READ)


@pytest.mark.parametrize("limit", [1, 7, 10, 95, 600])
def test_nobody_gets_more_than_the_limit_and_one_process_gets_all_of_it(remembered, clock, limit):
    key = remembered.keys.make(**ABOUT, per_minute=limit).key
    assert asked(remembered, key, limit + 50) == limit
    with pytest.raises(TooManyRequests) as caught:
        remembered.keys.authenticate(key)
    assert caught.value.until == datetime(2026, 3, 1, 12, 1, tzinfo=UTC)
    clock.on(seconds=29)
    assert asked(remembered, key, 5) == 0
    clock.on(seconds=1)
    assert asked(remembered, key, limit + 50) == limit


def test_several_processes_share_the_limit(state_url, clock):
    workers = [state.open(state_url) for _ in range(4)]
    key = workers[0].keys.make(**ABOUT, per_minute=40).key
    served = sum(asked(worker, key, 1) for _ in range(60) for worker in workers)
    assert served == 40


def test_requests_at_once_are_counted_each(state_url, clock):
    workers = [state.open(state_url) for _ in range(3)]
    key = workers[0].keys.make(**ABOUT, per_minute=30).key
    served = []
    threads = [
        threading.Thread(target=lambda worker=worker: served.append(asked(worker, key, 20)))
        for worker in workers
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(served) == 30


def test_a_spent_limit_and_a_tenth_cost_no_writing(remembered, clock, monkeypatch):
    key = remembered.keys.make(**ABOUT, per_minute=50).key
    writes = []
    real = remembered.keys._database.write
    monkeypatch.setattr(type(remembered.database), "write", lambda self: writes.append(1) or real())
    assert asked(remembered, key, 60) == 50
    asked(remembered, key, 1)
    assert len(writes) == 11  # ten tenths, and the one that found nothing left


def test_use_is_told_once_an_hour_with_how_much_it_was(remembered, clock):
    made = remembered.keys.make(**ABOUT, per_minute=600)
    for _ in range(90):
        remembered.keys.authenticate(made.key)
        clock.on(minutes=1)
    used = [each for each in remembered.audit.entries() if each.action == Action.API_KEY_USED]
    assert [each.detail["requests_before"] for each in used] == [0, 60]
    assert {(each.actor, each.subject) for each in used} == {
        (f"key warehouse ({made.record.id})", made.record.id)
    }
    (record,) = remembered.keys.list()
    assert record.requests == 90
    assert record.last_used_at == clock.now - timedelta(minutes=1)


def test_requests_are_counted_but_for_those_not_told_yet(remembered, clock):
    key = remembered.keys.make(**ABOUT, per_minute=600).key
    seen = []
    for _ in range(61):
        remembered.keys.authenticate(key)
        seen.append(remembered.keys.list()[0].requests)
    assert seen == [1] * 60 + [61]


def test_making_a_key_is_told_without_it(remembered):
    made = remembered.keys.make(**ABOUT, exports=["b", "a"])
    (entry,) = remembered.audit.entries()
    assert (entry.actor, entry.action, entry.subject) == ("ann", Action.API_KEY_MADE, made.record.id)
    assert entry.detail["scopes"] == ["files:read", "runs:read"]
    assert entry.detail["exports"] == ["a", "b"]


@pytest.mark.parametrize(
    ("wrong", "codes"),
    [
        ({"name": " "}, ["bad_name"]),
        ({"name": "x" * 256}, ["bad_name"]),
        ({"name": "a\x1b[2J"}, ["bad_name"]),
        ({"scopes": []}, ["no_scope"]),
        ({"scopes": ["runs:read", "root"]}, ["unknown_scope"]),
        ({"exports": [""]}, ["bad_export"]),
        ({"exports": ["a"], "scopes": ["runs:read", "reports:read", "audit:read"]}, ["scope_of_all"] * 2),
        ({"expires": timedelta(0)}, ["bad_expiry"]),
        ({"expires": LONGEST + timedelta(seconds=1)}, ["bad_expiry"]),
        ({"per_minute": 0}, ["bad_limit"]),
        ({"per_minute": 10**9}, ["bad_limit"]),
        ({"name": "", "scopes": [], "per_minute": -1}, ["bad_name", "no_scope", "bad_limit"]),
    ],
)
def test_a_wrong_key_is_refused_with_all_that_is_wrong(remembered, wrong, codes):
    with pytest.raises(BadInput) as caught:
        remembered.keys.make(**ABOUT | wrong)
    assert [problem.code for problem in caught.value.problems] == codes
    assert remembered.keys.list() == []


def test_a_key_that_is_not_there_cannot_be_revoked(remembered):
    with pytest.raises(BadInput):
        remembered.keys.revoke("0" * 16, by="ann")


def test_a_key_that_ends_while_its_tenth_lasts_is_refused(remembered, clock):
    made = remembered.keys.make(**ABOUT, per_minute=600)
    assert remembered.keys.authenticate(made.key)
    past = type_coerce(API_KEYS.c.expires_at, BigInteger) - timedelta(days=400) // MICROSECOND
    with remembered.database.write() as connection:
        connection.execute(update(API_KEYS).values(expires_at=past))
    assert remembered.keys.authenticate(made.key) is None


def test_what_is_known_is_answered_without_the_state_and_counted(remembered, monkeypatch):
    monkeypatch.setattr(keys, "CACHED_SECONDS", 3600)
    made = remembered.keys.make(**ABOUT, per_minute=50)
    assert remembered.keys.at_once(made.key) is None  # nothing is known of it yet
    assert remembered.keys.authenticate(made.key)
    with monkeypatch.context() as alone:
        alone.setattr(type(remembered.database), "read", None)
        alone.setattr(type(remembered.database), "write", None)
        assert remembered.keys.at_once(made.key[:-1] + ("a" if made.key[-1] != "a" else "b")) is None
        served = [remembered.keys.at_once(made.key) for _ in range(10)]
    assert served == [made.record] * 4 + [None] * 6  # a tenth of the minute's is five
    monkeypatch.setattr(keys, "CACHED_SECONDS", 0)
    assert remembered.keys.authenticate(made.key)
    assert remembered.keys.at_once(made.key) is None  # what is known is too old


def test_a_key_that_was_revoked_here_is_not_answered_at_once(remembered, monkeypatch):
    monkeypatch.setattr(keys, "CACHED_SECONDS", 3600)
    made = remembered.keys.make(**ABOUT)
    assert remembered.keys.authenticate(made.key)
    assert remembered.keys.at_once(made.key)
    remembered.keys.revoke(made.record.id, by="bob")
    assert remembered.keys.at_once(made.key) is None
