"""The folder target: kills at every point, full disks, races, folders that are not there."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from include.connections import Secrets
from include.errors import NeedsPerson, Permanent, Transient
from include.targets import folder
from include.targets.folder import Options
from include.targets.protocol import Outcome, Parcel, ParcelFile, no_progress

CONTENT = os.urandom(1 << 20) * 3


def parcel_of(source: Path, key: str = "key1") -> Parcel:
    """The data file and its manifest, as files of the folder `source`."""
    files = []
    for path in sorted(source.iterdir()):
        content = path.read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        files.append(ParcelFile(path, path.name, sha256, len(content), "text/csv"))
    return Parcel(files, key)


@pytest.fixture
def source(tmp_path) -> Path:
    path = tmp_path / "source"
    path.mkdir()
    (path / "x.csv").write_bytes(CONTENT)
    (path / "x.csv.manifest.json").write_bytes(b"{}")
    return path


def kill_at(source: Path, place: Path, point: str) -> int:
    command = [sys.executable, "-m", "tests.targets.killed_delivery", source, place, point]
    return subprocess.run(command, check=False).returncode


def check_after_kill(source: Path, place: Path) -> frozenset[str]:
    """Every final name is absent or whole, and the manifest is never there without its file."""
    found = {path.name for path in place.iterdir()} if place.exists() else set()
    final = frozenset(name for name in found if not name.startswith(".part-"))
    for name in final:
        assert (place / name).read_bytes() == (source / name).read_bytes()
    assert final != {"x.csv.manifest.json"}
    return final


@pytest.mark.slow
def test_a_kill_at_any_point_shows_nothing_partial_and_the_next_delivery_succeeds(tmp_path, source):
    seen = set()
    for point in ["middle", *map(str, range(40))]:
        place = tmp_path / f"place-{point}"
        code = kill_at(source, place, point)
        assert code in (0, -signal.SIGKILL)
        seen.add(check_after_kill(source, place))
        parcel = parcel_of(source)
        receipt = folder.deliver(Options(folder=str(place)), parcel, Secrets(Path()), no_progress)
        assert {file.outcome for file in receipt.files} <= {Outcome.CREATED, Outcome.ALREADY_THERE}
        assert sorted(path.name for path in place.iterdir()) == ["x.csv", "x.csv.manifest.json"]
        check_after_kill(source, place)
        if code == 0:
            break
    else:
        pytest.fail("no point lies after the end; the range is too short")
    # The kills fell before, between and after the two names.
    assert seen == {frozenset(), frozenset({"x.csv"}), frozenset({"x.csv", "x.csv.manifest.json"})}


def test_parts_of_other_deliveries_are_left_alone(tmp_path, source):
    place = tmp_path / "place"
    place.mkdir()
    (place / ".part-key1-old-0").write_bytes(b"of this delivery, killed")
    (place / ".part-key2-now-0").write_bytes(b"of another, alive")
    folder.deliver(Options(folder=str(place)), parcel_of(source), Secrets(Path()), no_progress)
    assert [path.name for path in sorted(place.glob(".part-*"))] == [".part-key2-now-0"]


def test_a_full_disk_is_found_before_anything_can_be_seen(tmp_path, source):
    place = tmp_path / "small"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", place]
    if os.geteuid() or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("a small file system can be mounted by root only; the artefact's test limits file size")
    try:
        with pytest.raises(Permanent, match="bytes are free"):
            folder.deliver(Options(folder=str(place)), parcel_of(source), Secrets(Path()), no_progress)
        assert list(place.iterdir()) == []
        small = source / "x.csv"
        small.write_bytes(CONTENT[: 1 << 20])
        folder.deliver(Options(folder=str(place)), parcel_of(source), Secrets(Path()), no_progress)
        assert (place / "x.csv").read_bytes() == small.read_bytes()
    finally:
        subprocess.run(["umount", place], check=True)


def test_twenty_deliveries_at_once_make_one(tmp_path, source):
    """No lease protects them here: still each name is created once, whole, and the others see it."""
    options, outcomes = Options(folder=str(tmp_path / "place")), []

    def run() -> None:
        for _ in range(50):
            try:
                receipt = folder.deliver(options, parcel_of(source), Secrets(Path()), no_progress)
            except Transient:  # a faster one removed our part
                continue
            outcomes.append(receipt.files[0].outcome)
            return

    threads = [threading.Thread(target=run) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 20
    assert outcomes.count(Outcome.CREATED) == 1
    assert check_after_kill(source, tmp_path / "place") == {"x.csv", "x.csv.manifest.json"}
    assert len(list((tmp_path / "place").iterdir())) == 2


def test_a_file_that_appears_meanwhile_is_not_overwritten(tmp_path, source):
    place = tmp_path / "place"

    def progress(done: int, total: int) -> None:
        if done == total:
            (place / "x.csv").write_bytes(b"somebody else's")

    with pytest.raises(NeedsPerson, match="other content"):
        folder.deliver(Options(folder=str(place)), parcel_of(source), Secrets(Path()), progress)
    assert {path.name: path.read_bytes() for path in place.iterdir()} == {"x.csv": b"somebody else's"}


def test_a_missing_folder_is_an_error_where_it_must_not_be_made(tmp_path, source):
    options = Options(folder=str(tmp_path / "mount"), create_folder=False)
    with pytest.raises(Permanent, match="not a folder here"):
        folder.deliver(options, parcel_of(source), Secrets(Path()), no_progress)
    (problem,) = folder.test(options, Secrets(Path()))
    assert "create or mount" in problem.right


def test_a_file_where_the_folder_should_be_is_named(tmp_path, source):
    (tmp_path / "place").write_text("a file")
    options = Options(folder=str(tmp_path / "place"))
    with pytest.raises(Permanent, match="place"):
        folder.deliver(options, parcel_of(source), Secrets(Path()), no_progress)
    assert folder.test(options, Secrets(Path()))


def test_a_dangling_link_is_other_content(tmp_path, source):
    (tmp_path / "place").mkdir()
    (tmp_path / "place" / "x.csv").symlink_to(tmp_path / "nowhere")
    with pytest.raises(NeedsPerson):
        folder.deliver(
            Options(folder=str(tmp_path / "place")), parcel_of(source), Secrets(Path()), no_progress
        )
    assert not (tmp_path / "nowhere").exists()


def test_a_relative_folder_lies_in_the_home_of_the_product(tmp_path, source, monkeypatch):
    monkeypatch.setenv("LOYALTY_HOME", str(tmp_path / "home"))
    receipt = folder.deliver(Options(folder="delivered"), parcel_of(source), Secrets(Path()), no_progress)
    assert receipt.files[0].place == str(tmp_path / "home" / "delivered" / "x.csv")


@pytest.mark.parametrize(
    "text", ["", "../x", "a/../../b", "ftp://host/x", "s3://user:secret@bucket/x", "file://relative"]
)
def test_bad_places_are_refused(text):
    with pytest.raises(ValueError, match="folder"):
        Options(folder=text)
