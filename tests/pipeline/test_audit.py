"""Whoever touches the audit chain is found out, and the first wrong entry is named; by anchors, even who rewrites it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from include.errors import BadInput, NeedsPerson, Permanent
from include.pipeline import Context
from include.pipeline.audit import anchors as audit
from include.pipeline.upkeep import upkeep
from include.settings import Settings
from include.state.audit import Action, digest
from tests.examples import examples
from tests.servers.smtp import mail_server

SHA = "0123456789abcdef" * 4


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.servers)])
def context(request: pytest.FixtureRequest, tmp_path: Path, settings_for: Callable[..., Settings]) -> Context:
    """A context whose anchors go to two folders."""
    settings = settings_for("sqlite:////nowhere")
    anchors = tuple(f"file://{tmp_path / name}" for name in ("one", "two"))
    if request.param == "postgres":
        settings = replace(settings, state_url=request.getfixturevalue("postgres_ledger"))
    return Context(replace(settings, audit_anchors=anchors))


def filled(context: Context, count: int = 6) -> None:
    for number in range(1, count + 1):
        context.state.audit.write("ann", Action.PINNED, f"run {number}", {"rows": number})


def change(context: Context, statement: str, **values: Any) -> None:
    with context.state.database.write() as connection:
        connection.execute(text(statement), values)


def first(context: Context) -> tuple[str, str] | None:
    """The entry that is named first, and what is wrong with it."""
    problems = audit.verify(context).problems
    return (problems[0].value, problems[0].code) if problems else None


def test_a_whole_chain_is_found_whole(context: Context) -> None:
    assert audit.verify(context) == audit.Verified(0, None, 0, (), ())
    filled(context)
    found = audit.verify(context)
    assert (found.entries, found.head, found.anchors) == (6, context.state.audit.head(), 0)
    assert (found.problems, found.unread) == ((), ())


TOUCHED = {
    "actor": ("UPDATE loyalty_audit SET actor = 'bob' WHERE sequence = 3", "3", "audit_changed"),
    "action": ("UPDATE loyalty_audit SET action = 'erased' WHERE sequence = 3", "3", "audit_changed"),
    "instant": ("UPDATE loyalty_audit SET at = at + 1 WHERE sequence = 3", "3", "audit_changed"),
    "subject": ("UPDATE loyalty_audit SET subject = 'run 4' WHERE sequence = 3", "3", "audit_changed"),
    "detail": ("""UPDATE loyalty_audit SET detail = '{"rows": 4}' WHERE sequence = 3""", "3", "audit_changed"),
    "hash": (f"UPDATE loyalty_audit SET sha256 = '{SHA}' WHERE sequence = 3", "3", "audit_changed"),
    "previous": (f"UPDATE loyalty_audit SET previous_sha256 = '{SHA}' WHERE sequence = 3", "3", "audit_order"),
    "first gone": ("DELETE FROM loyalty_audit WHERE sequence = 1", "1", "audit_gap"),
    "one gone": ("DELETE FROM loyalty_audit WHERE sequence = 3", "3", "audit_gap"),
    "number moved": ("UPDATE loyalty_audit SET sequence = 9 WHERE sequence = 6", "6", "audit_gap"),
    "first numbered 0": ("UPDATE loyalty_audit SET sequence = -1 WHERE sequence = 1", "1", "audit_gap"),
}  # fmt: skip


@pytest.mark.parametrize("case", TOUCHED)
def test_whoever_touches_an_entry_is_found_out(context: Context, case: str) -> None:
    filled(context)
    statement, entry, code = TOUCHED[case]
    change(context, statement)
    assert first(context) == (entry, code)


def test_two_entries_that_change_places_are_found(context: Context) -> None:
    filled(context)
    for old, new in ((3, 99), (4, 3), (99, 4)):
        change(context, f"UPDATE loyalty_audit SET sequence = {new} WHERE sequence = {old}")
    assert first(context) == ("3", "audit_order")


def test_an_entry_put_in_between_is_found(context: Context) -> None:
    filled(context)
    for number in (6, 5, 4):
        change(context, f"UPDATE loyalty_audit SET sequence = {number + 1} WHERE sequence = {number}")
    forged(context, 4, subject="never happened")
    assert first(context) == ("5", "audit_order")  # the forged one fits; what was after it does not


def test_an_entry_removed_and_the_rest_renumbered_is_found(context: Context) -> None:
    filled(context)
    change(context, "DELETE FROM loyalty_audit WHERE sequence = 3")
    for number in (4, 5, 6):
        change(context, f"UPDATE loyalty_audit SET sequence = {number - 1} WHERE sequence = {number}")
    assert first(context) == ("3", "audit_order")


def forged(context: Context, sequence: int, **values: Any) -> None:
    """An entry that fits the one before it, as somebody writes it who knows the rules and has the database."""
    before = context.state.audit.get(sequence - 1)
    entry: dict[str, Any] = {
        "sequence": sequence, "at": before.at if before else None, "actor": "ann", "action": "pinned",
        "detail": {}, "previous_sha256": before.sha256 if before else None, **values,
    }  # fmt: skip
    sha256 = digest(entry)
    at = int(entry.pop("at").timestamp() * 1_000_000)
    change(context, f"DELETE FROM loyalty_audit WHERE sequence = {sequence}")
    change(
        context,
        "INSERT INTO loyalty_audit (sequence, at, actor, action, subject, detail, previous_sha256, sha256) "
        "VALUES (:sequence, :at, :actor, :action, :subject, :detail, :previous_sha256, :sha256)",
        **entry | {"detail": json.dumps(entry["detail"])}, at=at, sha256=sha256,
    )  # fmt: skip


def test_entries_cut_off_the_end_are_seen_by_the_anchor_and_by_nothing_else(context: Context) -> None:
    filled(context)
    change(context, "DELETE FROM loyalty_audit WHERE sequence > 4")
    assert first(context) is None
    filled(context, 2)
    audit.anchor(context)  # speaks of 6, and is told as entries 7 and 8
    change(context, "DELETE FROM loyalty_audit WHERE sequence > 4")
    assert first(context) == ("5", "audit_truncated")
    change(context, "DELETE FROM loyalty_audit")
    assert first(context) == ("1", "audit_truncated")


def test_a_chain_that_was_computed_anew_is_seen_by_the_anchor_and_by_nothing_else(context: Context) -> None:
    filled(context, 3)
    audit.anchor(context)
    for sequence in (2, 3, 4, 5):
        forged(context, sequence, subject="never happened")
    assert first(context) == ("3", "audit_rewritten")
    unanchored = Context(replace(context.settings, audit_anchors=("file:///nowhere/at/all",)))
    assert first(unanchored) is None
    held = audit.Known("a mail", 3, SHA)
    assert audit.verify(unanchored, [held]).problems[0].code == "audit_rewritten"


def test_an_anchor_is_written_to_every_place_once_and_told(context: Context, tmp_path: Path) -> None:
    assert audit.anchor(context) == []
    filled(context, 3)
    head = context.state.audit.head()
    assert head is not None
    written = audit.anchor(context)
    paths = [tmp_path / name / "loyalty-audit-000000000003.json" for name in ("one", "two")]
    assert written == [f"file://{path}" for path in paths]
    for path in paths:
        found = json.loads(path.read_text())
        assert found == {
            "audit_anchor": 1,
            "sequence": 3,
            "at": head.at.isoformat().replace("+00:00", "Z"),
            "sha256": head.sha256,
        }
    told = context.state.audit.newest(action=Action.ANCHORED)
    assert [entry.subject for entry in told] == written[::-1]
    assert told[0].detail == {"sequence": 3, "sha256": head.sha256}
    assert audit.verify(context).anchors == 2
    assert first(context) is None


def test_an_anchor_is_never_overwritten(context: Context, tmp_path: Path) -> None:
    """A chain of the same length with other content is told, and the anchor stays; the other place still gets its own."""
    filled(context, 3)
    path = tmp_path / "one" / "loyalty-audit-000000000003.json"
    path.parent.mkdir()
    path.write_text(
        json.dumps({"audit_anchor": 1, "sequence": 3, "at": "2026-01-01T00:00:00Z", "sha256": SHA})
    )
    before = path.read_bytes()
    with pytest.raises(NeedsPerson, match="rewritten"):
        audit.anchor(context)
    assert path.read_bytes() == before
    assert (tmp_path / "two" / path.name).exists()
    assert first(context) == ("3", "audit_rewritten")


def test_the_same_head_may_be_anchored_again(context: Context) -> None:
    """A crash between the anchor and its entry: the next attempt finds it there."""
    filled(context, 3)
    audit.anchor(context)
    change(context, "DELETE FROM loyalty_audit WHERE sequence > 3")
    assert len(audit.anchor(context)) == 2


def test_a_place_that_fails_does_not_keep_the_next_one_from_its_anchor(
    context: Context, tmp_path: Path
) -> None:
    filled(context, 3)
    (tmp_path / "one").write_text("a file where the folder should be")
    with pytest.raises(Permanent):
        audit.anchor(context)
    assert (tmp_path / "two" / "loyalty-audit-000000000003.json").exists()
    assert (audit.verify(context).anchors, first(context)) == (1, None)


def test_a_place_that_cannot_be_read_is_said_and_the_others_count(context: Context) -> None:
    filled(context, 3)
    audit.anchor(context)
    places = ("ftp://old", *context.settings.audit_anchors)
    found = audit.verify(Context(replace(context.settings, audit_anchors=places)))
    assert (found.anchors, found.problems) == (2, ())
    assert found.unread[0].startswith("ftp://old: ")


def test_an_anchor_that_was_taken_away_is_missed(context: Context, tmp_path: Path) -> None:
    filled(context, 3)
    audit.anchor(context)
    path = tmp_path / "two" / "loyalty-audit-000000000003.json"
    path.unlink()
    assert first(context) == (f"file://{path}", "anchor_gone")


def test_a_damaged_anchor_is_told_and_other_files_are_left_alone(context: Context, tmp_path: Path) -> None:
    filled(context, 3)
    audit.anchor(context)
    (tmp_path / "one" / "notes.txt").write_text("ours")
    (tmp_path / "two" / "loyalty-audit-000000000003.json").write_text("{}")
    found = audit.verify(context)
    assert [problem.code for problem in found.problems] == ["anchor_damaged"]
    assert found.anchors == 1


def test_anchors_lie_in_the_store_where_no_place_is_set(context: Context) -> None:
    filled(context, 1)
    unset = Context(replace(context.settings, audit_anchors=()))
    (written,) = audit.anchor(unset)
    assert written == f"{unset.store.url}/audit-anchors/loyalty-audit-000000000001.json"
    assert audit.verify(unset).anchors == 1


def test_upkeep_writes_the_anchor(context: Context) -> None:
    filled(context, 1)
    done = upkeep(context)
    assert [place.rpartition("/")[2] for place in done["anchors"]] == ["loyalty-audit-000000000001.json"] * 2


def test_upkeep_that_fails_writes_the_anchor_all_the_same(
    context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(context, 1)
    monkeypatch.setattr("include.snapshots.registry.retire", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        upkeep(context)
    assert (tmp_path / "one" / "loyalty-audit-000000000001.json").exists()


@pytest.mark.servers
def test_an_anchor_is_mailed_once_a_day_and_its_reader_holds_it_against_the_chain(
    context: Context, tmp_path: Path
) -> None:
    filled(context, 3)
    head = context.state.audit.head()
    assert head is not None
    with mail_server(tmp_path) as server:
        settings = replace(
            context.settings, audit_anchors=("mailto:auditor@x.org", f"file://{tmp_path / 'one'}")
        )
        mailing = Context(settings, lambda _: server.connection())
        server.say("RCPT", "550 5.1.1 nobody here by that name")
        with pytest.raises(Permanent, match="nobody here"):
            audit.anchor(mailing)
        assert len(list((tmp_path / "one").iterdir())) == 1  # the other place has its anchor all the same
        server.answers.clear()
        assert audit.anchor(mailing)[0] == "mailto:auditor@x.org"
        assert [place.partition(":")[0] for place in audit.anchor(mailing)] == ["file"]
        (mail,) = server.of("auditor@x.org")
    stated = next(line for line in mail.body("plain").splitlines() if line.startswith("4:"))
    assert audit.verify(mailing, [audit.parsed(stated)]).problems == ()
    change(context, "DELETE FROM loyalty_audit WHERE sequence > 3")
    unread = Context(replace(settings, audit_anchors=("mailto:auditor@x.org",)))
    assert audit.verify(unread).problems == ()
    assert audit.verify(unread, [audit.parsed(stated)]).problems[0].code == "audit_truncated"


@pytest.mark.servers
def test_an_anchor_goes_to_an_address_that_is_the_beginning_of_another(
    context: Context, tmp_path: Path
) -> None:
    filled(context, 1)
    with mail_server(tmp_path) as server:
        addresses = ("mailto:auditor@x.org.uk", "mailto:auditor@x.org")
        mailing = Context(replace(context.settings, audit_anchors=addresses), lambda _: server.connection())
        assert audit.anchor(mailing) == list(addresses)
        assert audit.anchor(mailing) == []


def test_a_delivery_that_was_confirmed_behind_the_back_of_the_chain_is_told(context: Context) -> None:
    filled(context, 1)
    context.state.deliveries.claim("d1", "me", timedelta(minutes=1), run_key="r1", target="bank")
    change(context, "UPDATE loyalty_deliveries SET state = 'confirmed'")
    assert [(x.where, x.value, x.code) for x in audit.verify(context).problems] == [
        ("delivery", "d1", "untold")
    ]


@pytest.mark.parametrize(
    "given_text", ["", "5", "0:" + SHA, f"-1:{SHA}", f"5:{SHA[:-1]}", f"{chr(0x665)}:{SHA}", f"5:{SHA}0"]
)
def test_an_anchor_by_hand_has_a_number_and_a_hash(given_text: str) -> None:
    with pytest.raises(BadInput):
        audit.parsed(given_text)
    assert audit.parsed(f"12:{SHA}") == audit.Known("the anchor given by hand", 12, SHA)


@pytest.fixture(scope="module")
def whole_chain(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    from include import state

    opened = state.open(f"sqlite:///{tmp_path_factory.mktemp('chain') / 'state.sqlite'}")
    return [
        opened.audit.write("ann", Action.PINNED, f"run {number}", {"rows": number}) for number in range(8)
    ]


@examples(200)
@given(data=st.data())
def test_any_single_change_is_found_at_or_before_its_place(
    whole_chain: list[Any], data: st.DataObject
) -> None:
    """Any one entry changed, removed, doubled or swapped: named where it first shows; the anchor sees a cut end."""
    at = data.draw(st.integers(0, len(whole_chain) - 1))
    deed = data.draw(st.sampled_from(["change", "remove", "double", "swap", "cut"]))
    entries = list(whole_chain)
    if deed == "change":
        name = data.draw(
            st.sampled_from(["actor", "action", "subject", "detail", "previous_sha256", "sha256"])
        )
        value: Any = {"rows": -1} if name == "detail" else data.draw(st.text(min_size=1))
        entries[at] = entries[at].model_copy(update={name: value})
    elif deed == "remove":
        del entries[at]
    elif deed == "double":
        entries.insert(at, entries[at])
        at += 1
    elif deed == "swap":
        other = data.draw(st.integers(0, len(entries) - 1).filter(lambda x: x != at))
        entries[at], entries[other] = entries[other], entries[at]
        at = min(at, other)
    else:
        entries = entries[:at]
    walk = audit.Walk([audit.Known("an anchor", 8, whole_chain[-1].sha256)])
    for entry in entries:
        walk.step(entry)
    assert [problem.value for problem in walk.end()] == [str(at + 1)]
