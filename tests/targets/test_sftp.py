"""The sftp target on OpenSSH: what servers refuse, what the receiver sees, parts that are taken over."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from include.errors import NeedsPerson, Permanent, Transient, Uncertain
from include.targets import sftp
from include.targets.protocol import Outcome, Parcel, ParcelFile, Seen, no_progress, part_prefix
from include.targets.sftp import Options
from include.targets.ssh.login import Lost
from include.targets.ssh.remote import Refused, Remote, connected
from tests.servers.openssh import NAME, sshd
from tests.servers.proxy import proxy_to
from tests.targets.sftp_server import (
    NAMES,
    deliver,
    found,
    options_of,
    secrets_of,
    server,
    there,
)
from tests.targets.test_folder import CONTENT, parcel_of, source

__all__ = ["server", "source", "there"]  # fixtures
pytestmark = pytest.mark.servers


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
