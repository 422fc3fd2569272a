"""The same kills over Airflow's own SFTPOperator, SmtpHook and S3Hook, and plain gspread, for comparison.

    uv venv /tmp/theirs
    uv pip install --python /tmp/theirs/bin/python apache-airflow==3.3.2 apache-airflow-providers-sftp \
        apache-airflow-providers-smtp apache-airflow-providers-amazon gspread
    python -m tests.benchmarks.others --python /tmp/theirs/bin/python --kills 200 --seed 7

An attempt is killed and then made again, as Airflow's retry does. After each kill, and at the end, the servers are
looked at: a name that holds a part of a file or of its rows, copies, and what never arrived.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.benchmarks.killing.nursery import End, Nursery
from tests.benchmarks.killing.places import MAIL_TO, Place, opened
from tests.servers import buckets, sheets

MOST_ATTEMPTS = 5


def _variable(place: Place, **extra: Any) -> str:
    held = place.connection
    assert held is not None
    known = {"host": held.host, "port": held.port, "login": held.login, "password": held.password}
    return json.dumps({"conn_type": held.conn_type, **known, "extra": {**held.extra, **extra}})


def _task(name: str, place: Place) -> dict[str, Any]:
    """What an attempt needs, in the words of what is tried."""
    assert place.connection is not None
    if name == "sftp":
        environment = {"AIRFLOW_CONN_THEIRS": _variable(place)}
        return {"environment": environment, "folder": place.find.args[0].as_posix()}  # type: ignore[attr-defined]
    if name == "s3":
        environment = {"AIRFLOW_CONN_THEIRS": _variable(place, region_name="us-east-1")}
        return {"environment": environment, "bucket": buckets.BUCKET, "prefix": place.options["prefix"]}
    if name == "sheets-append":
        held = place.connection.extra
        known = {"url": held["endpoint_url"], "key": held["keyfile_dict"], "book": sheets.BOOK}
        return {"environment": {}, **known}
    # Its hook knows no authority of one's own but those of the system.
    environment = {
        "AIRFLOW_CONN_THEIRS": _variable(place, disable_ssl=True),
        "SSL_CERT_FILE": place.connection.text("ca_file"),
    }
    return {"environment": environment, "to": MAIL_TO}


class Comparison:
    """One place, and what was found there."""

    def __init__(self, name: str, place: Place, home: Path, nursery: Nursery, seed: int) -> None:
        self._place, self._home, self._nursery = place, home, nursery
        self._task = {"kind": place.kind, **_task(name, place)}
        self._chance = random.Random(f"{seed} {name}")
        self._number = 0
        self.count: Counter[str] = Counter()
        self.told: list[str] = []

    def measure(self, kills: int, until: float) -> None:
        """Kill so many attempts, or until the time is over."""
        first = self._new(self._place.sizes[0])
        began = time.monotonic()
        end = self._attempt(first)
        if end.said != "done":
            raise RuntimeError(f"{self._place.name}: {end}")
        seconds, points = time.monotonic() - began, end.points
        while self.count["kills"] < kills and time.monotonic() < until:
            paths = self._new(self._chance.choice(self._place.sizes))
            if self._chance.random() < 0.6:
                end = self._attempt(paths, point=self._chance.randrange(points))
            else:
                end = self._attempt(paths, after=self._chance.random() * seconds)
            self.count["kills"] += bool(end.killed)
            self._look(paths)
            for _ in range(MOST_ATTEMPTS):
                if end.said == "done":
                    break
                end = self._attempt(paths)
            self._settled(paths, end)
            self._place.forget([path.name for path in paths])

    def _new(self, size: int) -> list[Path]:
        self._number += 1
        data = self._home / f"theirs-{self._number:06}.csv"
        rows = (f"t{number:08},{os.urandom(45).hex()},12.50" for number in range(size // 120))
        data.write_text("\n".join(["id,note,points", *rows]) + "\n")
        manifest = data.with_name(f"{data.name}.manifest.json")
        manifest.write_text(json.dumps({"name": data.name}))
        return [data, manifest] if self._place.manifests else [data]

    def _attempt(self, paths: list[Path], **how: Any) -> End:
        return self._nursery.attempt(**self._task, paths=[str(path) for path in paths], **how)

    def _copies(self, path: Path) -> tuple[list[bytes], bytes]:
        return self._place.find(path.name), self._place.shown(path.read_bytes())

    def _look(self, paths: list[Path]) -> None:
        partial = any(copy != content for found, content in map(self._copies, paths) for copy in found)
        self.count["partial"] += partial

    def _settled(self, paths: list[Path], end: End) -> None:
        there = {path.name: self._copies(path) for path in paths}
        self.count["never right"] += any(content not in found for found, content in there.values())
        self.count["twice"] += any(len(found) > 1 for found, _ in there.values())
        wrong = [f"{len(found)} of {name}" for name, (found, content) in there.items() if found != [content]]
        if wrong and len(self.told) < 3:
            self.told.append(f"{', '.join(wrong)} in the end: {end}"[:200])
        for path in paths:
            path.unlink()


SIDES: dict[str, str] = {
    "sftp": "SFTPOperator",
    "s3": "S3Hook.load_file, replace",
    "email-hold": "SmtpHook.send_email_smtp",
    "sheets-append": "gspread append_rows",
}


def main() -> None:
    """Print a line for each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--python", required=True)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES))
    chosen = parser.parse_args()
    print(f"{'':28} {'kills':>5} {'partial seen':>12} {'twice':>6} {'never right':>11}", flush=True)
    for name in chosen.sides:
        until = time.monotonic() + chosen.minutes * 60 / len(chosen.sides)
        memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
        with (
            tempfile.TemporaryDirectory(dir=memory) as folder,
            opened(name) as place,
            Nursery("tests.benchmarks.killing.theirs", chosen.python) as nursery,
        ):
            side = Comparison(name, place, Path(folder), nursery, chosen.seed)
            side.measure(chosen.kills // len(chosen.sides), until)
        found = side.count
        print(
            f"{SIDES[name]:28} {found['kills']:5} {found['partial']:12} {found['twice']:6} {found['never right']:11}",
            flush=True,
        )
        for told in side.told:
            print("   ", told, flush=True)


if __name__ == "__main__":
    main()
