"""What a request to an API costs the server: one customer's balance, and a stream of every transaction.

`python -m tests.benchmarks.api [--rows 1000000] [--url postgresql://...] [--requests 400]`: makes a sample ledger
(SQLite below the temporary folder, kept for the next time; or in an empty database), serves Airflow's application in one
process, and prints CPU and wall milliseconds a request, how many requests a second two cores answer at that cost, and
the largest memory of the server before and after a stream of all transactions as JSON and as CSV.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx

from tests.benchmarks.customer import people

CORES = 2
HEADER = {"accept-encoding": "identity"}


def main() -> None:
    told = argparse.ArgumentParser()
    told.add_argument("--rows", type=int, default=1_000_000)
    told.add_argument("--url")
    told.add_argument("--requests", type=int, default=400)
    told.add_argument("--serve", type=int)
    asked = told.parse_args()
    if asked.serve:
        serve(asked.serve)
        return
    home = Path(tempfile.gettempdir()) / f"loyalty-api-{asked.rows}"
    home.mkdir(exist_ok=True)
    url = asked.url or f"sqlite:///{home / 'ledger.sqlite'}"
    os.environ.update(LOYALTY_HOME=str(home), LOYALTY_LEDGER_URL=url, LOYALTY_EXPORTS=str(home / "exports"))
    os.environ.update(LOYALTY_SETTLE_SECONDS="0", LOYALTY_ANSWER_SECONDS="86400")
    from include import sample
    from include.pipeline import Context
    from include.state.keys import Scope

    if asked.url or not (home / "ledger.sqlite").exists():
        sample.load(url, sample.Plan(customers=asked.rows // 25, transactions=asked.rows))
    (home / "exports").mkdir(exist_ok=True)
    key = (
        Context.from_settings()
        .state.keys.make("benchmark", [Scope.REPORTS_READ, Scope.RUNS_READ], by="me", per_minute=60_000)
        .key
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([sys.executable, "-m", "tests.benchmarks.api", "--serve", str(port)])
    try:
        client = httpx.Client(
            base_url=f"http://127.0.0.1:{port}/loyalty",
            headers=HEADER | {"authorization": f"Bearer {key}"},
            timeout=3600,
        )
        wait(client, server)
        for name, who in people(url).items():
            ask(client, server.pid, name, f"/api/v1/customers/{who}/balance", asked.requests)
        ask(client, server.pid, "no", "/api/v1/runs", asked.requests)
        for form in ("json", "csv"):
            stream(client, server.pid, form)
    finally:
        server.terminate()
        server.wait()


def serve(port: int) -> None:
    """Serve Airflow's own application, with its middlewares, as one process of its API server does."""
    from include.orchestration.environment import variables

    home = Path(os.environ["LOYALTY_HOME"])
    os.environ.update(variables(home / "airflow", port))
    import uvicorn
    from airflow.api_fastapi.app import create_app
    from airflow.utils.db import initdb

    initdb()
    uvicorn.run(create_app(apps="core"), host="127.0.0.1", port=port, log_level="error", access_log=False)


def wait(client: httpx.Client, server: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 300
    while time.monotonic() < until and server.poll() is None:
        try:
            client.get("/api/v1/openapi.json").raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.5)
        else:
            return
    raise SystemExit("the server does not answer")


def ask(client: httpx.Client, pid: int, name: str, path: str, times: int) -> None:
    for _ in range(20):
        client.get(path).raise_for_status()
    wall, began = [], cpu_seconds(pid)
    for _ in range(times):
        start = time.perf_counter()
        client.get(path).raise_for_status()
        wall.append((time.perf_counter() - start) * 1000)
    used = (cpu_seconds(pid) - began) * 1000 / times
    middle, slow = statistics.median(wall), statistics.quantiles(wall, n=20)[-1]
    print(
        f"GET {path.rpartition('/')[2]} of the {name} customer: {used:.1f} ms CPU, wall {middle:.1f} ms (95%: {slow:.1f} ms); "
        f"{CORES * 1000 / used:.0f} requests/s at this cost on {CORES} cores",
        flush=True,
    )


def stream(client: httpx.Client, pid: int, form: str) -> None:
    """Read all transactions; the report itself is made in a process of its own, whose memory is not the server's."""
    columns = "transaction_id,customer_id,type,points,created_at,expires_at"
    before, size, began = largest_kilobytes(pid), 0, cpu_seconds(pid)
    with client.stream("GET", f"/api/v1/reports/transactions?format={form}&fields={columns}") as answer:
        answer.raise_for_status()
        rows = int(answer.headers["loyalty-rows"])
        for piece in answer.iter_raw():
            size += len(piece)
    after, used = largest_kilobytes(pid), cpu_seconds(pid) - began
    print(
        f"{rows} rows as {form}: {size / 1e6:.0f} MB, {used:.1f} s CPU of the server itself; its largest memory "
        f"{before / 1024:.0f} MB before, {after / 1024:.0f} MB after",
        flush=True,
    )


def cpu_seconds(pid: int) -> float:
    fields: list[Any] = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def largest_kilobytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM")))


if __name__ == "__main__":
    main()
