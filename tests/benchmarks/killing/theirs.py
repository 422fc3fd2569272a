"""One attempt at bringing files somewhere as Airflow's own operators and hooks, or plain gspread, do it.

Runs in an environment that has them (see `tests.benchmarks.others`) and imports nothing of ours.
"""

from __future__ import annotations

import csv
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from paramiko.sftp_client import SFTPClient

from tests.benchmarks.killing.points import Points

os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="theirs-"))
ROWS_AT_ONCE = 100


def attempt(task: dict[str, Any], points: Points) -> str:
    """Bring the files; return how it ended."""
    points.of_http()
    points.of_mail()
    points.of_ssh(SFTPClient)
    for name, value in task["environment"].items():
        os.environ[name] = value
    try:
        _WAYS[task["kind"]](task)
    except Exception as error:  # noqa: BLE001 - whatever it is, Airflow tries again
        return f"later: {type(error).__name__}: {error}"
    points.here("before success")
    return "done"


def _sftp(task: dict[str, Any]) -> None:
    from airflow.providers.sftp.operators.sftp import SFTPOperator

    names = [Path(path).name for path in task["paths"]]
    SFTPOperator(
        task_id="put",
        ssh_conn_id="theirs",
        local_filepath=task["paths"],
        remote_filepath=[f"{task['folder']}/{name}" for name in names],
        operation="put",
    ).execute({})


def _email(task: dict[str, Any]) -> None:
    from airflow.providers.smtp.hooks.smtp import SmtpHook

    with SmtpHook(smtp_conn_id="theirs") as hook:
        hook.send_email_smtp(to=task["to"], subject="Files", html_content="<p>Files</p>", files=task["paths"])


def _s3(task: dict[str, Any]) -> None:
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    hook = S3Hook(aws_conn_id="theirs")
    for path in task["paths"]:
        # Without replace every retry would fail.
        hook.load_file(path, f"{task['prefix']}/{Path(path).name}", task["bucket"], replace=True)


def _sheets(task: dict[str, Any]) -> None:
    """A tab of its own, and its rows appended a hundred at a time."""
    import gspread
    from google.oauth2.service_account import Credentials
    from gspread.http_client import HTTPClient

    class Client(HTTPClient):
        def request(self, method: str, endpoint: str, *arguments: Any, **named: Any) -> Any:
            endpoint = endpoint.replace("https://sheets.googleapis.com", task["url"])
            return super().request(method, endpoint, *arguments, **named)

    scopes = ["https://www.googleapis.com/auth/spreadsheets"]
    held = Credentials.from_service_account_info(json.loads(task["key"]), scopes=scopes)
    book = gspread.authorize(held, http_client=Client).open_by_key(task["book"])
    path = Path(task["paths"][0])
    try:
        tab = book.worksheet(path.stem)
    except gspread.WorksheetNotFound:
        tab = book.add_worksheet(path.stem, 1000, 3)
    header, *rows = csv.reader(path.read_text().splitlines())
    values = [header, *([key, note, float(points)] for key, note, points in rows)]
    for start in range(0, len(values), ROWS_AT_ONCE):
        tab.append_rows(values[start : start + ROWS_AT_ONCE], value_input_option="RAW")


_WAYS = {"sftp": _sftp, "email": _email, "s3": _s3, "google_sheets": _sheets}


def _warmed() -> None:
    """Import what an attempt imports on its way: a process that is forked would do it each time."""
    import boto3
    import gspread
    from airflow.providers.amazon.aws.hooks import s3
    from airflow.providers.sftp.operators import sftp
    from airflow.providers.smtp.hooks import smtp

    assert all((boto3, gspread, s3, sftp, smtp))


_warmed()
