"""An answer that takes time is waited for once; who asks later never waits, and gets a newer one in time."""

from __future__ import annotations

import threading

import pytest

from include.pipeline.kept import Kept
from tests.servers.waiting import until


def test_an_answer_is_found_once_while_it_is_good():
    kept, found = Kept(3600), []
    assert [kept.get("a", lambda: found.append(1) or len(found)) for _ in range(3)] == [1, 1, 1]
    assert kept.known("a") == 1
    assert kept.known("b") is None


def test_an_old_answer_is_given_at_once_and_a_new_one_is_found_meanwhile_once():
    kept, go, asked = Kept(0), threading.Event(), []

    def find():
        asked.append(1)
        assert go.wait(60)
        return len(asked)

    go.set()
    assert kept.get("a", find) == 1
    go.clear()
    assert [kept.get("a", find) for _ in range(5)] == [1] * 5
    go.set()
    until(lambda: kept.known("a") == 2, pause=0.005)
    assert len(asked) == 2


def test_a_failure_of_the_first_is_raised_and_of_a_later_one_keeps_what_is_known():
    kept, answers = Kept(0), iter(["good", ValueError("no"), "better"])

    def find():
        found = next(answers)
        if isinstance(found, Exception):
            raise found
        return found

    with pytest.raises(ZeroDivisionError):
        kept.get("a", lambda: 1 // 0)
    assert kept.get("a", find) == "good"
    until(lambda: kept.get("a", find) == "better", pause=0.005)


def test_what_is_forgotten_is_waited_for_again():
    kept = Kept(3600)
    kept.get("a", lambda: 1)
    kept.forget()
    assert kept.get("a", lambda: 2) == 2
