"""Work on threads: in order, bounded, never more at once than there are threads, errors at their place."""

from __future__ import annotations

import threading
import time

import pytest

from include.formats import parallel
from include.formats.parallel import ordered_map


def test_results_come_in_order():
    def slow_first(number: int) -> int:
        time.sleep(0.002 if number % 5 == 0 else 0)
        return number * number

    assert list(ordered_map(slow_first, range(50))) == [number * number for number in range(50)]


def test_it_runs_a_few_ahead_and_no_more():
    taken = []

    def items():
        for number in range(100):
            taken.append(number)
            yield number

    results = ordered_map(lambda number: number, items())
    for read in range(1, 20):
        next(results)
        assert len(taken) <= read + parallel.threads() + 1
    results.close()


def test_an_error_comes_at_its_place_and_nothing_runs_on():
    running = []

    def check(number: int) -> int:
        running.append(number)
        if number == 3:
            raise ValueError("third")
        return number

    results = ordered_map(check, range(1000))
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="third"):
        next(results)
    seen = len(running)
    time.sleep(0.01)
    assert len(running) == seen < 20


def test_all_files_share_the_threads(monkeypatch):
    monkeypatch.setattr(parallel, "threads", lambda: 2)
    busy, most, lock = 0, 0, threading.Lock()

    def work(_: int) -> None:
        nonlocal busy, most
        with lock:
            busy += 1
            most = max(most, busy)
        time.sleep(0.001)
        with lock:
            busy -= 1

    files = [threading.Thread(target=lambda: list(ordered_map(work, range(30)))) for _ in range(4)]
    for file in files:
        file.start()
    for file in files:
        file.join()
    assert most == 2


def test_an_only_item_needs_no_thread_and_two_do():
    def who(_: int) -> int:
        return threading.get_ident()

    assert list(ordered_map(who, [1])) == [threading.get_ident()]
    assert threading.get_ident() not in ordered_map(who, [1, 2])
    assert list(ordered_map(who, [])) == []
