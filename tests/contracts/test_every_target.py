"""The contract of targets: what every kind under include/targets must keep, at every place it serves.

A new kind adds its places to `PLACES`; a test fails when it has none. What can only be kept where files stay under
their names (`Capabilities.keeps_names`) is asked of a `keeper`, everything else of every `place`.
"""

from __future__ import annotations

import atexit
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import cache, partial
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from include import kinds, targets
from include.connections import Secrets
from include.errors import BadInput, NeedsPerson
from include.targets import email, folder, google_sheets, sftp, webhook
from include.targets.protocol import Capabilities, Outcome, Parcel, ParcelFile, Receipt, Seen, no_progress
from tests.servers import corners, openssh, receiver, sheets, smtp
from tests.targets.sheets_delivery import described

_NUMBERS = count(1)
CONTENT = b"id,points\n" + b"t1,12.50\n" * 12_000


@dataclass(frozen=True)
class Place:
    """A target ready to be used: its module and options, and how to look into it from outside.

    names: of all that arrived there, twice what came twice. plant: only where names are kept. written: by key what
    deliveries wrote down, as the pipeline keeps it for the next attempt. described: adds a manifest, for targets that
    take rows.
    """

    module: ModuleType
    options: Any
    names: Callable[[], list[str]]
    read: Callable[[str], bytes]
    plant: Callable[[str, bytes], None] = lambda name, _: pytest.fail(f"{name} cannot be planted")
    secrets: Secrets = field(default_factory=lambda: Secrets(Path()))
    written: dict[str, Receipt] = field(default_factory=dict)
    described: Callable[[Parcel], Parcel] = lambda parcel: parcel


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
    monkeypatch.setattr(folder, "local_folder", lambda _options: None)
    return _folder(tmp_path / "there", f"file://{tmp_path}/there")


@cache
def _sshd() -> openssh.Sshd | openssh.NotInstalled:
    """One server for all tests here, which end it with their process."""
    stack = ExitStack()
    atexit.register(stack.close)
    try:
        return stack.enter_context(openssh.sshd())
    except openssh.NotInstalled as missing:
        return missing


def _sftp(_: Path, __: pytest.MonkeyPatch) -> Place:
    server = _sshd()
    if isinstance(server, openssh.NotInstalled):
        pytest.skip(f"not installed: {server}")
    name = f"in{next(_NUMBERS)}"
    there = _folder(server.folder / name, name)
    options = sftp.Options(connection=openssh.NAME, folder=name, create_folder=True)
    secrets = Secrets(Path(), {openssh.NAME: server.connection()})

    def plant(name: str, content: bytes) -> None:
        there.plant(name, content)
        server.open_up(server.folder / options.folder)

    return replace(there, module=sftp, options=options, secrets=secrets, plant=plant)


@contextmanager
def _email(tmp_path: Path, _: pytest.MonkeyPatch) -> Iterator[Place]:
    with smtp.mail_server(tmp_path) as server:
        options = email.Options(connection=smtp.NAME, to=["finance@shop.example"])
        secrets = Secrets(Path(), {smtp.NAME: server.connection()})
        yield Place(email, options, server.names, server.read, secrets=secrets)


@contextmanager
def _webhook(_: Path, __: pytest.MonkeyPatch) -> Iterator[Place]:
    """A receiver to which files are sent as they are."""
    with receiver.receiver() as server:
        options = webhook.Options(connection=receiver.NAME, body="file")
        secrets = Secrets(Path(), {receiver.NAME: server.connection()})
        yield Place(webhook, options, server.names, server.read, secrets=secrets)


@contextmanager
def _google_sheets(tmp_path: Path, _: pytest.MonkeyPatch) -> Iterator[Place]:
    """Every file becomes a tab of its own; the tab as a text is what the file was."""
    with sheets.google() as server:

        def names() -> list[str]:
            return sorted(title for title in server.book.shown if title != "Sheet1")

        def read(name: str) -> bytes:
            lines = [",".join(row) for row in server.book.sheet(name).table()]
            return "\n".join(lines + [""] * (len(lines) > 1)).encode()

        options = google_sheets.Options(connection=sheets.NAME, spreadsheet=sheets.BOOK, tab="{export}")
        made = partial(described, folder=tmp_path)
        yield Place(google_sheets, options, names, read, secrets=server.secrets(), described=made)
        assert server.violations == []


def _object_store(kind: str) -> Callable[[Path, pytest.MonkeyPatch], Place]:
    def place(_: Path, __: pytest.MonkeyPatch) -> Place:
        there = corners.corner(kind)
        return Place(
            there.module, there.options(), there.names, there.read, there.plant, secrets=there.secrets()
        )

    return place


PLACES = {
    "email: aiosmtpd": _email,
    "folder: a path": _local,
    "folder: a file URL": _url,
    "folder: a store": _store,
    "sftp: OpenSSH": _sftp,
    "s3: SeaweedFS": _object_store("s3"),
    "gcs: fake-gcs-server": _object_store("gcs"),
    "google_sheets: a stub": _google_sheets,
    "azure_blob: Azurite": _object_store("azure_blob"),
    "webhook: HTTP": _webhook,
}
SERVED = {
    "email: aiosmtpd",
    "sftp: OpenSSH",
    "s3: SeaweedFS",
    "gcs: fake-gcs-server",
    "azure_blob: Azurite",
    "google_sheets: a stub",
}


