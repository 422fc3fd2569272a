"""Who the sftp target is, and whom it trusts: logins, host keys, algorithms."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from include.connections import Secrets
from include.errors import BadInput, Permanent, Transient
from include.targets import sftp
from include.targets.protocol import Parcel, no_progress
from include.targets.sftp import Options
from include.targets.ssh.remote import Remote
from tests.servers.openssh import NAME, PASSWORD, NotInstalled, make_key, sshd, sshd_with_passwords
from tests.targets.sftp_server import (
    NAMES,
    fingerprint,
    found,
    log_in,
    server,
    there,
)
from tests.targets.test_folder import parcel_of, source

__all__ = ["server", "source", "there"]  # fixtures
pytestmark = pytest.mark.servers


@pytest.mark.parametrize(
    "make",
    [
        ("-t", "ed25519"),
        ("-t", "ecdsa", "-b", "384"),
        ("-t", "rsa", "-b", "3072"),
        ("-t", "rsa", "-b", "2048", "-m", "PEM"),
        ("-t", "ecdsa", "-m", "PKCS8"),
        ("-t", "ed25519", "-N", "open sesame"),
        ("-t", "rsa", "-b", "2048", "-m", "PEM", "-N", "open sesame"),
    ],
    ids=" ".join,
)
def test_keys_of_every_modern_kind_and_form_log_in(server, tmp_path, make):
    key = make_key(tmp_path / "key", *make)
    with (server.keys / "authorized_keys").open("a") as known:
        known.write((tmp_path / "key.pub").read_text())
    phrase = "open sesame" if "-N" in make else None
    log_in(server.connection(private_key=key.read_text().strip(), private_key_passphrase=phrase))
    log_in(server.connection(private_key=None, key_file=str(key), private_key_passphrase=phrase))
    log_in(server.connection(private_key=key.read_text(), private_key_passphrase=phrase or "needless"))
    if phrase:
        for wrong in (None, "sesame open"):
            with pytest.raises(Permanent, match="passphrase"):
                log_in(server.connection(private_key=key.read_text(), private_key_passphrase=wrong))


def test_an_agent_logs_in_when_there_is_neither_key_nor_password(server, tmp_path, monkeypatch):
    bare = server.connection(private_key=None)
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with pytest.raises(Permanent, match=r"no password and no private_key.*agent"):
        log_in(bare)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", tmp_path / "agent"], stdout=subprocess.DEVNULL)
    try:
        while not (tmp_path / "agent").exists():
            time.sleep(0.02)
        subprocess.run(["ssh-add", "-q", server.keys / "client"], check=True, capture_output=True)
        log_in(bare)
    finally:
        agent.terminate()
        agent.wait()


def test_a_password_logs_in_and_a_wrong_one_is_named(there, source):
    try:
        with sshd_with_passwords() as running:
            right = running.connection(private_key=None, password=PASSWORD)
            log_in(right)
            with pytest.raises(Permanent, match="refuses the login") as caught:
                log_in(replace(right, password="wr0ng-secret"))
            assert "wr0ng" not in str(caught.value)
            with pytest.raises(Permanent, match=r"the server takes: .*password"):
                log_in(running.connection())
            secrets = Secrets(Path(), {NAME: right})
            sftp.deliver(Options(connection=NAME), parcel_of(source), secrets, no_progress)
            assert found(running.folder) == NAMES
    except NotInstalled as missing:
        pytest.skip(str(missing))


def test_a_key_that_the_server_does_not_know_is_refused(server, tmp_path):
    key = make_key(tmp_path / "key").read_text()
    with pytest.raises(Permanent, match=r"refuses the login daemon|refuses the login") as caught:
        log_in(server.connection(private_key=key))
    assert key.splitlines()[1] not in str(caught.value)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (("-t", "rsa", "-b", "1024"), "RSA of 2048 bits"),
        (("-t", "dsa"), "Ed25519, ECDSA"),
        (None, "is no key"),
    ],
)
def test_weak_and_broken_keys_are_refused_before_anything_is_asked(server, tmp_path, make, said):
    text = make_key(tmp_path / "key", *make).read_text() if make else "-----BEGIN PRIVATE KEY-----\nx\n"
    with pytest.raises(Permanent, match=said):
        log_in(replace(server.connection(private_key=text), port=1))


# Host keys


def test_a_host_key_that_is_not_pinned_is_refused_with_its_fingerprint(server):
    for extra in (
        {},
        {"no_host_key_check": True},
        {"no_host_key_check": "true", "allow_host_key_change": True},
    ):
        with pytest.raises(Permanent, match="says nothing of its host key") as caught:
            log_in(server.connection(host_key=None, **extra))
        assert fingerprint(server, "ed25519") in str(caught.value)
        assert server.host_key in str(caught.value)


def test_another_host_key_is_refused_with_both_fingerprints(server):
    pinned = server.public("client")  # any other key
    with pytest.raises(Permanent, match="Somebody may be between") as caught:
        log_in(server.connection(host_key=pinned, no_host_key_check=True))
    assert fingerprint(server, "ed25519") in str(caught.value)
    assert fingerprint(server, "client") in str(caught.value)
    log_in(server.connection(host_key=f"{pinned}\n{server.host_key} of the new machine"))


def test_a_changed_host_key_gets_no_password(server):
    """The login ends before a secret is sent."""
    with sshd(settings=("LogLevel DEBUG1",)) as running:
        log = running.keys / "sshd.log"
        with pytest.raises(Permanent, match="pins"):
            log_in(running.connection(host_key=server.public("client")))
        assert "userauth-request" not in log.read_text()
        log_in(running.connection())
        assert "userauth-request" in log.read_text()


def test_a_pin_may_be_bare_or_in_a_file_of_openssh(server, tmp_path):
    log_in(server.connection(host_key=server.host_key.split()[1]))
    known = tmp_path / "known_hosts"
    known.write_text(f"other.example ssh-ed25519 AAAA\n[127.0.0.1]:{server.port} {server.host_key}\n")
    log_in(server.connection(host_key=None, known_hosts=str(known)))
    known.write_text(f"127.0.0.1 {server.host_key}\n")  # of another port
    with pytest.raises(Permanent, match="says nothing"):
        log_in(server.connection(host_key=None, known_hosts=str(known)))
    line = f"[127.0.0.1]:{server.port} {server.host_key}\n"
    known.write_text(f"{line}@revoked {line}")
    with pytest.raises(Permanent, match="says nothing"):
        log_in(server.connection(host_key=None, known_hosts=str(known)))


@pytest.mark.parametrize("pin", ["ssh-ed25519", "AAAA", "ssh-ed25519 AAAA!", "SHA256:abc", "AAAAB3NzaC1yc2E"])
def test_a_pin_that_is_no_key_is_named(server, pin):
    with pytest.raises(Permanent, match="host_key in its extra must be a public key"):
        log_in(server.connection(host_key=pin))


def test_the_pinned_kind_of_key_is_asked_for(tmp_path):
    make_key(tmp_path / "rsa", "-t", "rsa", "-b", "2048")
    tmp_path.chmod(0o755)
    folder = Path("/tmp") / f"loyalty-rsa-{os.getpid()}"
    folder.mkdir()
    (folder / "rsa").write_bytes((tmp_path / "rsa").read_bytes())
    (folder / "rsa").chmod(0o600)
    try:
        weak = make_key(folder / "weak", "-t", "rsa", "-b", "1024")
        if os.geteuid() == 0:
            for path in folder.iterdir():
                os.chown(path, 1, 1)
        with sshd(settings=(f"HostKey {folder}/rsa",)) as running:
            log_in(running.connection())
            log_in(running.connection(host_key=(tmp_path / "rsa.pub").read_text()))
        public = (folder / "weak.pub").read_text()
        with sshd(settings=(f"HostKey {weak}",)) as running, pytest.raises(Permanent, match="1024 bits only"):
            log_in(running.connection(host_key=public))
    finally:
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()


@pytest.mark.parametrize(
    "setting",
    ["Ciphers aes256-cbc,3des-cbc", "MACs hmac-sha1,hmac-md5", "KexAlgorithms diffie-hellman-group14-sha1"],
)
def test_servers_with_old_algorithms_only_are_refused(setting):
    settings = (setting, "Ciphers aes128-ctr")  # the first one wins
    with sshd(settings=settings) as running, pytest.raises(Permanent, match="needs an update"):
        log_in(running.connection())


@pytest.mark.parametrize("setting", ["Ciphers aes256-ctr", "Ciphers aes128-gcm@openssh.com"])
def test_servers_with_one_modern_algorithm_are_used(setting):
    with sshd(settings=(setting,)) as running:
        log_in(running.connection())


# What is not there


def test_who_may_log_in_but_not_use_sftp_is_told():
    with (
        sshd(settings=("ForceCommand /bin/false",)) as running,
        pytest.raises(Permanent, match="may log in, but not use SFTP"),
    ):
        log_in(running.connection())


def test_that_is_told_too_where_the_server_is_faster_than_our_first_word(monkeypatch):
    begin = Remote._send_version

    def late(self):
        while not self.sock.closed:
            time.sleep(0.01)
        return begin(self)

    monkeypatch.setattr(Remote, "_send_version", late)
    with (
        sshd(settings=("ForceCommand /bin/false",)) as running,
        pytest.raises(Permanent, match="may log in, but not use SFTP"),
    ):
        log_in(running.connection())


def test_servers_that_are_not_there(server):
    with pytest.raises(Transient, match="is the server up"):
        log_in(server.connection(port=1))
    with pytest.raises((Permanent, Transient), match=r"no such host|looked up"):
        log_in(replace(server.connection(), host="no-such-host.invalid"))
    with pytest.raises(Permanent, match="give its host and its login"):
        log_in(replace(server.connection(), login=""))
    with pytest.raises(BadInput, match="no such connection"):
        sftp.deliver(Options(connection="missing"), Parcel([], "k"), Secrets(Path()), no_progress)
    (problem,) = sftp.test(Options(connection="missing"), Secrets(Path()))
    assert problem.code == "missing_connection"
