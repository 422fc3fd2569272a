"""The page in a browser: a file is dropped, what is wrong is said beside a form that keeps everything, it works without script."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from include.imports.options import Mode
from include.pipeline import imports
from tests.browser.axe import PHONE, findings, findings_everywhere, wider_than_shown
from tests.web.imports.conftest import PAGE

pytestmark = [pytest.mark.slow, pytest.mark.servers]
FILE = {"name": "points.csv", "mimeType": "text/csv", "buffer": b"customer_id,Points\nc0000001,100\n"}
DROP = """(zone) => {
  const carried = new DataTransfer();
  carried.items.add(new File(["customer_id,Points\\nc0000001,100\\n"], "points.csv", { type: "text/csv" }));
  const input = zone.querySelector("input");
  zone.dispatchEvent(new DragEvent("dragover", { dataTransfer: carried, bubbles: true }));
  input.files = carried.files;
  input.dispatchEvent(new Event("change", { bubbles: true }));
}"""


def test_a_dropped_file_is_named_uploaded_and_its_page_opens(opened, context, program, dag):
    page = opened("olga")
    page.goto(PAGE)
    zone = page.locator("[data-drop]")
    zone.evaluate(DROP)
    expect(zone).to_have_class("drop over")
    expect(page.locator("[data-chosen]")).to_have_text("points.csv, 32 bytes")
    page.select_option("#program", program)
    page.get_by_role("button", name="Rehearse").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("points.csv")
    (record,) = imports.history(context)
    assert page.url.endswith(record.import_id)
    imports.rehearse(context, record.import_id)
    expect(page.get_by_text("This is a rehearsal: nothing is posted yet.")).to_be_visible()
    expect(page.get_by_role("button", name="Post 1 row")).to_be_visible()
    assert findings(page) == []


def test_a_name_that_came_before_is_asked_about_and_the_form_keeps_its_file(
    opened, context, program, dag, received
):
    received("customer_id,Points\nc0000002,1\n")
    page = opened("olga")
    page.goto(PAGE)
    expect(page.locator("[data-asked]")).to_be_hidden()
    page.set_input_files("#file", FILE)
    page.select_option("#program", program)
    page.get_by_role("button", name="Rehearse").click()
    expect(page.locator("#problem")).to_contain_text("with other bytes")
    page.get_by_label("It is meant").check()
    page.get_by_role("button", name="Rehearse").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("points.csv")
    assert len(imports.history(context)) == 2


def test_a_double_click_asks_once(opened, context, dag, received):
    record = received("customer_id,Points\nc0000002,1\n")
    page = opened("olga")
    page.goto(f"{PAGE}/{record.import_id}")
    sent = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    button = page.get_by_role("button", name="Post 1 row")
    button.evaluate("(button) => { button.click(); setTimeout(() => button.click(), 50); }")
    expect(page.get_by_text("It is to be posted")).to_be_visible()
    assert [url.rpartition("/")[2] for url in sent] == ["post"]
    page.go_back()
    page.goto(f"{PAGE}/{record.import_id}")
    page.get_by_text("Withdraw").first.click()
    page.get_by_role("button", name="Withdraw").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("refused")


def test_program_is_not_asked_for_birthdays(opened, context, dag):
    page = opened("olga")
    page.goto(PAGE)
    expect(page.get_by_label("Program")).to_be_visible()
    page.get_by_label("Set birthdays").check()
    expect(page.get_by_label("Program")).to_be_hidden()


def test_without_script_the_form_is_sent_all_the_same(opened, context, program, dag):
    page = opened("olga", java_script_enabled=False)
    page.goto(PAGE)
    page.set_input_files("#file", FILE)
    page.select_option("#program", program)
    page.get_by_role("button", name="Rehearse").click()
    expect(page.get_by_role("status").first).to_contain_text("The file is here")


def test_the_pages_can_be_used_by_everybody_and_fit_a_phone(opened, context, dag, received):
    record = received("customer_id,Points\nc0000001,100\nnobody,5\n", mode=Mode.RESET)
    page = opened("paul")
    for path in (PAGE, f"{PAGE}/{record.import_id}"):
        page.goto(path)
        assert findings_everywhere(page) == []
        page.set_viewport_size(PHONE)
        assert wider_than_shown(page) == 0