def _params(names: Iterable[str]) -> list[Any]:
    return [pytest.param(name, marks=[pytest.mark.servers] if name in SERVED else []) for name in names]


def _keeps_names(name: str) -> bool:
    return kinds.load(targets, name.split(":")[0], where="test").CAPABILITIES.keeps_names


@contextmanager
def _made(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    made = PLACES[name](tmp_path, monkeypatch)
    if isinstance(made, AbstractContextManager):
        with made as found:
            yield found
    else:
        yield made


@pytest.fixture(params=_params(PLACES))
def place(request, tmp_path, monkeypatch) -> Iterator[Place]:
    with _made(request.param, tmp_path, monkeypatch) as found:
        yield found


@pytest.fixture(params=_params(filter(_keeps_names, PLACES)))
def keeper(request, tmp_path, monkeypatch) -> Iterator[Place]:
    """A place where files stay under their names."""
    with _made(request.param, tmp_path, monkeypatch) as found:
        yield found


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
    receipt: Receipt = place.module.deliver(options, known(place, parcel), place.secrets, no_progress)
    place.written[parcel.key] = receipt
    return receipt


def look(place: Place, parcel: Parcel) -> Seen:
    seen: Seen = place.module.look(place.options, known(place, parcel), place.secrets)
    return seen


def known(place: Place, parcel: Parcel) -> Parcel:
    """The parcel, with what is written down of earlier attempts."""
    accepted = place.written.get(parcel.key)
    return replace(
        place.described(parcel),
        in_doubt=accepted is not None,
        accepted=accepted,
        record=lambda receipt: place.written.update({parcel.key: receipt}),
    )


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
    assert look(place, parcel) is Seen.ABSENT
    receipt = deliver(place, parcel)
    check(place, parcel)
    assert outcomes(receipt) == [Outcome.CREATED] * 2
    assert receipt.target == place.module.KIND
    assert receipt.key == parcel.key
    assert [(file.name, file.sha256, file.bytes) for file in receipt.files] == [
        (file.name, file.sha256, file.bytes) for file in parcel.files
    ]
    assert look(place, parcel) is Seen.SAME
    assert Receipt.model_validate_json(receipt.model_dump_json()) == receipt


def test_delivering_again_changes_nothing_and_says_so(place, pack):
    parcel = pack()
    deliver(place, parcel)
    assert outcomes(deliver(place, parcel)) == [Outcome.ALREADY_THERE] * 2
    check(place, parcel)


def test_another_delivery_of_the_same_bytes_finds_them(keeper, pack):
    parcel = pack()
    deliver(keeper, parcel)
    assert outcomes(deliver(keeper, pack("another"))) == [Outcome.ALREADY_THERE] * 2
    check(keeper, parcel)


def test_what_a_killed_attempt_left_out_is_added(keeper, pack):
    parcel = pack()
    keeper.plant(parcel.files[0].name, CONTENT)
    assert look(keeper, parcel) is Seen.ABSENT
    assert outcomes(deliver(keeper, parcel)) == [Outcome.ALREADY_THERE, Outcome.CREATED]
    check(keeper, parcel)


@pytest.mark.parametrize(
    ("index", "planted"),
    [(0, b""), (0, bytes(len(CONTENT))), (1, b"other")],
    ids=["empty", "same size", "manifest"],
)
def test_other_content_is_for_a_person_and_nothing_is_delivered(keeper, pack, planted, index):
    parcel = pack()
    name = parcel.files[index].name
    keeper.plant(name, planted)
    assert look(keeper, parcel) is Seen.OTHER
    with pytest.raises(NeedsPerson, match=name):
        deliver(keeper, parcel)
    assert keeper.names() == [name]
    assert keeper.read(name) == planted


def test_replacing_is_possible_where_the_target_can(keeper, pack):
    if not keeper.module.CAPABILITIES.can_replace:
        pytest.skip("it cannot replace")
    parcel = pack()
    keeper.plant(parcel.files[0].name, b"old")
    assert outcomes(deliver(keeper, parcel, replace=True)) == [Outcome.REPLACED, Outcome.CREATED]
    check(keeper, parcel)
    assert outcomes(deliver(keeper, parcel, replace=True)) == [Outcome.ALREADY_THERE] * 2


def test_an_empty_file_is_a_file(place, pack):
    parcel = pack(**{"empty.csv": b""})
    deliver(place, parcel)
    check(place, parcel)
    assert outcomes(deliver(place, parcel)) == [Outcome.ALREADY_THERE]


def test_names_of_any_language(place, pack):
    parcel = pack(**{"Prämien 漢字 🎁.csv": b"x", "a b+c%20=d.csv": b"y"})
    deliver(place, parcel)
    check(place, parcel)


UNSAFE = ["../x", "/etc/x", "a/b", ".hidden", ".part-x", "", "a\\b", "a\0b", "..", "."]


def test_unsafe_names_are_refused(place, pack):
    for name in UNSAFE:
        parcel = pack(**{"fine.csv": b"x", name: b"y"})
        for call in (deliver, look):
            with pytest.raises(BadInput, match="file name"):
                call(place, parcel)
    assert place.names() == []


def test_two_files_of_one_name_are_refused(place, pack):
    one = pack()
    with pytest.raises(BadInput, match="one name for each"):
        deliver(place, Parcel([one.files[0], one.files[0]], "k"))


def test_progress_ends_at_the_whole(place, pack):
    parcel = known(place, pack())
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
