"""WupSales' three addresses: its columns in each of its formats, its filters, and who may see what."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from starlette.testclient import TestClient

from include.state.audit import Action
from include.state.keys import Scope
from tests.layouts.tiny import Desk
from tests.web.api.asking import Asking
from tests.web.api.wupsales.ledger import LEDGER, ago

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("inline")]

POINTS, ROWS, REDEMPTIONS = (
    f"/wupsales/wp-json/aiwu/v1/{path}"
    for path in ("customers/points", "transactions", "rewards/redemptions")
)
COLUMNS = {
    POINTS: "customer_id,customer_name,email,points_balance,lifetime_points_earned,points_redeemed,points_expired,"
    "loyalty_tier,registration_date,last_points_activity_date",
    ROWS: "transaction_id,customer,date_time,points_change,transaction_type,reason,order_id,admin_user,"
    "balance_before,balance_after",
    REDEMPTIONS: "redemption_date,customer,reward_name,points_cost,reward_value,order_id,coupon_code,redemption_status",
}
Ask = Callable[..., Any]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Asking:
    return Asking(Desk(tmp_path_factory.mktemp("wupsales"), LEDGER).context)


@pytest.fixture(scope="module")
def plugin(shop: Asking) -> TestClient:
    """A client as a tool made for WupSales is one: its key may see personal data."""
    client = shop.client()
    client.headers["x-api-key"] = shop.key(Scope.REPORTS_READ, Scope.PERSONAL).key
    return client


def rows(client: TestClient, path: str, **asked: Any) -> list[dict[str, Any]]:
    answer = client.get(path, params=asked)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = json.loads(answer.text)
    return found


def customers(client: TestClient, **asked: Any) -> list[str]:
    return sorted(row["customer_id"] for row in rows(client, POINTS, **asked))


def iso(days: int, hour: int = 12) -> str:
    return f"{ago(days, hour):%Y-%m-%dT%H:%M:%SZ}"


def test_points_of_each_customer_and_of_no_card(plugin: TestClient) -> None:
    answer = plugin.get(POINTS, params={"format": "csv"})
    assert answer.headers["content-type"].startswith("text/csv")
    assert 'filename="customers-points.csv"' in answer.headers["content-disposition"]
    head, *lines = answer.text.splitlines()
    assert head == COLUMNS[POINTS]
    assert sorted(lines) == [
        # 100.50 - 30
        f"ann,Ann Lee,ann@example.com,70.50,100.50,30.00,0.00,Gold,{iso(100)},{iso(3)}",
        # 20 + 5, of which 20 were earned
        f"bob,Bob,bob@example.com,25.00,20.00,0.00,0.00,,{iso(10)},{iso(1, 13)}",
        f"cy,Cy,cy@example.com,0.00,50.00,0.00,50.00,,{iso(200)},{iso(120)}",
    ]


def test_transactions_with_the_expiry_that_nobody_posted(plugin: TestClient) -> None:
    answer = plugin.get(ROWS, params={"format": "csv"})
    head, *lines = answer.text.splitlines()
    assert head == COLUMNS[ROWS]
    found = {row["transaction_id"]: row for row in csv.DictReader(io.StringIO(answer.text))}
    assert len(lines) == len(found) == 7
    assert found["B"] == {
        "transaction_id": "B", "customer": "ann", "date_time": iso(3), "points_change": "-30.00",
        "transaction_type": "redeemed", "reason": "", "order_id": "", "admin_user": "",
        "balance_before": "100.50", "balance_after": "70.50",
    }  # fmt: skip
    assert (found["E"]["transaction_type"], found["E"]["admin_user"]) == ("adjusted", "eve")
    expiry = found["expiry:F"]
    assert (expiry["transaction_type"], expiry["points_change"], expiry["date_time"]) == (
        "expired",
        "-50.00",
        iso(60),
    )


def test_redemptions_with_their_coupon(plugin: TestClient) -> None:
    [row] = rows(plugin, REDEMPTIONS)
    assert list(row) == COLUMNS[REDEMPTIONS].split(",")
    assert row | {"redemption_date": iso(3)} == {
        "redemption_date": iso(3), "customer": "ann", "reward_name": "5 off", "points_cost": 30, "reward_value": 5,
        "order_id": None, "coupon_code": "SAVE5", "redemption_status": "used",
    }  # fmt: skip


def test_the_same_rows_in_each_format(plugin: TestClient) -> None:
    as_json = {row["customer_id"]: row["points_balance"] for row in rows(plugin, POINTS)}
    xml = plugin.get(POINTS, params={"format": "xml"})
    assert xml.headers["content-type"].startswith("application/xml")
    found = etree.fromstring(xml.content).findall("row")
    as_xml = {row.findtext("customer_id"): float(row.findtext("points_balance") or "") for row in found}
    assert as_json == as_xml == {"ann": 70.5, "bob": 25, "cy": 0}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"range": "last_7_days"}, ["ann", "bob"]),  # of customers: their last activity
        ({"range": "custom", "from": f"{ago(120):%Y-%m-%d}", "to": f"{ago(3):%Y-%m-%d}"}, ["ann", "cy"]),
        ({"tier": "Gold"}, ["ann"]),
        ({"tier": ["Gold", "Silver"], "activity": "inactive"}, []),
        ({"min_points": "25"}, ["ann", "bob"]),
        ({"min_points": "0.01", "max_points": "70.49"}, ["bob"]),
        ({"activity": "active"}, ["ann", "bob"]),
        ({"activity": "inactive"}, ["cy"]),
        ({"activity": "never_redeemed"}, ["bob", "cy"]),
        ({"min_orders": 1}, ["ann", "bob"]),
        ({"min_orders": 2}, ["ann"]),  # the canceled one does not count
        ({"min_orders": 3}, []),
        ({"registration": "new"}, ["bob"]),
        ({"registration": "returning"}, ["ann", "cy"]),
        ({"program": "p"}, ["ann", "bob", "cy"]),
    ],
)
def test_each_filter_keeps_whom_it_says(
    plugin: TestClient, asked: dict[str, Any], expected: list[str]
) -> None:
    assert customers(plugin, **asked) == expected


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"range": "last_7_days"}, ["B", "C", "E", "G"]),
        ({"range": "custom", "from": f"{ago(60):%Y-%m-%d}", "to": f"{ago(40):%Y-%m-%d}"}, ["A", "expiry:F"]),
        ({"tier": "Gold"}, ["A", "B"]),
        ({"activity": "never_redeemed", "range": "last_7_days"}, ["C", "E"]),
        ({"min_orders": 1, "max_points": "30"}, ["C", "E"]),
        ({"min_orders": 3}, []),
        ({"program": "p", "registration": "returning"}, ["A", "B", "F", "expiry:F"]),
    ],
)
def test_filters_of_days_and_of_customers_choose_transactions(
    plugin: TestClient, asked: dict[str, Any], expected: list[str]
) -> None:
    assert sorted(row["transaction_id"] for row in rows(plugin, ROWS, **asked)) == expected


def test_filters_choose_redemptions_too(plugin: TestClient) -> None:
    assert len(rows(plugin, REDEMPTIONS, range="last_7_days", tier="Gold", min_orders=2)) == 1
    assert rows(plugin, REDEMPTIONS, activity="never_redeemed") == []
    last_week = {"range": "custom", "from": f"{ago(20):%Y-%m-%d}", "to": f"{ago(4):%Y-%m-%d}"}
    assert rows(plugin, REDEMPTIONS, **last_week) == []


def test_without_the_right_to_personal_data_names_are_empty(shop: Asking) -> None:
    client = shop.client(Scope.REPORTS_READ)  # by Authorization: Bearer
    assert {(row["customer_name"], row["email"]) for row in rows(client, POINTS)} == {(None, None)}
    assert {row["admin_user"] for row in rows(client, ROWS, range="last_7_days")} == {None}
    assert customers(client, tier="Gold", min_orders=1) == ["ann"]


def test_keys_that_may_not(shop: Asking) -> None:
    nobody, other = shop.client(), shop.client(Scope.IMPORTS_WRITE)
    for path in COLUMNS:
        assert nobody.get(path).status_code == 401
        assert nobody.get(path, headers={"x-api-key": "loy_wrong"}).status_code == 401
        assert other.get(path).status_code == 403
        assert nobody.post(path).status_code == 405


def test_a_filter_that_stands_twice_is_refused_where_it_takes_one_value(plugin: TestClient) -> None:
    answer = plugin.get(f"{POINTS}?range=last_7_days&range=all_time&min_points=1&min_points=2")
    assert answer.status_code == 422
    assert [(each["where"], each["value"]) for each in answer.json()["problems"]] == [
        ("range", "last_7_days, all_time"),
        ("min_points", "1, 2"),
    ]
    assert plugin.get(f"{POINTS}?tier=Gold&tier=Silver").status_code == 200


def test_what_is_wrong_is_told_by_name(plugin: TestClient) -> None:
    answer = plugin.get(POINTS, params={"range": "last_8_days", "min_points": "many", "colour": "red"})
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert {each["where"] for each in answer.json()["problems"]} == {"range", "min_points", "colour"}
    unknown = plugin.get(ROWS, params={"program": "nowhere", "tier": "Gold"})
    assert unknown.json()["problems"][0]["code"] == "unknown_program"
    assert unknown.json()["problems"][0]["where"] == "program"
    for path in (POINTS, ROWS):
        future = plugin.get(path, params={"range": "custom", "from": "2199-01-01"})
        [problem] = future.json()["problems"]
        assert (future.status_code, problem["where"], problem["code"]) == (422, "from", "start_after_end")


def test_who_has_an_answer_already_is_not_sent_it_again(plugin: TestClient) -> None:
    first = plugin.get(
        REDEMPTIONS, params={"range": "custom", "from": f"{ago(5):%Y-%m-%d}", "to": f"{ago(1):%Y-%m-%d}"}
    )
    again = plugin.get(first.url, headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert first.headers["loyalty-rows"] == "1"


def test_orders_that_a_ledger_does_not_have(tmp_path: Path) -> None:
    desk = Desk(tmp_path, LEDGER)
    with sqlite3.connect(tmp_path / "ledger.sqlite") as ledger:
        ledger.execute("DROP TABLE orders")
    answer = Asking(desk.context).client(Scope.REPORTS_READ).get(POINTS, params={"min_orders": 1})
    assert answer.status_code == 422
    assert "orders" in answer.json()["detail"]


def test_customers_are_chosen_by_a_file_and_named_in_no_definition(shop: Asking, plugin: TestClient) -> None:
    """So there may be any number of them; the audit chain tells one choice from another."""
    for asked in ({"tier": "Gold"}, {"tier": "Silver"}, {"tier": "Gold"}):
        rows(plugin, ROWS, **asked)
    told = [
        each
        for each in shop.context.state.audit.newest(action=Action.REPORT_READ)
        if each.detail["model"] == "history"
    ][:3]
    assert len({each.subject for each in told}) == 1  # the definition's version
    last, other, first = (each.detail["among"] for each in told)
    assert last == first != other
