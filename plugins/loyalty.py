"""Registers with Airflow what this product adds to it; nothing else."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

# Airflow's DAG processor reads plugins, then forks a process for each parsing: none must load this again.
import include.orchestration.catalogue  # noqa: F401
from include.orchestration.timetable import LoyaltyTimetable
from include.settings import WEB_PREFIX
from include.web import application

# Without a slash in front, a browser adds them to Airflow's own address, whatever path a proxy serves it under.
HERE = WEB_PREFIX.removeprefix("/")
ICONS = {"icon": f"{HERE}/static/loyalty.svg", "icon_dark_mode": f"{HERE}/static/loyalty-dark.svg"}
ENTRY = {"name": "Loyalty", "destination": "nav", "nav_top_level": True, "url_route": "loyalty"}
TAB = {"name": "Loyalty", "destination": "dag", "url_route": "loyalty-export"}


class LoyaltyPlugin(AirflowPlugin):
    """The timetable of every export, the pages, an entry that opens them, and a tab on each DAG for its export."""

    name = "loyalty"
    timetables = [LoyaltyTimetable]  # noqa: RUF012 - Airflow's own form
    fastapi_apps = [{"app": application, "url_prefix": WEB_PREFIX, "name": "Loyalty"}]  # noqa: RUF012
    external_views = [  # noqa: RUF012
        {**ENTRY, **ICONS, "href": f"{HERE}/exports"},
        {**TAB, **ICONS, "href": f"{HERE}/dags/{{DAG_ID}}"},
    ]
