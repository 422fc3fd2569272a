"""Our own exports, edited by a person, import again; the golden files are what the layouts' tests pin."""

from pathlib import Path

import pyarrow as pa
import pytest

from include.formats import csv, tsv, xlsx
from include.ledger.catalog import FieldType
from include.ledger.columns import Column
from include.reports import balance
from tests.imports.opened import opened, refused
from tests.layouts.tiny import CLUB, Desk, table

GOLDEN = Path(__file__).parents[1] / "golden" / "layouts"


def export(name):
    lines = (GOLDEN / f"{name}.csv").read_text("utf-8").splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith("#"))


def test_joy_customers_with_a_point_changed():
    """Ann had 75; a person writes 100."""
    edited = export("joy.customers").replace("75.00", "100")
    for mode in ("add", "reset"):
        seen = opened(edited, mode)
        assert seen.good == [
            {"email": "ann@example.com", "points": 100_00},
            {"email": "bob@example.com", "points": 0},
        ]
        assert seen.ignored == ("Name", "Membership Type", "Birthday", "Created Date")


def test_joy_customers_with_a_birthday_changed():
    edited = export("joy.customers").replace("Bob,,0.00,,", "Bob,,0.00,02/29,")
    assert refused(edited, "birthday") == [
        "p.csv: header: 'Birthday': rename this column to Birthday(MM/DD), exactly"
    ]
    assert opened(edited.replace("Birthday", "Birthday(MM/DD)"), "birthday").good == [
        {"email": "ann@example.com", "birthday": "03/03"},
        {"email": "bob@example.com", "birthday": "02/29"},
    ]


def test_talon_one_balances_reset():
    assert opened(export("talon_one.customer_balances"), "reset").good == [
        {"program": "7", "customer_id": "ann", "points": 75_00},
        {"program": "7", "customer_id": "bob", "points": 0},
    ]
    assert opened(export("talon_one.card_balances"), "reset").good == [
        {"program": "7", "card_id": "K2", "points": 8_00},
        {"program": "7", "card_id": "K1", "points": 0},
    ]


def test_talon_one_lots_become_points():
    """Open lots with their dates; the lot of a card that nobody owns names no customer."""
    seen = opened(export("talon_one.import_points"), "points")
    assert seen.problems == ["p.csv: row 2, customerprofileid: '': the row names no member"]
    assert [(row["customer_id"], row["points"], row["reason"]) for row in seen.good] == [
        ("bob", 40_00, "D"), ("ann", 70_00, "A"), ("ann", 5_00, "C"),
    ]  # fmt: skip
    assert [row.get("expires_at", "never") for row in seen.good][1:] == [seen.good[1]["expires_at"], "never"]


def test_wupsales_balance_reset():
    seen = opened(export("wupsales.balance"), "reset")
    assert [(row["customer_id"], row["email"], row["points"]) for row in seen.good] == [
        ("ann", "ann@example.com", 75_00), ("bob", "bob@example.com", 0),
    ]  # fmt: skip
    assert seen.problems == ["p.csv: row 2, customer_id: '': the row names no member"]


@pytest.mark.parametrize("name", ["joy.customers", "talon_one.customer_balances", "wupsales.balance"])
def test_no_header_of_an_export_is_taken_for_a_misspelling(name):
    for mode in ("add", "reset", "points", "birthday"):
        try:
            problems = refused(export(name), mode)
        except AssertionError:
            continue  # it was read
        assert not [problem for problem in problems if "did you mean" in problem]


POINTS = {"active", "pending", "expired", "spent", "negative_balance", "points_balance", "lifetime_earned"}
HELD = {
    "program_id": ["p", "p"], "holder_kind": ["customer", "card"], "holder_id": ["-007", "K1"],
    "customer_id": ["-007", "bob"], "email": ["ann@example.com", None], "subledger_id": ["", "x"],
    "points_balance": [-12_34, 999_999_999_999_99],
}  # fmt: skip


def balances(columns):
    arrays = []
    for column in columns:
        kind = pa.int64() if column.type in {FieldType.POINTS, FieldType.INTEGER} else pa.string()
        kind = pa.timestamp("us", tz="UTC") if column.type is FieldType.INSTANT else kind
        arrays.append(pa.array(HELD.get(column.name, [None, None]), kind))
    return pa.record_batch(arrays, names=[column.name for column in columns])


@pytest.mark.parametrize(
    ("form", "options"),
    [
        (csv, csv.Options()),
        (csv, csv.Options(encoding="utf-8-bom", newline="crlf", quoting="all")),
        (csv, csv.Options(encoding="utf-16", delimiter=";")),
        (csv, csv.Options(profile="machine", delimiter="|")),
        (tsv, tsv.Options()),
        (xlsx, xlsx.Options()),
    ],
)
def test_our_balance_report_in_every_form_of_table(form, options):
    """Ids that look like formulas, a debt, a large balance: the same rows from each."""
    columns: tuple[Column, ...] = balance.columns(balance.Options())
    content = b"".join(form.encode(columns, [balances(columns)], options))
    seen = opened(content, "reset")
    assert seen.problems == []
    assert seen.good == [
        {"program": "p", "customer_id": "-007", "email": "ann@example.com", "points": -12_34},
        {"program": "p", "card_id": "K1", "subledger_id": "x", "points": 999_999_999_999_99},
    ]


@pytest.mark.slow
def test_an_export_of_the_pipeline_imports_as_it_is(tmp_path):
    """A reset to what the report says: Ann 75, Bob 0, K1 0 (40 are pending), K2 8."""
    (text,) = Desk(tmp_path, CLUB).export({"balance": {"model": "balance"}}, start=None)["balance"]
    seen = opened(text, "reset")
    assert seen.problems == []
    stated = {row["holder_id"]: row["points_balance"] for row in table(text)}
    found = {row.get("card_id") or row["customer_id"]: f"{row['points'] / 100:.2f}" for row in seen.good}
    assert found == stated == {"ann": "75.00", "bob": "0.00", "K1": "0.00", "K2": "8.00"}
