"""What a definition makes of a model's rows, read out of the delivered file: filter, order, groups, layout, split."""

from __future__ import annotations

import csv
import gzip
import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from include import pipeline
from include.definitions.model import ExportDefinition
from include.errors import BadInput
from include.formats.manifest import read_manifest
from include.formats.verify import verify
from include.pipeline import Context
from tests.pipeline.test_steps import whole

Define = Callable[..., ExportDefinition]
AT = datetime(2026, 3, 2, 5, tzinfo=UTC)
FEBRUARY = {"period": "previous_month", "schedule": {"kind": "monthly", "days": [1], "time": "06:00"}}
pytestmark = pytest.mark.usefixtures("inline")


@pytest.fixture
def export(
    context: Context, define: Define, tmp_path: Path
) -> Callable[..., dict[str, list[dict[str, str]]]]:
    """Deliver an export; return the rows of its files by name, once everything has been verified."""

    def run(**keys: object) -> dict[str, list[dict[str, str]]]:
        _, summary = whole(context, define(**keys), occurrence=AT)
        folder = tmp_path / "delivered"
        names = [each["name"] for each in summary["files"]]  # type: ignore[attr-defined, index, union-attr]
        assert verify(folder / names[-1]) == []
        texts = {name: gzip.decompress((folder / name).read_bytes()).decode() for name in names[:-1]}
        return {name: list(csv.DictReader(text.splitlines())) for name, text in texts.items()}

    return run


@pytest.mark.slow
def test_filters_order_and_limit_decide_which_rows_come_when(export) -> None:
    [everyone] = export(id="all").values()
    filters = [{"field": "tier", "in": ["Gold", "Silver"]}, {"field": "active", "more_than": "10.50"}]
    [some] = export(filters=filters, order=["-active", "holder_id"], limit=20).values()
    expected = [
        row
        for row in everyone
        if row["tier"] in {"Gold", "Silver"} and Decimal(row["active"]) > Decimal("10.50")
    ]
    expected.sort(key=lambda row: (-Decimal(row["active"]), row["holder_id"]))
    assert len(expected) > 20
    assert some == expected[:20]


@pytest.mark.slow
def test_groups_add_up_to_the_rows(export) -> None:
    [everyone] = export(id="all").values()
    aggregation = [
        {"field": "tier", "function": "group"}, {"field": "holder_id", "function": "count", "header": "accounts"},
        {"field": "active", "function": "sum", "header": "points"}, {"field": "active", "function": "max", "header": "most"},
    ]  # fmt: skip
    [groups] = export(aggregation=aggregation).values()
    count = Counter(row["tier"] for row in everyone)
    assert {row["tier"]: int(row["accounts"]) for row in groups} == count
    assert sum(Decimal(row["points"]) for row in groups) == sum(Decimal(row["active"]) for row in everyone)
    assert len(groups) > 2


@pytest.mark.slow
def test_a_field_splits_an_export_into_a_file_for_each_value(export, tmp_path: Path) -> None:
    files = export(file={"split": {"field": "tier"}}, fields=["holder_id", "tier"])
    assert "balances_2026-03-02T0600_Gold.csv.gz" in files
    for name, rows in files.items():
        assert {row["tier"] or "none" for row in rows} == {name.split("_")[2].removesuffix(".csv.gz")}
    manifest = read_manifest(tmp_path / "delivered" / "balances_2026-03-02T0600.manifest.json")
    assert sum(file.rows for file in manifest.files) == sum(map(len, files.values()))


@pytest.mark.slow
def test_the_name_says_where_the_part_stands_and_the_manifest_has_none(export, tmp_path: Path) -> None:
    file = {"split": {"field": "tier"}, "name": "{part} of {period}"}
    files = export(file=file, fields=["holder_id", "tier"])
    assert "Gold of 2026-03-02T0600.csv.gz" in files
    manifest = read_manifest(tmp_path / "delivered" / "of 2026-03-02T0600.manifest.json")
    assert {file.name for file in manifest.files} == set(files)


@pytest.mark.slow
def test_a_layout_has_the_headers_of_its_system(export) -> None:
    keys = {"model": "history", "layout": "wupsales.history", **FEBRUARY}
    [rows] = export(**keys, id="wupsales").values()
    assert list(rows[0]) == [
        "transaction_id", "customer", "date_time", "points_change", "transaction_type", "reason", "order_id",
        "admin_user", "balance_before", "balance_after",
    ]  # fmt: skip
    assert {row["transaction_type"] for row in rows} == {"earned", "redeemed", "adjusted", "expired"}
    fields = [{"field": "points_change", "header": "Points"}, "customer"]
    [chosen] = export(**keys, id="chosen", fields=fields).values()
    assert [(row["points_change"], row["customer"]) for row in rows] == [
        tuple(row.values()) for row in chosen
    ]
    assert list(chosen[0]) == ["Points", "customer"]


def test_a_layouts_limit_goes_by_its_column_whatever_that_is_called(export) -> None:
    keys = {"model": "journal", "layout": "accounting.quickbooks_online", **FEBRUARY}
    [name] = export(**keys, id="as-it-is")
    assert name == "as-it-is_2026-02_0001.csv.gz"
    renamed = [{"field": "Journal No.", "header": "Number"}, "Debits"]
    [(name, rows)] = export(**keys, id="renamed", fields=renamed).items()
    assert name == "renamed_2026-02_0001.csv.gz"
    assert len({row["Number"] for row in rows}) == 2, "one of each program"
    # What has no journal's number is no file for that program, and has no limit.
    assert list(export(**keys, id="bare", fields=["Debits"])) == ["bare_2026-02.csv.gz"]


@pytest.mark.slow
def test_a_relation_and_a_property_of_its_json_can_be_exported(export, context: Context) -> None:
    fields = ["order_id", "total_amount", "metadata.channel"]
    [rows] = export(
        model="orders", fields=fields, filters=[{"field": "status", "is": "PAID"}], as_of=None
    ).values()
    assert list(rows[0]) == fields
    assert len(rows) > 10


@pytest.mark.slow
def test_a_model_reads_no_column_that_nobody_asked_for(export, monkeypatch) -> None:
    asked: list[frozenset[str]] = []
    from include.reports import relation

    real = relation.RelationModel.report
    monkeypatch.setattr(
        relation.RelationModel,
        "report",
        lambda self, one, *more: (asked.append(one.wanted), real(self, one, *more))[1],
    )
    export(model="stores", fields=["name"], order=["city"])
    assert asked == [frozenset({"name", "city"})]


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"filters": {"field": "teir", "is": "Gold"}}, "filters.*'teir'"),
        ({"order": ["activ"]}, "order.*'activ'"),
        (
            {"layout": "voucherify.customer"},
            "layout: 'voucherify.customer': is made of customers, and this export is of balance",
        ),
        ({"layout": "voucherify.costumer"}, "known layouts are accounting.points_accounting"),
        ({"layout": "wupsales.balance", "fields": ["active"]}, "fields\\[0\\].field: 'active'"),
        ({"file": {"split": {"field": "teir"}}}, "file.split.field: 'teir'"),
    ],
)
def test_what_does_not_fit_the_model_is_refused_before_anything_is_read(
    context: Context, define: Define, keys: dict, told: str
) -> None:
    with pytest.raises(BadInput, match=told):
        pipeline.pin(context, define(**keys), occurrence=AT)
    assert json.dumps(context.state.runs.list()) == "[]"
