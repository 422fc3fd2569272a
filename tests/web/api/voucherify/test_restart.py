"""What was asked for is made, whatever happens to the process that was asked."""

from __future__ import annotations

import csv
import io
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from include.pipeline import Context
from include.settings import ROOT
from tests.lazily import voucherify
from tests.servers.running import free_port
from tests.web.api.voucherify.conftest import Served

pytestmark = pytest.mark.slow
SERVER = """
import sys, uvicorn
from datetime import timedelta
from fastapi import FastAPI
from include.pipeline import Context
from include.pipeline.answers import asked_exports
from include.settings import Settings
from include.web.app import begin, create
from tests.web.api.voucherify.conftest import nobody
asked_exports._LEASE = timedelta(seconds=8)  # so soon the second server takes up what the first one left
app = FastAPI()
app.mount("/loyalty", begin(create(Context(Settings.from_environment()), nobody)))
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
"""


@contextmanager
def server(context: Context, home: Path) -> Iterator[tuple[Served, subprocess.Popen[bytes]]]:
    port = free_port()
    told = {
        "LOYALTY_HOME": str(home),
        "LOYALTY_SETTLE_SECONDS": "0",
        "LOYALTY_LEDGER_URL": context.settings.ledger_url,
        "LOYALTY_EXPORTS": str(context.settings.exports),
    }
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(port)], cwd=ROOT, env={**os.environ, **told}
    )
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{url}/loyalty/voucherify/openapi.json", timeout=5)
                break
            except OSError:
                assert process.poll() is None
                time.sleep(0.2)
        yield Served(url, context), process
    finally:
        process.kill()
        process.wait()


def test_an_export_survives_the_death_of_its_server(context, tmp_path):
    body = voucherify.ExportsCreateRequestBody(exported_object="order")
    home = tmp_path / "home"
    with server(context, home) as (served, process):
        key = served.key()
        made = voucherify.ExportsApi(served.client(key)).create_export(body)
        while context.state.asked_exports.get(made.id).run_key is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert context.state.asked_exports.get(made.id).is_open
    with server(context, home) as (served, _):
        for _ in range(3000):  # nobody asks for it: beginning again is enough
            if not context.state.asked_exports.get(made.id).is_open:
                break
            time.sleep(0.1)
        api = voucherify.ExportsApi(served.client(key))
        done = api.get_export(made.id)
        assert done.status == "DONE"
        [token] = parse_qs(urlsplit(done.result.url).query)["token"]
        rows = list(csv.DictReader(io.StringIO(api.download_export(made.id, token))))
    assert list(rows[0]) == ["id", "source_id", "status"]
    [run] = [run for run in context.state.runs.list() if run.definition_id == made.id]
    assert (run.dry_run, run.status.value) == (True, "done")
