"""Airflow's real API server with our pages and something to see on them, in one process, for whoever works on pages.

`python -m tests.web.serve --port 8101`: a sample ledger, every shipped export, some finished runs; no scheduler, so
nothing starts by itself. `/loyalty-login?user=op&next=/loyalty/exports` logs in; users are admin, op, user, viewer.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from include.settings import ROOT

USERS = {"admin": "ADMIN", "op": "OP", "user": "USER", "viewer": "VIEWER"}
FINISHED = ("daily-balances", "weekly-history", "month-end-liability", "member-points", "points-by-tier")


def prepare(home: Path) -> None:
    """Make a ledger, and run some exports, one of which fails to deliver."""
    from include import sample
    from include.sample.plan import Plan

    exports = home / "exports"
    shutil.copytree(ROOT / "include" / "exports", exports)
    (exports / "broken.yaml").write_text(
        "id: broken\nname: Broken\nmodel: balnce\ntargets: [{kind: folder, options: {folder: x}}]\n"
    )
    (home / "in-the-way").write_text("not a folder")
    (exports / "failing.yaml").write_text(
        "id: failing\nname: To a place that is not there\nmodel: balance\nsettle_delay: 0s\nschedule: {kind: daily, time: '06:00'}\n"
        "targets:\n  - {kind: folder, name: good, options: {folder: good}}\n"
        "  - {kind: folder, name: broken, options: {folder: in-the-way/below}}\n"
    )
    sample.load(f"sqlite:///{home / 'ledger.sqlite'}", Plan(customers=1000, transactions=30_000))
    days = [(name, f"2026-06-0{day}T00:00:00Z") for name in FINISHED for day in (1, 2, 3)]
    for name, when in [*days, ("dashboard", "2026-06-03T00:00:00Z"), ("failing", "2026-06-03T00:00:00Z")]:
        asked = ["--occurrence", when] if name != "failing" else ["--as-of", when]
        subprocess.run(
            [sys.executable, "-m", "include.cli", "export", "run", name, *asked, "--deliver"],
            env=os.environ,
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
        )


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=8101)
    parser.add_argument("--home", type=Path)
    told = parser.parse_args()
    home = told.home or Path(tempfile.gettempdir()) / f"loyalty-pages-{told.port}"
    fresh = not home.exists()
    home.mkdir(parents=True, exist_ok=True)
    url = f"http://127.0.0.1:{told.port}"
    os.environ.update(
        LOYALTY_HOME=str(home),
        LOYALTY_EXPORTS=str(home / "exports"),
        LOYALTY_PUBLIC_URL=url,
        LOYALTY_SETTLE_SECONDS="0",
    )
    if fresh:
        prepare(home)
    from include.orchestration.environment import variables

    os.environ.update(variables(home / "airflow", told.port))
    users = ",".join(f"{user}:{role.lower()}" for user, role in USERS.items())
    os.environ["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"] = users
    import uvicorn

    uvicorn.run(application(), host="127.0.0.1", port=told.port, log_level="warning", access_log=False)


def application() -> object:
    """Return Airflow's application with a short way to log in, its database made and filled with the DAGs."""
    from airflow.api_fastapi.app import create_app
    from airflow.utils.db import initdb
    from starlette.requests import Request
    from starlette.responses import RedirectResponse, Response
    from starlette.routing import Route

    from tests.web.conftest import login_token

    initdb()
    know_the_dags()
    app = create_app(apps="core")

    async def log_in(request: Request) -> Response:
        user = request.query_params.get("user", "admin")
        answer = RedirectResponse(request.query_params.get("next", "/"), 303)
        answer.set_cookie("_token", login_token(user, USERS[user]), path="/")
        return answer

    app.router.routes.insert(0, Route("/loyalty-login", log_in))
    return app


def know_the_dags() -> None:
    """Write the DAGs of every export into Airflow's database, as its DAG processor would."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db

    DagBundlesManager().sync_bundles_to_db()
    bag = DagBag(ROOT / "dags", bundle_path=ROOT / "dags", bundle_name="dags-folder")
    sync_bag_to_db(bag, "dags-folder", None)


if __name__ == "__main__":
    main()
