"""The chain of manifests cannot fork, skip or name a wrong predecessor."""

import pytest

from include import state
from include.state import StaleFence
from include.state.chain import Link
from tests.state.racing import race


def test_the_chain_numbers_manifests_without_gap(remembered):
    chain = remembered.chain
    assert chain.next("daily") == (1, None)
    first = chain.append("daily", 1, "a" * 64, previous_sha256=None, run_key="r1")
    assert first == Link(1, None, "a" * 64, "r1")
    assert chain.next("daily") == (2, "a" * 64)
    assert chain.next("weekly") == (1, None)
    chain.append("daily", 2, "b" * 64, previous_sha256="a" * 64, run_key="r2")
    assert [link.sequence for link in chain.list("daily")] == [1, 2]


def test_a_number_is_given_once(remembered):
    remembered.chain.append("daily", 1, "a" * 64, previous_sha256=None, run_key="r1")
    with pytest.raises(StaleFence):
        remembered.chain.append("daily", 1, "b" * 64, previous_sha256=None, run_key="r2")
    assert remembered.chain.of("r2") is None


@pytest.mark.parametrize(("sequence", "previous"), [(3, "a" * 64), (2, "c" * 64), (2, None)])
def test_a_link_must_fit_the_newest_one(remembered, sequence, previous):
    remembered.chain.append("daily", 1, "a" * 64, previous_sha256=None, run_key="r1")
    with pytest.raises(StaleFence):
        remembered.chain.append("daily", sequence, "b" * 64, previous_sha256=previous, run_key="r2")


def test_a_run_that_has_a_link_keeps_it(remembered):
    link = remembered.chain.append("daily", 1, "a" * 64, previous_sha256=None, run_key="r1")
    assert remembered.chain.append("daily", 2, "b" * 64, previous_sha256="a" * 64, run_key="r1") == link
    assert remembered.chain.of("r1") == link
    assert remembered.chain.list("daily") == [link]


@pytest.mark.slow
def test_eight_processes_write_one_unbroken_chain(state_url):
    state.open(state_url)
    race(append_three, [(state_url, number) for number in range(8)])
    links = state.open(state_url).chain.list("daily")
    assert [link.sequence for link in links] == list(range(1, 25))
    assert [link.previous_sha256 for link in links] == [None, *(link.manifest_sha256 for link in links[:-1])]


def append_three(url, number):
    chain = state.open(url).chain
    for turn in range(3):
        key = f"run-{number}-{turn}"
        while True:
            sequence, previous = chain.next("daily")
            try:
                assert isinstance(
                    chain.append("daily", sequence, key, previous_sha256=previous, run_key=key), Link
                )
            except StaleFence:
                continue
            break
