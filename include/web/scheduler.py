"""Airflow as the asking user: its own REST interface, called inside this process with their own login.

Airflow's rights, its checks and its audit log hold as if they had called it themselves. The application that has
mounted ours answers, so there is no address, no proxy and no other process in between, in however many processes the
API server runs. Never wait for it in a thread of the server's pool: Airflow's endpoints need one of these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

import httpx
from fastapi import HTTPException, Request
from pydantic import AwareDatetime, BaseModel, TypeAdapter

from include.web import MOUNTED_BY
from include.web.reader import Reader

API = "/api/v2"
# Within it a backfill is planned in one go; more are better asked for in parts.
MOST_BACKFILL_RUNS = 1000
_WAIT = httpx.Timeout(30)
_SHOWN_CHARACTERS = 600


class Refused(HTTPException):
    """Airflow has not done it; `detail` says why, in words."""


class DagRun(BaseModel):
    """A run as Airflow knows it; one that failed before its `pin` has no other record."""

    dag_run_id: str
    state: str
    run_type: str
    logical_date: AwareDatetime | None
    run_after: AwareDatetime
    start_date: AwareDatetime | None
    end_date: AwareDatetime | None
    triggering_user_name: str | None
    conf: dict[str, Any] | None


class Backfill(BaseModel):
    """A backfill that is not over."""

    id: int
    from_date: AwareDatetime
    to_date: AwareDatetime
    is_paused: bool
    created_at: AwareDatetime
    completed_at: AwareDatetime | None


_RUNS = TypeAdapter(list[DagRun])
_BACKFILLS = TypeAdapter(list[Backfill])


@dataclass(frozen=True)
class Scheduler:
    """Airflow's REST interface for one user.

    Every method raises Refused where Airflow refuses, HTTPException 401 where the login is over.
    """

    app: Any
    login: str
    page: str

    @classmethod
    def of(cls, request: Request, reader: Reader) -> Scheduler:
        """Return it for who asks; a run that they trigger says that it was by a page."""
        return cls(request.scope[MOUNTED_BY], reader.login, str(request.url))

    async def trigger(self, definition_id: str, **conf: Any) -> str:
        """Start a run by hand with these parameters (`orchestration.parameters`); return Airflow's id of it."""
        asked = {name: value for name, value in conf.items() if value not in (None, "", False, [])}
        body = {"logical_date": None, "conf": asked}
        return str(
            (await self._ask("POST", f"/dags/{_in_path(definition_id)}/dagRuns", json=body))["dag_run_id"]
        )

    async def paused(self, definition_id: str) -> bool:
        """Say whether Airflow holds back every run of the export, also those by hand."""
        return bool((await self._ask("GET", f"/dags/{_in_path(definition_id)}"))["is_paused"])

    async def pause(self, definition_id: str, *, paused: bool) -> None:
        """Hold back every run of the export, or let them go."""
        await self._ask("PATCH", f"/dags/{_in_path(definition_id)}", json={"is_paused": paused})

    async def runs(self, definition_id: str, *, limit: int = 10) -> list[DagRun]:
        """Return the newest runs as Airflow knows them, the newest first."""
        query = {"order_by": "-run_after", "limit": limit}
        found = await self._ask("GET", f"/dags/{_in_path(definition_id)}/dagRuns", params=query)
        return _RUNS.validate_python(found["dag_runs"])

    async def left(self, definition_id: str, run_id: str, key: str) -> Any:
        """Return what the first task of a run has left under a key, None where it left nothing."""
        path = (
            f"/dags/{_in_path(definition_id)}/dagRuns/{_in_path(run_id)}/taskInstances/pin/xcomEntries/{key}"
        )
        try:
            return (await self._ask("GET", path, params={"deserialize": "true"}))["value"]
        except Refused as refused:
            if refused.status_code == 404:
                return None
            raise

    async def answer(self, dag_id: str, words: str, option: str) -> bool:
        """Answer what a DAG asks a person in a subject with these words; say whether it asked."""
        query = {"subject_search": words, "response_received": "false", "limit": 10}
        try:
            found = await self._ask("GET", f"/dags/{_in_path(dag_id)}/dagRuns/~/hitlDetails", params=query)
        except Refused as refused:
            if refused.status_code == 404:  # it knows no such DAG, so nothing of it asks
                return False
            raise
        for each in found["hitl_details"]:
            task = each["task_instance"]
            path = (
                f"/dags/{_in_path(dag_id)}/dagRuns/{_in_path(task['dag_run_id'])}/taskInstances/"
                f"{_in_path(task['task_id'])}/{task['map_index']}/hitlDetails"
            )
            try:
                await self._ask("PATCH", path, json={"chosen_options": [option], "params_input": {}})
            except Refused as refused:
                if refused.status_code != 409:  # somebody has answered meanwhile
                    raise
        return bool(found["hitl_details"])

    async def backfill_dates(self, definition_id: str, span: Span) -> list[datetime]:
        """Return the occurrences for which a backfill would make a run, in order; it makes none."""
        found = await self._ask("POST", "/backfills/dry_run", json=span.body(definition_id))
        return sorted(datetime.fromisoformat(each["logical_date"]) for each in found["backfills"])

    async def backfill(self, definition_id: str, span: Span) -> int:
        """Start a backfill; return its number."""
        return int((await self._ask("POST", "/backfills", json=span.body(definition_id)))["id"])

    async def active_backfill(self, definition_id: str) -> Backfill | None:
        """Return the backfill of the export that is not over; there is one at most."""
        query = {"dag_id": definition_id, "order_by": "-id", "limit": 5}
        found = await self._ask("GET", "/backfills", params=query)
        return next(
            (each for each in _BACKFILLS.validate_python(found["backfills"]) if not each.completed_at), None
        )

    async def cancel_backfill(self, definition_id: str) -> None:
        """End the backfill that is not over; runs that have begun go on. Refused 404 when there is none."""
        active = await self.active_backfill(definition_id)
        if active is None:
            raise Refused(404, "No backfill of this export is at work any more.")
        await self._ask("PUT", f"/backfills/{active.id}/cancel")

    async def _ask(self, method: str, path: str, **how: Any) -> Any:
        root = getattr(self.app, "root_path", "").rstrip("/")
        # An error of Airflow is an answer here, as it is to a browser.
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False, root_path=root)
        headers = {
            "Authorization": f"Bearer {self.login}",
            "Referer": self.page,
            "Accept-Encoding": "identity",
        }
        async with httpx.AsyncClient(transport=transport, base_url="http://airflow", timeout=_WAIT) as client:
            answer = await client.request(method, f"{root}{API}{path}", headers=headers, **how)
        if answer.is_success:
            return answer.json() if answer.content else None
        if answer.status_code == 401:
            raise HTTPException(401, "Your login is over. Log in again.")
        raise Refused(min(answer.status_code, 503), in_words(answer.status_code, _detail(answer)))


