"""What the janitor takes at real targets: parts that are old; never what an attempt at work, or a doubt, still needs."""

from __future__ import annotations

import inspect
import os
import re
import time
from datetime import timedelta
from pathlib import Path

import pytest

from include import kinds, targets
from include.errors import Permanent, Uncertain
from include.targets import sftp
from include.targets.protocol import KEY_CHARACTERS, Kept, Parcel, Receipt, Word, no_progress
from include.targets.ssh.leftovers import LONE_MARKS_KEPT
from tests.servers import corners
from tests.targets.sftp_server import deliver, found, options_of, secrets_of, server, there
from tests.targets.test_folder import parcel_of, source

__all__ = ["server", "source", "there"]  # fixtures
pytestmark = pytest.mark.servers
DAY = timedelta(days=1)
KEY, OTHER = "a" * KEY_CHARACTERS, "b" * KEY_CHARACTERS


def lay(server, there: Path, name: str, days: float = 2) -> str:
    """Something that an attempt left so many days ago."""
    path = there / name
    path.write_bytes(b"" if name.endswith("naming") else b"part")
    server.open_up(path)
    then = time.time() - days * 86_400
    os.utime(path, (then, then))
    return name


def clean(server, there: Path, *, live=(), still_open=(), **changes) -> list[str]:
    kept = Kept(frozenset(live), frozenset(still_open))
    return sftp.clean(options_of(there, **changes), secrets_of(server), DAY, kept)


def test_old_parts_and_probes_go_and_all_else_stays(server, there):
    going = [
        lay(server, there, f".part-{KEY}-0a0b0c0d-0-12ab34cd"),
        lay(server, there, ".part-probe-99-named"),
    ]
    staying = [
        lay(server, there, f".part-{KEY}-0a0b0c0d-1-12ab34cd", days=0.5),
        lay(server, there, f".part-{OTHER}-0a0b0c0d-0-12ab34cd"),
        lay(server, there, "report.csv"),
        lay(server, there, ".hidden"),
    ]
    assert clean(server, there, live=[OTHER]) == sorted(going)
    assert found(there) == sorted(staying)
    assert clean(server, there, live=[OTHER]) == []


def test_a_mark_goes_with_its_part_and_alone_only_when_nobody_can_need_it(server, there):
    stem = {
        name: f".part-{name * 4}-{'0' * 8}-0-"
        for name in ("parted0a", "youngpar", "bothpart", "lone0000", "ancient0", "opened00")
    }
    old = LONE_MARKS_KEPT.days + 1
    marks = {
        name: lay(server, there, f"{stem[name]}naming", days=2)
        for name in ("parted0a", "youngpar", "bothpart", "lone0000")
    }
    marks |= {name: lay(server, there, f"{stem[name]}naming", days=old) for name in ("ancient0", "opened00")}
    parts = [lay(server, there, f"{stem[name]}12ab34cd") for name in ("bothpart", "parted0a")]
    young = [lay(server, there, f"{stem[name]}56ef78ab", days=0) for name in ("youngpar", "bothpart")]
    gone = clean(server, there, still_open=["opened00" * 4])
    # First the marks: a part without one says that its file was never named.
    assert gone == [*sorted([marks["parted0a"], marks["ancient0"]]), *parts]
    kept = [marks[name] for name in ("youngpar", "bothpart", "lone0000", "opened00")]
    assert found(there) == sorted([*kept, *young])


def test_a_folder_that_is_not_there_has_nothing_to_clean(server, there):
    assert clean(server, there / "never") == []


def test_what_may_not_be_removed_is_said(server, there):
    if os.geteuid():
        pytest.skip("only root can give the folder to another than the server's user")
    lay(server, there, ".part-probe-1")
    os.chown(there, 0, 0)
    there.chmod(0o755)
    with pytest.raises(Permanent, match=r"refuses to delete it.*Ask its owner for the right"):
        clean(server, there)


def test_what_killed_attempts_leave_is_gone_after_the_janitor_and_a_doubt_stays(
    server, there, source, monkeypatch
):
    """Killed while it gave the first name, and the receiver took the file: only the mark knows."""
    parcel = parcel_of(source)

    def lost(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("include.targets.ssh.bringing._name", lost)
        with pytest.raises(KeyboardInterrupt):
            deliver(server, there, parcel)
    left = found(there)
    assert len(left) == 2
    mark = left[0].rpartition("-")[0] + "-naming"
    lay(server, there, mark)
    for name in left:
        lay(server, there, name)
    (there / left[0]).unlink()  # renamed, and taken
    assert clean(server, there, still_open=[parcel.key]) == [left[1]]
    assert found(there) == [mark]
    with pytest.raises(Uncertain):
        deliver(server, there, parcel)


def test_a_persons_word_that_it_did_not_arrive_is_stronger_than_a_mark(server, there, source):
    parcel = parcel_of(source)
    data = parcel.files[0]
    mark = lay(server, there, f".part-{parcel.key[:KEY_CHARACTERS]}-{data.sha256[:8]}-0-naming")
    said = {
        arrived: Receipt(
            target="sftp",
            key=parcel.key,
            files=(),
            word=Word(arrived=arrived, by="ann", at="2026-07-01T00:00:00Z"),
        )
        for arrived in (True, False)
    }
    # No word, another word, and an attempt since the word: each leaves the doubt.
    for accepted, in_doubt in ((None, False), (said[True], False), (said[False], True)):
        with pytest.raises(Uncertain, match=re.escape(mark)):
            deliver(server, there, Parcel(parcel.files, parcel.key, accepted=accepted, in_doubt=in_doubt))
    outcomes = deliver(server, there, Parcel(parcel.files, parcel.key, accepted=said[False]))
    assert outcomes == ["created", "created"]
    assert found(there) == ["x.csv", "x.csv.manifest.json"]


@pytest.mark.parametrize("kind", corners.KINDS)
def test_object_stores_spare_what_an_attempt_at_work_needs(kind):
    corner = corners.corner(kind)
    dead, living = f".part-{KEY}-1", f".part-{OTHER}-1"
    for name in (dead, living, "report.csv"):
        corner.plant(name, b"x")
    soon = timedelta(seconds=-5)
    gone = corner.module.clean(corner.options(), corner.secrets(), soon, Kept(live=frozenset([OTHER])))
    assert [name.rpartition("/")[2] for name in gone] == [dead]
    assert corner.names() == sorted([living, "report.csv"])


@pytest.mark.slow
def test_looking_before_sending_is_what_a_delivery_does_first(server, there, source):
    """An attempt that died after it had named its files: the next one finds them, and writes nothing."""
    parcel = parcel_of(source)
    deliver(server, there, parcel)
    before = {path: path.stat().st_mtime_ns for path in there.iterdir()}, there.stat().st_mtime_ns
    receipt = sftp.deliver(
        options_of(there), Parcel(parcel.files, parcel.key, in_doubt=True), secrets_of(server), no_progress
    )
    assert [file.outcome for file in receipt.files] == ["already there"] * 2
    assert ({path: path.stat().st_mtime_ns for path in there.iterdir()}, there.stat().st_mtime_ns) == before


@pytest.mark.parametrize("kind", kinds.names(targets))
def test_what_leaves_parts_can_clean_them(kind):
    module = kinds.load(targets, kind, where="test")
    if module.CAPABILITIES.leaves_parts:
        assert list(inspect.signature(module.clean).parameters) == [
            "options",
            "secrets",
            "older_than",
            "kept",
        ]
    else:
        assert not hasattr(module, "clean")
