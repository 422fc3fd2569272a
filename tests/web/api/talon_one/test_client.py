"""The vendor's own client library, unmodified, reads a program of ours: every route, and every kind of answer."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.web.api.talon_one.conftest import Vendor
from tests.web.api.talon_one.ledger import ODD, UUID

pytestmark = [pytest.mark.slow, pytest.mark.servers, pytest.mark.usefixtures("inline")]
MARCH = datetime(2026, 3, 1, tzinfo=UTC)
SPRING = {
    "range_start": datetime(2026, 1, 1, tzinfo=UTC),
    "range_end": MARCH,
}  # the client sends no zone for the first: UTC


def figures(balance: Any) -> tuple[float, ...]:
    return (
        balance.active_points,
        balance.pending_points,
        balance.spent_points,
        balance.expired_points,
        balance.negative_points,
    )


class TestBalances:
    def test_a_profile_has_its_own_points_by_subledger(self, vendor: Vendor):
        found = vendor.integration.get_loyalty_balances(7, "ann", end_date=MARCH)
        assert figures(found.balance) == (75, 0, 30, 0, 0)  # 100 - 30 + 5
        # 12.50 less the posted expiry of 2.50
        assert {name: figures(each) for name, each in found.subledger_balances.items()} == {
            "travel": (10, 0, 0, 2.5, 0)
        }
        assert found.balance.current_tier is None
        assert found.balance.next_tier_name is None

    @pytest.mark.parametrize(
        ("day", "expected"),
        [
            # Ann: A on 10 January, B -30 on 5 February; in 2027 A's remaining 70 have expired
            (datetime(2026, 1, 10, tzinfo=UTC), (0, 0, 0, 0, 0)),
            (datetime(2026, 1, 10, 0, 0, 1, tzinfo=UTC), (100, 0, 0, 0, 0)),
            (datetime(2030, 1, 1, tzinfo=UTC), (5, 0, 30, 70, 0)),
            ("2026-02-05", (100, 0, 0, 0, 0)),  # a date is its midnight, and B was made at midnight
            ("2026-02-05T02:00:00+02:00", (100, 0, 0, 0, 0)),
            ("2026-02-05T00:00:00.000001Z", (70, 0, 30, 0, 0)),
        ],
    )
    def test_of_any_date_past_or_future(self, vendor: Vendor, day: Any, expected: tuple[float, ...]):
        assert figures(vendor.integration.get_loyalty_balances(7, "ann", end_date=day).balance) == expected

    def test_one_subledger_and_one_that_is_not_there(self, vendor: Vendor):
        one = vendor.integration.get_loyalty_balances(7, "ann", end_date=MARCH, subledger_id="travel")
        other = vendor.integration.get_loyalty_balances(7, "ann", end_date=MARCH, subledger_id="none")
        assert list(one.subledger_balances) == ["travel"]
        assert {name: figures(each) for name, each in other.subledger_balances.items()} == {
            "none": (0, 0, 0, 0, 0)
        }

    def test_debts_strange_ids_and_who_has_nothing(self, vendor: Vendor):
        assert figures(vendor.integration.get_loyalty_balances(7, "cy").balance) == (0, 0, 5, 0, 5)
        assert figures(vendor.integration.get_loyalty_balances(7, ODD).balance) == (61.25, 0, 0, 0, 0)
        assert figures(vendor.integration.get_loyalty_balances(7, "idle").balance) == (0, 0, 0, 0, 0)
        # Bob's card K1 is a holder of its own, and his points of the other program are not of this one.
        assert figures(vendor.integration.get_loyalty_balances(7, "bob").balance) == (0, 0, 0, 20, 0)
        assert figures(vendor.integration.get_loyalty_balances(9, "bob").balance) == (7, 0, 0, 0, 0)

    def test_tiers_what_is_missing_to_the_next_and_what_they_end_with(self, vendor: Vendor):
        ask = vendor.integration.get_loyalty_balances
        ann = ask(7, "ann", end_date=MARCH, include_tiers=True, include_projected_tier=True).balance
        assert (ann.current_tier.name, ann.current_tier.start_date.timestamp()) == (
            "Gold",
            datetime(2026, 1, 20, tzinfo=UTC).timestamp(),
        )
        assert ann.current_tier.expiry_date.timestamp() == datetime(2027, 1, 20, tzinfo=UTC).timestamp()
        assert (ann.next_tier_name, ann.points_to_next_tier) == (None, None)
        # On 20 January 2027 only C's 5 are left: 95 short of Gold's 100, and below Silver's 50.
        assert ann.projected_tier.projected_active_points == 5
        assert ann.projected_tier.stay_in_tier_points == 95
        assert ann.projected_tier.projected_tier_name is None
        odd = ask(7, ODD, end_date=MARCH, include_tiers=True, include_projected_tier=True).balance
        assert (odd.current_tier, odd.projected_tier) == (None, None)
        assert (odd.next_tier_name, odd.points_to_next_tier) == ("Silver", 0)
        early = ask(7, "ann", end_date=datetime(2026, 1, 15, tzinfo=UTC), include_tiers=True).balance
        assert (early.current_tier, early.next_tier_name, early.points_to_next_tier) == (None, "Silver", 0)

    def test_a_card_and_whose_it_is(self, vendor: Vendor):
        ask = vendor.integration.get_loyalty_card_balances
        pending = ask(7, "K1", end_date=MARCH)  # active from 15 March
        assert figures(pending.balance) == (0, 40, 0, 0, 0)
        assert [(each.integration_id, each.timestamp.timestamp()) for each in pending.profiles] == [
            ("bob", datetime(2026, 1, 2, tzinfo=UTC).timestamp())
        ]
        assert figures(ask(7, "K1", end_date=datetime(2026, 3, 15, tzinfo=UTC)).balance) == (40, 0, 0, 0, 0)
        nobodys = ask(7, "K2", subledger_id=["", "travel"])
        assert figures(nobodys.balance) == (8, 0, 0, 0, 0)
        assert nobodys.profiles == []
        assert figures(ask(9, "X1").balance) == (0, 0, 0, 0, 0)


class TestTransactions:
    def test_the_last_fifty_unless_asked(self, vendor: Vendor):
        found = vendor.integration.get_loyalty_program_profile_transactions(7, "mo")
        assert (len(found.data), found.has_more) == (50, True)
        assert [each.created.timestamp() for each in found.data] == [
            datetime(2026, 2, 1, tzinfo=UTC).timestamp() + 3600 * hour for hour in range(119, 69, -1)
        ]

    def test_pages_that_end(self, vendor: Vendor):
        ask = vendor.integration.get_loyalty_program_profile_transactions
        whole = ask(7, "mo", page_size=1000)
        assert (len(whole.data), whole.has_more) == (120, False)
        pages = [ask(7, "mo", page_size=50, skip=skip) for skip in (0, 50, 100, 150)]
        assert [len(page.data) for page in pages] == [50, 50, 20, 0]
        assert [page.has_more for page in pages] == [True, True, False, False]
        assert [each.id for page in pages for each in page.data] == [each.id for each in whole.data]
        assert len({each.id for each in whole.data}) == 120

    def test_what_a_transaction_says(self, vendor: Vendor):
        found = vendor.integration.get_loyalty_program_profile_transactions(7, "ann", end_date=MARCH)
        goodwill, spent, travel, order = found.data  # T2 is a posted expiry: none of them
        assert (order.type, order.amount, order.name, order.program_id) == ("addition", 100, "Order", 7)
        assert (order.start_date, order.expiry_date) == ("immediate", "2027-01-01T00:00:00Z")
        assert (order.customer_session_id, order.ruleset_id, order.rule_name) == ("s1", 12, "One a euro")
        assert (spent.type, spent.amount, spent.expiry_date) == ("subtraction", 30, "unlimited")
        assert (travel.subledger_id, travel.amount) == ("travel", 12.5)
        assert (goodwill.name, goodwill.rule_name) == ("Goodwill", None)

    @pytest.mark.parametrize(
        ("asked", "amounts"),
        [
            ({"loyalty_transaction_type": "manual"}, [5]),
            ({"loyalty_transaction_type": "session"}, [30, 12.5, 100]),
            ({"loyalty_transaction_type": "import"}, []),
            ({"subledger_id": "travel"}, [12.5]),
            ({"start_date": datetime(2026, 2, 5, tzinfo=UTC)}, [5, 30]),
            ({"end_date": datetime(2026, 2, 5, tzinfo=UTC)}, [12.5, 100]),
            ({"start_date": MARCH, "end_date": datetime(2026, 1, 1, tzinfo=UTC)}, []),
        ],
    )
    def test_filters(self, vendor: Vendor, asked: dict[str, Any], amounts: list[float]):
        found = vendor.integration.get_loyalty_program_profile_transactions(7, "ann", **asked)
        assert [each.amount for each in found.data] == amounts

    def test_imports_with_their_reason_cut_to_what_the_client_takes(self, vendor: Vendor):
        found = vendor.integration.get_loyalty_program_profile_transactions(
            7, ODD, loyalty_transaction_type="import"
        )
        assert [(each.amount, len(each.name)) for each in found.data] == [(1.25, 0), (60, 255)]

    def test_of_a_card_by_both_apis(self, vendor: Vendor):
        by_key = vendor.integration.get_loyalty_card_transactions(7, "K1", subledger_id=[""])
        log = vendor.management.get_loyalty_card_transaction_logs(7, "K1", end_date=MARCH, page_size=1)
        for found in (by_key, log):
            [one] = found.data
            assert (one.card_identifier, one.amount, one.start_date) == ("K1", 40, "2026-03-15T00:00:00Z")
            assert found.has_more is False
        assert vendor.integration.get_loyalty_card_transactions(9, "X1").data == []


LEDGER_HEAD = (
    "customerprofileid,customersessionid,rulesetid,rulename,programid,type,name,subledgerid,startdate,expirydate,id,"
    "created,amount,archived,campaignid,flags,transactionUUID\n"
)


class TestFiles:
    def test_the_log_of_a_profile(self, vendor: Vendor):
        text = vendor.management.export_loyalty_ledger(
            loyalty_program_id="7", integration_id="ann", date_format="ISO8601", **SPRING
        )
        assert text == LEDGER_HEAD + (
            "ann,s1,12,One a euro,7,addition,Order,,,2027-01-01T00:00:00Z,A,2026-01-10T00:00:00Z,100.00,,c1,x,\n"
            f"ann,,,,7,addition,,travel,,,T1,2026-02-01T00:00:00Z,12.50,,,,{UUID}\n"
            "ann,,,,7,subtraction,,,,,B,2026-02-05T00:00:00Z,30.00,,,,\n"
            "ann,,,,7,addition,Goodwill,,,,C,2026-02-10T00:00:00Z,5.00,,,,\n"
            "ann,,,,7,expire,,travel,,,T2,2026-02-20T00:00:00Z,2.50,,,,\n"
        )

    def test_a_period_and_the_dates_of_excel(self, vendor: Vendor):
        text = vendor.management.export_loyalty_ledger(
            datetime(2026, 2, 5, tzinfo=UTC),
            datetime(2026, 2, 10, tzinfo=UTC),
            "7",
            "ann",
            date_format="excel",
        )
        assert text == LEDGER_HEAD + "ann,,,,7,subtraction,,,,,B,2026-02-05 00:00:00,30.00,,,,\n"
        years = datetime(2099, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
        assert vendor.management.export_loyalty_ledger(*years, "7", "ann") == LEDGER_HEAD
        # Bob's log has nothing of his card; the card has its own.
        own = vendor.management.export_loyalty_ledger(*SPRING.values(), "7", "bob")
        assert (
            own
            == LEDGER_HEAD + "bob,,,,7,addition,,,,2026-02-20T00:00:00Z,E,2026-01-15T00:00:00Z,20.00,,,,\n"
        )

    def test_the_log_of_a_card(self, vendor: Vendor):
        text = vendor.management.export_loyalty_card_ledger(7, "K1", *SPRING.values())
        row = "bob,,,,7,addition,,,2026-03-15T00:00:00Z,,D,2026-02-11T00:00:00Z,40.00,,c1,,\n"
        assert text == LEDGER_HEAD + row

    def test_balances_of_all_profiles_at_any_date(self, vendor: Vendor):
        head = (
            "loyaltyProgramID,loyaltySubledger,profileIntegrationID,currentBalance,pendingBalance,expiredBalance,"
            "spentBalance,currentTier\n"
        )
        for day, expected in (
            (MARCH, ["7,,ann,75.00,0.00,0.00,30.00,Gold", "7,,bob,0.00,0.00,20.00,0.00,", "7,,cy,-5.00,0.00,0.00,5.00,",
                     f"7,,{ODD},61.25,0.00,0.00,0.00,", "7,,mo,120.00,0.00,0.00,0.00,",
                     "7,travel,ann,10.00,0.00,2.50,0.00,Gold"]),
            (datetime(2030, 1, 1, tzinfo=UTC), ["7,,ann,5.00,0.00,70.00,30.00,Gold", "7,,bob,0.00,0.00,20.00,0.00,",
                                    "7,,cy,-5.00,0.00,0.00,5.00,", f"7,,{ODD},61.25,0.00,0.00,0.00,",
                                    "7,,mo,120.00,0.00,0.00,0.00,", "7,travel,ann,10.00,0.00,2.50,0.00,Gold"]),
        ):  # fmt: skip
            text = vendor.management.export_loyalty_balances("7", end_date=day)
            assert text.startswith(head)
            assert sorted(text.splitlines()[1:]) == expected

    def test_balances_of_all_profiles_by_the_old_name(self, vendor: Vendor):
        assert vendor.management.export_loyalty_balance("7", end_date=MARCH) == (
            vendor.management.export_loyalty_balances("7", end_date=MARCH)
        )
        _, _, headers = vendor.management.export_loyalty_balance_with_http_info("7", end_date=MARCH)
        assert headers["Deprecation"].startswith("@")
        assert headers["Link"] == '<export_customer_balances>; rel="successor-version"'

    def test_balances_of_all_cards(self, vendor: Vendor):
        text = vendor.management.export_loyalty_card_balances(7, end_date=MARCH)
        lines = text.splitlines()
        assert lines[0] == (
            "loyaltyProgramID,loyaltySubledger,cardIdentifier,cardState,currentBalance,pendingBalance,expiredBalance,"
            "spentBalance"
        )
        assert sorted(lines[1:]) == ["7,,K1,active,0.00,40.00,0.00,0.00", "7,,K2,blocked,8.00,0.00,0.00,0.00"]

    def test_tiers_of_some_names_and_subledgers(self, vendor: Vendor):
        head = "programid,subledgerid,customerprofileid,tiername,startdate,expirydate\n"
        gold = head + "7,,ann,Gold,2026-01-20T00:00:00Z,2027-01-20T00:00:00Z\n"
        ask = vendor.management.export_customers_tiers
        assert ask("7") == gold
        assert ask("7", tier_names=["Bronze", "Gold"]) == gold
        assert ask("7", tier_names=["Silver"]) == head
        assert ask("7", subledger_ids=["travel"]) == head

    def test_cards_and_join_dates(self, vendor: Vendor):
        head = "identifier,created,status,userpercardlimit,customerprofileids,blockreason,generated,batchid,attributes\n"
        first = 'K1,{},active,2,bob,,true,b1,"{{""color"": ""red""}}"\n'
        second = "K2,2026-01-03T00:00:00Z,blocked,,,lost,false,,\n"
        ask = vendor.management.export_loyalty_cards
        assert ask(7) == head + first.format("2026-01-02T00:00:00Z") + second
        some = ask(
            7,
            batch_id="b1",
            created_before=datetime(2026, 1, 3, tzinfo=UTC),
            created_after=datetime(2026, 1, 1, tzinfo=UTC),
            date_format="excel",
        )
        assert some == head + first.format("2026-01-02 00:00:00")
        # The first sign of each in the program; what they joined of the other one is not told here.
        assert sorted(vendor.get("/v1/loyalty_programs/7/export_join_dates").splitlines()) == [
            "7,ann,2026-01-10T00:00:00Z",
            "7,bob,2026-01-15T00:00:00Z",
            "7,cy,2026-02-01T00:00:00Z",
            f"7,{ODD},2026-02-02T00:00:00Z",
            "7,mo,2026-02-01T00:00:00Z",
            "loyaltyProgramID,profileIntegrationID,joinDate",
        ]
