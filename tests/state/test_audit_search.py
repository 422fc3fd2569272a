"""What is searched for in the audit chain is found, all of it, page by page, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert

from include import state
from include.state import audit_search
from include.state.audit import Action
from include.state.audit_search import Search, actors, every, search
from include.state.tables import AUDIT

START = datetime(2026, 3, 1, tzinfo=UTC)
ACTORS = ("ann", "bob", "schedule")
ACTIONS = (Action.PINNED, Action.DELIVERED, Action.GRANTED)


def filled(url: str, count: int):
    """A state with entries one minute apart; nobody checks their hashes here."""
    remembered = state.open(url)
    rows = [
        {
            "sequence": number,
            "at": START + timedelta(minutes=number),
            "actor": ACTORS[number % 3],
            "action": ACTIONS[number % 2].value,
            "subject": f"run{number % 7:03d}",
            "detail": {"note": f"n°{number} Été 100%_sure", "rows": number},
            "previous_sha256": None,
            "sha256": "0" * 64,
        }
        for number in range(1, count + 1)
    ]
    with remembered.database.write() as connection:
        connection.execute(insert(AUDIT), rows)
    return remembered.database


@pytest.fixture
def chain(state_url):
    return filled(state_url, 120)


def numbers(found) -> list[int]:
    return [entry.sequence for entry in found.entries]


def test_the_newest_come_first_and_pages_meet(chain):
    first = search(chain, Search(), 50)
    second = search(chain, Search(before=first.more), 50)
    third = search(chain, Search(before=second.more), 50)
    assert numbers(first) + numbers(second) + numbers(third) == list(range(120, 0, -1))
    assert third.more is None
    assert first.looked_to is None


def test_who_what_which_and_when(chain):
    assert numbers(search(chain, Search(actor="ann"), 3)) == [120, 117, 114]
    assert numbers(search(chain, Search(action="delivered"), 3)) == [119, 117, 115]
    assert numbers(search(chain, Search(subjects=("run000", "run001")), 4)) == [120, 119, 113, 112]
    span = Search(since=START + timedelta(minutes=10), until=START + timedelta(minutes=13))
    assert numbers(search(chain, span)) == [12, 11, 10]
    assert numbers(search(chain, replace(span, actor="ann"))) == [12]
    assert numbers(search(chain, Search(since=START + timedelta(days=9)))) == []
    assert numbers(search(chain, Search(until=START))) == []


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("n°119", 1), ("été", 0), ("Été", 120), ("ÉTÉ", 0), ("100%_", 120), ("%", 120), ("100__", 0), ("RUN006", 17),
        ('sure"', 0), ("\\", 0), ("no such", 0),
    ],
)  # fmt: skip
def test_a_text_is_found_as_it_is_written(chain, text, count):
    """Letters of ASCII in any case; others as they are. Signs of the database's own patterns are plain signs."""
    assert len(list(every(chain, Search(text=text)))) == count


def test_a_slow_search_stops_and_says_how_far_it_came(chain, monkeypatch):
    monkeypatch.setattr(audit_search, "WINDOW", 40)
    found = search(chain, Search(text="n°7 "))
    assert (numbers(found), found.more, found.looked_to) == ([], 81, 81)
    found = search(chain, Search(text="n°7 ", before=found.more))
    found = search(chain, Search(text="n°7 ", before=found.more))
    assert (numbers(found), found.more, found.looked_to) == ([7], None, None)
    assert [each.sequence for each in every(chain, Search(text="n°7 "))] == [7]


def test_an_empty_chain_has_nothing(remembered):
    assert search(remembered.database, Search()) == ([], None, None)
    assert actors(remembered.database) == []


def test_actors_are_listed_once(chain):
    assert actors(chain) == ["ann", "bob", "schedule"]


@pytest.fixture(scope="module")
def one_chain(tmp_path_factory):
    return filled(f"sqlite:///{tmp_path_factory.mktemp('state') / 'state.sqlite'}", 120)


MINUTES = st.none() | st.integers(-5, 130).map(lambda minutes: START + timedelta(minutes=minutes))


@given(
    st.builds(
        Search,
        actor=st.sampled_from([None, *ACTORS, "nobody"]),
        action=st.sampled_from([None, *ACTIONS]),
        subjects=st.sampled_from([(), ("run003",), ("run001", "run002", "none")]),
        text=st.sampled_from(["", "n°1", "run", "Été", "zz"]),
        since=MINUTES,
        until=MINUTES,
    ),
    st.integers(1, 60),
)
def test_pages_together_are_what_a_look_at_each_entry_finds(one_chain, wanted, limit):

    def meant(entry) -> bool:
        texts = (entry.subject, entry.detail["note"])
        return (
            wanted.actor in (None, entry.actor)
            and wanted.action in (None, entry.action)
            and (not wanted.subjects or entry.subject in wanted.subjects)
            and (not wanted.text or any(wanted.text in text for text in texts))
            and (wanted.since is None or entry.at >= wanted.since)
            and (wanted.until is None or entry.at < wanted.until)
        )

    expected = [entry.sequence for entry in every(one_chain, Search()) if meant(entry)]
    paged, page = [], search(one_chain, wanted, limit)
    paged += numbers(page)
    while page.more is not None:
        page = search(one_chain, replace(wanted, before=page.more), limit)
        paged += numbers(page)
    assert paged == expected == [entry.sequence for entry in every(one_chain, wanted)]
