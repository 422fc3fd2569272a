"""The sftp target on OpenSSH: logins and host keys, what servers refuse, what the receiver sees, parts taken over."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from include.connections import Secrets
from include.errors import BadInput, NeedsPerson, Permanent, Transient, Uncertain
from include.targets import sftp
from include.targets.protocol import Outcome, Parcel, ParcelFile, Seen, no_progress, part_prefix
from include.targets.sftp import Options
from include.targets.ssh.login import Lost
from include.targets.ssh.remote import Refused, Remote, connected
from tests.servers.openssh import NAME, PASSWORD, NotInstalled, Sshd, make_key, sshd, sshd_with_passwords
from tests.servers.proxy import proxy_to
from tests.targets.test_folder import CONTENT, parcel_of, source

__all__ = ["source"]  # the fixture
pytestmark = pytest.mark.servers
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


# Logins


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


# Folders and rights


def test_a_missing_folder_is_named_or_made_with_its_permissions(server, there, source):
    missing = there / "a" / "b"
    with pytest.raises(Permanent, match=r"no such folder; .*create_folder"):
        deliver(server, missing, parcel_of(source))
    (problem,) = sftp.test(options_of(missing), secrets_of(server))
    assert "no such folder" in problem.right
    changes = {"create_folder": True, "file_mode": "640", "folder_mode": "750"}
    assert deliver(server, missing, parcel_of(source), **changes) == [Outcome.CREATED] * 2
    assert [path.stat().st_mode & 0o777 for path in (missing, missing / "x.csv")] == [0o750, 0o640]
    assert found(there) == ["a"]


def test_a_file_where_the_folder_should_be_is_named(server, there, source):
    (there / "in").write_text("a file")
    with pytest.raises(Permanent, match="a file there, not a folder"):
        deliver(server, there / "in", parcel_of(source))


@pytest.mark.parametrize("mode", [0o555, 0o333, 0o000])
def test_folders_without_rights_are_named_and_say_whom_to_ask(server, there, source, mode):
    there.chmod(mode)
    with pytest.raises(Permanent, match=r"refuses to .* Ask its owner for the right"):
        deliver(server, there, parcel_of(source))
    assert sftp.test(options_of(there), secrets_of(server)) or mode == 0o333
    assert found(there) == []


def test_a_relative_folder_lies_below_the_logins(server, there, source):
    options = Options(connection=NAME, folder=there.name)
    receipt = sftp.deliver(options, parcel_of(source), secrets_of(server), no_progress)
    assert receipt.files[0].place == f"127.0.0.1:{server.port}:{there.name}/x.csv"
    assert found(there) == NAMES


@pytest.mark.parametrize("text", ["", " ", "../x", "a/../../b", "a\0b", "a\\b"])
def test_bad_folders_are_refused(text):
    with pytest.raises(ValueError, match="folder"):
        Options(connection=NAME, folder=text)


def test_names_in_any_encoding_do_not_disturb(server, there, source):
    (there / os.fsdecode(b"pr\xe4mien.csv")).write_bytes(b"Latin-1")
    for number in range(250):  # more than the server lists at a time
        (there / f"{number}.csv").touch()
    deliver(server, there, parcel_of(source))
    assert len(found(there)) == 253


# Servers that refuse one thing


@pytest.mark.parametrize(
    ("denied", "changes", "said"),
    [
        ("rename", {}, "may not rename"),
        ("remove", {}, "may not delete"),
        ("read", {}, "set verify: size"),
        ("write", {}, "may not write"),
        ("posix-rename", {"replace": True}, "replace: true cannot work"),
        ("fsetstat", {"file_mode": "600"}, "may not write"),
        ("read", {"verify": "size"}, ""),
        ("posix-rename,statvfs,fsync,limits", {}, ""),
    ],
)
def test_a_right_that_is_missing_is_found_by_trying(denied, changes, said):
    with sshd("-P", denied) as running:
        problems = sftp.test(Options(connection=NAME, **changes), secrets_of(running))
        assert [said in problem.right for problem in problems] == ([True] if said else []), problems
        assert denied == "remove" or found(running.folder) == []


@pytest.mark.parametrize("denied", ["rename", "read", "write", "fsetstat"])
def test_a_delivery_without_a_right_stops_and_leaves_nothing(source, denied):
    with sshd("-P", denied) as running:
        options = Options(connection=NAME, file_mode="640")
        with pytest.raises(Permanent, match=r"refuses to .*Ask its owner"):
            sftp.deliver(options, parcel_of(source), secrets_of(running), no_progress)
        assert found(running.folder) == []


def test_an_account_that_may_not_read_delivers_with_size(source):
    with sshd("-P", "read") as running:
        options = Options(connection=NAME, verify="size")
        sftp.deliver(options, parcel_of(source), secrets_of(running), no_progress)
        assert (running.folder / "x.csv").read_bytes() == CONTENT
        wrong = parcel_of(source, "key2")
        wrong = Parcel([replace(wrong.files[0], name="y.csv", sha256="0" * 64)], "key2")
        with pytest.raises(Transient, match="is not the file"):
            sftp.deliver(options, wrong, secrets_of(running), no_progress)
        assert found(running.folder) == NAMES


def test_without_posix_rename_files_are_made_and_never_replaced(source):
    with sshd("-P", "posix-rename,statvfs,fsync,limits") as running:
        assert deliver(running, running.folder, parcel_of(source), replace=True) == [Outcome.CREATED] * 2
        (running.folder / "x.csv").write_bytes(b"old")
        with pytest.raises(Permanent, match=r"does not offer posix-rename\)\. Remove the file"):
            deliver(running, running.folder, parcel_of(source), replace=True)
        assert (running.folder / "x.csv").read_bytes() == b"old"
        assert found(running.folder) == NAMES


@pytest.mark.parametrize("limited", [False, True])
def test_a_full_disk_is_named_with_what_is_free_and_the_part_removed(tmp_path, source, limited):
    small = Path("/tmp") / f"loyalty-full-{os.getpid()}"
    small.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m,mode=777", "tmpfs", small]
    if os.geteuid() or subprocess.run(command, check=False, capture_output=True).returncode:
        small.rmdir()
        pytest.skip("a small file system can be mounted by root only")
    try:
        with sshd(*(("-P", "statvfs") if limited else ()), folder=small) as running:
            said = (
                "ask the server's owner"
                if limited
                else r"[12],\d{3},\d{3} bytes are free there.*free some space"
            )
            with pytest.raises(Permanent, match=rf"stopped taking the file: 'Failure'.*{said}"):
                deliver(running, small, parcel_of(source))
            assert found(small) == []
            (source / "x.csv").write_bytes(CONTENT[: 1 << 20])
            deliver(running, small, parcel_of(source))
            assert found(small) == NAMES
    finally:
        subprocess.run(["umount", small], check=True)
        small.rmdir()


# What the receiver sees


@pytest.mark.parametrize(
    ("done", "names"),
    [
        ("manifest", ["x.csv", "x.csv.manifest.json", "y.csv"]),
        ("none", ["x.csv", "y.csv"]),
        ("empty", ["x.csv", "x.csv.done", "y.csv", "y.csv.done"]),
    ],
)
def test_what_says_that_all_is_there(server, there, source, done, names):
    (source / "y.csv").write_bytes(b"small")
    parcel = parcel_of(source)
    options = options_of(there, done_file=done)
    receipt = sftp.deliver(options, parcel, secrets_of(server), no_progress)
    assert found(there) == sorted(file.name for file in receipt.files) == names
    assert sftp.look(options, parcel, secrets_of(server)) is Seen.SAME
    for name in names:
        assert (there / name).read_bytes() == (
            b"" if name.endswith(".done") else (source / name).read_bytes()
        )


def test_a_receiver_that_takes_files_at_once_gets_each_once_and_whole(server, there, source, tmp_path):
    taken, stop = {}, threading.Event()

    def receive() -> None:
        while not stop.is_set():
            for path in there.glob("x.*"):
                taken[path.name] = path.rename(tmp_path / path.name).read_bytes()

    receiver = threading.Thread(target=receive)
    receiver.start()
    try:
        assert deliver(server, there, parcel_of(source)) == [Outcome.CREATED] * 2
    finally:
        time.sleep(0.05)
        stop.set()
        receiver.join()
    assert taken == {name: (source / name).read_bytes() for name in NAMES}
    assert found(there) == []


@pytest.mark.parametrize("happened", [True, False])
@pytest.mark.parametrize("taken", [True, False])
@pytest.mark.parametrize("older", [b"", CONTENT[:1000], CONTENT])
def test_a_lost_reply_to_the_naming(server, there, source, monkeypatch, happened, taken, older):
    """Taken away after a reply was lost: nobody can tell. Still there, or never named: the next attempt sees it."""
    plain = Remote.rename
    if older:
        for attempt in ("older", "oldest"):
            part = there / part_of(parcel_of(source), attempt=attempt)
            part.write_bytes(older)
            server.open_up(part)

    def cut(remote: Remote, old: str, new: str) -> None:
        if happened or ".part-" in new:
            plain(remote, old, new)
        if ".part-" in new:
            return
        raise Lost("the connection was lost")

    monkeypatch.setattr(Remote, "rename", cut)
    with pytest.raises(Transient, match="lost"):
        deliver(server, there, parcel_of(source))
    monkeypatch.setattr(Remote, "rename", plain)
    assert ("x.csv" in found(there)) == happened
    if taken:
        (there / "x.csv").unlink(missing_ok=True)
    if happened and taken:
        with pytest.raises(Uncertain, match=r"receiver took it.* remove (\S+) there") as caught:
            deliver(server, there, parcel_of(source))
        mark = re.search(r"remove (\S+) there", str(caught.value)).group(1)
        with pytest.raises(Uncertain):  # it stays so until a person has looked
            deliver(server, there, parcel_of(source))
        Path(mark).unlink()
    expected = Outcome.ALREADY_THERE if happened and not taken else Outcome.CREATED
    assert deliver(server, there, parcel_of(source)) == [expected, Outcome.CREATED]
    assert found(there) == NAMES


def test_a_file_that_appears_meanwhile_is_not_overwritten(server, there, source):
    def progress(done: int, total: int) -> None:
        if done == total:
            (there / "x.csv").write_bytes(b"somebody else's")

    with pytest.raises(NeedsPerson, match="other content"):
        sftp.deliver(options_of(there), parcel_of(source), secrets_of(server), progress)
    assert found(there) == ["x.csv"]
    assert (there / "x.csv").read_bytes() == b"somebody else's"


def test_a_conflict_in_the_second_name_keeps_what_was_said_of_the_first(server, there, source):
    """The first file was named; if its receiver takes it, sending it again could be a second time."""

    def progress(done: int, total: int) -> None:
        if done == total:
            (there / NAMES[1]).write_bytes(b"somebody else's")

    with pytest.raises(NeedsPerson):
        sftp.deliver(options_of(there), parcel_of(source), secrets_of(server), progress)
    for name in NAMES:
        (there / name).unlink()
    with pytest.raises(Uncertain, match=r"x\.csv: an earlier attempt"):
        deliver(server, there, parcel_of(source))


# Parts of earlier attempts


def part_of(parcel: Parcel, index: int = 0, attempt: str = "earlier") -> str:
    return f"{part_prefix(parcel)}{parcel.files[index].sha256[:8]}-{index}-{attempt}"


@pytest.mark.parametrize(
    ("left", "continued"),
    [
        (CONTENT[: 2 << 20], True),
        (CONTENT[: (2 << 20) + 12_345], True),
        (CONTENT, True),
        (CONTENT[: 1 << 19], False),  # small: sent again
        (b"\0" + CONTENT[1 : 2 << 20], False),
        (CONTENT + b"more", False),
    ],
    ids=["part", "odd", "whole", "small", "wrong", "longer"],
)
def test_a_large_part_is_continued_when_it_holds_the_right_bytes(server, there, source, left, continued):
    parcel = parcel_of(source)
    (there / part_of(parcel)).write_bytes(left)
    (there / part_of(parcel, attempt="older")).write_bytes(left[:1000])
    (there / ".part-other-key").write_bytes(b"of another, alive")
    server.open_up(there / part_of(parcel))
    with proxy_to(server.port) as proxy:
        secrets = secrets_of(server, port=proxy.port)
        sftp.deliver(options_of(there), parcel, secrets, no_progress)
        sent = proxy.passed["up"]
    assert (sent < len(CONTENT) - len(left) + 100_000) == continued
    assert (there / "x.csv").read_bytes() == CONTENT
    assert found(there) == [".part-other-key", *NAMES]


def test_a_whole_part_that_nobody_may_write_any_more_is_taken_over(server, there, source):
    parcel = parcel_of(source)
    part = there / part_of(parcel)
    part.write_bytes(CONTENT)
    part.chmod(0o440)
    server.open_up(part)
    inode = part.stat().st_ino
    deliver(server, there, parcel, file_mode="440")
    assert found(there) == NAMES
    assert (there / "x.csv").stat().st_ino == inode
    assert (there / "x.csv").stat().st_mode & 0o777 == 0o440


def test_fewer_bytes_at_a_time_than_asked_for_are_read_all_the_same(server, there):
    (there / "x").write_bytes(CONTENT)
    with connected(server.connection(), 20) as remote:
        remote.read_bytes = 1 << 20  # the server gives 255 KiB
        assert b"".join(remote.read(str(there / "x"), len(CONTENT))) == CONTENT
        assert b"".join(remote.read(str(there / "x"), len(CONTENT), start=5)) == CONTENT[5:]
        assert b"".join(remote.read(str(there / "x"), 100, start=len(CONTENT) - 7)) == CONTENT[-7:]


def test_the_last_of_many_writes_is_looked_at(server, there, monkeypatch):
    """A server that refuses the very last write: the error is not lost."""
    with connected(server.connection(), 20) as remote:
        plain, sent = remote._async_request, []

        def ask(replies, kind, *arguments):
            sent.append(kind)
            if len(sent) == 7:  # the first went out before
                arguments = (b"no such handle", *arguments[1:])
            return plain(replies, kind, *arguments)

        writing = remote.write(str(there / "x"), lambda size: [b"x" * size] * 8)
        next(writing)
        monkeypatch.setattr(remote, "_async_request", ask)
        with pytest.raises(Refused, match="Failure"):
            list(writing)


def test_an_empty_place_of_a_thing_is_another_content(server, there, source):
    (there / "x.csv").mkdir()
    with pytest.raises(NeedsPerson):
        deliver(server, there, parcel_of(source))
    (there / "x.csv").rmdir()
    (there / "x.csv").symlink_to("nowhere")
    with pytest.raises(NeedsPerson):
        deliver(server, there, parcel_of(source))


def test_a_source_that_cannot_be_read_is_not_the_servers_fault(server, there, tmp_path):
    parcel = Parcel([ParcelFile(tmp_path / "gone", "x.csv", "0" * 64, 3, "text/csv")], "k")
    with pytest.raises(Transient, match=r"gone: No such file"):
        deliver(server, there, parcel)
    assert found(there) == []


def test_reading_definitions_loads_no_ssh():
    program = "import sys, include.targets.sftp; sys.exit('paramiko' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
