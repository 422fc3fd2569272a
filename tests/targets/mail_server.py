"""Deliveries by mail for tests: a server, a parcel, and what earlier attempts wrote down."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from include.connections import Connection, Secrets
from include.targets import email
from include.targets.protocol import About, Parcel, ParcelFile, Receipt, no_progress
from tests.servers.smtp import NAME, MailServer, mail_server

CONTENT = b"id,points\nt1,12.50\nt2,-3.00\n"
ABOUT = About(
    export_id="month-end-liability",
    name="Month-end liability",
    owner="Finance",
    period="2026-01",
    as_of="2026-02-01",
    timezone="Europe/Paris",
    rows={"liability_2026-01.csv": 12_480},
    totals={"liability_2026-01.csv": {"issued": "1840000.00", "redeemed": "-910250.50", "open": "929749.50"}},
    notes=("12 rows were added and 3 changed since 2025-12.",),
)
DATA, MANIFEST = "liability_2026-01.csv", "liability_2026-01.csv.manifest.json"


@pytest.fixture
def server(tmp_path) -> Iterator[MailServer]:
    with mail_server(tmp_path) as running:
        yield running


@pytest.fixture
def parcel(tmp_path) -> Parcel:
    return parcel_of(tmp_path, {DATA: CONTENT, MANIFEST: b"{}"})


def parcel_of(folder: Path, contents: dict[str, bytes], key: str = "key1") -> Parcel:
    files = []
    for name, content in contents.items():
        path = folder / name
        path.write_bytes(content)
        files.append(ParcelFile(path, name, hashlib.sha256(content).hexdigest(), len(content), "text/csv"))
    return Parcel(files, key, ABOUT)


def personal(parcel: Parcel) -> Parcel:
    """The parcel, with personal data that can be read in its data."""
    files = [replace(each, personal=each.name == DATA) for each in parcel.files]
    return replace(parcel, files=files)


@dataclass
class Links:
    """Links that say for whom they are, and count how many were made."""

    made: list[str] = field(default_factory=list)

    def page(self, file: ParcelFile, recipient: str, expires: timedelta, *, login: bool) -> str:
        self.made.append(f"{recipient} {file.name} {expires.days} {'login' if login else 'code'}")
        return f"https://exports.example/{'files' if login else 'd'}/{len(self.made)}"

    def signed(self, file: ParcelFile, target: str, expires: timedelta) -> str:
        self.made.append(f"{target} {file.name} {expires.days}")
        return f"https://{target}.example/{file.name}?signature=x"


@dataclass
class Sender:
    """The email target with its options, as the pipeline calls it: what was written down reaches the next attempt."""

    server: MailServer
    connection: Connection | None = None
    written: Receipt | None = None
    records: list[Receipt] = field(default_factory=list)
    before_record: Callable[[Receipt], None] = lambda _: None

    def __call__(self, parcel: Parcel, **options: Any) -> Receipt:
        receipt = email.deliver(
            options_of(**options), self.known(parcel), secrets_of(self.connection or self.server), no_progress
        )
        self.written = receipt
        return receipt

    def known(self, parcel: Parcel) -> Parcel:
        written = self.written if self.written and self.written.key == parcel.key else None
        return replace(parcel, accepted=written, in_doubt=written is not None, record=self._record)

    def answers(self) -> dict[str, str]:
        return {each.address: each.answer.value for each in (self.written.recipients if self.written else ())}

    def _record(self, receipt: Receipt) -> None:
        self.before_record(receipt)
        self.records.append(receipt)
        self.written = receipt


def options_of(**changes: Any) -> email.Options:
    given = {"connection": NAME, "to": ["ann@shop.example"], **changes}
    return email.Options.model_validate(given)


def secrets_of(server: MailServer | Connection) -> Secrets:
    return Secrets(Path(), {NAME: server if isinstance(server, Connection) else server.connection()})
