"""What the vendor's client is told when something is wrong: always the vendor's body, with all that is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import talon_one
from starlette.testclient import TestClient
from talon_one.rest import ApiException

from include.state.keys import Scope
from tests.web.api.asking import Asking
from tests.web.api.talon_one.conftest import Vendor

pytestmark = [pytest.mark.slow, pytest.mark.servers, pytest.mark.usefixtures("inline")]
V1 = "/talon-one/v1/loyalty_programs"
PROFILE = f"{V1}/7/profile/ann"


def told(error: ApiException) -> dict[str, Any]:
    """The body, as the client's own model reads it."""
    body: dict[str, Any] = json.loads(error.body)
    api = talon_one.ApiClient()
    read = api.deserialize_model(body, talon_one.ErrorResponseWithStatus)
    assert read.status_code == error.status == body["StatusCode"]
    assert read.message
    return body


def refused(call: Callable[..., Any], *arguments: Any, **named: Any) -> dict[str, Any]:
    with pytest.raises(ApiException) as caught:
        call(*arguments, **named)
    return told(caught.value)


class TestNobody:
    @pytest.mark.parametrize(
        "name", ["nobody", "K1", "ann ", "ANN", "x" * 4000, "...", "a?b#c", "%2e", "\N{PILE OF POO}", "'"]
    )
    def test_profiles_that_are_not_there(self, vendor: Vendor, name: str):
        ask = vendor.integration
        for call in (ask.get_loyalty_balances, ask.get_loyalty_program_profile_transactions):
            assert refused(call, 7, name)["StatusCode"] == 404
        body = refused(vendor.management.export_loyalty_ledger, "2026-01-01", "2026-02-01", "7", name)
        assert (body["StatusCode"], body["errors"]) == (404, [])

    def test_cards_that_are_not_there_or_of_another_program(self, vendor: Vendor):
        for program, card in ((7, "K9"), (7, "X1"), (9, "K1"), (7, "ann")):
            assert refused(vendor.integration.get_loyalty_card_balances, program, card)["StatusCode"] == 404
            assert (
                refused(vendor.integration.get_loyalty_card_transactions, program, card)["StatusCode"] == 404
            )
            assert (
                refused(vendor.management.get_loyalty_card_transaction_logs, program, card)["StatusCode"]
                == 404
            )
            log = vendor.management.export_loyalty_card_ledger
            assert refused(log, program, card, "2026-01-01", "2026-02-01")["StatusCode"] == 404

    @pytest.mark.parametrize("number", [8, 0, -7, 2**70])
    def test_programs_that_are_not_there(self, vendor: Vendor, number: int):
        assert refused(vendor.integration.get_loyalty_balances, number, "ann")["message"] == (
            f"There is no loyalty program '{number}'."
        )
        for call in (vendor.management.export_loyalty_balances, vendor.management.export_customers_tiers):
            assert refused(call, str(number))["StatusCode"] == 404


class TestParameters:
    @pytest.mark.parametrize(
        "text",
        ["", "yesterday", "2026-13-01", "2026-02-30", "2026-03-01T25:00:00Z", "2026-W09", "20260301", "01/03/2026",
         "2026-03-01T00:00:00+99:00", "0001-01-01T00:00:00+01:00", "1767225600", "2026-03-01T00:00:00Z; DROP TABLE x"],
    )  # fmt: skip
    def test_dates_that_are_none(self, vendor: Vendor, text: str):
        body = refused(vendor.integration.get_loyalty_balances, 7, "ann", end_date=text)
        [wrong] = body["errors"]
        assert (body["StatusCode"], wrong["source"]) == (400, {"parameter": "endDate"})
        assert "RFC 3339" in wrong["details"]

    def test_all_that_is_wrong_at_once(self, club: Asking):
        client = vendors(club)
        query = "pageSize=0&skip=-1&loyaltyTransactionType=gift&startDate=soon&endDate=late"
        answer = client.get(f"{PROFILE}/transactions?{query}")
        assert answer.status_code == 400
        names = sorted(each["source"]["parameter"] for each in answer.json()["errors"])
        assert names == ["endDate", "loyaltyTransactionType", "pageSize", "skip", "startDate"]

    @pytest.mark.parametrize("size", ["0", "1001", "1e3", "-1", "99999999999999999999"])
    def test_pages_that_are_none(self, club: Asking, size: str):
        assert vendors(club).get(f"{PROFILE}/transactions?pageSize={size}").status_code == 400

    def test_a_log_needs_both_ends_the_right_way_round(self, club: Asking, vendor: Vendor):
        missing = vendors(club).get(f"{PROFILE}/export_log")
        assert sorted(each["source"]["parameter"] for each in missing.json()["errors"]) == [
            "rangeEnd",
            "rangeStart",
        ]
        for start, end in (("2026-03-01", "2026-02-01"), ("2026-03-01", "2026-03-01")):
            body = refused(vendor.management.export_loyalty_ledger, start, end, "7", "ann")
            assert [each["source"] for each in body["errors"]] == [{"parameter": "rangeEnd"}]
        days = "2026-01-01", "2026-02-01"
        body = refused(vendor.management.export_loyalty_ledger, *days, "7", "ann", date_format="US")
        assert [each["source"] for each in body["errors"]] == [{"parameter": "dateFormat"}]

    def test_a_program_that_is_no_number(self, club: Asking):
        answer = vendors(club).get(f"{V1}/seven/profile/ann/balances")
        assert (answer.status_code, answer.json()["errors"][0]["source"]) == (
            400,
            {"parameter": "loyaltyProgramId"},
        )

    def test_what_clients_write_without_encoding(self, club: Asking):
        plus = vendors(club).get(
            f"{PROFILE}/balances?endDate=2026-02-05T01:00:00+01:00"
        )  # arrives as a space
        assert (plus.status_code, plus.json()["balance"]["activePoints"]) == (200, 100)
        assert vendors(club).get(f"{PROFILE}/balances?includeTiers=perhaps").status_code == 400


