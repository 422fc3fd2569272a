"""Any two runs beside each other: totals from their manifests, rows from their files, and why not where not."""

from __future__ import annotations

from decimal import Decimal

import pytest

from include.connections import Connection, Secrets
from include.errors import BadInput
from include.formats.options import FileOptions
from include.pipeline import Context, two_runs
from include.pipeline.two_runs import ROWS_AT_ONCE, compare
from include.settings import Settings
from include.state.runs import RunRecord
from tests.pipeline.made_runs import DAY, finished

pytestmark = pytest.mark.slow  # it reads a whole sample ledger, or starts processes

DAILY = {
    "id": "daily", "name": "Daily", "model": "balance",
    "targets": [{"kind": "folder", "options": {"folder": "x"}}],
}  # fmt: skip
PERSONAL = DAILY | {"model": "customers", "fields": ["customer_id", "email"]}
BEFORE = [("club", "ann", 100), ("club", "bob", 250), ("club", "cid", 0)]
AFTER = [("club", "ann", 150), ("club", "cid", 0), ("club", "dee", 75)]


@pytest.fixture
def context(tmp_path):
    return Context.from_settings(Settings.from_environment({"LOYALTY_HOME": str(tmp_path)}))


def test_rows_and_totals_of_two_runs(context):
    before = finished(context, DAILY, {None: BEFORE})
    after = finished(context, DAILY, {None: AFTER}, day=1)
    [part] = compare(context, before, after, show_personal=False)
    assert part.counts == (1, 1, 1)
    assert part.rows == (3, 3)
    assert [(each.name, each.before, each.after, each.by) for each in part.totals] == [
        ("points", Decimal("3.50"), Decimal("2.25"), Decimal("-1.25"))
    ]
    # The first ids alone do not tell rows apart: all are of one program.
    assert part.key == ("program_id", "customer_id")
    assert [(pair.before and pair.before[1:], pair.after and pair.after[1:]) for pair in part.pairs] == [
        (("ann", "1.00"), ("ann", "1.50")),
        (("bob", "2.50"), None),
        (None, ("dee", "0.75")),
    ]


def test_the_order_of_the_question_decides_what_is_added(context):
    before, after = finished(context, DAILY, {None: BEFORE}), finished(context, DAILY, {None: AFTER}, day=1)
    there = compare(context, before, after, show_personal=True)[0]
    back = compare(context, after, before, show_personal=True)[0]
    assert back.counts == (there.counts[1], there.counts[0], there.counts[2])
    assert [(pair.after, pair.before) for pair in back.pairs] == [tuple(pair) for pair in there.pairs]
    same = compare(context, after, after, show_personal=True)[0]
    assert (same.counts, same.pairs, same.differing) == ((0, 0, 0), (), 0)


def test_many_differences_come_in_pages_that_hold_each_once(context):
    rows = [("club", f"c{number:04}", number) for number in range(ROWS_AT_ONCE * 2 + 7)]
    before, after = finished(context, DAILY, {None: []}), finished(context, DAILY, {None: rows}, day=1)
    pages = [
        compare(context, before, after, show_personal=True, export=None, page=page)[0].pairs
        for page in (1, 2, 3, 4)
    ]
    assert [len(page) for page in pages] == [ROWS_AT_ONCE, ROWS_AT_ONCE, 7, 0]
    assert [pair.after[1] for page in pages for pair in page] == [row[1] for row in rows]


def test_each_export_of_a_pack_by_itself(context):
    pack = {"id": "pack", "name": "Pack", "targets": DAILY["targets"], "exports": [
        {"id": name, "model": "balance"} for name in ("one", "two", "three")]}  # fmt: skip
    before = finished(context, pack, {"one": BEFORE, "two": BEFORE})
    after = finished(context, pack, {"one": AFTER, "three": AFTER}, day=1)
    found = {part.export: part for part in compare(context, before, after, show_personal=True)}
    assert found["one"].counts == (1, 1, 1)
    assert "did not make this export" in found["two"].why_not
    assert found["two"].rows == (3, None)
    assert found["three"].totals[0].by is None


def test_personal_values_need_the_right(context):
    before, after = (
        finished(context, PERSONAL, {None: BEFORE}),
        finished(context, PERSONAL, {None: AFTER}, day=1),
    )
    [hidden] = compare(context, before, after, show_personal=False)
    assert (hidden.counts, hidden.pairs, hidden.is_personal) == ((1, 1, 1), None, True)
    [shown] = compare(context, before, after, show_personal=True)
    assert len(shown.pairs) == 3
    # A definition that this program cannot read any more may hold anything.
    odd = finished(context, PERSONAL | {"id": "odd", "model": "gone"}, {None: BEFORE})
    assert compare(context, odd, odd, show_personal=False)[0].is_personal


def test_files_that_are_gone_leave_their_totals(context):
    before, after = finished(context, DAILY, {None: BEFORE}), finished(context, DAILY, {None: AFTER}, day=1)
    context.state.runs.files_gone(before.run_key, "retention", {})
    [part] = compare(context, context.state.runs.get(before.run_key), after, show_personal=True)
    assert "their time was over" in part.why_not
    assert part.counts is None
    assert part.totals[0].by == Decimal("-1.25")


def test_files_that_the_store_has_lost_are_told(context):
    before, after = finished(context, DAILY, {None: BEFORE}), finished(context, DAILY, {None: AFTER}, day=1)
    context.store.delete(after.files[0]["key"])
    [part] = compare(context, before, after, show_personal=True)
    assert "not in the store any more" in part.why_not


def test_encrypted_files_are_for_their_recipients_and_their_totals_for_us(context, tmp_path):
    encryption = {"kind": "zip_aes", "options": {"password_from": "zip"}}
    file = FileOptions.model_validate({"compression": "none", "encryption": encryption})
    secrets = Secrets(tmp_path, {"zip": Connection("zip", password="correct horse battery staple 4711")})
    closed = {"file": file, "secrets": secrets}
    before = finished(context, DAILY, {None: BEFORE}, **closed)
    after = finished(context, DAILY, {None: AFTER}, day=1, **closed)
    [part] = compare(context, before, after, show_personal=True)
    assert "only their recipients can read them" in part.why_not
    assert (part.counts, part.totals[0].by) == (None, Decimal("-1.25"))


def test_too_much_is_refused_with_a_way_out(context, monkeypatch):
    before, after = finished(context, DAILY, {None: BEFORE}), finished(context, DAILY, {None: AFTER}, day=1)
    monkeypatch.setattr(two_runs, "MOST_ROWS", 5)
    [part] = compare(context, before, after, show_personal=True)
    assert "6 rows together, too many" in part.why_not
    assert "loyalty export diff" in part.why_not


def test_a_run_without_files_is_refused(context):
    made = finished(context, DAILY, {None: BEFORE})
    empty = context.state.runs.pin(
        RunRecord(
            definition_id="daily", definition_version="w" * 64, definition=DAILY, as_of=DAY, known_at=DAY
        )
    )
    with pytest.raises(BadInput, match="has no files to compare"):
        compare(context, made, empty, show_personal=True)
