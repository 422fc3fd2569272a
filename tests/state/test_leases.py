"""One holder at a time, by the database's clock; whoever was overtaken cannot write (docs/reliability.md)."""

from datetime import UTC, datetime, timedelta

import pytest

from include import state
from include.state import StaleFence
from include.state.tables import LEASES
from tests.servers.waiting import until
from tests.state.expiry import expire
from tests.state.racing import race

LONG = timedelta(minutes=5)


def test_a_lease_has_one_holder_until_it_is_given_back(remembered):
    mine = remembered.leases.acquire("snapshot", "one", LONG)
    assert remembered.leases.acquire("snapshot", "two", LONG) is None
    assert remembered.leases.acquire("another", "two", LONG) is not None
    remembered.leases.release(mine)
    theirs = remembered.leases.acquire("snapshot", "two", LONG)
    assert (mine.fence, theirs.fence) == (1, 2)
    assert remembered.leases.holder("snapshot") == theirs


@pytest.mark.slow
def test_an_expired_lease_is_taken_over_and_its_old_holder_is_stale(remembered):
    mine = remembered.leases.acquire("snapshot", "zombie", LONG)
    expire(remembered, LEASES)
    theirs = remembered.leases.acquire("snapshot", "second", LONG)
    assert theirs.fence == 2
    with pytest.raises(StaleFence):
        remembered.leases.renew(mine, LONG)
    remembered.leases.release(mine)
    assert remembered.leases.holder("snapshot") == theirs


@pytest.mark.slow
def test_an_expired_lease_cannot_be_renewed_even_if_nobody_took_it(remembered):
    mine = remembered.leases.acquire("snapshot", "one", LONG)
    expire(remembered, LEASES)
    with pytest.raises(StaleFence):
        remembered.leases.renew(mine, LONG)


@pytest.mark.slow
def test_renewing_holds_on(remembered):
    mine = remembered.leases.acquire("snapshot", "one", LONG)
    renewed = remembered.leases.renew(mine, 2 * LONG)
    assert renewed.expires_at > mine.expires_at + timedelta(minutes=4)
    assert remembered.leases.holder("snapshot").expires_at == renewed.expires_at
    assert remembered.leases.acquire("snapshot", "two", LONG) is None


@pytest.mark.slow
def test_kept_renews_in_the_background_and_gives_back_at_the_end(remembered):
    ttl = timedelta(seconds=9)
    mine = remembered.leases.acquire("snapshot", "one", ttl)
    with remembered.leases.kept(mine, ttl) as beat:
        until(lambda: remembered.leases.holder("snapshot").expires_at != mine.expires_at, "a renewal")
        beat.confirm()
        assert remembered.leases.acquire("snapshot", "two", ttl) is None
    assert remembered.leases.acquire("snapshot", "two", ttl).fence == 2


@pytest.mark.slow
def test_a_heartbeat_tells_the_worker_that_it_was_overtaken(remembered):
    mine = remembered.leases.acquire("snapshot", "one", LONG)
    with remembered.leases.kept(mine, timedelta(milliseconds=200)) as beat:
        remembered.leases.release(mine)
        remembered.leases.acquire("snapshot", "two", LONG)
        with pytest.raises(StaleFence):
            beat.confirm()
        with pytest.raises(StaleFence):
            until(beat.check, "what the heartbeat found", seconds=60)
    assert remembered.leases.holder("snapshot").owner == "two"


def test_a_name_that_is_needed_once_is_forgotten(remembered):
    mine = remembered.leases.acquire("render", "one", LONG)
    with remembered.leases.kept(mine, LONG, once=True):
        pass
    theirs = remembered.leases.acquire("render", "two", LONG)
    assert (mine.fence, theirs.fence) == (1, 1)
    with pytest.raises(StaleFence):
        remembered.leases.renew(mine, LONG)
    remembered.leases.forget(mine)
    assert remembered.leases.holder("render") == theirs


def test_the_clock_is_the_databases_own(remembered):
    taken = remembered.leases.acquire("snapshot", "one", LONG)
    assert abs(taken.expires_at - LONG - datetime.now(UTC)) < timedelta(seconds=5)


@pytest.mark.slow
def test_twenty_processes_race_for_ten_leases(state_url):
    state.open(state_url)
    won = race(take_all, [(state_url, f"process {number}") for number in range(20)])
    assert sorted(name for names in won for name in names) == sorted(f"lease {n}" for n in range(10))


def take_all(url, owner):
    leases = state.open(url).leases
    return [f"lease {n}" for n in range(10) if leases.acquire(f"lease {n}", owner, LONG)]
