"""Registers with Airflow what this product adds to it; nothing else."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from include.orchestration.timetable import LoyaltyTimetable
from include.settings import WEB_PREFIX
from include.web import downloads


class LoyaltyPlugin(AirflowPlugin):
    """The timetable of every export, and the pages from which files are downloaded."""

    name = "loyalty"
    timetables = [LoyaltyTimetable]  # noqa: RUF012 - Airflow's own form
    fastapi_apps = [{"app": downloads, "url_prefix": WEB_PREFIX, "name": "Loyalty downloads"}]  # noqa: RUF012
