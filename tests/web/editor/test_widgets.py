"""The picker of columns and the builder of filters in a real browser: by mouse, by finger, by keyboard; and without scripts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from include.web import pages
from include.web.assets import FOLDER
from include.web.editor import filters
from include.web.editor.form import values_of
from include.web.editor.view import Form
from include.web.reader import Reader
from tests.browser import axe

pytestmark = [pytest.mark.slow, pytest.mark.servers]
SITE = "http://pages.test"
KINDS = {"js": "text/javascript", "css": "text/css"}
PAGE = """{% extends "base.html" %}{% import "editor/aids.html" as aids with context %}
{% block title %}Test{% endblock %}{% block styles %}{{ aids.assets() }}{% endblock %}
{% block main %}<h1>Test</h1><form id="editor" method="post" action="/sent">
<h2>Columns</h2>{{ aids.fields(form) }}<h2>Filters</h2>{{ aids.filters(form) }}</form>{% endblock %}"""
Open = Callable[..., Any]


def rendered(document: dict[str, Any]) -> str:
    reader = Reader("admin", frozenset({"admin"}), lambda *_: True, frozenset)
    shared = {"root": ".", "reader": reader, "form_token": "x", "sections": [], "section": "", "told": ""}
    template = pages._environment().from_string(PAGE)
    return template.render(**shared, form=Form(values_of(document)))


@pytest.fixture
def show(chromium) -> Iterator[Open]:
    """Open the two widgets on a document."""
    contexts = []

    def opened(document: dict[str, Any], **how: Any) -> Any:
        def serve(route: Any) -> None:
            name = route.request.url.removeprefix(f"{SITE}/").partition("?")[0]
            if name == "editor/filters":
                typed = (
                    route.request.post_data.split('name="filters"')[1]
                    .split("\r\n\r\n")[1]
                    .split("\r\n------")[0]
                )
                found = filters.wrong({**document, "filters": json.loads(typed)})
                route.fulfill(body=json.dumps(found), content_type="application/json")
            elif name.startswith("static/"):
                path = FOLDER / name.removeprefix("static/")
                route.fulfill(body=path.read_bytes(), content_type=KINDS.get(path.suffix[1:], "font/woff2"))
            else:
                route.fulfill(body=rendered(document), content_type="text/html")

        context = chromium.new_context(**how)
        contexts.append(context)
        page = context.new_page()
        page.errors = []
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.route(f"{SITE}/**", serve)
        page.goto(f"{SITE}/")
        return page

    yield opened
    for context in contexts:
        context.close()


COLUMNS = {
    "model": "customers",
    "fields": [{"field": "email"}, {"field": "tier", "header": "Level"}, {"field": "customer_id"}],
}


def sent(page: Any) -> dict[str, str]:
    """What the form would send of the columns."""
    pairs = page.evaluate("[...new FormData(document.getElementById('editor'))]")
    return {name: value for name, value in pairs if name.startswith("fields.") and value}


def order(page: Any) -> list[str]:
    return [value for name, value in sent(page).items() if name.endswith(".field")]


def tick(page: Any, name: str) -> None:
    page.locator(f"[data-name='{name}'] input[type=checkbox]").click()


def test_columns_stand_in_their_order_and_the_others_below(show):
    page = show(COLUMNS)
    assert sent(page) == {
        "fields.0.field": "email", "fields.1.field": "tier", "fields.1.header": "Level", "fields.2.field": "customer_id",
    }  # fmt: skip
    assert page.locator("[data-row]").count() == len(Form(values_of(COLUMNS)).columns)
    assert "personal" in page.locator("[data-name=email]").inner_text()
    assert "Name of the customer's tier" in page.locator("[data-name=tier]").inner_text()


def test_without_scripts_the_boxes_are_a_form(show):
    page = show(COLUMNS, java_script_enabled=False)
    assert page.locator("[data-row] input:checked").count() == 3
    assert page.locator("#at-filters").is_visible()
    assert page.locator("[data-name=tier] button[value='up:fields.1']").is_visible()
    assert not page.locator("[data-tools]").is_visible()


def test_what_is_ticked_comes_last_and_what_is_not_goes_home(show):
    page = show(COLUMNS)
    tick(page, "loyalty_points")
    assert order(page) == ["email", "tier", "customer_id", "loyalty_points"]
    tick(page, "email")
    assert order(page) == ["tier", "customer_id", "loyalty_points"]
    assert sorted(sent(page)) == [
        "fields.0.field", "fields.0.header", "fields.1.field", "fields.2.field",
    ]  # fmt: skip
    page.locator("[data-name=customer_id] .pick-header").fill("Who")
    assert sent(page)["fields.1.header"] == "Who"


def test_by_keyboard_alone(show):
    page = show(COLUMNS)
    page.locator("[data-name=customer_id] input[type=checkbox]").focus()
    page.keyboard.press("Alt+ArrowUp")
    page.keyboard.press("Alt+ArrowUp")
    page.keyboard.press("Alt+ArrowUp")
    assert order(page) == ["customer_id", "email", "tier"]
    assert page.locator("[data-picker] [data-told]").inner_text() == "customer_id: column 1 of 3"
    assert page.evaluate("document.activeElement.value") == "customer_id"
    page.locator("[data-name=customer_id] [data-move='1']").focus()
    page.keyboard.press("Enter")
    assert order(page) == ["email", "customer_id", "tier"]
    page.keyboard.press("Space")
    assert order(page) == ["email", "tier", "customer_id"]
    assert page.locator("[data-name=customer_id] [data-move='1']").is_disabled()
    page.locator("[data-search]").focus()
    page.keyboard.type("referral nothing")
    page.keyboard.press("Enter")
    assert page.url == f"{SITE}/"
    assert page.locator("[data-nothing]").is_visible()


def test_search_looks_into_names_and_meanings(show):
    page = show(COLUMNS)
    page.locator("[data-search]").fill("last activity")
    page.locator("[data-search]").fill("E-MAIL")
    assert page.locator("[data-row]:visible").count() == 1
    page.locator("[data-all]").click()
    assert order(page) == ["email", "tier", "customer_id"]
    page.locator("[data-none]").click()
    assert order(page) == ["tier", "customer_id"]
    page.locator("[data-search]").fill("")
    page.locator("[data-all]").click()
    assert len(order(page)) == page.locator("[data-row]").count()


def test_a_property_becomes_a_column(show):
    page = show(COLUMNS)
    page.locator("[data-property]").fill("metadata.city")
    page.keyboard.press("Enter")
    assert order(page) == ["email", "tier", "customer_id", "metadata.city"]
    tick(page, "metadata.city")
    assert order(page) == ["email", "tier", "customer_id"]
    assert not page.errors


@pytest.mark.parametrize("width", [1280, 390])
def test_dragged_by_mouse(show, width):
    page = show(COLUMNS, viewport={"width": width, "height": 900})
    start = page.locator("[data-name=customer_id] [data-grip]").bounding_box()
    end = page.locator("[data-name=email]").bounding_box()
    page.mouse.move(start["x"] + 4, start["y"] + 4)
    page.mouse.down()
    page.mouse.move(start["x"] + 4, end["y"] + 3, steps=20)
    page.mouse.up()
    assert order(page) == ["customer_id", "email", "tier"]


def test_dragged_by_finger(show):
    page = show(COLUMNS, viewport={"width": 390, "height": 900}, has_touch=True)
    finger = page.context.new_cdp_session(page)
    start = page.locator("[data-name=email] [data-grip]").bounding_box()
    end = page.locator("[data-name=customer_id]").bounding_box()
    x, y, way = start["x"] + 4, start["y"] + 4, end["y"] + end["height"] - start["y"]

    def touch(kind: str, *points: float) -> None:
        at = [{"x": x, "y": point} for point in points]
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": at})

    touch("touchStart", y)
    for step in range(1, 21):
        touch("touchMove", y + way * step / 20)
    touch("touchEnd")
    assert order(page) == ["tier", "customer_id", "email"]


TREE = {
    "all": [
        {"field": "tier", "in": ["Gold", "Silver"]},
        {
            "any": [
                {"field": "loyalty_points", "more_than": "12345678901234567.50"},
                {"segment": {"active": 7}},
            ]
        },
        {"field": "metadata.city", "is_unknown": True},
        {"field": "is_member", "is": True},
        {"field": "registered_at", "after": "2026-01-31", "before": "2026-02-28T00:00:00Z"},
    ]
}


def tree(page: Any) -> Any:
    typed = page.locator("#at-filters").input_value()
    return json.loads(typed) if typed else None


def test_a_filter_that_nobody_touches_stays_as_it_is(show):
    page = show({"model": "customers", "filters": TREE})
    assert tree(page) == TREE
    assert page.locator(".filter-row").count() == 6
    page.locator(".filter-row").first.locator("textarea").fill("Gold\nSilver\nBronze")
    changed = tree(page)
    assert changed["all"][0] == {"field": "tier", "in": ["Gold", "Silver", "Bronze"]}
    assert changed["all"][1:] == TREE["all"][1:]
    assert not page.errors


def test_a_tree_is_built_from_nothing(show):
    page = show({"model": "transactions"})
    assert "Every row is in the file" in page.locator("[data-tree]").inner_text()
    page.get_by_role("button", name="Add a condition").click()
    row = page.locator(".filter-row")
    row.get_by_label("Field").select_option("type")
    row.get_by_label("earned", exact=True).check()
    row.get_by_label("redeemed", exact=True).check()
    assert tree(page) == {"field": "type", "is": ["earned", "redeemed"]}
    page.get_by_role("button", name="Add a group").click()
    group = page.locator(".filter-group .filter-group")
    group.get_by_label("Field").select_option("points")
    group.get_by_label("Value").fill("12.5")
    group.get_by_role("button", name="Add a condition").click()
    group.get_by_label("Field").nth(1).select_option("created_at")
    group.get_by_label("Value").nth(1).fill("7")
    assert tree(page) == {
        "all": [
            {"field": "type", "is": ["earned", "redeemed"]},
            {
                "any": [
                    {"field": "points", "more_than_equal": 12.5},
                    {"field": "created_at", "less_than_ago": 7},
                ]
            },
        ]
    }
    group.get_by_role("button", name="Remove the group").click()
    page.get_by_role("button", name="Remove the condition on type").click()
    assert tree(page) is None
    assert not page.errors


def test_a_problem_stands_at_its_row(show):
    page = show(
        {
            "model": "transactions",
            "filters": {"any": [{"field": "points", "is": 1}, {"field": "points", "more_than": "x"}]},
        }
    )
    problem = page.locator(".filter-row").nth(1).locator(".problem")
    problem.wait_for()
    assert "must be a number" in problem.inner_text()
    assert page.locator(".problem").count() == 1
    page.locator(".filter-row").nth(1).get_by_label("Value").fill("3")
    problem.wait_for(state="detached")


def test_every_operator_of_every_kind_of_field_can_be_chosen(show):
    page = show({"model": "customers", "filters": {"field": "email", "is": "x"}})
    row = page.locator(".filter-row")
    for field in (
        "email",
        "loyalty_points",
        "registered_at",
        "birthdate",
        "is_member",
        "metadata",
        "orders_total_amount",
    ):
        row.get_by_label("Field").select_option(field)
        words = (
            row.get_by_label("Operator").locator("option").evaluate_all("all => all.map((one) => one.value)")
        )
        for word in words:
            row.get_by_label("Operator").select_option(word)
            if row.get_by_label("Value", exact=True).count() and field != "is_member":
                number = (
                    field in ("loyalty_points", "orders_total_amount")
                    or "ago" in word
                    or "days" in word
                    or "future" in word
                )
                number = number or word.startswith("count") or "_than" in word
                date = row.get_by_label("Value", exact=True).get_attribute("type") == "date"
                row.get_by_label("Value", exact=True).fill(
                    "2026-01-31" if date else "3" if number else "2026-01-31"
                )
            assert filters.wrong({"model": "customers", "filters": tree(page)}) == [], (
                field,
                word,
                tree(page),
            )
    assert not page.errors


def test_text_that_is_no_tree_stays_text(show):
    page = show({"model": "customers"})
    page.locator("[data-text] summary").click()
    page.locator("#at-filters").fill("- field: tier\n  is: Gold")
    page.locator("[data-search]").focus()
    assert not page.locator("[data-tree]").is_visible()
    page.locator("#at-filters").fill('[{"field": "tier", "is": "Gold"}]')
    page.locator("[data-search]").focus()
    assert page.locator(".filter-row").count() == 1
    assert tree(page) == [{"field": "tier", "is": "Gold"}]


def test_nothing_keeps_people_with_disabilities_out(show):
    page = show({**COLUMNS, "filters": TREE})
    assert axe.findings_everywhere(page, impacts=axe.EVERY) == []
    page.set_viewport_size(axe.PHONE)
    assert axe.wider_than_shown(page) == 0
