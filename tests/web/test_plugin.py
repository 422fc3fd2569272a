"""Every process of Airflow imports the plugin, and only the API server may pay for the pages."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from include.settings import ROOT


@pytest.mark.slow
def test_the_plugin_brings_no_page_into_a_process_that_serves_none():
    program = """
import importlib.util, json, sys, time
import airflow.plugins_manager, airflow.timetables.base
before, start = set(sys.modules), time.process_time()
spec = importlib.util.spec_from_file_location("loyalty", "plugins/loyalty.py")
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
seconds = time.process_time() - start
[app] = module.LoyaltyPlugin.fastapi_apps
told = {"modules": sorted(set(sys.modules) - before), "seconds": seconds, "prefix": app["url_prefix"]}
print(json.dumps(told))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=os.environ, capture_output=True, text=True, check=True
    )
    told = json.loads(done.stdout.splitlines()[-1])
    heavy = (
        "fastapi",
        "starlette",
        "jinja2",
        "sqlalchemy.dialects.sqlite",
        "pyarrow",
        "include.state",
        "include.web.",
    )
    assert [name for name in told["modules"] if name.startswith(heavy)] == []
    assert told["prefix"] == "/loyalty"


def test_airflow_shows_an_entry_and_a_tab(browser):
    views = browser("admin", "ADMIN").get("/api/v2/plugins").json()["plugins"]
    [ours] = [each["external_views"] for each in views if each["name"] == "loyalty"]
    entry, tab = ours
    assert (entry["destination"], entry["nav_top_level"], entry["href"]) == ("nav", True, "loyalty/exports")
    assert (tab["destination"], tab["href"]) == ("dag", "loyalty/dags/{DAG_ID}")
    assert entry["url_route"] != tab["url_route"]
    for view in ours:
        for icon in (view["icon"], view["icon_dark_mode"]):
            answer = browser().get(f"/{icon}")  # an image brings no login of its own
            assert (answer.status_code, answer.headers["content-type"]) == (200, "image/svg+xml")


def test_airflow_may_frame_the_pages_and_nobody_else_may(browser):
    answer = browser("admin", "ADMIN").get("/loyalty/exports")
    assert answer.headers["x-frame-options"] == "SAMEORIGIN"
    assert "frame-ancestors 'self'" in answer.headers["content-security-policy"]
