"""Exim, a mail server that people run, on loopback as a user without rights; it stores what it takes in one folder."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from include.connections import Connection
from tests.servers.openssh import NotInstalled
from tests.servers.running import UNPRIVILEGED, _end, _listening, _wait, find, free_port
from tests.servers.smtp import LOGIN, NAME, PASSWORD, Mail, certified

UNKNOWN = "nobody-here@shop.example"
SIZE = 1 << 20
_CONFIG = """
exim_user = {user}
exim_group = {group}
spool_directory = {home}/spool
log_file_path = {home}/log/%slog
pid_file_path = {home}/pid
primary_hostname = mail.test
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
tls_advertise_hosts = *
tls_certificate = {home}/server.pem
tls_privatekey = {home}/server.pem
deliver_drop_privilege = true
message_size_limit = {size}
acl_smtp_rcpt = acl_rcpt
acl_smtp_data = accept
host_lookup =
keep_environment =
never_users =
begin acl
acl_rcpt:
  deny message = no such user here
       local_parts = nobody-here
  accept authenticated = *
  deny message = relay not permitted
begin routers
all:
  driver = accept
  transport = folder
begin transports
folder:
  driver = appendfile
  directory = {home}/mail
  maildir_format
  create_directory
  envelope_to_add
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${{if and{{{{eq{{$auth2}}{{{login}}}}}{{eq{{$auth3}}{{{password}}}}}}}}}
  server_set_id = $auth2
  server_advertise_condition = ${{if def:tls_in_cipher}}
"""


@dataclass(frozen=True)
class Exim:
    """A running server."""

    port: int
    home: Path

    def connection(self, password: str = PASSWORD) -> Connection:
        """As Airflow has it."""
        extra = {"ca_file": str(self.home / "authority.pem"), "from_email": LOGIN}
        return Connection(NAME, "smtp", "127.0.0.1", self.port, LOGIN, password, extra=extra)

    def mails(self, count: int) -> list[Mail]:
        """What it stored, once that is `count` mails or ten seconds are over."""
        for _ in range(100):
            stored = sorted(self.home.glob("mail/new/*"))
            if len(stored) >= count:
                break
            time.sleep(0.1)
        found = [Mail(LOGIN, "", path.read_bytes()) for path in stored]
        return [Mail(LOGIN, str(mail.message["envelope-to"]), mail.content) for mail in found]


@contextmanager
def exim() -> Iterator[Exim]:
    """Serve on a free port, with STARTTLS, a login, a limit of 1 MiB, and one recipient that it does not know."""
    program = find("exim4") or shutil.which("exim4", path="/usr/sbin")
    if not program:
        raise NotInstalled("exim4")
    home, port = Path(tempfile.mkdtemp(prefix="loyalty-exim-")), free_port()
    try:
        home.chmod(0o755)
        certified(home)
        as_root = os.geteuid() == 0
        user = pwd.getpwnam(UNPRIVILEGED) if as_root else pwd.getpwuid(os.geteuid())
        values = {"user": user.pw_uid, "group": user.pw_gid, "login": LOGIN, "password": PASSWORD}
        (home / "config").write_text(_CONFIG.format(home=home, port=port, size=SIZE, **values))
        for name in ("spool", "log", "mail"):
            (home / name).mkdir()
        # A copy has no set-uid bit: it stays the user that it is started as.
        shutil.copy(program, home / "exim4")
        if as_root:
            for path in (home, *home.iterdir()):
                shutil.chown(path, UNPRIVILEGED)
        change = [
            "setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "--",
        ] if as_root else []  # fmt: skip
        log = home / "exim.log"
        with log.open("wb") as out:
            command = [*change, home / "exim4", "-C", home / "config", "-bdf", "-q1m"]
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd="/")
            try:
                _wait(_listening(port), process, log)
                yield Exim(port, home)
            finally:
                _end(process, signal.SIGTERM)
    finally:
        shutil.rmtree(home, ignore_errors=True)