class TestKeys:
    def test_no_key_and_keys_that_are_none(
        self, with_key: Callable[[str], Vendor], club: Asking, address: str
    ):
        revoked = club.key(Scope.REPORTS_READ)
        club.context.state.keys.revoke(revoked.record.id, by="ann")
        for key in ("wrong", "loy_0_0", revoked.key, revoked.key[:-1]):
            assert refused(with_key(key).integration.get_loyalty_balances, 7, "ann")["StatusCode"] == 401
        bare = talon_one.ManagementApi(talon_one.ApiClient(talon_one.Configuration(host=address)))
        assert refused(bare.export_loyalty_balances, "7")["StatusCode"] == 401

    def test_a_key_without_the_scope(self, with_key: Callable[[str], Vendor], club: Asking):
        other = with_key(club.key(Scope.RUNS_READ).key)
        assert "reports:read" in refused(other.integration.get_loyalty_balances, 7, "ann")["message"]
        assert refused(other.management.export_loyalty_balances, "7")["StatusCode"] == 403
        # Who may not ask is not told which programs there are.
        assert refused(other.management.export_loyalty_balances, "8")["StatusCode"] == 403

    def test_a_key_that_asks_too_often(self, club: Asking):
        # The vendor's client waits as long as it is told, and asks again by itself.
        few = vendors(club, club.key(Scope.REPORTS_READ, per_minute=1).key)
        answers = [few.get(f"{PROFILE}/balances") for _ in range(10)]  # minutes may begin meanwhile
        late = next(answer for answer in answers if answer.status_code == 429)
        assert late.json()["StatusCode"] == 429
        assert 0 < int(late.headers["Retry-After"]) <= 60

    def test_the_audit_chain_tells_who_looked_at_whom_and_names_nobody(self, club: Asking):
        made = club.key(Scope.REPORTS_READ)
        client = vendors(club, made.key)
        client.get(f"{PROFILE}/balances")
        client.get(f"{PROFILE}/transactions")
        client.get(f"{PROFILE}/export_log?rangeStart=2026-01-01&rangeEnd=2026-02-01")
        chain = club.context.state.audit.entries()
        entries = [each for each in chain if each.actor == made.record.actor]
        assert [each.action for each in entries].count("customer_seen") == 2
        assert [each.action for each in entries].count("customer_exported") == 1
        assert all("ann" not in each.subject for each in entries)


def test_answers_say_when_they_were_read_and_as_of_when(club: Asking):
    answer = vendors(club).get(f"{PROFILE}/balances?endDate=2026-03-01")
    assert answer.headers["loyalty-as-of"] == "2026-03-01T00:00:00.000Z"
    read = datetime.fromisoformat(answer.headers["loyalty-read-at"])
    assert abs((datetime.now(UTC) - read).total_seconds()) < 60


def test_a_file_that_one_has_is_not_sent_again(club: Asking):
    client = vendors(club)
    first = client.get(f"{V1}/7/export_join_dates")
    assert first.headers["content-type"].startswith("application/csv")
    again = client.get(f"{V1}/7/export_join_dates", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def vendors(club: Asking, key: str | None = None) -> TestClient:
    """A client of any make that brings its key as the vendor's do."""
    client = TestClient(club.app, base_url="http://127.0.0.1:8080", raise_server_exceptions=False)
    client.headers["authorization"] = f"ManagementKey-v1 {key or club.key(Scope.REPORTS_READ).key}"
    return client
