"""Deliveries to object stores in processes that kill themselves, forked from one in which no client has worked yet.

obstore's threads do not outlive a fork, so the tests' own process cannot be what is forked. This one reads tasks from
standard input, a line of JSON each, and answers how each ended and how many points it has passed.

point: before the n-th piece of a request that goes out (half of it goes), or after the n-th reply has come in.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import tempfile
from pathlib import Path

from include.connections import Connection, Secrets
from include.targets.object_stores import s3, sending
from include.targets.protocol import no_progress
from tests.targets.killed_request import killed_at
from tests.targets.test_folder import parcel_of


def deliver(task) -> None:
    module = importlib.import_module(f"include.targets.{task['kind']}")
    sending.LANES = 1  # so that the n-th is always the same one
    sending.PART_BYTES = 5 << 20
    s3.S3.most_streamed_bytes = task["streamed"]
    connection = Connection(**task["connection"])
    options = module.Options.model_validate(task["options"])
    parcel = parcel_of(Path(task["source"]))
    module.deliver(options, parcel, Secrets(Path(), {connection.name: connection}), no_progress)


if __name__ == "__main__":
    for name in ("s3", "gcs", "azure_blob"):
        importlib.import_module(f"include.targets.{name}")
    for name in ("obstore.store", "urllib3", "google.auth.jwt", "requests"):  # what deliveries import
        importlib.import_module(name)
    with tempfile.TemporaryDirectory() as folder:
        count = Path(folder) / "count"
        for line in sys.stdin:
            task = json.loads(line)
            killed = killed_at(task["point"], lambda task=task: deliver(task), count)
            os.write(1, json.dumps(None if killed else int(count.read_text())).encode() + b"\n")
