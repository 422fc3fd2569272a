"""A pack: several exports of one snapshot, delivered together with one manifest."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import openpyxl
import pytest

from include import pipeline
from include.connections import Secrets
from include.definitions.model import ExportDefinition, version
from include.errors import BadInput
from include.formats.manifest import read_manifest
from include.formats.verify import verify
from include.pipeline import Context
from tests.pipeline.test_steps import whole

AT = datetime(2026, 3, 2, 5, tzinfo=UTC)
Define = Callable[..., ExportDefinition]
EXPORTS = [
    {"id": "balances", "model": "balance", "fields": ["customer_id", "active"]},
    {"id": "history", "model": "history", "file": {"compression": "none"}},
    {"id": "liability", "model": "liability", "file": {"format": "jsonl"}},
]


def pack(define: Define, **keys: object) -> ExportDefinition:
    return define(
        **{"id": "books", "model": None, "file": {}, "period": "previous_month", "exports": EXPORTS} | keys
    )


def delivered(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "delivered").iterdir())


@pytest.mark.slow
def test_its_files_come_from_one_snapshot_and_have_one_manifest(
    context: Context, define: Define, tmp_path: Path, inline: None
) -> None:
    key, summary = whole(context, pack(define), occurrence=AT)
    assert summary["status"] == "done"
    names = [
        "books_2026-02.manifest.json", "books_balances_2026-02.csv.gz", "books_history_2026-02.csv",
        "books_liability_2026-02.jsonl.gz",
    ]  # fmt: skip
    assert delivered(tmp_path) == names
    path = tmp_path / "delivered" / names[0]
    assert verify(path) == []
    manifest = read_manifest(path)
    assert [file.export for file in manifest.files] == ["balances", "history", "liability"]
    [record] = context.state.deliveries.list(run_key=key)
    assert record.rows == sum(file.rows for file in manifest.files)
    assert (record.receipt or {})["files"][-1]["name"] == names[0]
    # What is about one instant is about the end of the period.
    alone = define(id="alone", fields=["customer_id", "active"], as_of="2026-03-01T00:00:00+01:00")
    whole(context, alone, occurrence=AT)
    same = (tmp_path / "delivered" / names[1]).read_bytes()
    assert (tmp_path / "delivered" / "alone_2026-03-01.csv.gz").read_bytes() == same


@pytest.mark.slow
def test_it_can_be_one_archive_with_the_same_bytes_each_time(
    context: Context, define: Define, tmp_path: Path, inline: None
) -> None:
    whole(context, pack(define, bundle="zip"), occurrence=AT)
    assert delivered(tmp_path) == ["books_2026-02.zip", "books_2026-02.zip.manifest.json"]
    assert verify(tmp_path / "delivered" / "books_2026-02.zip.manifest.json") == []
    first = (tmp_path / "delivered" / "books_2026-02.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "delivered" / "books_2026-02.zip") as archive:
        assert archive.testzip() is None
        assert len(archive.namelist()) == 3
    again = pipeline.pin(context, pack(define, bundle="zip"), occurrence=AT, dry_run=True).run_key
    pipeline.snapshot(context, again)
    assert context.store.read(pipeline.render(context, again)[0]["key"]) == first


def test_it_can_be_one_workbook_with_a_sheet_for_each_export(
    context: Context, define: Define, tmp_path: Path, inline: None
) -> None:
    exports = [{"id": each["id"], "model": each["model"]} for each in EXPORTS]
    compare = {"key": ["holder_id", "subledger_id"]}
    exports[0] |= {"compare": compare, "fields": ["holder_id", "subledger_id", "active"]}
    key, _ = whole(context, pack(define, bundle="workbook", exports=exports), occurrence=AT)
    assert delivered(tmp_path) == ["books_2026-02.xlsx", "books_2026-02.xlsx.manifest.json"]
    path = tmp_path / "delivered" / "books_2026-02.xlsx.manifest.json"
    assert verify(path) == []
    book = openpyxl.load_workbook(tmp_path / "delivered" / "books_2026-02.xlsx", read_only=True)
    assert book.sheetnames == ["balances", "history-", "liability"]  # Excel keeps "history" for itself
    manifest = read_manifest(path)
    assert [file.rows + 1 for file in manifest.files] == [len(list(sheet.rows)) for sheet in book.worksheets]
    [record] = context.state.deliveries.list(run_key=key)
    assert record.rows == sum(file.rows for file in manifest.files)
    assert {"balances: active", "liability: closing"} <= set(record.totals or {})
    # The next one is compared with the sheet that was delivered.
    whole(
        context,
        pack(define, bundle="workbook", exports=exports),
        occurrence=datetime(2026, 4, 2, 5, tzinfo=UTC),
    )
    [told, *_] = read_manifest(tmp_path / "delivered" / "books_2026-03.xlsx.manifest.json").files
    assert told.changes is not None
    assert told.changes.changed > 0


@pytest.mark.slow
def test_an_attempt_that_died_after_the_chain_is_found(
    context: Context, define: Define, inline: None
) -> None:
    from include.pipeline.render_stage import make

    run = pipeline.pin(context, pack(define), occurrence=AT)
    pipeline.snapshot(context, run.run_key)
    run = context.state.runs.get(run.run_key)
    made = make(context.settings, run, Secrets(context.settings.keys), progress=lambda *_: None)
    assert make(context.settings, run, Secrets(context.settings.keys), progress=lambda *_: None) == made
    assert [each["export"] for each in made[:-1]] == ["balances", "history", "liability"]


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"exports": []}, "needs a model to export, or a list of exports"),
        ({"model": "balance"}, "model: 'balance': a pack has this in each of its exports"),
        (
            {"fields": ["active"], "file": {"compression": "zip"}},
            "fields: .* a pack has this in each of its exports, and file.compression too",
        ),
        ({"bundle": "workbook"}, "leave out compression of history"),
        ({"bundle": "workbook", "exports": [{"id": "b" * 32, "model": "balance"}]}, "may have 31 characters"),
        ({"exports": [EXPORTS[0], EXPORTS[0]]}, "two exports are called balances"),
        (
            {"exports": [{"id": "a", "model": "balance", "fields": ["activ"]}]},
            r"exports\[0\]\.fields\[0\]\.field: 'activ'",
        ),
        ({"period": None}, r"exports\[2\]\.period: '': liability needs a period"),
        (
            {"exports": [{"id": n, "model": "balance", "file": {"name": "x_{period}"}} for n in "ab"]},
            "two exports make files of the name x_{period}",
        ),
    ],
)
def test_what_cannot_be_is_refused(context: Context, define: Define, keys: dict, told: str) -> None:
    with pytest.raises(BadInput, match=told):
        pipeline.pin(context, pack(define, **keys), occurrence=AT)


@pytest.mark.slow
def test_the_first_rows_of_one_export_stop_no_other(
    context: Context, define: Define, tmp_path: Path, inline: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    # History leaves in many batches, of which a limit reads the first: what it read is no total to compare.
    monkeypatch.setattr("include.reports.history.SLICE_ROWS", 100)
    first = {"id": "first", "model": "history", "limit": 5}
    whole(context, pack(define, exports=[first, EXPORTS[2]]), occurrence=AT)
    manifest = read_manifest(tmp_path / "delivered" / "books_2026-02.manifest.json")
    assert [file.rows for file in manifest.files] == [5, 2]


@pytest.mark.slow
def test_who_is_new_is_new_in_the_packs_period(
    context: Context, define: Define, tmp_path: Path, inline: None
) -> None:
    fields = ["holder_id", "registered_at"]
    exports = [
        {
            "id": name,
            "model": "balance",
            "fields": fields,
            "filters": filters,
            "file": {"compression": "none"},
        }
        for name, filters in (("new", {"segment": "new"}), ("all", None))
    ]
    whole(context, pack(define, exports=exports, period="previous_year"), occurrence=AT)
    new, everybody = (
        (tmp_path / "delivered" / f"books_{name}_2025.csv").read_text().splitlines()[1:]
        for name in ("new", "all")
    )
    # In Paris the year began at 23:00 UTC on 31 December.
    joined = [row for row in everybody if "2024-12-31T23" <= row.split(",")[1] < "2025-12-31T23"]
    assert new == joined
    assert 0 < len(new) < len(everybody)


@pytest.mark.slow
def test_what_is_wrong_with_rows_names_their_export(context: Context, define: Define, inline: None) -> None:
    # Only the rows tell that they make more files than are allowed.
    torn = {"id": "torn", "model": "balance", "file": {"split": {"field": "holder_id", "most": 2}}}
    with pytest.raises(BadInput, match=r"^torn: file\.split\.most: '2': the split makes more files"):
        whole(context, pack(define, exports=[EXPORTS[0], torn]), occurrence=AT)
    with pytest.raises(BadInput, match=r"^file\.split\.most: '2'"):
        whole(context, define(file=torn["file"]), occurrence=AT)


def test_its_version_changes_with_any_of_its_exports(define: Define) -> None:
    fewer = pack(define, exports=EXPORTS[:2])
    assert version(pack(define)) == version(pack(define)) != version(fewer)
