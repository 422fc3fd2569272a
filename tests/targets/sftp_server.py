"""A running OpenSSH for tests of the sftp target, and deliveries to folders of it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from include.connections import Secrets
from include.targets import sftp
from include.targets.protocol import Outcome, Parcel, no_progress
from include.targets.sftp import Options
from include.targets.ssh.remote import connected
from tests.servers.openssh import NAME, NotInstalled, Sshd, sshd

NAMES = ["x.csv", "x.csv.manifest.json"]


@pytest.fixture(scope="module")
def server() -> Iterator[Sshd]:
    try:
        with sshd() as running:
            yield running
    except NotInstalled as missing:
        pytest.skip(f"not installed: {missing}")


@pytest.fixture
def there(server, request) -> Path:
    """A folder of the server's, of this test."""
    path = server.folder / re.sub(r"\W", "-", request.node.name)[:100]
    path.mkdir()
    return server.open_up(path)


def secrets_of(server: Sshd, **changes) -> Secrets:
    return Secrets(Path(), {NAME: server.connection(**changes)})


def options_of(there: Path, **changes) -> Options:
    return Options(connection=NAME, folder=str(there), **changes)


def deliver(server: Sshd, there: Path, parcel: Parcel, **changes) -> list[Outcome]:
    """Outcomes of a delivery."""
    receipt = sftp.deliver(options_of(there, **changes), parcel, secrets_of(server), no_progress)
    return [file.outcome for file in receipt.files]


def found(there: Path) -> list[str]:
    return sorted(path.name for path in there.iterdir())


def log_in(connection) -> None:
    with connected(connection, 20) as remote:
        assert remote.normalize(".")


def fingerprint(server: Sshd, key: str) -> str:
    command = ["ssh-keygen", "-lf", server.keys / f"{key}.pub"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[1]
