"""Where the attempts deliver to: a real server of each kind, and how to look into it without our code."""

from __future__ import annotations

import csv
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from include.connections import Connection
from include.targets.hooks import signing
from tests.servers import corners, openssh, receiver, sheets, smtp

MAIL_TO = "finance@shop.example"


@dataclass(frozen=True)
class Place:
    """A target in use. find: every copy of a file that is there under its final name; left: temporary names.

    shown: what `find` finds of a file that is there whole. manifests: whether they go there too.
    folder: watched for calls of the system. sizes: of the files, in bytes, taken by turns. holds: a delivery may wait for
    a person. forget: makes room, when a wave has been looked at.
    """

    name: str
    kind: str
    options: dict[str, Any]
    find: Callable[[str], list[bytes]]
    left: Callable[[], list[str]] = list
    connection: Connection | None = None
    folder: str = ""
    sizes: tuple[int, ...] = (300_000,)
    holds: bool = False
    forget: Callable[[list[str]], None] = field(default=lambda _names: None)
    shown: Callable[[bytes], bytes] = lambda content: content
    manifests: bool = True

    def task(self) -> dict[str, Any]:
        """The connection without its name, as JSON."""
        known = {} if self.connection is None else asdict(self.connection)
        known.pop("name", None)
        return {"connection": known, "folder": self.folder}


def _in(folder: Path, name: str) -> list[bytes]:
    return [(folder / name).read_bytes()] if (folder / name).exists() else []


def _left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name.startswith(".part-"))


def _unlink(folder: Path, names: list[str]) -> None:
    for name in names:
        (folder / name).unlink(missing_ok=True)


@contextmanager
def _folder() -> Iterator[Place]:
    with tempfile.TemporaryDirectory() as path:
        there = Path(path)
        yield Place(
            "folder",
            "folder",
            {"folder": path},
            partial(_in, there),
            partial(_left_in, there),
            folder=path,
            sizes=(300_000, 3_000_000),
            forget=partial(_unlink, there),
        )


@contextmanager
def _sftp() -> Iterator[Place]:
    with openssh.sshd() as server:
        there = server.open_up(server.folder)
        yield Place(
            "sftp",
            "sftp",
            {"connection": openssh.NAME},
            partial(_in, there),
            partial(_left_in, there),
            server.connection(),
            sizes=(300_000, 300_000, 3_000_000),
            forget=partial(_unlink, there),
        )


@contextmanager
def _objects(kind: str) -> Iterator[Place]:
    there = corners.corner(kind)

    def find(name: str) -> list[bytes]:
        try:
            return [there.read(name)]
        except FileNotFoundError:
            return []

    def forget(names: list[str]) -> None:
        for name in set(names) & set(there.names()):
            there.delete(name)

    options = there.options().model_dump(mode="json", exclude_defaults=True)
    yield Place(
        kind,
        kind,
        options,
        find,
        lambda: [name for name in there.names() if ".part-" in name],
        there.secrets().connections[corners.NAME],
        sizes=(200_000, 200_000, 200_000, 6_000_000, 200_000, 200_000, 200_000, 11_000_000),
        forget=forget,
    )


def _signed(request: receiver.Received) -> bool:
    keys = signing.keys_of(receiver.SECRET, str)
    stamp = request.headers.get("webhook-timestamp") or "0"
    ours = signing.headers(keys, request.headers.get("webhook-id") or "", int(stamp), [request.body])
    return ours["webhook-signature"] == request.headers.get("webhook-signature")


@contextmanager
def _webhook(*, idempotent: bool) -> Iterator[Place]:
    with receiver.receiver() as server:
        effects: list[receiver.Received] = []

        def answer(request: receiver.Received) -> receiver.Answer:
            if not _signed(request):  # the standard library's server takes half a header for a whole one
                return receiver.Answer(401)
            if idempotent and any(each.id == request.id for each in effects):
                return receiver.Answer(409, body=request.id.encode())
            effects.append(request)
            return receiver.Answer()

        server.always = answer

        def find(name: str) -> list[bytes]:
            return [each.body for each in effects if each.name == name]

        def forget(_names: list[str]) -> None:
            effects.clear()
            server.requests.clear()

        yield Place(
            f"webhook, {'idempotent' if idempotent else 'other'} receiver",
            "webhook",
            {"connection": receiver.NAME, "body": "file", "receiver_is_idempotent": idempotent},
            find,
            connection=server.connection(),
            holds=not idempotent,
            forget=forget,
        )


@contextmanager
def _email(*, on_doubt: str) -> Iterator[Place]:
    with tempfile.TemporaryDirectory() as folder, smtp.mail_server(Path(folder)) as server:

        def find(name: str) -> list[bytes]:
            return [mail.attached[name] for mail in list(server.mails) if name in mail.attached]

        options = {"connection": smtp.NAME, "to": [MAIL_TO], "attach": "always", "on_doubt": on_doubt}
        yield Place(
            f"email, on_doubt: {on_doubt}",
            "email",
            options,
            find,
            connection=server.connection(),
            sizes=(100_000,),
            holds=on_doubt == "hold",
            forget=lambda _names: server.mails.clear(),
        )


def _rows(content: bytes) -> bytes:
    """The rows of a file as a tab shows them."""
    header, *rows = csv.reader(content.decode().splitlines())
    return json.dumps([header, *([key, note, float(points)] for key, note, points in rows)]).encode()


@contextmanager
def _sheets(mode: str) -> Iterator[Place]:
    with sheets.google() as server:

        def find(name: str) -> list[bytes]:
            with server.lock:
                tabs = server.book.shown
            rows = tabs.get(Path(name).stem)  # a tab is called as its file, without the ending
            return [json.dumps(rows).encode()] if rows else []

        def left() -> list[str]:
            return [tab.title for tab in server.book.sheets.values() if tab.title.startswith(".part-")]

        def forget(names: list[str]) -> None:
            with server.lock:
                for number, tab in list(server.book.sheets.items()):
                    if f"{tab.title}.csv" in names:
                        del server.book.sheets[number]

        yield Place(
            f"google_sheets, {mode}",
            "google_sheets",
            {"connection": sheets.NAME, "spreadsheet": sheets.BOOK, "tab": "{file}", "mode": mode},
            find,
            left,
            server.connection(),
            sizes=(6_000, 60_000),  # in one step, and over a hidden tab (see `ours`)
            forget=forget,
            shown=_rows,
            manifests=False,
        )


PLACES: dict[str, Callable[[], Any]] = {
    "folder": _folder,
    "sftp": _sftp,
    "s3": partial(_objects, "s3"),
    "gcs": partial(_objects, "gcs"),
    "azure_blob": partial(_objects, "azure_blob"),
    "sheets": partial(_sheets, "replace"),
    "sheets-append": partial(_sheets, "append"),
    "webhook": partial(_webhook, idempotent=True),
    "webhook-hold": partial(_webhook, idempotent=False),
    "email-hold": partial(_email, on_doubt="hold"),
    "email-resend": partial(_email, on_doubt="resend"),
}


@contextmanager
def opened(name: str) -> Iterator[Place]:
    """Start the servers of a place."""
    with ExitStack() as stack:
        yield stack.enter_context(PLACES[name]())
