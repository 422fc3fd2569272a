"""Administration and what needs somebody, in a real browser: for everybody, by buttons, in light, dark and on a phone."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import expect

from include.pipeline import attention
from include.pipeline.audit import parts as audit_parts
from include.state.audit import Action
from include.state.identity import delivery_key
from include.state.runs import RunStatus
from tests.browser import axe
from tests.browser.pages import CHROMIUM

pytestmark = [
    pytest.mark.servers,
    pytest.mark.slow,
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="chromium is not installed"),
]
PAGES = (
    "attention",
    *(f"administration/{name}" for name in ("access", "audit", "connections", "retention", "keys")),
)


@pytest.fixture
def busy(installation, monkeypatch):
    """An installation with something on every page."""
    monkeypatch.setenv("LOYALTY_EXPORTS", str(installation.home))
    attention.forget()
    context, run = installation.context, installation.run
    key = delivery_key(run.run_key, "folder")
    claim = context.state.deliveries.claim(
        key, "w", timedelta(minutes=1), run_key=run.run_key, target="folder"
    )
    context.state.deliveries.uncertain(claim, "the connection broke after the last byte")
    summary = {"deliveries": {"folder": {"state": "uncertain"}}, "failure": None}
    context.state.runs.finish(run.run_key, RunStatus.FAILED, summary)
    context.state.grants.grant("op", "personal", by="ann")
    context.state.grants.grant("finance-and-controlling", "edit", "weekly-history", by="ann")
    context.state.keys.make("warehouse", ["runs:read", "files:read"], by="ann")
    return context


def test_nothing_keeps_people_with_disabilities_out(opened, busy):
    page = opened()
    found = {}
    for path in PAGES:
        page.goto(f"/loyalty/{path}")
        page.wait_for_load_state("networkidle")
        found[path] = (axe.findings_everywhere(page), axe.wider_than_shown(page))
    assert found == dict.fromkeys(PAGES, ([], 0))


def test_the_chain_is_verified_before_somebodys_eyes(opened, busy, monkeypatch):
    monkeypatch.setattr(audit_parts.walk, "__defaults__", (0, 0))  # an entry at a time
    page = opened()
    page.goto("/loyalty/administration/audit")
    page.get_by_role("button", name="Verify that nobody touched it").click()
    expect(page.get_by_text("are whole and in order, held against")).to_be_visible()


def test_a_key_is_shown_once_and_a_delivery_resolved(opened, busy):
    page = opened()
    page.goto("/loyalty/administration/keys")
    page.get_by_label("Name").fill("robot")
    page.get_by_label("runs:start").check()
    page.get_by_role("button", name="Make the key").click()
    key = page.locator("#new-key").inner_text()
    assert busy.state.keys.authenticate(key).name == "robot"
    page.goto("/loyalty/attention")
    expect(page.locator("nav .count")).to_contain_text("1")
    page.locator("summary", has_text="It arrived").click()
    page.get_by_label("Who said so, or how you know").first.fill("Bob has it")
    page.locator("details[open] button").click()
    expect(page.get_by_role("status")).to_contain_text("Written down, with your name: folder has it.")
    expect(page.get_by_text("Nothing needs you")).to_be_visible()
    [entry] = busy.state.audit.newest(action=Action.RESOLVED)
    assert (entry.actor, entry.detail["note"]) == ("admin", "Bob has it")
