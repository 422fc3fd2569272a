"""A small client of Airflow's own REST interface, for the demo and the tests."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from include.errors import Permanent, Transient

FINAL = frozenset({"success", "failed"})
PAGE = 50  # Airflow gives no more than `api.maximum_page_limit`, 100 by default


class Client:
    """Calls `/api/v2` as one user. Raises Permanent for a refused request, Transient when nobody answers."""

    def __init__(self, url: str, user: str, password: str) -> None:
        if not url.startswith(("http://", "https://")):
            raise Permanent(f"not an address of a web server: {url}")
        self.url = url.rstrip("/")
        self._login = {"username": user, "password": password}
        self._token: str | None = None

    def healthy(self) -> set[str]:
        """Return the parts that are up, `api-server` among them; empty while nobody answers."""
        try:
            answer = self._send("GET", "/api/v2/monitor/health", None, token=None)
        except (Transient, Permanent):
            return set()
        parts = {part for part, state in answer.items() if (state or {}).get("status") == "healthy"}
        return {"api-server"} | parts

    def get(self, path: str, **query: Any) -> Any:
        """Return the answer to GET /api/v2<path>."""
        asked = urllib.parse.urlencode({key: value for key, value in query.items() if value is not None})
        return self._call("GET", f"{path}?{asked}" if asked else path, None)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Return the answer to POST /api/v2<path>."""
        return self._call("POST", path, body)

    def patch(self, path: str, body: Mapping[str, Any]) -> Any:
        """Return the answer to PATCH /api/v2<path>."""
        return self._call("PATCH", path, body)

    def dags(self) -> list[dict[str, Any]]:
        """Return all DAGs that Airflow knows, by id."""
        return self._all("/dags", "dags", order_by="dag_id")

    def wait_for_dags(self, dag_ids: set[str], seconds: float = 120) -> None:
        """Return when Airflow knows all of `dag_ids`; raise Permanent with its import errors if not."""
        until = time.monotonic() + seconds
        while missing := dag_ids - {dag["dag_id"] for dag in self.dags()}:
            if time.monotonic() > until:
                errors = [x["stack_trace"] for x in self.get("/importErrors")["import_errors"]]
                raise Permanent(
                    f"Airflow does not know {', '.join(sorted(missing))}; import errors: {errors}"
                )
            time.sleep(0.5)

    def trigger(self, dag_id: str, logical_date: datetime | None = None, **params: Any) -> str:
        """Start a run with these params, at an occurrence or by hand (None); return its run id."""
        body = {"logical_date": logical_date.isoformat() if logical_date else None, "conf": params}
        return str(self.post(f"/dags/{dag_id}/dagRuns", body)["dag_run_id"])

    def backfill(self, dag_id: str, first: datetime, last: datetime, **more: Any) -> int:
        """Start a backfill over every occurrence from `first` to `last`, both included; return its number."""
        body = {"dag_id": dag_id, "from_date": first.isoformat(), "to_date": last.isoformat(), **more}
        return int(self.post("/backfills", body)["id"])

    def runs(self, dag_id: str, **query: Any) -> list[dict[str, Any]]:
        """Return the runs of a DAG, oldest occurrence first."""
        return self._all(f"/dags/{dag_id}/dagRuns", "dag_runs", order_by="run_after", **query)

    def state(self, dag_id: str, run_id: str) -> str:
        """Return the state of a run now."""
        return str(self.get(f"/dags/{dag_id}/dagRuns/{urllib.parse.quote(run_id, safe='')}")["state"])

    def wait_for_run(self, dag_id: str, run_id: str, seconds: float = 300) -> str:
        """Return the final state of a run; raise Transient if it has none within `seconds`."""
        until = time.monotonic() + seconds
        while True:
            state = self.state(dag_id, run_id)
            if state in FINAL:
                return state
            if time.monotonic() > until:
                raise Transient(f"run {run_id} of {dag_id} is still {state} after {seconds:.0f} s")
            time.sleep(0.5)

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Return the task instances of a run, mapped ones each by itself."""
        quoted = urllib.parse.quote(run_id, safe="")
        return self._all(f"/dags/{dag_id}/dagRuns/{quoted}/taskInstances", "task_instances")

    def log(self, dag_id: str, run_id: str, task: Mapping[str, Any]) -> str:
        """Return the log of one task instance's last attempt as text."""
        quoted = urllib.parse.quote(run_id, safe="")
        path = f"/dags/{dag_id}/dagRuns/{quoted}/taskInstances/{task['task_id']}/logs/{task['try_number']}"
        answer = self.get(path, map_index=task.get("map_index", -1))
        lines = answer["content"]
        return "\n".join(x if isinstance(x, str) else json.dumps(x) for x in lines)

    def xcom(
        self, dag_id: str, run_id: str, task_id: str, key: str = "return_value", map_index: int = -1
    ) -> Any:
        """Return a value that a task left."""
        quoted = urllib.parse.quote(run_id, safe="")
        path = f"/dags/{dag_id}/dagRuns/{quoted}/taskInstances/{task_id}/xcomEntries/{key}"
        return self.get(path, map_index=map_index, deserialize="true")["value"]

    def _all(self, path: str, of: str, **query: Any) -> list[dict[str, Any]]:
        """Return all pages of a list: Airflow gives no more than so many at once, whatever limit is asked for."""
        found: list[dict[str, Any]] = []
        while True:
            page = self.get(path, limit=PAGE, offset=len(found), **query)[of]
            found.extend(page)
            if len(page) < PAGE:
                return found

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None) -> Any:
        """Call, with patience: on SQLite the server answers 500 now and then when its database was busy."""
        for attempt in range(6):
            try:
                if self._token is None:
                    self._token = str(self._send("POST", "/auth/token", self._login, None)["access_token"])
                return self._send(method, f"/api/v2{path}", body, self._token)
            except Transient:
                if attempt == 5:
                    raise
                time.sleep(0.5 * 2**attempt)
        raise AssertionError

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None, token: str | None) -> Any:
        request = urllib.request.Request(  # noqa: S310 - __init__ admits http and https only
            f"{self.url}{path}",
            data=None if body is None else json.dumps(body).encode(),
            method=method,
            headers={"Content-Type": "application/json", "Accept": "application/json"},
        )
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            text = error.read().decode("utf-8", "replace")[:1000]
            kind = Transient if error.code >= 500 or error.code == 429 else Permanent
            raise kind(f"{method} {path}: {error.code} {text}") from error
        except OSError as error:
            raise Transient(f"{method} {path}: {error}") from error
