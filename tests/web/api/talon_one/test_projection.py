"""What a customer's points become by themselves until a day to come, at each midnight of UTC.

Dee    A  10 days ago at noon   earned    100   expires at noon of the day after tomorrow
       B   5 days ago           redeemed  -30   of A, so 70 are left
       P  yesterday             earned     50   active from the midnight that ends the third day after today
travel R   5 days ago           redeemed   -5   for nothing: a debt
       S  yesterday             earned     20   active from noon of tomorrow, of which 5 repay the debt
card K Q   3 days ago           earned      8   expires at the midnight that ends today
"""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from include.pipeline.erasure.erase import erase
from include.state.keys import Scope
from tests.layouts.tiny import Desk
from tests.pipeline.people import key_of_erased
from tests.web.api.asking import Asking

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("inline")]  # it makes a ledger, and books

TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
PATH = "/talon-one/v1/customer_profiles/dee/inventory"


def day(number: int, hour: int = 0) -> datetime:
    return TODAY + timedelta(days=number, hours=hour)


_BASE = {"program_id": "p", "customer_id": "dee", "source": "API"}
LEDGER: dict[str, list[dict[str, Any]]] = {
    "programs": [
        {"program_id": "p", "external_id": 7, "name": "Club", "currency": "EUR", "time_zone": "Asia/Tokyo"},
        {"program_id": "q", "name": "No number", "currency": "EUR", "time_zone": "UTC"},
    ],
    "customers": [{"customer_id": "dee"}],
    "cards": [{"card_id": "K", "program_id": "p", "customer_id": "dee"}],
    "transactions": [
        {**_BASE, "transaction_id": "A", "type": "earned", "points": D(100), "created_at": day(-10, 12), "expires_at": day(2, 12)},
        {**_BASE, "transaction_id": "B", "type": "redeemed", "points": D(-30), "created_at": day(-5)},
        {**_BASE, "transaction_id": "P", "type": "earned", "points": D(50), "created_at": day(-1), "activates_at": day(4)},
        {**_BASE, "transaction_id": "R", "type": "redeemed", "points": D(-5), "created_at": day(-5), "subledger_id": "travel"},
        {**_BASE, "transaction_id": "S", "type": "earned", "points": D(20), "created_at": day(-1), "activates_at": day(1, 12),
         "subledger_id": "travel"},
        {**_BASE, "transaction_id": "Q", "type": "earned", "points": D(8), "created_at": day(-3), "expires_at": day(1),
         "card_id": "K"},
        {**_BASE, "transaction_id": "X", "type": "earned", "points": D(9), "created_at": day(-3), "program_id": "q"},
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    asking = Asking(Desk(tmp_path_factory.mktemp("projection"), LEDGER).context)
    client = asking.client()
    client.headers["authorization"] = f"ApiKey-v1 {asking.key(Scope.REPORTS_READ).key}"
    return client


def loyalty(client: TestClient, until: str) -> Any:
    answer = client.get(PATH, params={"loyaltyProjectionEndDate": until})
    assert answer.status_code == 200, answer.text
    return answer.json()["loyalty"]


def course(ledger: Any) -> list[tuple[float, ...]]:
    """Expiring, activating and projected, midnight after midnight."""
    return [
        (each["expiringPoints"], each["activatingPoints"], each["projectedBalance"])
        for each in ledger["projection"]["projections"]
    ]


def test_each_midnight_until_the_end_date(client: TestClient) -> None:
    found = loyalty(client, f"{day(5):%Y-%m-%d}")
    assert list(found["programs"]) == ["7"]  # a program without a number cannot be told
    main = found["programs"]["7"]["ledger"]
    assert (main["currentBalance"], main["pendingBalance"]) == (70, 50)
    assert [each["date"] for each in main["projection"]["projections"]] == [
        f"{day(number):%Y-%m-%dT00:00:00Z}" for number in range(1, 6)
    ]
    assert course(main) == [(0, 0, 70), (0, 0, 70), (70, 0, 0), (70, 50, 50), (70, 50, 50)]
    assert main["projection"]["totalExpiringPoints"] == 70
    assert main["projection"]["totalActivatingPoints"] == 50


def test_a_debt_is_repaid_on_the_way(client: TestClient) -> None:
    travel = loyalty(client, f"{day(2):%Y-%m-%d}")["programs"]["7"]["subLedgers"]["travel"]
    assert (travel["currentBalance"], travel["negativeBalance"], travel["pendingBalance"]) == (0, 5, 20)
    assert course(travel) == [(0, 0, -5), (0, 20, 15)]


def test_what_expires_at_a_midnight_is_gone_then(client: TestClient) -> None:
    [card] = loyalty(client, f"{day(1):%Y-%m-%d}")["cards"]
    assert (card["identifier"], card["ledger"]["currentBalance"]) == ("K", 8)
    assert course(card["ledger"]) == [(8, 0, 0)]


def test_thirty_one_days_and_no_more(client: TestClient) -> None:
    assert len(course(loyalty(client, f"{day(31):%Y-%m-%d}")["programs"]["7"]["ledger"])) == 31
    for wrong in (day(32), day(-1)):
        answer = client.get(PATH, params={"loyaltyProjectionEndDate": f"{wrong:%Y-%m-%d}"})
        assert (answer.status_code, answer.json()["errors"][0]["title"]) == (400, "bad end date")


def test_without_an_end_date_nothing_is_projected(client: TestClient) -> None:
    found = client.get(PATH, params={"loyalty": True}).json()["loyalty"]
    assert "projection" not in found["programs"]["7"]["ledger"]


def test_statistics_of_today_are_made_in_a_process_of_their_own(client: TestClient) -> None:
    answer = client.get("/talon-one/v1/loyalty_programs/7/statistics")
    assert answer.status_code == 200, answer.text
    # Dee 70, and K 8; P 50 and S 20 wait; 30 and 5 were spent, and 5 of them are owed
    assert answer.json() == {
        "date": f"{TODAY:%Y-%m-%dT00:00:00Z}", "totalActivePoints": 78, "totalPendingPoints": 70,
        "totalSpentPoints": 35, "totalExpiredPoints": 0, "totalNegativePoints": 5, "totalMembers": 1, "newMembers": 0,
        "earnedPoints": {"createdManually": 0, "createdViaRuleEngine": 0},
        "spentPoints": {"createdManually": 0, "createdViaRuleEngine": 0},
    }  # fmt: skip


def test_who_was_erased_has_nothing_any_more(tmp_path: Path) -> None:
    context = dataclasses.replace(Desk(tmp_path, LEDGER).context, connections=key_of_erased)
    asking = Asking(context)
    client = asking.client()
    client.headers["authorization"] = f"ApiKey-v1 {asking.key(Scope.REPORTS_READ, Scope.PERSONAL).key}"
    asked = {"loyalty": True, "profile": True}
    assert client.get(PATH, params=asked).status_code == 200
    done = erase(context, customer="dee")
    for name in ("dee", done.pseudonym):
        assert client.get(PATH.replace("dee", name), params=asked).status_code == 404
