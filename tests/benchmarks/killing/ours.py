"""One attempt at a delivery as a task makes it: claim, lease, record, and all (`include.pipeline.deliver`)."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import jinja2  # noqa: F401
import PIL.Image  # noqa: F401
import psycopg  # noqa: F401
import urllib3  # noqa: F401

from include import state
from include.connections import Connection
from include.errors import LoyaltyError, NeedsPerson, NotYet, Transient, Uncertain
from include.layouts import layout as layouts
from include.pipeline import Context
from include.pipeline.deliver import deliver
from include.reports import models
from include.settings import Settings
from include.snapshots import folder as _  # noqa: F401 - what is imported here is not imported after each fork
from include.state.leases import StaleFence
from include.targets import azure_blob, email, folder, gcs, google_sheets, outbound, s3, sftp, webhook  # noqa: F401
from include.targets.mail import session  # noqa: F401
from include.targets.object_stores import s3 as store
from include.targets.object_stores import sending
from include.targets.sheets import bringing as _bringing  # noqa: F401
from include.targets.sheets import loading
from include.targets.ssh import bringing  # noqa: F401
from include.targets.ssh.remote import Remote
from tests.benchmarks.killing.points import Points

_WORDS: tuple[tuple[type[Exception], str], ...] = (
    (NotYet, "not yet"),
    (StaleFence, "overtaken"),
    (Uncertain, "uncertain"),
    (NeedsPerson, "conflict"),
    (Transient, "later"),
)


def settings(home: Path, state_url: str | None = None) -> Settings:
    """Where the runs, files and states of a benchmark are; the state in SQLite unless said otherwise."""
    return Settings(
        ledger_url="sqlite:///:memory:",
        ledger_mapping=None,
        state_url=state_url or f"sqlite:///{home / 'state.sqlite'}",
        store_url=f"file://{home / 'store'}",
        scratch=home / "scratch",
        exports=home / "exports",
        keys=home / "keys",
        settle_delay=timedelta(0),
        public_url="http://127.0.0.1:8080",
    )


def attempt(task: dict[str, Any], points: Points) -> str:
    """Deliver; return how it ended in one word, and what was said."""
    points.of_the_record()
    points.of_http()
    points.of_mail()
    points.of_ssh(Remote)
    if task["folder"]:
        points.of_the_disk(task["folder"])
    sending.LANES = 1  # so that the n-th point is always the same one
    sending.PART_BYTES = 5 << 20
    store.S3.most_streamed_bytes = 8 << 20  # smaller ones in one request, larger ones in parts
    loading.INLINE_BYTES = 30_000
    own = settings(Path(task["home"]), task.get("state_url"))
    context = Context(own, lambda name: Connection(name=name, **task["connection"]))
    try:
        deliver(context, task["run_key"], 0)
    except LoyaltyError as error:
        return next(
            (f"{word}: {error}" for kind, word in _WORDS if isinstance(error, kind)), f"failed: {error}"
        )
    return "done"


def _warmed() -> None:
    """Import what an attempt imports on its way: a process that is forked would do it each time."""
    models.load("balance", where="here")
    layouts.layouts()
    with tempfile.TemporaryDirectory() as home:
        state.open(f"sqlite:///{home}/state.sqlite")


_warmed()
