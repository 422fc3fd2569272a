"""The contract of targets: what every kind under include/targets must keep, at every place it serves.

A new kind adds its places to `PLACES`; a test fails when it has none.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from include import kinds, targets
from include.connections import Secrets
from include.errors import BadInput, NeedsPerson
from include.targets import folder, sftp
from include.targets.protocol import Capabilities, Outcome, Parcel, ParcelFile, Receipt, Seen, no_progress
from tests.servers import corners, openssh

CONTENT = b"id,points\n" + b"t1,12.50\n" * 200_000


@dataclass(frozen=True)
class Place:
    """A target ready to be used: its module and options, and how to look into it from outside."""

    module: ModuleType
    options: Any
    names: Callable[[], list[str]]
    read: Callable[[str], bytes]
    plant: Callable[[str, bytes], None]
    secrets: Secrets = field(default_factory=lambda: Secrets(Path()))


def _folder(path: Path, text: str) -> Place:
    def names() -> list[str]:
        return sorted(found.name for found in path.iterdir()) if path.exists() else []

    def plant(name: str, content: bytes) -> None:
        path.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)

    options = folder.Options(folder=text)
    return Place(folder, options, names, lambda name: (path / name).read_bytes(), plant)


def _local(tmp_path: Path, _: pytest.MonkeyPatch) -> Place:
    return _folder(tmp_path / "there", str(tmp_path / "there"))


def _url(tmp_path: Path, _: pytest.MonkeyPatch) -> Place:
    return _folder(tmp_path / "the re", f"file://{tmp_path}/the%20re")


def _store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """The way to buckets, over the store that is a folder."""
    monkeypatch.setattr(folder, "_folder", lambda _options: None)
    return _folder(tmp_path / "there", f"file://{tmp_path}/there")


@contextmanager
def _sftp(_: Path, __: pytest.MonkeyPatch) -> Iterator[Place]:
    try:
        with openssh.sshd() as server:
            there = _folder(server.folder / "in", "in")
            options = sftp.Options(connection=openssh.NAME, folder="in", create_folder=True)
            secrets = Secrets(Path(), {openssh.NAME: server.connection()})

            def plant(name: str, content: bytes) -> None:
                there.plant(name, content)
                server.open_up(server.folder / "in")

            yield replace(there, module=sftp, options=options, secrets=secrets, plant=plant)
    except openssh.NotInstalled as missing:
        pytest.skip(f"not installed: {missing}")


def _object_store(kind: str) -> Callable[[Path, pytest.MonkeyPatch], Place]:
    def place(_: Path, __: pytest.MonkeyPatch) -> Place:
        there = corners.corner(kind)
        return Place(
            there.module, there.options(), there.names, there.read, there.plant, secrets=there.secrets()
        )

    return place


PLACES = {
    "folder: a path": _local,
    "folder: a file URL": _url,
    "folder: a store": _store,
    "sftp: OpenSSH": _sftp,
    "s3: SeaweedFS": _object_store("s3"),
    "gcs: fake-gcs-server": _object_store("gcs"),
    "azure_blob: Azurite": _object_store("azure_blob"),
}
SERVED = {"sftp: OpenSSH", "s3: SeaweedFS", "gcs: fake-gcs-server", "azure_blob: Azurite"}


@pytest.fixture(
    params=[pytest.param(name, marks=[pytest.mark.servers] if name in SERVED else []) for name in PLACES]
)
def place(request, tmp_path, monkeypatch) -> Iterator[Place]:
    made = PLACES[request.param](tmp_path, monkeypatch)
    if isinstance(made, AbstractContextManager):
        with made as found:
            yield found
    else:
        yield made


@pytest.fixture
def pack(tmp_path) -> Callable[..., Parcel]:
    """Makes a parcel of files by name and content."""

    def make(key: str = "key1", **contents: bytes) -> Parcel:
        files = []
        for number, (name, content) in enumerate(
            contents.items() or {"a.csv": CONTENT, "a.csv.json": b"{}"}.items()
        ):
            path = tmp_path / f"source-{key}-{number}"
            path.write_bytes(content)
            sha256 = hashlib.sha256(content).hexdigest()
            files.append(ParcelFile(path, name, sha256, len(content), "text/csv"))
        return Parcel(files, key)

    return make


def deliver(place: Place, parcel: Parcel, **changes: Any) -> Receipt:
    options = place.options.model_copy(update=changes)
    receipt: Receipt = place.module.deliver(options, parcel, place.secrets, no_progress)
    return receipt


def outcomes(receipt: Receipt) -> list[Outcome]:
    return [file.outcome for file in receipt.files]


def check(place: Place, parcel: Parcel) -> None:
    """Everything is there, byte for byte, and nothing else is."""
    assert place.names() == sorted(file.name for file in parcel.files)
    for file in parcel.files:
        assert place.read(file.name) == file.path.read_bytes()


def test_every_kind_has_a_place_here():
    assert {name.split(":")[0] for name in PLACES} == set(kinds.names(targets))


@pytest.mark.parametrize("kind", kinds.names(targets))
def test_its_file_has_the_parts_of_a_target(kind):
    module = kinds.load(targets, kind, where="test")
    assert kind == module.KIND
    assert isinstance(module.CAPABILITIES, Capabilities)
    schema = module.Options.model_json_schema()
    assert schema["additionalProperties"] is False
    json.dumps(schema)
    assert all(callable(getattr(module, name)) for name in ("connections", "deliver", "look", "test"))


def test_files_arrive_byte_for_byte(place, pack):
    parcel = pack()
    assert place.module.look(place.options, parcel, place.secrets) is Seen.ABSENT
    receipt = deliver(place, parcel)
    check(place, parcel)
    assert outcomes(receipt) == [Outcome.CREATED] * 2
    assert receipt.target == place.module.KIND
    assert receipt.key == parcel.key
    assert [(file.name, file.sha256, file.bytes) for file in receipt.files] == [
        (file.name, file.sha256, file.bytes) for file in parcel.files
    ]
    assert place.module.look(place.options, parcel, place.secrets) is Seen.SAME
    assert Receipt.model_validate_json(receipt.model_dump_json()) == receipt


def test_delivering_again_changes_nothing_and_says_so(place, pack):
    parcel = pack()
    deliver(place, parcel)
    assert outcomes(deliver(place, parcel)) == [Outcome.ALREADY_THERE] * 2
    assert outcomes(deliver(place, pack("another"))) == [Outcome.ALREADY_THERE] * 2
    check(place, parcel)


def test_what_a_killed_attempt_left_out_is_added(place, pack):
    parcel = pack()
    place.plant(parcel.files[0].name, CONTENT)
    assert place.module.look(place.options, parcel, place.secrets) is Seen.ABSENT
    assert outcomes(deliver(place, parcel)) == [Outcome.ALREADY_THERE, Outcome.CREATED]
    check(place, parcel)


@pytest.mark.parametrize("planted", [b"", b"other", bytes(len(CONTENT))], ids=["empty", "short", "same size"])
@pytest.mark.parametrize("index", [0, 1])
def test_other_content_is_for_a_person_and_nothing_is_delivered(place, pack, planted, index):
    parcel = pack()
    name = parcel.files[index].name
    place.plant(name, planted)
    assert place.module.look(place.options, parcel, place.secrets) is Seen.OTHER
    with pytest.raises(NeedsPerson, match=name):
        deliver(place, parcel)
    assert place.names() == [name]
    assert place.read(name) == planted


def test_replacing_is_possible_where_the_target_can(place, pack):
    if not place.module.CAPABILITIES.can_replace:
        pytest.skip("it cannot replace")
    parcel = pack()
    place.plant(parcel.files[0].name, b"old")
    assert outcomes(deliver(place, parcel, replace=True)) == [Outcome.REPLACED, Outcome.CREATED]
    check(place, parcel)
    assert outcomes(deliver(place, parcel, replace=True)) == [Outcome.ALREADY_THERE] * 2


def test_an_empty_file_is_a_file(place, pack):
    parcel = pack(**{"empty.csv": b""})
    deliver(place, parcel)
    check(place, parcel)
    assert outcomes(deliver(place, parcel)) == [Outcome.ALREADY_THERE]


def test_names_of_any_language(place, pack):
    parcel = pack(**{"Prämien 漢字 🎁.csv": b"x", "a b+c%20=d.csv": b"y"})
    deliver(place, parcel)
    check(place, parcel)


@pytest.mark.parametrize(
    "name", ["../x", "/etc/x", "a/b", ".hidden", ".part-x", "", "a\\b", "a\0b", "..", "."]
)
def test_unsafe_names_are_refused(place, pack, name):
    parcel = pack(**{"fine.csv": b"x", name: b"y"})
    for call in (
        lambda: deliver(place, parcel),
        lambda: place.module.look(place.options, parcel, place.secrets),
    ):
        with pytest.raises(BadInput, match="file name"):
            call()
    assert place.names() == []


def test_two_files_of_one_name_are_refused(place, pack):
    one = pack()
    with pytest.raises(BadInput, match="one name for each"):
        deliver(place, Parcel([one.files[0], one.files[0]], "k"))


def test_progress_ends_at_the_whole(place, pack):
    parcel = pack()
    seen: list[tuple[int, int]] = []
    place.module.deliver(place.options, parcel, place.secrets, lambda done, total: seen.append((done, total)))
    total = sum(file.bytes for file in parcel.files)
    assert seen[-1] == (total, total)
    assert seen == sorted(seen)


def test_a_source_that_changed_is_never_delivered(place, pack):
    parcel = pack()
    wrong = Parcel([replace(parcel.files[0], sha256="0" * 64)], "k")
    with pytest.raises(Exception, match=r"is not the file|other content"):
        deliver(place, wrong)
    if place.module.CAPABILITIES.leaves_parts:
        assert not [name for name in place.names() if name.startswith(".part-")]


def test_a_target_can_be_tried(place):
    assert place.module.test(place.options, place.secrets) == []
    assert place.names() == []
