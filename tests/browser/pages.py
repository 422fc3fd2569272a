"""Airflow's pages as a person meets them: log in, look, open the trigger form and the backfill dialog."""

from __future__ import annotations

import contextlib
import functools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect, sync_playwright

from include.orchestration.environment import USER, password
from include.orchestration.services import Running

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE = 60_000  # ms; the machine may be busy
WAITS = True
"""Whether actions wait for a page's scripts, where `listening` is used."""
ACTIONS = (
    "check", "clear", "click", "dispatch_event", "fill", "press", "press_sequentially", "select_option", "set_checked",
    "set_input_files", "uncheck",
)  # fmt: skip


@contextlib.contextmanager
def listening() -> Iterator[None]:
    """Let no action on a part of a page come before the scripts of its frame listen: it would be lost."""

    def after_load(name: str) -> Callable[..., Any]:
        act = getattr(Locator, name)

        @functools.wraps(act)
        def acted(self: Locator, *arguments: Any, **options: Any) -> Any:
            frame = self.element_handle().owner_frame() if WAITS else None
            if frame is not None:
                frame.wait_for_load_state("load")
            return act(self, *arguments, **options)

        return acted

    def after_load_of_all(name: str) -> Callable[..., Any]:
        act = getattr(Page, name)

        @functools.wraps(act)
        def acted(self: Page, *arguments: Any, **options: Any) -> Any:
            if WAITS:
                self.wait_for_load_state("load")
            return act(self, *arguments, **options)

        return acted

    with pytest.MonkeyPatch.context() as patch:
        for name in ACTIONS:
            patch.setattr(Locator, name, after_load(name))
            if hasattr(Page, name):
                patch.setattr(Page, name, after_load_of_all(name))
        yield


@contextlib.contextmanager
def logged_in(running: Running) -> Iterator[Page]:
    """Yield a page of a browser in which the administrator is logged in."""
    with listening(), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        try:
            context = browser.new_context(viewport={"width": 1440, "height": 900}, base_url=running.url)
            page = context.new_page()
            page.set_default_timeout(PATIENCE)
            expect.set_options(timeout=PATIENCE)
            page.goto("/")
            page.locator("input[name=username]").fill(USER)
            page.locator("input[name=password]").fill(password(running.home))
            page.locator("button[type=submit]").click()
            page.wait_for_url("**/")
            yield page
        finally:
            browser.close()


def dag_list(page: Page) -> None:
    """Open the list of all DAGs."""
    page.goto("/dags")
    expect(page.get_by_text("Weekly history").first).to_be_visible()


def dag(page: Page, dag_id: str) -> None:
    """Open one DAG with its grid of runs."""
    page.goto(f"/dags/{dag_id}")
    expect(page.get_by_role("button", name="Trigger").first).to_be_visible()


def trigger_form(page: Page, dag_id: str, *sections: str) -> Locator:
    """Open the form that starts a run by hand, with one of its sections unfolded; return it."""
    dag(page, dag_id)
    page.get_by_role("button", name="Trigger").first.click()
    form = page.get_by_role("dialog")
    expect(form).to_be_visible()
    for section in sections:
        form.get_by_role("button", name=section).click()
        expect(form.get_by_role("button", name=section)).to_have_attribute("aria-expanded", "true")
    return form


def backfill_dialog(page: Page, dag_id: str, first: str, last: str) -> Locator:
    """Open the dialog for a backfill with its days filled in, such as 2026/03/01; return it."""
    form = trigger_form(page, dag_id)
    form.get_by_text("Backfill", exact=True).first.click()
    for day in (first, last):
        form.get_by_text("Select date and time").first.click()
        page.get_by_placeholder("YYYY/MM/DD").fill(day)
        page.get_by_placeholder("HH:mm").fill("00:00")
        page.get_by_placeholder("HH:mm").press("Enter")
        page.keyboard.press("Escape")
        expect(page.get_by_placeholder("YYYY/MM/DD")).to_have_count(0)
    return form


def shot(page: Page, folder: Path, name: str, *, wait_ms: float = 0) -> Path:
    """Write a picture of what is to be seen, its animations ended; wait_ms: for what scripts move."""
    page.wait_for_timeout(wait_ms)
    path = folder / f"{name}.png"
    page.screenshot(path=path, animations="disabled")
    return path
