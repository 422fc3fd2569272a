"""The log is searched, paged, taken along, and verified in parts."""

from __future__ import annotations

import csv
import io
import json

import pytest
from sqlalchemy import text

from include.ledger.people import Name
from include.pipeline.audit import anchors as audit
from include.pipeline.audit import parts as audit_parts
from include.state.audit import Action
from include.state.looked import Person
from tests.web.posting import OWN, post, read, text_of, token

PAGE = "/loyalty/administration/audit"
EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture
def admin(browser):
    return browser("admin", "ADMIN")


@pytest.fixture
def log(installation):
    return installation.context.state.audit


def numbers(answer) -> list[int]:
    return [int(each.replace(",", "")) for each in read(answer).xpath("//tbody/tr/td[1]/text()")]


def test_pages_go_back_in_time(admin, log):
    for number in range(120):
        log.write("ann", Action.PINNED, f"run {number}")
    last = log.head().sequence
    first = admin.get(PAGE)
    assert numbers(first) == list(range(last, last - 50, -1))
    (older,) = read(first).xpath("//a[@rel='next']/@href")
    assert numbers(admin.get(f"{PAGE}{older.partition('/audit')[2]}"))[0] == last - 50


def test_every_field_narrows_the_search(admin, log):
    log.write("ann", Action.GRANTED, "op", {"right": "edit"})
    log.write("bob", Action.GRANTED, "op", {"right": "personal"})
    last = log.head().sequence
    assert numbers(admin.get(f"{PAGE}?actor=ann&action=granted")) == [last - 1]
    assert numbers(admin.get(f"{PAGE}?subject=op")) == [last, last - 1]
    assert numbers(admin.get(f"{PAGE}?text=personal&since=2020-01-01T00:00")) == [last]
    assert "Nothing is found" in text_of(admin.get(f"{PAGE}?until=2020-01-01T00:00"))


def test_who_looked_at_a_customer_is_found(admin, log, installation):
    looked = installation.context.state.looked
    looked.note("eve", Action.CUSTOMER_SEEN, Person(Name.CUSTOMER, "c0001"))
    looked.note("ann", Action.CUSTOMER_SEEN, Person(Name.CUSTOMER, "c0002"))
    assert numbers(admin.get(f"{PAGE}?customer=c0001")) == [log.head().sequence - 1]
    assert "Nothing is found" in text_of(admin.get(f"{PAGE}?customer=c0003"))


@pytest.mark.parametrize(
    "query", ["since=yesterday", "action=flown", "before=0", "until=9999-99-99", "before=" + "9" * 40]
)
def test_what_cannot_be_searched_for_is_said(admin, query):
    answer = admin.get(f"{PAGE}?{query}")
    assert answer.status_code in {200, 422}
    assert "problem" in answer.text or "not right" in answer.text


def test_what_was_found_is_taken_along_and_that_is_told(admin, log):
    log.write("=cmd()", Action.GRANTED, "op", {"note": EVIL})
    lines = post(admin, f"{PAGE}/export", PAGE, action="granted", form="jsonl")
    assert [json.loads(line)["actor"] for line in lines.text.splitlines()] == ["=cmd()"]
    sheet = post(admin, f"{PAGE}/export", PAGE, action="granted", form="csv")
    assert sheet.headers["content-disposition"].endswith('.csv"')
    (row,) = csv.DictReader(io.StringIO(sheet.text))
    assert (row["actor"], json.loads(row["detail"])) == ("'=cmd()", {"note": EVIL})
    told = [(each.actor, each.subject, each.detail) for each in log.newest(action=Action.AUDIT_EXPORTED)]
    assert told == [("admin", "csv", {"action": "granted"}), ("admin", "jsonl", {"action": "granted"})]


def test_the_chain_is_verified_in_parts_that_go_on_by_themselves(admin, log, monkeypatch, installation):
    for number in range(3):
        log.write("ann", Action.PINNED, f"run {number}")
    monkeypatch.setattr(audit_parts, "PART_SECONDS", 0)
    monkeypatch.setattr(audit_parts.walk, "__defaults__", (0, 0))
    audit.anchor(installation.context)
    total = log.head().sequence
    headers, address = OWN | {"hx-request": "true"}, f"{PAGE}/verify"
    brought = {"form_token": token(admin, PAGE)}
    for reached in range(1, total):
        part = admin.post(address, data=brought, headers=headers)
        assert f"{reached} of {total} entries" in part.text
        (address,) = read(part).xpath("//form/@hx-post")
        address = f"/loyalty/administration/{address.partition('administration/')[2]}"
    end = admin.post(address, data=brought, headers=headers)
    assert f"{total} entries are whole and in order, held against 1 anchor" in " ".join(end.text.split())


@pytest.mark.parametrize("sequence", [1, 3, 5])
def test_a_changed_entry_is_named(admin, log, installation, sequence):
    for number in range(3):
        log.write("ann", Action.PINNED, f"run {number}")
    with installation.context.state.database.write() as connection:
        connection.execute(
            text("UPDATE loyalty_audit SET actor = 'eve' WHERE sequence = :at"), {"at": sequence}
        )
    assert f"Entry {sequence} was changed" in text_of(post(admin, f"{PAGE}/verify", PAGE))


def test_a_rewritten_chain_is_seen_by_its_anchor(admin, log, installation):
    audit.anchor(installation.context)
    at = log.newest(action=Action.ANCHORED)[0].detail["sequence"]
    with installation.context.state.database.write() as connection:
        connection.execute(text("DELETE FROM loyalty_audit WHERE sequence >= :at"), {"at": at})
    assert "is gone" in text_of(post(admin, f"{PAGE}/verify", PAGE))


def test_nothing_in_an_entry_becomes_markup(admin, log):
    log.write(EVIL, Action.GRANTED, EVIL, {EVIL: f"\"'{EVIL}"})
    page = read(admin.get(PAGE))
    assert not page.xpath("//img")
    assert EVIL in page.xpath("//tbody")[0].text_content()