@dataclass(frozen=True)
class Span:
    """What to backfill: every occurrence in `[first, last]`, both included.

    again: `none` for occurrences that never ran only, `failed` also for those that failed, `completed` for all.
    """

    first: datetime
    last: datetime
    again: str = "none"

    def body(self, definition_id: str) -> dict[str, Any]:
        """Return it as Airflow takes it."""
        return {
            "dag_id": definition_id,
            "from_date": self.first.isoformat(),
            "to_date": self.last.isoformat(),
            "reprocess_behavior": self.again,
        }


def in_words(status: int, detail: str) -> str:
    """Return what an error of Airflow means to an operator, with its own words where they say more."""
    if status == 403:
        return "Airflow does not let you do this with this export. An administrator can give you the right."
    if status == 404:
        return (
            "Airflow does not know this export yet, or not any more. A new one is known after some seconds; if it "
            "stays unknown, look for import errors in Airflow."
        )
    if status == 409 and "backfill" in detail:
        return (
            "A backfill of this export is at work already, and Airflow runs one at a time. Wait until it is over, or "
            "end it on the page Backfill."
        )
    if status == 409:
        return "Airflow has such a run already. Reload the page to see it."
    if status >= 500:
        return "Airflow could not do it now. Please try again in a minute."
    return f"Airflow did not take it: {detail or status}"


def _detail(answer: httpx.Response) -> str:
    try:
        found = answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        return ""
    if isinstance(found, list):
        return "; ".join(str(each.get("msg", each) if isinstance(each, Mapping) else each) for each in found)
    return str(found)[:_SHOWN_CHARACTERS]


def _in_path(text: str) -> str:
    return quote(text, safe="")
