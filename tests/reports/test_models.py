"""Every report and every relation is a model; each column says what it is; the page of all models is current."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from include.errors import BadInput
from include.ledger.catalog import RELATIONS
from include.reports import glossary, models
from include.reports.engine import render as rendering
from include.reports.model import Asked, LocalSnapshot
from include.reports.reference import PAGE, every_column, page, variants
from tests.reports.liability_ledger import rendered

EVERY = models.names()
# What columns.yaml asks of each model, by the name that it has here.
REQUIRED = {
    "changes": "entity entity_id field old_value new_value changed_by changed_at",
    "content_approvals": "content_type customer_id status submitted_at reviewed_by reviewed_at",
    "webhook_logs": "event url status_code attempts sent_at duration_ms",
    "coupons": "code pool_id customer_id status issued_at used_at expires_at",
    "coupon_pools": "name size available valid_from valid_until",
    "events": "customer_id action occurred_at points data",
    "products": "sku name category price currency",
    "rewards": "name type points_cost value currency valid_from valid_until status",
    "stores": "name city country time_zone",
    "customer_fields": "key label type required pii",
    "orders": "order_id source_id created_at updated_at status amount discount_amount items_discount_amount "
    "total_discount_amount total_amount customer_id referrer_id metadata",
    "vouchers": "voucher_id code voucher_type value discount_type campaign category starts_at expires_at "
    "gift_balance loyalty_balance redemption_quantity redemption_count active qr_code bar_code metadata "
    "is_referral_code created_at updated_at validity_timeframe_interval validity_timeframe_duration "
    "validity_day_of_week discount_amount_limit campaign_id additional_info customer_id discount_unit_type "
    "discount_unit_effect customer_source_id",
    "publications": "voucher_code customer_id customer_source_id published_at channel campaign is_winner metadata",
    "redemptions": "redemption_id object redeemed_at voucher_code campaign promotion_tier_id customer_id "
    "customer_source_id customer_name tracking_id order_amount gift_amount loyalty_points result failure_code "
    "failure_message metadata",
    "customers": "name customer_id description email source_id created_at address_city address_state address_line_1 "
    "address_line_2 address_country address_postal_code redemptions_total_redeemed redemptions_total_failed "
    "redemptions_total_succeeded redemptions_total_rolled_back redemptions_total_rollback_failed "
    "redemptions_total_rollback_succeeded orders_total_amount orders_total_count orders_average_amount "
    "orders_last_order_amount orders_last_order_date loyalty_points loyalty_referred_customers updated_at phone "
    "birthday metadata birthdate tier registered_at",
    "points_expiration": "id campaign_id voucher_id status expires_at points",
    "voucher_transactions": "id type source_id reason balance amount created_at voucher_id campaign_id source details "
    "related_transaction_id status",
    "members": "date new_members total_members",
    "points_total": "date active pending expired",
    "earned_redeemed": "date earned_manual earned_rules redeemed_manual redeemed_rules",
    "customer_tiers": "program_external_id subledger_id customer_id tier starts_at expires_at",
    "join_dates": "program_external_id customer_id joined_at",
    "cards": "card_id created_at status users_per_card_limit customer_id block_reason generated batch_id attributes",
}
# Of these the sample can say nothing: the balances that a ledger's owner states, and the status of a movement.
EMPTY = {("customers", "stated_balance"), ("cards", "stated_balance"), ("voucher_transactions", "status")}


def test_every_report_and_every_relation_is_a_model():
    assert set(RELATIONS) <= set(EVERY)
    assert {"balance", "members", "points_total", "earned_redeemed", "join_dates", "top_earners"} <= set(
        EVERY
    )
    for name in EVERY:
        assert name == models.load(name, where="test").KIND


def test_an_unknown_model_is_refused_with_the_known_ones():
    with pytest.raises(BadInput, match=r"balences.*known models are .*balance.*transactions"):
        models.load("balences", where="a.yaml: model")


def test_the_names_alone_load_nothing_heavy():
    code = "import sys; from include.reports import models; models.names(); print({'pyarrow', 'numpy', 'duckdb'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("name", EVERY)
def test_every_column_means_something_and_is_what_the_glossary_says(name: str):
    model = models.load(name, where="test")
    for options in variants(model):
        for column in model.columns(options):
            field = glossary.field(name, column.name)
            assert field.meaning.endswith(".")
            assert (column.type, column.pii) == (field.type, field.pii), column.name


@pytest.mark.parametrize("name", REQUIRED)
def test_a_model_has_the_fields_that_others_have(name: str):
    columns = [column.name for column in every_column(models.load(name, where="test"))]
    assert set(REQUIRED[name].split()) <= set(columns)


def test_personal_columns_are_marked():
    personal = {c.name for name in EVERY for c in every_column(models.load(name, where="test")) if c.pii}
    assert personal >= {
        "name", "customer_name", "email", "phone", "birthdate", "birthday", "address_line_1", "address_city",
        "description", "source_id", "customer_source_id", "admin_user", "metadata", "tracking_id",
    }  # fmt: skip


def test_the_page_has_not_drifted():
    assert PAGE.read_text(encoding="utf-8") == page(), "python -m include.reports.reference"


@pytest.mark.parametrize("name", EVERY)
def test_the_sample_fills_every_column_and_none_is_null_that_is_always_there(
    name: str, sample: LocalSnapshot, tmp_path
):
    model = models.load(name, where="test")
    start = "2026-05-01" if model.PERIOD == "required" else None
    rows = rendered(model, sample, tmp_path, "2026-07-01", start)
    assert rows
    for column in model.columns(model.Options()):
        filled = [row[column.name] is not None for row in rows]
        assert all(filled) or glossary.field(name, column.name).may_be_null, column.name
        if name in REQUIRED and column.name in REQUIRED[name].split():
            assert any(filled) or (name, column.name) in EMPTY, column.name


@pytest.mark.parametrize("name", ["customers", "vouchers", "transactions", "publications", "redemptions"])
def test_columns_that_nobody_reads_are_null_and_the_others_the_same(
    name: str, sample: LocalSnapshot, tmp_path
):
    model = models.load(name, where="test")
    columns = [column.name for column in model.columns(model.Options())]
    every = rendered(model, sample, tmp_path, "2026-06-01")
    for wanted in (columns[1::3], columns[-1:], []):
        some = rendered(model, sample, tmp_path, "2026-06-01", wanted=frozenset(wanted))
        assert [{x: row[x] for x in wanted} for row in some] == [{x: row[x] for x in wanted} for row in every]
    assert all(row[columns[0]] is None or columns[0] in RELATIONS[name].key for row in some)


def test_nothing_is_booked_where_nobody_reads_points(sample: LocalSnapshot, tmp_path):
    for name, booked in (("customers", "loyalty_points"), ("vouchers", "loyalty_balance")):
        model = models.load(name, where="test")
        for wanted, cuts in (("customer_id", 0), (booked, 1)):
            asked = Asked(None, None, 1, 1, model.Options(), "UTC", wanted=frozenset([wanted]))
            (tmp_path / f"{name}{cuts}").mkdir()
            assert len(model.report(asked, sample, tmp_path / f"{name}{cuts}").cuts) == cuts


def test_spans_say_what_must_be_fetched():
    def asked(name: str, start: int | None, end: int) -> tuple[object, Asked]:
        model = models.load(name, where="test")
        return model, Asked(start, end, end, end, model.Options(), "UTC")

    assert models.spans([asked("transactions", 5, 9)])["transactions"] == (5, 9)
    assert models.spans([asked("events", 5, 9)]) == {"events": (5, 9)}
    assert models.spans([asked("top_earners", 5, 9)])["transactions"] == (5, 9)
    assert models.spans([asked("transactions", 5, 9), asked("earned_redeemed", 3, 7)])["transactions"] == (
        3,
        9,
    )
    # Booking needs all that ever was; what has no moment in a period is needed whole.
    assert models.spans([asked("transactions", 5, 9), asked("lots", None, 9)])["transactions"] == (None, 9)
    assert models.spans([asked("history", 5, 9)]) == {"transactions": (None, 9)}
    assert models.spans([asked("orders", 5, 9), asked("customers", 5, 9)])["orders"] == (None, None)
    assert models.spans([asked("products", None, 9)]) == {"products": (None, None)}


def test_reports_without_cuts_need_no_pass_over_the_transactions(
    sample: LocalSnapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(
        "include.reports.engine.render.partition", lambda *_, **__: pytest.fail("partitioned")
    )
    for name in ("transactions", "products", "top_earners", "join_dates", "earned_redeemed", "publications"):
        assert rendered(models.load(name, where="test"), sample, tmp_path, "2026-07-01", "2025-07-01")


def test_a_pass_carries_no_column_that_only_reports_without_cuts_read(
    sample: LocalSnapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    carried: list[str] = []
    original = rendering.partition

    def watched(files: Any, cuts: Any, scratch: Any, columns: list[str], **more: Any) -> Any:
        carried.extend(columns)
        return original(files, cuts, scratch, columns, **more)

    monkeypatch.setattr("include.reports.engine.render.partition", watched)
    jobs = []
    for name in ("transactions", "balance"):
        model = models.load(name, where="test")
        asked = Asked(None, None, 2**51, 2**51, model.Options(), "UTC")
        jobs.append(rendering.Job(model, asked, lambda batches: sum(map(len, batches))))
    every, held = rendering.render(jobs, sample, tmp_path)
    assert (every, held > 0) == (9_000, True)
    assert carried == ["recorded_at"]
