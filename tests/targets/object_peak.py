"""A process that delivers one file to an object store and prints what it cost: its task is JSON on standard input.

Prints JSON: memory in MiB after importing and at its peak, seconds and CPU seconds of the upload alone and of all.
"""

from __future__ import annotations

import importlib
import json
import resource
import sys
import time
from pathlib import Path

from include.connections import Connection, Secrets
from include.formats.hashes import file_sha256
from include.targets import objects
from include.targets.protocol import Parcel, ParcelFile, no_progress
from include.targets.unchanged import stamp
from tests.formats.peak import peak_mib


def cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    task = json.load(sys.stdin)
    module = importlib.import_module(f"include.targets.{task['kind']}")
    connection = Connection(**task["connection"])
    options = module.Options.model_validate(task["options"])
    secrets = Secrets(Path(), {connection.name: connection})
    store = module._store(options, secrets)
    path = Path(task["source"])
    known = stamp(path)
    about = file_sha256(path), path.stat().st_size, task.get("media_type", "text/csv")
    parcel = Parcel([ParcelFile(path, path.name, *about, stamp=known)], "key1")
    store.client()  # what only the first use imports
    found: dict[str, float] = {"bytes": path.stat().st_size, "imported": peak_mib()}

    send = objects.send

    def timed(*arguments, **named):
        begun, used = time.perf_counter(), cpu_seconds()
        created = send(*arguments, **named)
        found["upload"], found["upload_cpu"] = time.perf_counter() - begun, cpu_seconds() - used
        return created

    objects.send = timed
    begun, used = time.perf_counter(), cpu_seconds()
    module.deliver(options, parcel, secrets, no_progress)
    found["all"], found["all_cpu"] = time.perf_counter() - begun, cpu_seconds() - used
    found["peak"] = peak_mib()
    print(json.dumps(found))
