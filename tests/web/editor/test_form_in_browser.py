"""The form as an operator uses it, in Chromium: from the choice of a model to an export, through a login that ends."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import expect

from tests.browser import pages
from tests.browser.axe import findings_everywhere, wider_than_shown
from tests.web.conftest import login_token

pytestmark = [pytest.mark.slow, pytest.mark.servers]

NEW = "/loyalty/exports/new"


@pytest.fixture
def context(installation):
    return installation.context


def show(page, path: str) -> None:
    page.goto(path)
    page.wait_for_load_state("networkidle")


def log_in(page) -> None:
    url = page.url.partition("/auth")[0]
    page.context.add_cookies([{"name": "_token", "value": login_token("olga", "ADMIN"), "url": url}])


def test_an_operator_makes_an_export_without_a_word_of_yaml(opened, context):
    page = opened("olga", "ADMIN")
    show(page, NEW)
    page.fill("#q", "what every account holds")
    page.wait_for_selector("a.model >> nth=1", state="detached")
    page.click("a.model >> text=Balances")
    page.fill("#at-name", "Soldes des membres fidèles")
    assert page.input_value("#at-id") == "soldes-des-membres-fideles"
    page.select_option("[name='options.grain']", "customer")
    page.select_option("[name='schedule.kind']", "monthly")
    page.fill("[name='schedule.time']", "06:00")
    page.check("#section-when input[value=last]")
    page.fill("[name=timezone]", "Europe/Paris")
    page.select_option("[name='targets.0.kind']", "folder")
    page.fill("[name='targets.0.options.folder']", "delivered/members")
    page.select_option("[name='file.format']", "psv")
    expect(page.locator("[name='file.options.delimiter']")).to_have_value("|")
    page.click("button[value=save]")
    page.wait_for_url("**/exports/soldes-des-membres-fideles")
    assert context.state.exports.get("soldes-des-membres-fideles").document == {
        "id": "soldes-des-membres-fideles", "name": "Soldes des membres fidèles", "owner": "olga", "model": "balance",
        "options": {"grain": "customer"}, "as_of": "end_of_previous_day", "timezone": "Europe/Paris", "file": {"format": "psv"},
        "schedule": {"kind": "monthly", "time": "06:00", "days": ["last"]},
        "targets": [{"kind": "folder", "options": {"folder": "delivered/members"}}],
    }  # fmt: skip


def test_a_choice_made_before_the_page_listens_is_not_lost(opened, monkeypatch):
    monkeypatch.setattr(pages, "WAITS", False)
    page = opened("olga", "ADMIN")
    held = []

    def hold(route):
        held.append(route)

    page.route("**/htmx.min.js*", hold)
    page.goto(f"{NEW}/balance", wait_until="commit")
    page.select_option("[name='targets.0.kind']", "folder")
    page.select_option("[name='schedule.kind']", "monthly")
    assert page.locator("[name='targets.0.options.folder'], [name='schedule.days']").count() == 0
    held[0].continue_()
    expect(page.locator("[name='targets.0.options.folder']")).to_be_visible()
    expect(page.locator("[name='schedule.days'][value=last]")).to_be_visible()
    expect(page.locator("[name='targets.0.kind']")).to_have_value("folder")


def test_a_name_typed_before_the_page_listens_makes_the_id(opened, monkeypatch):
    monkeypatch.setattr(pages, "WAITS", False)
    page = opened("olga", "ADMIN")
    held = []

    def hold(route):
        held.append(route)

    page.route("**/editor.js*", hold)
    page.goto(f"{NEW}/balance", wait_until="commit")
    page.fill("#at-name", "Soldes")
    assert page.input_value("#at-id") == ""
    held[0].continue_()
    expect(page.locator("#at-id")).to_have_value("soldes")


def test_a_choice_made_as_soon_as_a_part_is_drawn_is_not_lost(opened):
    page = opened("olga", "ADMIN")
    show(page, f"{NEW}/balance")
    # Choose in the same moment in which the new row is there: before anything that the page puts off.
    page.evaluate(
        """() => new MutationObserver((_, self) => {
          const field = document.querySelector("[name='targets.1.kind']");
          if (!field) return;
          self.disconnect();
          field.value = "folder";
          field.dispatchEvent(new Event("change", { bubbles: true }));
        }).observe(document.body, { childList: true, subtree: true })"""
    )
    page.click("button[value='add:targets']")
    expect(page.locator("[name='targets.1.options.folder']")).to_be_visible()


def test_the_fields_of_a_row_stand_at_one_height(opened):
    page = opened("olga", "ADMIN")
    show(page, f"{NEW}/balance")
    page.check("[name=columns][value=groups]")
    page.click("text=Add a column")
    fields = page.locator("#at-aggregation .row .field :is(input, select)")
    expect(fields).to_have_count(3)
    assert len({round(each.bounding_box()["y"]) for each in fields.all()}) == 1


def test_a_condition_without_a_value_is_told_in_its_row(opened, context):
    page = opened("olga", "ADMIN")
    show(page, f"{NEW}/balance")
    page.fill("#at-name", "Half a filter")
    page.select_option("[name='targets.0.kind']", "folder")
    page.fill("[name='targets.0.options.folder']", "half")
    page.get_by_role("button", name="Add a condition").click()
    expect(page.locator(".filter-condition ~ .row-problems, [data-node] .problem").first).to_contain_text(
        "A value is needed"
    )
    value = page.get_by_label("Value", exact=True)
    value.fill("club")
    value.fill("")  # nothing again
    assert "null" in page.input_value("textarea[name=filters]")
    value.fill("club")
    page.click("button[value=save]")
    page.wait_for_url("**/exports/half-a-filter")
    assert context.state.exports.get("half-a-filter").document["filters"] == {
        "field": "program_id",
        "is": "club",
    }


def test_what_is_typed_outlives_the_login_and_is_forgotten_when_it_is_saved(opened, context):
    page = opened("olga", "ADMIN")
    form = f"{NEW}/balance"
    show(page, form)
    page.fill("#at-name", "Kept <b>")
    page.fill("#at-description", "two\nlines")
    page.select_option("[name='targets.0.kind']", "folder")
    page.fill("[name='targets.0.options.folder']", "kept")
    page.context.clear_cookies()
    page.click("button[value=save]")
    page.wait_for_url("**/auth/login?next=**")
    assert page.url.endswith("next=%2Floyalty%2Fexports%2Fnew%2Fbalance")
    assert context.state.exports.get("kept-b") is None
    log_in(page)
    show(page, form)
    page.wait_for_selector("text=What you had typed here before was kept")
    assert page.input_value("#at-name") == "Kept <b>"
    assert page.input_value("#at-description") == "two\nlines"
    assert page.input_value("[name='targets.0.options.folder']") == "kept"
    page.click("button[value=save]")
    page.wait_for_url("**/exports/kept-b")
    show(page, form)
    assert page.input_value("#at-name") == ""
    assert page.query_selector("text=What you had typed") is None


def test_what_was_kept_can_be_dropped_and_is_nobody_elses(opened):
    page = opened("olga", "ADMIN")
    show(page, f"{NEW}/balance")
    page.fill("#at-name", "Draft")
    kept = "Object.values(sessionStorage).some((text) => text.includes('Draft'))"
    until = time.monotonic() + 60
    while not page.evaluate(kept):  # a moment after the last letter
        assert time.monotonic() < until
        page.wait_for_timeout(50)
    assert page.evaluate("Object.values(sessionStorage).some((text) => text.includes('form_token'))") is False
    show(page, f"{NEW}/lots")
    assert page.input_value("#at-name") == ""
    show(page, f"{NEW}/balance")
    page.click("text=Begin anew")
    page.wait_for_load_state("networkidle")
    assert page.input_value("#at-name") == ""


def test_the_pages_can_be_used_by_everybody(opened):
    page = opened("olga", "ADMIN")
    for path in (
        NEW,
        f"{NEW}/customers",
        "/loyalty/exports/points-by-tier/clone",
        "/loyalty/exports/daily-balances/edit",
    ):
        show(page, path)
        for fold in page.query_selector_all("details"):
            fold.evaluate("(fold) => { fold.open = true; }")
        assert findings_everywhere(page) == [], path
        page.set_viewport_size({"width": 390, "height": 844})
        assert wider_than_shown(page) == 0, path
        page.set_viewport_size({"width": 1280, "height": 900})
