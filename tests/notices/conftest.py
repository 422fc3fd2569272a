"""Runs as the state knows them, made without a ledger: what people are told depends on the record alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from include import pipeline
from include.connections import Connection, missing
from include.definitions.load import from_document
from include.definitions.model import ExportDefinition, version
from include.errors import NeedsPerson, Permanent
from include.pipeline import Context
from include.pipeline.notify import Occasion
from include.settings import Settings
from include.state.identity import delivery_key
from include.state.runs import RunRecord
from tests.servers.receiver import Receiver, receiver
from tests.servers.smtp import MailServer, mail_server

# Monday 2 March 2026, 06:00 in Paris; the week before it is the period.
AT = datetime(2026, 3, 2, 5, tzinfo=UTC)
START, END = datetime(2026, 2, 22, 23, tzinfo=UTC), datetime(2026, 3, 1, 23, tzinfo=UTC)
RUN = "manual__2026-03-02"
DATA = {
    "name": "history_2026-W09.csv.gz",
    "sha256": "a" * 64,
    "bytes": 1234,
    "media_type": "text/csv",
    "key": "artefacts/x",
    "export": None,
    "rows": 1234,
    "totals": {"points": "120450.50"},
    "notes": [],
    "told": ["4 added, 1 removed, 0 changed"],
}
MANIFEST = {
    "name": "history_2026-W09.csv.gz.manifest.json",
    "sha256": "b" * 64,
    "bytes": 99,
    "media_type": "application/json",
    "key": "artefacts/y",
}


def document(**keys: Any) -> dict[str, Any]:
    """A definition's document; keywords replace keys."""
    return {
        "id": "weekly-history",
        "name": "Weekly history",
        "model": "history",
        "timezone": "Europe/Paris",
        "period": "previous_week",
        "schedule": {"kind": "weekly", "days": ["monday"], "time": "06:00"},
        "targets": [
            {"kind": "folder", "name": "desk", "options": {"folder": "desk"}},
            {"kind": "folder", "name": "books", "options": {"folder": "books"}},
        ],
        **keys,
    }


def definition(**keys: Any) -> ExportDefinition:
    """The definition of that document."""
    return from_document(document(**keys), where="test.yaml")


@dataclass
class Desk:
    """A pipeline with a state of its own, and connections that tests add."""

    home: Path
    connections: dict[str, Connection] = field(default_factory=dict)
    notify: dict[str, str] = field(default_factory=dict)
    public_url: str = ""
    notifier: Any = None
    settle_delay: timedelta = timedelta(0)

    @property
    def context(self) -> Context:
        """A context of the settings as they are now."""

        def resolver(name: str) -> Connection:
            if name not in self.connections:
                raise missing(name)
            return self.connections[name]

        settings = Settings(
            ledger_url="sqlite://",
            ledger_mapping=None,
            state_url=f"sqlite:///{self.home / 'state.sqlite'}",
            store_url=f"file://{self.home / 'store'}",
            scratch=self.home / "scratch",
            exports=self.home / "exports",
            keys=self.home / "keys",
            settle_delay=self.settle_delay,
            notify=self.notify,
            public_url=self.public_url,
        )
        return Context(settings, resolver, self.notifier)

    def run(self, one: ExportDefinition, files: list[dict[str, Any]] | None = None, **keys: Any) -> RunRecord:
        """A run of the definition that was rendered; files: none where it failed before."""
        record = RunRecord(
            definition_id=one.id,
            definition_version=version(one),
            definition=one.document(),
            **{"occurrence": AT, "start": START, "end": END, "as_of": END, "known_at": AT, **keys},
        )
        runs = self.context.state.runs
        pinned = runs.pin(record)
        made = [DATA, MANIFEST] if files is None else files
        return runs.pin_artefacts(pinned.run_key, made) if made else pinned

    def delivered(self, run: RunRecord, label: str, how: str = "confirmed", message: str = "") -> None:
        """Write down a delivery that ended so."""
        deliveries = self.context.state.deliveries
        key = delivery_key(run.run_key, label)
        claim = deliveries.claim(key, "test", timedelta(minutes=1), run_key=run.run_key, target=label)
        deliveries.ready(claim, sha256="a" * 64, rows=1234, totals={})
        deliveries.sending(claim)
        if how == "confirmed":
            files = [
                {
                    "name": DATA["name"],
                    "place": f"{label}/{DATA['name']}",
                    "bytes": 1234,
                    "sha256": "a" * 64,
                    "outcome": "created",
                }
            ]
            deliveries.confirmed(claim, {"target": label, "key": key, "files": files})
        else:
            getattr(deliveries, how)(claim, message)

    def settle(self, run: RunRecord, failure: str | None = None, **occasion: Any) -> dict[str, Any]:
        """Settle the run as Airflow's task does; return the recorded summary."""
        when = Occasion(**{"name": RUN, "page": "https://airflow.example/dags/x/runs/y", **occasion})
        with suppress(Permanent, NeedsPerson):
            pipeline.settle(self.context, run.run_key, failure=failure, occasion=when)
        summary = self.context.state.runs.get(run.run_key).summary
        assert summary is not None
        return summary

    def told(self) -> list[tuple[str, str, str, str]]:
        """What the outbox holds: event, channel, recipient, state; in order of the recipients."""
        found = self.context.state.notices.list()
        return sorted((n.event, n.channel, n.recipient, n.state.value) for n in found)


@pytest.fixture(scope="session")
def mail_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mail")


@pytest.fixture
def mail(mail_folder: Path) -> Iterator[MailServer]:
    """A mail server with STARTTLS and a login."""
    with mail_server(mail_folder) as server:
        yield server


@pytest.fixture
def hook() -> Iterator[Receiver]:
    """A receiver of webhooks."""
    with receiver() as made:
        yield made


@pytest.fixture
def desk(tmp_path: Path, mail: MailServer) -> Desk:
    """A pipeline whose installation can send mail."""
    return Desk(tmp_path, {"loyalty_mail": mail.connection()})


@pytest.fixture(params=["sqlite", "postgres"])
def state_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A state database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'state.sqlite'}"
    url: str = request.getfixturevalue("postgres_ledger")
    return url
