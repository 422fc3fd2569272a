"""`make screenshots`: the pictures of docs/images, of a mail and of an Airflow that has just run some exports."""

from __future__ import annotations

import contextlib
import functools
import io
import subprocess
import sys
import tempfile
import time
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

from playwright.sync_api import sync_playwright

from include.imports.options import Mode, Options
from include.orchestration.services import free_port
from include.pipeline import Context, imports
from include.pipeline.links import with_code
from include.settings import ROOT, Settings
from tests.browser import mail, pages
from tests.orchestration.airflow_server import started

shot = functools.partial(pages.shot, wait_ms=1500)


def main(folder: Path) -> None:
    """Write mail, dag-list, grid, grid-failed, trigger-form, backfill-dialog, download-link and our pages, as .png."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="loyalty-") as home, mail.opened(Path(home)) as page:
        page.screenshot(path=folder / "mail.png", full_page=True)
    with tempfile.TemporaryDirectory(prefix="loyalty-") as home, started(Path(home)) as server:
        client = server.running.client
        client.backfill("weekly-history", datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 5, 31, tzinfo=UTC))
        client.wait_for_run(
            "three-targets", client.trigger("three-targets", as_of="2026-04-01T00:00:00Z"), 600
        )
        while not (runs := client.runs("weekly-history")) or any(run["end_date"] is None for run in runs):
            time.sleep(1)
        time.sleep(5)  # the banner of the backfill goes when the scheduler has seen its end
        with pages.logged_in(server.running) as page:
            pages.dag_list(page)
            shot(page, folder, "dag-list")
            pages.dag(page, "weekly-history")
            shot(page, folder, "grid")
            pages.dag(page, "three-targets")
            shot(page, folder, "grid-failed")
            pages.trigger_form(page, "weekly-history", "What to report")
            shot(page, folder, "trigger-form")
            dialog = pages.backfill_dialog(page, "weekly-history", "2026/03/01", "2026/04/01")
            dialog.get_by_text("runs will be triggered").wait_for()
            shot(page, folder, "backfill-dialog")
            known = {"LOYALTY_HOME": home, "LOYALTY_PUBLIC_URL": server.running.url}
            context = Context.from_settings(Settings.from_environment(known))
            run = context.state.runs.list(definition_id="weekly-history")[0]
            page.goto(with_code(context, run.run_key, run.files[0]["name"], "jane.doe@shop.example"))
            page.get_by_role("button", name="Mail me a code").click()
            page.get_by_role("status").wait_for()
            shot(page, folder, "download-link")


def our_pages(folder: Path) -> None:
    """Write exports, new-export, export, dashboards and import: every shipped export on a sample ledger."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory(prefix="loyalty-") as home, sync_playwright() as playwright:
        command = [sys.executable, "-m", "tests.web.serve", "--port", str(port), "--home", f"{home}/pages"]
        server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        browser = playwright.chromium.launch(executable_path=pages.CHROMIUM, args=pages.QUIET)
        try:
            page = browser.new_page(viewport={"width": 1440, "height": 900}, timezone_id="Europe/London")
            page.set_default_timeout(pages.PATIENCE)
            answers(url)
            page.goto(f"{url}/loyalty-login?user=admin&next=/plugin/loyalty")
            page.frame_locator("iframe").get_by_role("link", name="Daily balances").wait_for()
            shot(page, folder, "exports")
            page.goto(f"{url}/loyalty/exports/new/balance")
            page.locator("[name='name']").fill("Balances for the shops")
            page.get_by_role("button", name="Show the first 10 rows").click()
            page.locator("#preview-rows table").wait_for(timeout=120_000)
            page.locator("#preview-rows").scroll_into_view_if_needed()
            shot(page, folder, "new-export")
            page.goto(f"{url}/loyalty/exports/daily-balances")
            shot(page, folder, "export")
            page.goto(f"{url}/loyalty/dashboards?frame=last_3_months")
            shot(page, folder, "dashboards")
            page.goto(f"{url}/loyalty/imports/{waiting_import(Path(home) / 'pages')}")
            shot(page, folder, "import")
        finally:
            browser.close()
            server.terminate()
            server.wait()


def waiting_import(home: Path) -> str:
    """Rehearse an import that a second person must agree to; return its id."""
    context = Context.from_settings(Settings.from_environment({"LOYALTY_HOME": str(home)}))
    file = io.BytesIO(b"customer_id,points\nc0000000,5000\nc0000001,1200.50\nc0000002,0\n")
    options = Options(mode=Mode.RESET, program="club")
    made = imports.receive(context, file, name="balances-july.csv", options=options, by="olga")
    return imports.rehearse(context, made.import_id).import_id


def answers(url: str, seconds: float = 600) -> None:
    """Wait until a server does."""
    until = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"{url}/api/v2/version", timeout=5).close()
            return
        assert time.monotonic() < until, url
        time.sleep(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    our_pages(Path(sys.argv[1]))
