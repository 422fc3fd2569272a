"""`make screenshots`: the pictures of docs/images, of a mail and of an Airflow that has just run some exports."""

from __future__ import annotations

import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from include.pipeline import Context
from include.pipeline.links import with_code
from include.settings import Settings
from tests.browser import mail, pages
from tests.orchestration.airflow_server import started


def main(folder: Path) -> None:
    """Write mail, dag-list, grid, grid-failed, trigger-form, backfill-dialog and download-link, each as .png."""
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
            pages.shot(page, folder, "dag-list")
            pages.dag(page, "weekly-history")
            pages.shot(page, folder, "grid")
            pages.dag(page, "three-targets")
            pages.shot(page, folder, "grid-failed")
            pages.trigger_form(page, "weekly-history", "What to report")
            pages.shot(page, folder, "trigger-form")
            dialog = pages.backfill_dialog(page, "weekly-history", "2026/03/01", "2026/04/01")
            dialog.get_by_text("runs will be triggered").wait_for()
            pages.shot(page, folder, "backfill-dialog")
            known = {"LOYALTY_HOME": home, "LOYALTY_PUBLIC_URL": server.running.url}
            context = Context.from_settings(Settings.from_environment(known))
            run = context.state.runs.list(definition_id="weekly-history")[0]
            page.goto(with_code(context, run.run_key, run.files[0]["name"], "jane.doe@shop.example"))
            page.get_by_role("button", name="Mail me a code").click()
            page.get_by_role("status").wait_for()
            pages.shot(page, folder, "download-link")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
