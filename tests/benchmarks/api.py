"""What a request to an API costs the server: one customer's balance, and a stream of every transaction.

`python -m tests.benchmarks.api [--rows 1000000] [--url postgresql://...] [--requests 400] [--seconds 20] [--clients 8]`:
makes a sample ledger (SQLite below the temporary folder, kept for the next time; or in an empty database), serves
Airflow's application in two processes, and prints CPU and wall milliseconds of a request that has a server to itself;
how many requests a second both answer to clients that ask all the time, each over a connection of its own, with what that
took of the processors; and the largest memory of a server before and after a stream of all transactions as JSON and as
CSV. The clients are a process beside the servers, on the same processors.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import os
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import httpx

from tests.benchmarks.customer import people

SERVERS = 2
HEADER = {"accept-encoding": "identity"}
ROOT = "/loyalty"
MANY = 500  # customers, so that the database does not answer from what it has just read


def main() -> None:
    told = argparse.ArgumentParser()
    told.add_argument("--rows", type=int, default=1_000_000)
    told.add_argument("--url")
    told.add_argument("--requests", type=int, default=400)
    told.add_argument("--seconds", type=float, default=20)
    told.add_argument("--clients", type=int, default=8)
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
    headers = HEADER | {"authorization": f"Bearer {key}"}
    servers: dict[int, subprocess.Popen[bytes]] = {}
    try:
        for _ in range(SERVERS):
            port = free_port()
            servers[port] = subprocess.Popen(
                [sys.executable, "-m", "tests.benchmarks.api", "--serve", str(port)]
            )
            # One after the other: both make the tables of one Airflow.
            client = httpx.Client(base_url=f"http://127.0.0.1:{port}{ROOT}", headers=headers, timeout=3600)
            wait(client, servers[port])
        alone = servers[port].pid
        found = people(url)
        for name, who in found.items():
            ask(client, alone, f"balance of the {name} customer", balance_of(who), asked.requests)
        ask(client, alone, "a page of runs", "/api/v1/runs", asked.requests)
        crowd = [*map(balance_of, some_people(url))]
        for name, paths in (
            (f"balances of {len(crowd)} customers", crowd),
            ("balance of the busiest customer", [balance_of(found["busiest"])]),
        ):
            press(servers, headers, name, paths, asked.seconds, asked.clients)
        for form in ("json", "csv"):
            stream(client, alone, form)
    finally:
        for server in servers.values():
            server.terminate()
        for server in servers.values():
            server.wait()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def balance_of(customer: str) -> str:
    return f"/api/v1/customers/{customer}/balance"


def some_people(url: str) -> list[str]:
    """Customers with transactions, in no order that the ledger has them in."""
    import sqlalchemy as sa

    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.connect() as connection:
        wanted = "SELECT customer_id FROM transactions WHERE customer_id IS NOT NULL GROUP BY customer_id"
        found = sorted((row[0] for row in connection.execute(sa.text(wanted))), key=lambda each: each[::-1])
    engine.dispose()
    return found[:: max(len(found) // MANY, 1)][:MANY]


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


def press(
    servers: dict[int, subprocess.Popen[bytes]],
    headers: dict[str, str],
    name: str,
    paths: Sequence[str],
    seconds: float,
    clients: int,
) -> None:
    """Let clients ask all servers all the time; print how many requests a second were answered, and at what cost."""
    began, cpu = time.perf_counter(), [cpu_seconds(each.pid) for each in servers.values()]
    with ProcessPoolExecutor(1, get_context("spawn")) as apart:
        asking = apart.submit(asked_by_many, list(servers), headers, paths, seconds, clients)
        walls, own = asking.result()
    took = time.perf_counter() - began
    used = sum(cpu_seconds(each.pid) for each in servers.values()) - sum(cpu)
    print(
        f"{name}, {len(servers)} servers, {clients} clients: {len(walls) / seconds:.0f} requests/s, middle "
        f"{statistics.median(walls) * 1000:.1f} ms (95%: {statistics.quantiles(walls, n=20)[-1] * 1000:.1f} ms); of "
        f"{os.cpu_count()} processors the servers took {used / took:.2f}, the clients {own / took:.2f}; "
        f"{used * 1000 / len(walls):.1f} ms CPU a request",
        flush=True,
    )


def asked_by_many(
    ports: Sequence[int], headers: dict[str, str], paths: Sequence[str], seconds: float, clients: int
) -> tuple[list[float], float]:
    """Ask until the time is over; return how long each request took, and the CPU seconds of the clients."""
    turn = itertools.count()
    until = time.perf_counter() + seconds

    def client(number: int) -> list[float]:
        connection = http.client.HTTPConnection("127.0.0.1", ports[number % len(ports)], timeout=600)
        walls = []
        while (start := time.perf_counter()) < until:
            connection.request("GET", ROOT + paths[next(turn) % len(paths)], headers=headers)
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                raise SystemExit(f"{answer.status} {answer.reason}")
            walls.append(time.perf_counter() - start)
        connection.close()
        return walls

    with ThreadPoolExecutor(clients) as pool:
        walls = [each for some in pool.map(client, range(clients)) for each in some]
    used = resource.getrusage(resource.RUSAGE_SELF)
    return walls, used.ru_utime + used.ru_stime


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
        f"{name}, one after the other: {used:.1f} ms CPU, wall {middle:.1f} ms (95%: {slow:.1f} ms)",
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
