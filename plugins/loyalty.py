"""Registers with Airflow what this product adds to it; nothing else."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from include.orchestration.timetable import LoyaltyTimetable


class LoyaltyPlugin(AirflowPlugin):
    """The timetable of every export."""

    name = "loyalty"
    timetables = [LoyaltyTimetable]  # noqa: RUF012 - Airflow's own form
