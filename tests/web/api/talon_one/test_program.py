"""The vendor's own client library, unmodified, reads all of a program: transactions, figures by day, what people have."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest
from talon_one import ApiException

from include.state.keys import Scope
from tests.layouts.tiny import Desk, at
from tests.web.api.asking import Asking
from tests.web.api.talon_one.conftest import Vendor
from tests.web.api.talon_one.ledger import ODD, UUID

pytestmark = [pytest.mark.slow, pytest.mark.servers, pytest.mark.usefixtures("inline")]
MARCH = at("03-01")


def moment(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.fixture(scope="module")
def seeing(club: Asking, with_key: Callable[[str], Vendor]) -> Vendor:
    """A client that may see personal data too."""
    return with_key(club.key(Scope.REPORTS_READ, Scope.PERSONAL).key)


class TestTransactions:
    def test_the_last_fifty_of_everybody(self, vendor: Vendor):
        found = vendor.management.get_loyalty_program_transactions(7)
        assert (len(found.data), found.has_more) == (50, True)
        newest = found.data[:3]
        assert [each.created.timestamp() for each in newest] == [
            moment(f"2026-02-{day}") for day in ("12", "11", "10")
        ]
        unowned, card, goodwill = newest
        assert (unowned.card_identifier, unowned.customer_profile_id, unowned.amount) == ("K2", None, 8)
        assert (card.card_identifier, card.customer_profile_id, card.type) == ("K1", "bob", "addition")
        assert (card.start_date, card.expiry_date) == ("2026-03-15T00:00:00Z", "unlimited")
        assert (goodwill.customer_profile_id, goodwill.name, goodwill.user_email) == ("ann", "Goodwill", None)

    def test_pages_go_on_until_all_were_there(self, vendor: Vendor):
        ask = vendor.management.get_loyalty_program_transactions
        pages = [ask(7, page_size=50, skip=skip) for skip in (0, 50, 100, 150)]
        # 6 rows of the Club, T1, R, I1 and I2, and 120 of Mo; T2 is a posted expiry, Q is of another program
        assert [len(page.data) for page in pages] == [50, 50, 30, 0]
        assert [page.has_more for page in pages] == [True, True, False, False]
        assert len({each.id for page in pages for each in page.data}) == 130

    @pytest.mark.parametrize(
        ("asked", "count"),
        [
            ({"loyalty_transaction_type": "manual"}, 21),  # C, and twenty of Mo
            ({"loyalty_transaction_type": "import"}, 2),
            ({"loyalty_transaction_type": "session"}, 107),  # the rest of 130
            ({"subledger_id": "travel"}, 1),
            ({"start_date": at("02-10")}, 3),
            ({"end_date": at("01-15")}, 1),
            ({"end_date": at("01-15T00:00:00.000001")}, 2),
            ({"start_date": MARCH, "end_date": at("01-01")}, 0),
            ({"start_date": datetime(2199, 1, 1, tzinfo=UTC)}, 0),
        ],
    )
    def test_filters(self, vendor: Vendor, asked: dict[str, Any], count: int):
        ask = vendor.management.get_loyalty_program_transactions
        assert sum(len(ask(7, skip=skip, **asked).data) for skip in (0, 50, 100)) == count

    def test_sessions_uuids_and_what_waits_for_an_action(self, vendor: Vendor):
        path = "/v1/loyalty_programs/7/transactions"
        ask = vendor.management.api_client.call_api

        def amounts(**asked: Any) -> list[float]:
            query = [(name, one) for name, some in asked.items() for one in some]
            found = ask(path, "GET", query_params=query, auth_settings=["management_key"],
                        response_type="InlineResponse20017", _return_http_data_only=True)  # fmt: skip
            return [each.amount for each in found.data]

        assert amounts(customerSessionIDs=["s1", "s2"]) == [100]
        assert amounts(transactionUUIDs=[UUID]) == [12.5]
        assert amounts(awaitsActivation=["true"]) == []
        for wrong in ({"awaitsActivation": ["false"]}, {"pageSize": ["1001"]}, {"skip": ["1000001"]}):
            with pytest.raises(ApiException) as refused:
                amounts(**wrong)
            assert refused.value.status == 400

    def test_who_made_a_row_by_hand_is_for_who_may_see_it(self, seeing: Vendor):
        found = seeing.management.get_loyalty_program_transactions(
            7, loyalty_transaction_type="manual", page_size=1
        )
        assert found.data[0].user_email == "eve"


class TestDays:
    def test_the_days_of_a_range(self, vendor: Vendor):
        found = vendor.management.get_dashboard_statistics(7, at("02-01"), MARCH)
        assert (found.total_result_size, len(found.data)) == (28, 28)
        by_day = {each.date.timestamp(): each for each in found.data}
        fifth = by_day[moment("2026-02-05")]
        # Ann 100 - 30 and 12.50, Bob 20, Odd 61.25, Mo 120; Cy owes 5
        assert (fifth.total_active_points, fifth.total_pending_points) == (283.75, 0)
        assert (fifth.total_spent_points, fifth.total_expired_points) == (35, 0)
        assert (fifth.total_members, fifth.new_members) == (4, 0)  # Ann, Bob, Odd, Mo
        assert (fifth.earned_points.created_manually, fifth.earned_points.created_via_rule_engine) == (0, 24)
        assert (fifth.spent_points.created_manually, fifth.spent_points.created_via_rule_engine) == (0, 30)
        first = by_day[moment("2026-02-01")]
        # Mo's first 24 of which 20 by hand, and Ann's 12.50; Cy's 5
        assert (first.earned_points.created_manually, first.earned_points.created_via_rule_engine) == (
            20,
            16.5,
        )
        assert (first.spent_points.created_via_rule_engine, first.new_members, first.total_members) == (
            5,
            1,
            3,
        )
        # Bob's 20 expire at the midnight that ends the 19th; 2.50 of Ann's were posted on the 20th.
        assert by_day[moment("2026-02-19")].total_expired_points == 20
        last = by_day[moment("2026-02-28")]
        assert (last.total_active_points, last.total_pending_points, last.total_expired_points) == (
            274.25,
            40,
            22.5,
        )
        assert last.total_members == 4  # Bob owns the card that waits

    def test_days_begin_in_the_range_and_today_never_is_in_it(self, vendor: Vendor):
        ask = vendor.management.get_dashboard_statistics
        one = ask(7, at("02-01T00:00:01"), at("02-02T23:59:59"))
        assert [each.date.timestamp() for each in one.data] == [moment("2026-02-02")]
        today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        assert ask(7, today, today.replace(year=today.year + 1)).data == []

    @pytest.mark.parametrize(
        ("first", "last"),
        [(at("02-02"), at("02-02")), (datetime(2001, 1, 1, tzinfo=UTC), at("01-01"))],
    )
    def test_ranges_that_are_none_or_too_long(self, vendor: Vendor, first: datetime, last: datetime):
        with pytest.raises(ApiException) as refused:
            vendor.management.get_dashboard_statistics(7, first, last)
        assert refused.value.status == 400

    def test_no_figures_of_one_subledger(self, vendor: Vendor):
        with pytest.raises(ApiException) as refused:
            vendor.management.get_dashboard_statistics(7, at("02-01"), MARCH, subledger_id="travel")
        assert (refused.value.status, "not by subledger" in refused.value.body) == (400, True)

    def test_statistics_are_those_of_now(self, vendor: Vendor):
        found = vendor.management.get_loyalty_statistics(7)
        # What was active, pending or expired on 28 February is one of the three on any later day.
        held = found.total_active_points + found.total_pending_points + found.total_expired_points
        assert (held, found.total_spent_points, found.new_members) == (336.75, 35, 0)
        assert found.date.timestamp() % 86_400 == 0

    @pytest.mark.parametrize(
        ("data", "expected"),
        [
            ("members", "date,new_members,total_members\n2026-02-01,1,3\n2026-02-02,1,4\n"),
            ("points_total",  # on the second Mo has 24 more, and Odd 60
             ("date,active_points,pending_points,expired_points\n"
              "2026-02-01,156.50,0.00,0.00\n2026-02-02,240.50,0.00,0.00\n")),
            ("earned_redeemed",
             ("date,earned_manual,earned_rules,redeemed_manual,redeemed_rules\n"
              "2026-02-01,20.00,16.50,0.00,5.00\n2026-02-02,60.00,24.00,0.00,0.00\n")),
        ],
    )  # fmt: skip
    def test_the_files_of_the_dashboard(self, vendor: Vendor, data: str, expected: str):
        asked = {"data": data, "rangeStart": "2026-02-01", "rangeEnd": "2026-02-03"}
        assert vendor.get(f"/v1/loyalty_programs/7/dashboard?{urlencode(asked)}") == expected

    def test_a_file_of_a_time_frame_ends_yesterday(self, vendor: Vendor):
        text = vendor.get("/v1/loyalty_programs/7/dashboard?data=members&timeFrame=last_7_days")
        assert len(text.splitlines()) == 8
        assert f"{datetime.now(UTC):%Y-%m-%d}" not in text


class TestInventory:
    def test_what_was_not_asked_for_is_not_there(self, vendor: Vendor):
        found = vendor.integration.get_customer_inventory("ann")
        assert (found.profile, found.loyalty, found.coupons, found.referrals) == (None, None, None, None)

    def test_points_of_programs_with_tiers(self, vendor: Vendor):
        loyalty = vendor.integration.get_customer_inventory("ann", loyalty=True).loyalty
        club = loyalty.programs["7"]
        assert (list(loyalty.programs), club.id, club.name, loyalty.cards) == (["7"], 7, "The Club", [])
        assert club.join_date.timestamp() == moment("2026-01-10")
        # 70 of A expire on 1 January 2027
        assert club.ledger.current_balance + club.ledger.expired_balance == 75
        assert (club.ledger.spent_balance, club.ledger.negative_balance) == (30, 0)
        assert club.ledger.current_tier.name == "Gold"
        assert club.ledger.tentative_current_balance == club.ledger.current_balance
        assert {name: each.current_balance for name, each in club.sub_ledgers.items()} == {"travel": 10}

    def test_cards_are_apart_also_without_a_transaction(self, vendor: Vendor):
        loyalty = vendor.integration.get_customer_inventory("bob", loyalty=True).loyalty
        assert {number: each.ledger.current_balance for number, each in loyalty.programs.items()} == {
            "7": 0,
            "9": 7,
        }
        cards = {card.identifier: card for card in loyalty.cards}
        assert {name: (card.program_id, card.status) for name, card in cards.items()} == {
            "K1": (7, "active"),
            "X1": (9, "active"),
        }
        k1 = cards["K1"]
        assert k1.ledger.current_balance + k1.ledger.pending_balance == 40
        assert (k1.users_per_card_limit, k1.batch_id, k1.created.timestamp()) == (
            2,
            "b1",
            moment("2026-01-02"),
        )
        assert [each.integration_id for each in k1.profiles] == ["bob"]
        assert cards["X1"].ledger.current_balance == 0

    def test_a_profile_by_its_orders_and_personal_data_by_right(self, vendor: Vendor, seeing: Vendor):
        hidden = vendor.integration.get_customer_inventory("ann", profile=True).profile
        shown = seeing.integration.get_customer_inventory("ann", profile=True).profile
        assert hidden.attributes == {}
        assert (shown.attributes["Name"], shown.attributes["Email"]) == ("Ann Lee", "ann@example.com")
        # O1 of 71.00 and O2 of 10.005
        assert (hidden.integration_id, hidden.closed_sessions, hidden.total_sales) == ("ann", 2, 81.005)
        assert hidden.created.timestamp() == moment("2026-01-05")
        assert hidden.last_activity.timestamp() == moment("2026-02-20")

    def test_coupons_and_what_a_ledger_does_not_have(self, vendor: Vendor):
        found = vendor.integration.get_customer_inventory(
            "ann", coupons=True, referrals=True, giveaways=True, achievements=True
        )
        [coupon] = found.coupons
        assert (coupon.value, coupon.state, coupon.usage_counter, coupon.usage_limit) == (
            "SAVE5",
            "used",
            1,
            1,
        )
        assert (found.referrals, found.giveaways, found.achievements) == ([], [], [])

    def test_who_has_nothing_and_who_is_not_there(self, vendor: Vendor):
        idle = vendor.integration.get_customer_inventory("idle", loyalty=True, profile=True)
        assert (idle.loyalty.programs, idle.loyalty.cards, idle.profile.closed_sessions) == ({}, [], 0)
        odd = vendor.integration.get_customer_inventory(ODD, loyalty=True)
        assert odd.loyalty.programs["7"].ledger.current_balance == 61.25
        with pytest.raises(ApiException) as missing:
            vendor.integration.get_customer_inventory("nobody", loyalty=True)
        assert missing.value.status == 404

    def test_each_look_is_in_the_audit_chain_without_a_name(self, vendor: Vendor, desk: Desk):
        def looks() -> list[Any]:
            return [each for each in desk.context.state.audit.entries() if each.action == "customer_seen"]

        before = len(looks())
        vendor.integration.get_customer_inventory("ann", loyalty=True)
        entries = looks()
        assert len(entries) == before + 1
        assert "ann" not in str(entries[-1])


class TestKeys:
    def test_what_takes_which_scope(self, club: Asking, with_key: Callable[[str], Vendor]):
        other = with_key(club.key(Scope.IMPORTS_WRITE).key)
        asked = [
            lambda: other.management.get_loyalty_program_transactions(7),
            lambda: other.management.get_loyalty_statistics(7),
            lambda: other.management.get_dashboard_statistics(7, at("02-01"), MARCH),
            lambda: other.integration.get_customer_inventory("ann"),
        ]
        for ask in asked:
            with pytest.raises(ApiException) as refused:
                ask()
            assert refused.value.status == 403
        reading = with_key(club.key(Scope.REPORTS_READ).key)
        with pytest.raises(ApiException) as refused:
            reading.management.import_loyalty_points(7, up_file="customerprofileid,amount\nann,5\n")
        assert refused.value.status == 403

    def test_programs_that_are_not_there(self, vendor: Vendor):
        for ask in (
            vendor.management.get_loyalty_program_transactions,
            vendor.management.get_loyalty_statistics,
        ):
            with pytest.raises(ApiException) as missing:
                ask(8)
            assert missing.value.status == 404
