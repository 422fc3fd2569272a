"""A process that delivers to the stub of Google Sheets and kills itself: its task is JSON on standard input.

point: before the n-th piece of a request that goes out (half of it goes), or after the n-th reply has begun to come in.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

from include.connections import Connection, Secrets
from include.targets import google_sheets
from include.targets.protocol import About, no_progress
from include.targets.sheets import loading
from tests.targets.test_folder import parcel_of

if __name__ == "__main__":
    task = json.load(sys.stdin)
    left = task["point"]

    def die_in_time() -> bool:
        global left
        left -= 1
        return left == -1

    def send(self, data, whole=http.client.HTTPConnection.send):
        if die_in_time():
            whole(self, data[: len(data) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        whole(self, data)

    def getresponse(self, whole=http.client.HTTPConnection.getresponse):
        answer = whole(self)
        if die_in_time():
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    http.client.HTTPConnection.send = send
    http.client.HTTPConnection.getresponse = getresponse
    if not task["inline"]:
        loading.INLINE_BYTES = 0
    connection = Connection(**task["connection"])
    options = google_sheets.Options.model_validate(task["options"])
    parcel = replace(parcel_of(Path(task["source"]), task["key"]), about=About(timezone="Europe/Paris"))
    google_sheets.deliver(options, parcel, Secrets(Path(), {connection.name: connection}), no_progress)
    print(task["point"] - left)  # how many points there are
