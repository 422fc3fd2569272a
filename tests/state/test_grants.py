"""What is granted holds for the roles and exports it was granted for, and for nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event

from include import state
from include.errors import BadInput
from include.state import grants
from include.state.audit import Action
from include.state.grants import EVERY, FOR_ALL, Grantable


@pytest.fixture
def granted(remembered):
    return remembered.grants


def test_nothing_is_granted_before_somebody_grants_it(granted):
    assert not any(
        granted.allowed({"viewer", "op"}, right, which) for right in Grantable for which in (None, "a")
    )
    assert granted.list() == []


def test_admin_has_every_right_and_no_other_text_is_a_right(granted):
    assert all(granted.allowed({"Admin"}, right, None) for right in Grantable)
    assert not granted.allowed({"admin"}, "see", None)
    assert not granted.allowed({"admin"}, "", None)


def test_a_grant_for_one_export_is_for_that_one(granted):
    assert granted.grant("Finance", "edit", "weekly-balances", by="ann")
    assert granted.allowed({"finance"}, "edit", "weekly-balances")
    assert not granted.allowed({"finance"}, "edit", "weekly")
    assert not granted.allowed({"finance"}, "edit", None)
    assert not granted.allowed({"finance"}, "personal", "weekly-balances")
    assert not granted.allowed({"viewer"}, "edit", "weekly-balances")
    assert not granted.allowed((), "edit", "weekly-balances")


def test_a_grant_for_all_is_for_each(granted):
    granted.grant("op", "personal", by="ann")
    assert granted.allowed({"viewer", "OP"}, "personal", "anything")
    assert granted.allowed({"op"}, "personal", None)


def test_what_is_revoked_is_gone_at_once_here_and_soon_elsewhere(state_url, monkeypatch):
    here, elsewhere = state.open(state_url).grants, state.open(state_url).grants
    here.grant("op", "edit", by="ann")
    assert elsewhere.allowed({"op"}, "edit", "x")
    assert here.revoke("OP", "edit", by="bob")
    assert not here.allowed({"op"}, "edit", "x")
    assert elsewhere.allowed({"op"}, "edit", "x")
    monkeypatch.setattr(grants, "CACHED_SECONDS", 0)
    assert not elsewhere.allowed({"op"}, "edit", "x")


def test_each_change_is_told_once_with_who_made_it(remembered):
    granted = remembered.grants
    assert [granted.grant("op", "edit", "a", by="ann"), granted.grant("op", "edit", "a", by="bob")] == [
        True,
        False,
    ]
    assert [granted.revoke("op", "edit", "a", by="cyd"), granted.revoke("op", "edit", "a", by="cyd")] == [
        True,
        False,
    ]
    told = [(each.actor, each.action, each.subject, each.detail) for each in remembered.audit.entries()]
    detail = {"right": "edit", "export": "a"}
    assert told == [("ann", Action.GRANTED, "op", detail), ("cyd", Action.GRANT_REVOKED, "op", detail)]


def test_the_list_says_who_granted_it(granted):
    granted.grant("op", "personal", by="ann")
    granted.grant("op", "edit", "b", by="ann")
    assert [(each.role, each.right, each.definition_id, each.granted_by) for each in granted.list()] == [
        ("op", "edit", "b", "ann"),
        ("op", "personal", EVERY, "ann"),
    ]


@pytest.mark.parametrize(
    ("role", "right", "which", "codes"),
    [
        ("", "edit", "a", ["bad_role"]),
        ("x" * 256, "edit", "a", ["bad_role"]),
        ("o\np", "edit", "a", ["bad_role"]),
        ("ADMIN ", "edit", "a", ["admin_has_all"]),
        ("op", "see", "a", ["unknown_right"]),
        ("op", "administer", "a", ["not_per_export"]),
        ("", "fly", "", ["bad_role", "unknown_right", "bad_export"]),
        ("op", "edit", "a\0b", ["bad_export"]),
    ],
)
def test_what_cannot_be_granted_is_refused_with_all_that_is_wrong(remembered, role, right, which, codes):
    with pytest.raises(BadInput) as caught:
        remembered.grants.grant(role, right, which, by="ann")
    assert [problem.code for problem in caught.value.problems] == codes
    assert remembered.grants.list() == []
    assert list(remembered.audit.entries()) == []


def test_asking_ten_thousand_times_reads_the_table_once(granted):
    granted.grant("op", "edit", "a7", by="ann")
    reads = []
    event.listen(granted._database.engine, "before_cursor_execute", lambda *a: reads.append(a[2]))
    found = [number for number in range(10_000) if granted.allowed({"op"}, "edit", f"a{number}")]
    assert found == [7]
    assert sum("loyalty_grants" in read for read in reads) == 1


@pytest.fixture(scope="module")
def one_state(tmp_path_factory):
    return state.open(f"sqlite:///{tmp_path_factory.mktemp('state') / 'state.sqlite'}")


ROLES = st.sampled_from(["op", "viewer", "finance"])
RIGHTS = st.sampled_from(list(Grantable))
EXPORTS = st.sampled_from([EVERY, "a", "b"])


@given(
    st.lists(st.tuples(st.booleans(), ROLES, RIGHTS, EXPORTS), max_size=12),
    st.sets(ROLES),
    RIGHTS,
    st.sampled_from(["a", "b", None]),
)
def test_what_is_allowed_is_what_was_granted_and_not_revoked(one_state, steps, roles, right, which):
    granted = one_state.grants
    for each in granted.list():
        granted.revoke(each.role, each.right, each.definition_id, by="ann")
    held = set()
    for give, role, what, where in steps:
        export = EVERY if what in FOR_ALL else where
        (granted.grant if give else granted.revoke)(role, what, export, by="ann")
        (held.add if give else held.discard)((role, what, export))
    expected = any((role, right, export) in held for role in roles for export in {EVERY, which} - {None})
    assert granted.allowed(roles, right, which) is expected
