"""A watched folder behaves the same on this machine and on OpenSSH."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path

import pytest

from include.errors import BadInput, Permanent
from include.imports.options import Mode
from include.pipeline.inbox.config import Inbox
from include.pipeline.inbox.place import ARCHIVE, FOLDERS, REFUSED, TAKEN, opened
from include.settings import Settings
from tests.servers.openssh import NAME, NotInstalled, sshd


@pytest.fixture(scope="module")
def server():
    try:
        with sshd() as running:
            yield running
    except NotInstalled as error:
        pytest.skip(str(error))


@pytest.fixture(params=["local", pytest.param("sftp", marks=pytest.mark.servers)])
def place(request, tmp_path):
    """The folder, and how it is opened."""
    if request.param == "local":
        folder, connections = tmp_path / "in", {}
        folder.mkdir()
    else:
        running = request.getfixturevalue("server")
        folder, connections = running.folder / tmp_path.name, {NAME: running.connection()}
        folder.mkdir()
        running.open_up(folder)
    named = NAME if connections else None
    inbox = Inbox(name="a", mode=Mode.ADD, folder=str(folder), connection=named)
    settings = Settings.from_environment({"LOYALTY_HOME": str(tmp_path / "home")})

    @contextmanager
    def ready():
        with opened(inbox, connections.__getitem__, settings) as found:
            found.prepare()
            yield found

    return folder, ready


def test_only_whole_files_of_the_folder_itself_are_listed(place, tmp_path):
    folder, ready = place
    (folder / "a.csv").write_bytes(b"12345")
    (folder / "below").mkdir()
    (folder / "below" / "b.csv").write_bytes(b"1")
    (tmp_path / "secret").write_bytes(b"1")
    (folder / "link.csv").symlink_to(tmp_path / "secret")
    with ready() as found:
        assert {name: stamp.bytes for name, stamp in found.files().items()} == {"a.csv": 5}
        assert all((folder / name).is_dir() for name in FOLDERS)
        assert found.files(TAKEN) == {}


def test_a_file_that_is_written_to_has_another_stamp(place):
    folder, ready = place
    (folder / "a.csv").write_bytes(b"1")
    with ready() as found:
        before = found.files()
        with (folder / "a.csv").open("ab") as file:
            file.write(b"2")
        assert found.files() != before


def test_a_file_goes_its_way_with_its_bytes(place, tmp_path):
    folder, ready = place
    content = os.urandom(3 << 20)
    (folder / "é a.csv").write_bytes(content)
    with ready() as found:
        found.fetch("é a.csv", tmp_path / "copy")
        found.move("é a.csv", TAKEN, "1--é a.csv")
        found.put(ARCHIVE, "1--é a.csv.result.csv", tmp_path / "copy")
        found.put(ARCHIVE, "1--é a.csv.result.csv", tmp_path / "copy")
        found.move("1--é a.csv", ARCHIVE, "1--é a.csv", out_of=TAKEN)
        assert sorted(found.files(ARCHIVE)) == ["1--é a.csv", "1--é a.csv.result.csv"]
        assert found.files() == found.files(TAKEN) == {}
        assert "é a.csv" in found.shown("é a.csv", ARCHIVE)
    assert (tmp_path / "copy").read_bytes() == (folder / ARCHIVE / "1--é a.csv").read_bytes() == content


def test_nothing_is_replaced_by_a_move(place):
    folder, ready = place
    (folder / "a.csv").write_bytes(b"new")
    with ready() as found:
        Path(folder, REFUSED, "a.csv").write_bytes(b"old")
        with pytest.raises(Permanent, match=r"a\.csv"):
            found.move("a.csv", REFUSED, "a.csv")
    assert (folder / "a.csv").read_bytes() == b"new"
    assert (folder / REFUSED / "a.csv").read_bytes() == b"old"


def test_a_folder_that_is_not_there_is_named(tmp_path):
    inbox = Inbox(name="a", mode=Mode.ADD, folder=str(tmp_path / "none"))
    settings = Settings.from_environment({"LOYALTY_HOME": str(tmp_path)})
    with (
        opened(inbox, {}.__getitem__, settings) as found,
        pytest.raises(Permanent, match=r"no such folder.*LOYALTY_INBOXES"),
    ):
        found.prepare()


def test_a_connection_that_is_missing_is_named(tmp_path):
    from include.connections import from_environment

    inbox = Inbox(name="a", mode=Mode.ADD, folder="in", connection="nobody_has_it")
    settings = Settings.from_environment({"LOYALTY_HOME": str(tmp_path)})
    with pytest.raises(BadInput, match="nobody_has_it"), opened(inbox, from_environment, settings):
        pass
