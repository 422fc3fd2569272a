"""OpenSSH's own sshd, serving one folder by SFTP on loopback; the test's process ends it by its id."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from include.connections import Connection
from tests.servers.running import _end, _listening, _wait, find, free_port

PASSWORD = "s3cret-of-the-tests"
NAME = "their_sftp"
UNPRIVILEGED = "daemon"  # systemd says of nobody that it is locked, and sshd would let nobody in


class NotInstalled(Exception):
    """sshd is not on this machine, or this user may not start it so."""


@dataclass(frozen=True)
class Sshd:
    """A running server. folder: what it serves. keys: where its host key (`ed25519`) and its client's (`client`) are."""

    port: int
    user: str
    folder: Path
    keys: Path
    process: subprocess.Popen[bytes] = field(repr=False)

    @property
    def host_key(self) -> str:
        return self.public("ed25519")

    def public(self, key: str) -> str:
        """Type and base64 of a public key."""
        return " ".join((self.keys / f"{key}.pub").read_text().split()[:2])

    def connection(self, *, port: int | None = None, **extra: Any) -> Connection:
        """As Airflow has it: key login and the pinned host key, unless `extra` says otherwise (None takes out)."""
        password = extra.pop("password", "")
        default = {"host_key": self.host_key, "private_key": (self.keys / "client").read_text()}
        chosen = {key: value for key, value in {**default, **extra}.items() if value is not None}
        return Connection(NAME, "sftp", "127.0.0.1", port or self.port, self.user, password, extra=chosen)

    def sessions(self) -> list[int]:
        """The processes that serve a client now."""
        found, parents = [], [self.process.pid]
        while parents:
            parent = parents.pop()
            try:
                text = Path(f"/proc/{parent}/task/{parent}/children").read_text()
            except FileNotFoundError:
                continue
            children = [int(pid) for pid in text.split()]
            found += children
            parents += children
        return found

    def signal_sessions(self, how: int) -> None:
        for pid in self.sessions():
            os.kill(pid, how)

    def open_up(self, path: Path) -> Path:
        """Let the server's user write there."""
        if os.geteuid() == 0:
            shutil.chown(path, self.user)
        return path


def make_key(path: Path, *options: str) -> Path:
    """Make a key pair; options of ssh-keygen."""
    chosen = options or ("-t", "ed25519")
    phrase = () if "-N" in chosen else ("-N", "")
    subprocess.run(["ssh-keygen", "-q", "-f", path, "-C", "test", *chosen, *phrase], check=True)
    return path


@contextmanager
def sshd(*arguments: str, folder: Path | None = None, settings: tuple[str, ...] = ()) -> Iterator[Sshd]:
    """Serve `folder`, or a fresh one, with key login, as a user without rights. arguments: of internal-sftp.

    settings: lines of sshd_config that come first and so win.
    """
    with _prepared(arguments, folder, settings) as (program, home, served, port):
        command = [program, "-D", "-e", "-f", str(home / "config")]
        user = pwd.getpwuid(os.geteuid()).pw_name
        if os.geteuid() == 0:
            user = UNPRIVILEGED
            for path in (home, served, *home.iterdir()):
                shutil.chown(path, UNPRIVILEGED)
            command = [
                "setpriv",
                f"--reuid={UNPRIVILEGED}",
                f"--regid={UNPRIVILEGED}",
                "--clear-groups",
                "--",
                *command,
            ]
        with _running(command, home, port) as process:
            yield Sshd(port, user, served, home, process)


@contextmanager
def sshd_with_passwords() -> Iterator[Sshd]:
    """Serve a fresh folder with password login: sshd as root, that sees a shadow file of its own.

    The file is laid over the system's in a mount namespace that ends with the server.
    """
    if os.geteuid():
        raise NotInstalled("only root can give sshd a shadow file of its own")
    with _prepared((), None, ("PasswordAuthentication yes", "PubkeyAuthentication no")) as prepared:
        program, home, served, port = prepared
        shutil.chown(served, UNPRIVILEGED)
        hashed = subprocess.run(
            ["openssl", "passwd", "-6", PASSWORD], check=True, capture_output=True, text=True
        ).stdout.strip()
        (home / "shadow").write_text(f"root:*:1::::::\n{UNPRIVILEGED}:{hashed}:1::::::\n")
        script = (
            'mount -t tmpfs tmpfs /run && mkdir -m 755 /run/sshd && mount --bind "$1/shadow" /etc/shadow '
            '&& exec "$2" -D -e -f "$1/config"'
        )
        command = ["unshare", "--mount", "sh", "-c", script, "sh", str(home), program]
        with _running(command, home, port) as process:
            yield Sshd(port, UNPRIVILEGED, served, home, process)


@contextmanager
def _prepared(
    arguments: tuple[str, ...], folder: Path | None, settings: tuple[str, ...]
) -> Iterator[tuple[str, Path, Path, int]]:
    program = find("sshd") or shutil.which("sshd", path="/usr/sbin:/sbin")
    if not program:
        raise NotInstalled("openssh-server")
    home, port = Path(tempfile.mkdtemp(prefix="loyalty-sshd-")), free_port()
    try:
        home.chmod(0o755)
        served = folder or home / "served"
        served.mkdir(exist_ok=True)
        make_key(home / "ed25519")
        make_key(home / "client")
        shutil.copy(home / "client.pub", home / "authorized_keys")
        inside = " ".join(("internal-sftp", f"-d {served}", *arguments))
        lines = [
            *settings,
            f"Port {port}",
            "ListenAddress 127.0.0.1",
            f"HostKey {home}/ed25519",
            f"AuthorizedKeysFile {home}/authorized_keys",
            f"ForceCommand {inside}",
            "Subsystem sftp internal-sftp",
            f"PidFile {home}/pid",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "UsePAM no",
            "StrictModes no",
            "MaxStartups 100",
        ]
        (home / "config").write_text("\n".join(lines) + "\n")
        yield program, home, served, port
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def _running(command: list[str], home: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    log = home / "sshd.log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd="/")
        server = Sshd(port, "", home, home, process)
        try:
            _wait(_listening(port), process, log)
            yield process
        finally:
            left = server.sessions()
            _end(process, signal.SIGTERM)
            for pid in left:  # a session outlives its listener
                with suppress(ProcessLookupError):
                    while True:
                        os.kill(pid, signal.SIGKILL)
                        time.sleep(0.01)
