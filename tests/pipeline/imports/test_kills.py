"""kill -9 at every point of an import, and at moments by chance: the next attempt books the file once, all of it."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from include.pipeline import imports
from include.state.imports import ImportRecord
from include.state.tables import LEASES
from tests.benchmarks.killing.nursery import End, Nursery
from tests.pipeline.imports import dying
from tests.pipeline.imports.desk import Desk
from tests.state.expiry import expire

pytestmark = pytest.mark.slow
ADD = "customer_id,points,reason\n" + "".join(f"ann,1,line {number}\n" for number in range(500))
FILES = {
    "add": ADD,
    "reset": "customer_id,points\nann,30\nbob,7\n",
    "birthday": "customer_id,Birthday(MM/DD)\nann,12/24\nbob,12/24\n",
}


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery(dying.__name__) as made:
        yield made


@pytest.fixture(scope="module")
def several(nursery: Nursery) -> Iterator[list[Nursery]]:
    """For attempts at one time: a nursery takes seconds to import what an attempt needs."""
    with Nursery(dying.__name__) as second, Nursery(dying.__name__) as third:
        yield [nursery, second, third]


def attempt(nursery: Nursery, desk: Desk, place: str, mode: str, **more: Any) -> End:
    """Try in a process of its own; when it is dead, its lease is over too."""
    home = str(desk.settings.scratch.parent)
    end = nursery.attempt(url=desk.url, folder=home, place=place, mode=mode, text=FILES[mode], **more)
    if end.killed or end.said == "died":
        expire(desk.context.state, LEASES)
    return end


def next_attempt(desk: Desk, mode: str) -> ImportRecord:
    """What whoever comes next does: the same again."""
    return dying.again(desk, FILES[mode].encode(), mode)


def is_booked(desk: Desk, mode: str) -> int:
    """0 when nothing is booked, 1 when the file is, once; anything else is wrong."""
    if mode == "birthday":
        born = [
            each.get("birthday") for each in desk.ledger("customers") if each["customer_id"] in ("ann", "bob")
        ]
        return {("03/03", None): 0, ("12/24", "12/24"): 1}[tuple(born)]  # type: ignore[index]
    booked = desk.ledger(source="import")
    lines = len(FILES[mode].splitlines()) - 1
    assert len(booked) in (0, lines)
    assert len({each["created_at"] for each in booked}) <= 1
    return len(booked) // lines


def check_the_end(desk: Desk, record: ImportRecord, mode: str) -> None:
    assert record.state == "posted"
    assert is_booked(desk, mode) == 1
    assert record.receipt is not None
    if mode != "birthday":
        assert {each["created_at"] for each in desk.booked(record)} == {record.receipt.at}
    result = b"".join(imports.result_file(desk.context, record.import_id) or ()).decode().splitlines()
    assert len(result) == len(FILES[mode].splitlines())
    assert all(",done," in line for line in result[1:])
    assert not list(desk.settings.scratch.glob("imports-*"))


@pytest.mark.parametrize(
    ("point", "mode"),
    [
        *((point, "add") for point in dying.POINTS),
        *((point, mode) for point in ("posting", "committed") for mode in ("reset", "birthday")),
    ],
)
def test_a_kill_at_any_point_books_a_file_once(nursery: Nursery, desk: Desk, point: str, mode: str) -> None:
    assert attempt(nursery, desk, point, mode).said == "died"
    assert is_booked(desk, mode) == (1 if point in {"committed", "archived"} else 0)
    check_the_end(desk, next_attempt(desk, mode), mode)


def test_what_a_crash_left_is_finished_without_the_file(nursery: Nursery, desk: Desk) -> None:
    assert attempt(nursery, desk, "committed", "add").said == "died"
    [record] = imports.resume(desk.context)
    check_the_end(desk, record, "add")
    assert (record.posted_by, imports.resume(desk.context)) == ("olga", [])


def test_kills_at_any_moment_book_a_file_once(nursery: Nursery, desk: Desk) -> None:
    chance = random.Random(6)
    for _ in range(12):
        attempt(nursery, desk, "", "add", after=chance.uniform(0.02, 3))
        assert is_booked(desk, "add") in (0, 1)
    check_the_end(desk, next_attempt(desk, "add"), "add")


def test_several_at_once_book_a_file_once(several: list[Nursery], desk: Desk) -> None:
    threads = [threading.Thread(target=attempt, args=(each, desk, "", "add")) for each in several]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    check_the_end(desk, next_attempt(desk, "add"), "add")
