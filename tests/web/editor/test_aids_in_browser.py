"""The helps of the form where people meet them: on its page, served by Airflow's application, in Chromium."""

from __future__ import annotations

import pytest

from tests.browser.axe import EVERY, PHONE, findings_everywhere, wider_than_shown

pytestmark = [pytest.mark.slow, pytest.mark.servers]
NEW = "/loyalty/exports/new/customers"


def test_an_operator_looks_ahead_before_anything_is_saved(opened, ledger, installation):
    from playwright.sync_api import expect

    page = opened(timezone_id="America/New_York")
    page.goto(NEW)
    page.locator("[name='timezone']").fill("Europe/Paris")
    page.locator("[name='schedule.kind']").select_option("daily")
    page.locator("[name='schedule.time']").fill("06:00")
    page.locator("[name='schedule.time']").blur()
    runs = page.locator("#next-runs .runs li")
    expect(runs).to_have_count(5)
    expect(runs.first).to_contain_text("06:00")
    expect(runs.first).to_contain_text("00:00 your time")

    page.locator("[name='file.name']").fill("{date} members")
    expect(page.locator("#example-name")).to_contain_text(" members.csv.gz")

    page.locator("[name=columns][value=chosen]").check()
    for name in ("customer_id", "email", "loyalty_points"):
        page.locator(f"[data-name={name}] input[type=checkbox]").check()
    page.get_by_role("button", name="Add a condition").click()
    page.get_by_label("Field", exact=True).select_option("loyalty_points")
    page.get_by_label("Value", exact=True).fill("0")
    page.get_by_role("button", name="Show the first 10 rows").click()
    expect(page.locator("#preview-rows tbody tr")).to_have_count(10)
    expect(page.locator("#preview-rows")).to_contain_text("50 rows")
    expect(page.locator("#preview-rows")).to_contain_text("@example.com")

    page.locator("[name='targets.0.kind']").select_option("folder")
    page.locator("[name='targets.0.options.folder']").fill("reports")
    page.get_by_role("button", name="Test", exact=True).click()
    expect(page.locator("#target-0-tried")).to_contain_text("Files can be delivered to folder")

    # Bars that stay in sight cover a part of whatever is scrolled below them.
    page.evaluate(
        "document.querySelectorAll('.does, .top, .parts').forEach((bar) => { bar.style.position = 'static' })"
    )
    assert findings_everywhere(page, impacts=EVERY) == []
    page.set_viewport_size(PHONE)
    assert wider_than_shown(page) == 0
    assert installation.context.state.runs.list(definition_id="this-export") == []


def test_a_snapshot_is_made_for_who_waits(opened, ledger):
    from playwright.sync_api import expect

    page = opened()
    page.goto("/loyalty/exports/new/orders")
    page.get_by_role("button", name="Show the first 10 rows").click()
    page.get_by_role("button", name="Make a snapshot now").click()
    expect(page.locator("#preview-rows tbody tr").first).to_be_visible(timeout=120_000)
