"""Every layout: its headers, what it is made of, and a file of it that was added up by hand."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pyarrow as pa
import pytest

from include.errors import BadInput
from include.formats import csv as csv_format
from include.layouts import layout as module
from include.layouts.layout import layouts
from include.layouts.reference import PAGE, page
from include.ledger.catalog import ARROW_TYPES, FieldType
from include.ledger.columns import Column
from include.ledger.fields import PLACES
from include.reports import models
from tests.layouts.tiny import Desk, of_layout, table

GOLDEN = Path(__file__).parents[1] / "golden" / "layouts"
HEADERS = {
    "wupsales.balance": "customer_id, customer_name, email, points_balance, lifetime_points_earned, points_redeemed, "
    "points_expired, loyalty_tier, registration_date, last_points_activity_date",
    "wupsales.history": "transaction_id, customer, date_time, points_change, transaction_type, reason, order_id, "
    "admin_user, balance_before, balance_after",
    "wupsales.redemptions": "redemption_date, customer, reward_name, points_cost, reward_value, order_id, coupon_code, "
    "redemption_status",
    "joy.customers": "Email, Name, Membership Type, Points, Birthday, Created Date",
    "talon_one.customer_balances": "loyaltyProgramID, loyaltySubledger, profileIntegrationID, currentBalance, "
    "pendingBalance, expiredBalance, spentBalance, currentTier",
    "talon_one.card_balances": "loyaltyProgramID, loyaltySubledger, cardIdentifier, cardState, currentBalance, "
    "pendingBalance, expiredBalance, spentBalance",
    "talon_one.customer_ledger": "customerprofileid, customersessionid, rulesetid, rulename, programid, type, name, "
    "subledgerid, startdate, expirydate, id, created, amount, archived, campaignid, flags, transactionUUID",
    "talon_one.import_points": "customerprofileid, amount, startdate, expirydate, validityDuration, subledgerid, reason",
    "talon_one.join_dates": "loyaltyProgramID, profileIntegrationID, joinDate",
    "talon_one.customer_tiers": "programid, subledgerid, customerprofileid, tiername, startdate, expirydate",
    "talon_one.cards": "identifier, created, status, userpercardlimit, customerprofileids, blockreason, generated, "
    "batchid, attributes",
    "talon_one.dashboard_members": "date, new_members, total_members",
    "talon_one.dashboard_points_total": "date, active_points, pending_points, expired_points",
    "talon_one.dashboard_earned_redeemed": "date, earned_manual, earned_rules, redeemed_manual, redeemed_rules",
    "voucherify.order": "id, source_id, created_at, updated_at, status, amount, discount_amount, "
    "items_discount_amount, total_discount_amount, total_amount, customer_id, referrer_id, metadata",
    "voucherify.voucher": "id, code, voucher_type, value, discount_type, campaign, category, start_date, "
    "expiration_date, gift_balance, loyalty_balance, redemption_quantity, redemption_count, active, qr_code, "
    "bar_code, metadata, is_referral_code, created_at, updated_at, validity_timeframe_interval, "
    "validity_timeframe_duration, validity_day_of_week, discount_amount_limit, campaign_id, additional_info, "
    "customer_id, discount_unit_type, discount_unit_effect, customer_source_id",
    # code: only the defaults name it
    "voucherify.publication": "voucher_code, customer_id, customer_source_id, date, channel, campaign, is_winner, "
    "metadata, code",
    "voucherify.redemption": "id, object, date, voucher_code, campaign, promotion_tier_id, customer_id, "
    "customer_source_id, customer_name, tracking_id, order_amount, gift_amount, loyalty_points, result, "
    "failure_code, failure_message, metadata",
    "voucherify.customer": "name, id, description, email, source_id, created_at, address_city, address_state, "
    "address_line_1, address_line_2, address_country, address_postal_code, redemptions_total_redeemed, "
    "redemptions_total_failed, redemptions_total_succeeded, redemptions_total_rolled_back, "
    "redemptions_total_rollback_failed, redemptions_total_rollback_succeeded, orders_total_amount, "
    "orders_total_count, orders_average_amount, orders_last_order_amount, orders_last_order_date, loyalty_points, "
    "loyalty_referred_customers, updated_at, phone, birthday, metadata, birthdate",
    "voucherify.points_expiration": "id, campaign_id, voucher_id, status, expires_at, points",
    # status: only the defaults name it
    "voucherify.voucher_transactions": "id, type, source_id, reason, balance, amount, created_at, voucher_id, "
    "campaign_id, source, details, related_transaction_id, status",
    # the fields that the vendor's published client lets these two have
    "voucherify.product": "id, name, price, image_url, source_id, attributes, metadata, created_at, updated_at",
    "voucherify.sku": "id, sku, product_id, currency, price, image_url, source_id, attributes, metadata, created_at, "
    "updated_at",
    "accounting.quickbooks_online": "Journal No., Journal Date, Account Name, Description, Debits, Credits",
    "accounting.quickbooks_online_sample": "*JournalNo, *JournalDate, *AccountName, *Debits, *Credits, Description, "
    "Name, Currency, Location, Class",
    "accounting.xero": "*Narration, *Date, Description, *AccountCode, *TaxRate, *Amount, TrackingName1, "
    "TrackingOption1, TrackingName2, TrackingOption2",
    "accounting.points_accounting": "Date, Earned, Earned Reversed, Redeemed, Redeemed Reimbursed, Expired, "
    "Outstanding Start, Outstanding End, Difference",
}
DEFAULTS = {
    "voucherify.order": "id, source_id, status",
    "voucherify.voucher": "code, voucher_type, value, discount_type",
    "voucherify.publication": "code, customer_id, date, channel",
    "voucherify.redemption": "id, object, voucher_code, customer_id, date, result",
    "voucherify.customer": "name, source_id",
    "voucherify.points_expiration": "id, campaign_id, voucher_id, status, expires_at, points",
    "voucherify.voucher_transactions": "id, type, source_id, status, reason, source, balance, amount, created_at",
}
each = pytest.mark.parametrize("name", HEADERS)


def header(text: str) -> str:
    return ", ".join(next(csv.reader(io.StringIO(text))))


def test_there_are_these_layouts_and_no_others():
    assert set(layouts()) == set(HEADERS)


@each
def test_headers_are_those_of_the_system(name: str, every: dict[str, list[str]]):
    [text] = every[name]
    assert header(text) == HEADERS[name]


@each
def test_the_file_is_the_one_added_up_by_hand(name: str, every: dict[str, list[str]]):
    lines = (GOLDEN / f"{name}.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    assert any(line.startswith("# ") for line in lines), "a golden file shows its arithmetic"
    [text] = every[name]
    assert text == "".join(line for line in lines if not line.startswith("# "))


@each
def test_what_it_is_made_of_is_there_and_of_the_right_type(name: str):
    layout = layouts()[name]
    model = models.load(layout.model, where="test")
    given = {one.name: one for one in model.columns(model.Options.model_validate(dict(layout.options)))}
    none = pa.RecordBatch.from_pylist(
        [], schema=pa.schema([(one.name, ARROW_TYPES[one.type]) for one in given.values()])
    )
    for column in layout.made:
        assert set(column.reads) <= set(given), column.header
        assert column.make(none).type == ARROW_TYPES[column.type], column.header
        if (
            len(column.reads) == 1
            and column.type is not FieldType.TEXT
            and column.type is not FieldType.INTEGER
        ):
            assert column.type == given[column.reads[0]].type, column.header
        if column.type in PLACES and column.type is not FieldType.MONEY:
            assert {given[read].type for read in column.reads} <= {column.type}, column.header
        # What is made of personal data is personal: privacy knows columns by this mark alone.
        assert column.pii == any(given[read].pii for read in column.reads), column.header


@pytest.mark.parametrize("name", [name for name in HEADERS if not name.startswith("accounting.")])
def test_without_fields_a_file_has_the_defaults_of_the_system(name: str, defaults: dict[str, list[str]]):
    [text] = defaults[name]
    assert header(text) == DEFAULTS.get(name, HEADERS[name])


def test_columns_of_a_layout_can_be_chosen_renamed_and_reordered(club: Desk):
    fields = [
        "points_balance",
        {"field": "customer_name", "header": "Member"},
        "metadata.city",
        "customer_id",
    ]
    [text] = club.export({"x": of_layout("wupsales.balance", fields=[*fields[:2], fields[3]])}, start=None)[
        "x"
    ]
    assert table(text) == [
        {"points_balance": "8.00", "Member": "", "customer_id": ""},
        {"points_balance": "75.00", "Member": "Ann Lee", "customer_id": "ann"},
        {"points_balance": "0.00", "Member": "Bob", "customer_id": "bob"},
    ]
    assert header(text) == "points_balance, Member, customer_id"
    with pytest.raises(BadInput, match=r"fields\[2\].field: 'metadata.city'"):
        club.export({"x": of_layout("wupsales.balance", fields=fields)}, start=None)


def test_a_property_of_a_layouts_metadata_is_a_field(club: Desk):
    fields = ["id", "metadata.city", {"field": "metadata.newsletter", "header": "News"}]
    asked = of_layout("voucherify.customer", fields=fields, filters={"field": "metadata.city", "is": "Paris"})
    [text] = club.export({"x": asked})["x"]
    assert text == "id,metadata.city,News\nann,Paris,\n"


def test_rows_are_filtered_and_ordered_by_the_models_own_names(club: Desk):
    asked = of_layout(
        "voucherify.order",
        fields=["id"],
        order=["-total_amount"],
        filters={"field": "customer_id", "is": "ann"},
    )
    [text] = club.export({"x": asked})["x"]
    assert text == "id\nO1\nO2\n"


def test_only_what_is_chosen_is_read():
    chosen = layouts()["voucherify.customer"].only(frozenset({"name", "orders_total_count"}))
    assert chosen.reads == {"name", "orders_total_count"}
    assert [column.name for column in chosen.columns] == ["name", "orders_total_count"]


def test_the_list_for_joy_is_one_that_its_importer_reads(club: Desk):
    """Its importer wants whole numbers or decimals as points, and MM/DD under `Birthday(MM/DD)`."""
    renamed = [{"field": "Birthday", "header": "Birthday(MM/DD)"}]
    asked = of_layout(
        "joy.customers", fields=["Email", "Points", *renamed], filters={"field": "email", "has_value": True}
    )
    [text] = club.export({"x": asked})["x"]
    names = ("Email", "Points", "Birthday(MM/DD)")
    columns = [Column(name, FieldType.TEXT) for name in names]
    read = list(csv_format.read(io.BytesIO(text.encode()), columns, csv_format.Options()))
    for email, points, birthday in read:
        assert email is not None
        assert points is not None
        assert "@" in email
        assert re.fullmatch(r"-?\d+(\.\d\d?)?", points)
        assert not birthday or re.fullmatch(r"\d\d/\d\d", birthday)
    assert [row[1] for row in read] == ["75.00", "0.00"]


def test_the_page_has_not_drifted():
    assert PAGE.read_text(encoding="utf-8") == page(), "python -m include.layouts.reference"


def test_an_unknown_layout_is_refused_with_the_known_ones():
    with pytest.raises(
        BadInput, match=r"'joy.customer': known layouts are accounting.points_accounting, .*wupsales"
    ):
        module.load("joy.customer", where="a.yaml: layout")
