"""SQLite takes any type in any column: an entry that holds what was never written is named as changed, and stops nobody."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from include.errors import NeedsPerson
from include.pipeline import Context
from include.pipeline.audit import anchors as audit
from include.pipeline.audit.parts import hold, walk
from include.settings import Settings
from include.state.audit import Action, digest
from include.state.audit_search import Search, search

COLUMNS = ("sequence", "at", "actor", "action", "subject", "detail", "previous_sha256", "sha256")
TEXT, BLOB, FRACTION, HUGE, NOTHING = "'2020-01-01T00:00:00Z'", "x'00ff'", "at + 0.4", "9e18", "NULL"
DOCUMENTS = (
    "'[1]'",
    "'null'",
    "'{'",
    '\'{"a": "\\ud800"}\'',
    "cast(detail AS BLOB)",
    "7",
    f"'{'[' * 100_000}'",
)
AS_BLOB = "cast({} AS BLOB)"
WRONG = [
    *((column, value) for column in COLUMNS for value in (TEXT, BLOB, "1.5", HUGE)),
    *((column, AS_BLOB.format(column)) for column in COLUMNS),
    *(("detail", value) for value in DOCUMENTS),
    *(("at", value) for value in (FRACTION, "9000000000000000000", "-9000000000000000000")),
    ("previous_sha256", NOTHING),
]


@pytest.fixture
def context(tmp_path: Path, settings_for: Callable[..., Settings]) -> Context:
    """A context with a chain of five entries in SQLite."""
    context = Context(settings_for("sqlite:////nowhere"))
    for number in range(5):
        context.state.audit.write("ann", Action.PINNED, f"run {number}", {"rows": number})
    return context


def change(context: Context, column: str, value: str, entry: int) -> None:
    with context.state.database.write() as connection:
        connection.execute(text(f"UPDATE loyalty_audit SET {column} = {value} WHERE sequence = {entry}"))


@pytest.mark.parametrize("entry", [1, 3, 5])
@pytest.mark.parametrize(("column", "value"), WRONG, ids=lambda given: given[:24])
def test_the_first_wrong_entry_is_named(context: Context, column: str, value: str, entry: int) -> None:
    if column == "previous_sha256" and entry == 1 and value in (NOTHING, AS_BLOB.format(column)):
        return  # as it was
    change(context, column, value, entry)
    if entry < 5:
        change(context, "actor", "x'00'", entry + 1)
    found = audit.verify(context)
    [problem] = found.problems
    if column == "sequence":  # it stands at another place of the chain
        assert (problem.code, int(problem.value) <= entry) in {("audit_changed", True), ("audit_gap", True)}
    else:
        codes = {"audit_changed", "audit_order"} if column == "previous_sha256" else {"audit_changed"}
        assert (problem.value, problem.code in codes) == (str(entry), True)
    assert found.entries == 5
    assert walk(context).problem == problem
    hold(context)


@pytest.mark.parametrize("column", COLUMNS[1:])
def test_all_others_are_still_listed(context: Context, column: str) -> None:
    change(context, column, BLOB, 5)
    state = context.state
    for entries in (state.audit.newest(), search(state.database, Search()).entries):
        assert [(each.sequence, each.actor) for each in entries[1:]] == [(n, "ann") for n in (4, 3, 2, 1)]
        assert (entries[0].sequence, entries[0].sha256) == (5, "")
    assert state.audit.get(5) == state.audit.newest(limit=1)[0]


@pytest.mark.parametrize("column", ["at", "sequence", "sha256"])
def test_a_head_that_was_changed_is_not_anchored(context: Context, column: str) -> None:
    change(context, column, BLOB, 5)
    with pytest.raises(NeedsPerson, match=r"newest entry was changed.*loyalty audit verify"):
        audit.anchor(context)


def test_an_entry_that_has_the_hash_of_what_would_be_shown_in_its_place_is_found_too(
    context: Context,
) -> None:
    """Whoever knows what is shown for an instant that is none."""
    entry = context.state.audit.get(5)
    assert entry is not None
    forged = digest(entry.model_dump() | {"at": datetime(1970, 1, 1, tzinfo=UTC)})
    change(context, "at", TEXT, 5)
    change(context, "sha256", f"'{forged}'", 5)
    assert [problem.code for problem in audit.verify(context).problems] == ["audit_changed"]


@pytest.mark.parametrize(
    "said",
    [
        {"sequence": '"5"'}, {"sequence": "5.0"}, {"sequence": "true"}, {"sequence": "null"}, {"sequence": "0"},
        {"at": "1767225600"}, {"at": "null"}, {"at": '"2026-01-01T00:00:00"'}, {"at": "[]"},
        {"sha256": "5"}, {"sha256": "null"}, {"sha256": '"\\ud800"'}, {"audit_anchor": "2"},
    ],
    ids=str,
)  # fmt: skip
def test_an_anchor_with_a_wrong_type_is_damaged(context: Context, said: dict[str, str]) -> None:
    [where] = audit.anchor(context)
    path = Path(where.removeprefix("file://"))
    right = {name: json.dumps(value) for name, value in json.loads(path.read_bytes()).items()}
    path.chmod(0o600)
    path.write_text("{" + ", ".join(f'"{name}": {value}' for name, value in (right | said).items()) + "}")
    assert [problem.code for problem in audit.verify(context).problems] == ["anchor_damaged"]
    path.write_bytes(b'{"sequence": \xff')
    assert [problem.code for problem in audit.verify(context).problems] == ["anchor_damaged"]
