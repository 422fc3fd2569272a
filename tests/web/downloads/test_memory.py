"""A file of any size goes through the API server in pieces."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from include.settings import ROOT

# Asks the application as a server would; answers are counted and thrown away.
PROGRAM = """
import asyncio, pathlib, resource, sys
from include.pipeline import Context
from include.settings import Settings
from include.web.app import create
from include.web.reader import Reader
from tests.web.runs import stored

home, mebibytes = pathlib.Path(sys.argv[1]), int(sys.argv[2])
with (home / "large").open("wb") as file:
    for number in range(mebibytes):
        file.write(number.to_bytes(4, "big") * (1 << 18))
context = Context.from_settings(Settings.from_environment({"LOYALTY_HOME": str(home)}))
run = stored(context, {"large.csv": home / "large"})

async def access(request):
    return Reader("somebody", frozenset({"admin"}), lambda *asked: True, frozenset)

async def main():
    sent, asked = 0, False
    async def send(message):
        nonlocal sent
        sent += len(message.get("body", b""))
    async def receive():
        nonlocal asked
        if asked:
            await asyncio.Event().wait()
        asked = True
        return {"type": "http.request", "body": b"", "more_body": False}
    scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
             "path": f"/files/{run.run_key}/large.csv", "root_path": "", "query_string": b"", "headers": []}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    await create(context, access)(scope, receive, send)
    print(sent, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)

asyncio.run(main())
"""


@pytest.mark.slow
def test_a_file_of_256_mib_takes_less_than_32(tmp_path):
    command = [sys.executable, "-c", PROGRAM, str(tmp_path), "256"]
    done = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    sent, grown_kib = map(int, done.stdout.split()[-2:])
    assert sent == 256 << 20
    assert grown_kib < 32 << 10
