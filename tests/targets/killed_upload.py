"""A process that delivers to an object store and kills itself: its task is JSON on standard input.

point: before the n-th piece of a request that goes out (half of it goes), or after the n-th reply has come in.
"""

from __future__ import annotations

import http.client
import importlib
import json
import os
import signal
import sys
from pathlib import Path

from include.connections import Connection, Secrets
from include.targets.object_stores import s3, sending
from include.targets.protocol import no_progress
from tests.targets.test_folder import parcel_of

if __name__ == "__main__":
    task = json.load(sys.stdin)
    module = importlib.import_module(f"include.targets.{task['kind']}")
    left = task["point"]

    def die_in_time() -> bool:
        global left
        left -= 1
        return left == -1

    def send(self, data, whole=http.client.HTTPConnection.send):
        if die_in_time():
            view = memoryview(data) if isinstance(data, bytes) else data
            whole(self, view[: len(view) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        whole(self, data)

    def getresponse(self, whole=http.client.HTTPConnection.getresponse):
        answer = whole(self)
        if die_in_time():
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    http.client.HTTPConnection.send = send
    http.client.HTTPConnection.getresponse = getresponse
    sending.LANES = 1  # so that the n-th is always the same one
    sending.PART_BYTES = 5 << 20
    s3.S3.most_streamed_bytes = task["streamed"]
    connection = Connection(**task["connection"])
    options = module.Options.model_validate(task["options"])
    parcel = parcel_of(Path(task["source"]))
    module.deliver(options, parcel, Secrets(Path(), {connection.name: connection}), no_progress)
    print(task["point"] - left)  # how many points there are
