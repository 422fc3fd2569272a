"""What a webhook's requests hold: the event, the rows in batches, or the files."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from include.errors import Permanent
from include.formats.manifest import SUFFIX, Manifest, ManifestFile, is_about, read_manifest
from include.formats.reading import Unpacked
from include.ledger.catalog import FieldType
from include.ledger.columns import Column
from include.targets.hooks.message import Body, Message
from include.targets.object_stores.client import FileBody
from include.targets.protocol import Parcel, ParcelFile

if TYPE_CHECKING:
    from include.targets.webhook import Options

EVENT = "export.delivered"
MOST_REQUESTS = 1_000
_NUMBERS = frozenset({FieldType.POINTS, FieldType.MONEY, FieldType.RATE, FieldType.INTEGER})


@dataclass(frozen=True)
class Request:
    """One request of a delivery.

    part: what it carries, in words that are the same in every attempt. message: makes it, when it is really sent.
    completes: the files that are there once it is accepted. done: the bytes of the parcel that then are.
    """

    part: str
    message: Callable[[], Message]
    done: int
    completes: Sequence[ParcelFile] = ()


def requests(options: Options, parcel: Parcel) -> Iterator[Request]:
    """Yield the requests of a delivery in order; the same parcel gives the same ids and, links apart, the same bodies.

    Raises Permanent where the options ask for what the files cannot give.
    """
    if options.body == "event":
        yield _event(options, parcel)
    elif options.body == "file":
        yield from _files(options, parcel)
    else:
        yield from _rows(options, parcel)


def ping(options: Options, message_id: str) -> Message:
    """Return a message that says nothing, for receivers that know it."""
    body = Body.of(_json({"type": "ping", "data": {}}))
    return Message(message_id, body, options.method, options.headers)


def _event(options: Options, parcel: Parcel) -> Request:
    def message() -> Message:
        document = _json(_event_document(options, parcel))
        return Message(parcel.key, Body.of(document), options.method, options.headers)

    return Request("event", message, sum(file.bytes for file in parcel.files))


def _event_document(options: Options, parcel: Parcel) -> dict[str, Any]:
    about = parcel.about
    return {
        "type": EVENT,
        "timestamp": about.as_of,
        "data": {
            "delivery": parcel.key,
            "export": {"id": about.export_id, "name": about.name, "description": about.description},
            "period": about.period,
            "as_of": about.as_of,
            "timezone": about.timezone,
            "revision": about.revision,
            "sending": about.sending,
            "test": about.is_test,
            "rows": sum(about.rows.values()),
            "files": [_told(options, parcel, file) for file in parcel.files],
            "notes": list(about.notes),
        },
    }


def _told(options: Options, parcel: Parcel, file: ParcelFile) -> dict[str, Any]:
    about = parcel.about
    found: dict[str, Any] = {
        "name": file.name,
        "media_type": file.media_type,
        "bytes": file.bytes,
        "sha256": file.sha256,
    }
    if file.name in about.rows:
        found |= {"rows": about.rows[file.name], "totals": dict(about.totals.get(file.name, {}))}
    if options.link_target or options.link_recipient:
        found["link"] = _link(options, parcel, file)
    return found


def _link(options: Options, parcel: Parcel, file: ParcelFile) -> str:
    expires = timedelta(days=options.link_days)
    if parcel.links is None:
        raise Permanent("nothing here makes links: leave link_target and link_recipient out")
    if options.link_target:
        return parcel.links.signed(file, options.link_target, expires)
    return parcel.links.page(file, options.link_recipient or "", expires, login=False)


def _files(options: Options, parcel: Parcel) -> Iterator[Request]:
    done = 0
    for number, file in enumerate(parcel.files, 1):
        done += file.bytes
        if is_about(file.name) and not options.manifest:
            continue
        yield Request(file.name, partial(_file, options, file, f"{parcel.key}-{number}"), done, [file])


def _file(options: Options, file: ParcelFile, message_id: str) -> Message:
    body, headers = _form(options.form_field, file, message_id) if options.form_field else _raw(file)
    return Message(message_id, body, options.method, {**headers, **options.headers})


def _raw(file: ParcelFile) -> tuple[Body, dict[str, str]]:
    digest = base64.b64encode(bytes.fromhex(file.sha256)).decode()
    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(file.name, safe='')}",  # RFC 6266
        "Content-Digest": f"sha-256=:{digest}:",  # RFC 9530
    }
    return Body(file.bytes, lambda: _pieces(file), file.media_type), headers


def _form(name: str, file: ParcelFile, boundary: str) -> tuple[Body, dict[str, str]]:
    """Return a form with one file (RFC 7578), its name escaped as browsers do."""
    called = file.name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{called}"\r\n'
        f"Content-Type: {file.media_type}\r\n\r\n"
    ).encode()
    tail = f"\r\n--{boundary}--\r\n".encode()

    def pieces() -> Iterator[bytes]:
        yield head
        yield from _pieces(file)
        yield tail

    media_type = f"multipart/form-data; boundary={boundary}"
    return Body(len(head) + file.bytes + len(tail), pieces, media_type), {}


def _pieces(file: ParcelFile) -> Iterator[bytes]:
    """Yield the file; it never goes out whole when it is not what was rendered."""
    return FileBody(file.path, file.bytes, file.sha256, lambda _sent: None, file.stamp).pieces()


def _rows(options: Options, parcel: Parcel) -> Iterator[Request]:
    files = _readable(parcel)
    batches = sum(_batches(stated, options) for _, stated in files)
    if batches > MOST_REQUESTS:
        raise Permanent(
            f"the rows make {batches:,} requests, {MOST_REQUESTS:,} are the most: raise batch_rows, or send the file"
        )
    done = 0
    for number, (file, stated) in enumerate(files, 1):
        total = _batches(stated, options)
        with Unpacked(file.path, stated) as content:
            rows = content.rows()
            for batch in range(1, total + 1):
                some = list(islice(rows, options.batch_rows))
                headers = {"X-Export": parcel.about.export_id or "-", "X-File": quote(file.name)}
                headers |= {"X-Batch": f"{batch}/{total}", **options.headers}
                message_id = f"{parcel.key}-{number}-{batch}"
                message = partial(_batch, options, stated, some, message_id, headers)
                part = f"{file.name}: batch {batch} of {total}"
                yield Request(
                    part, message, done + file.bytes * batch // total, [file] if batch == total else ()
                )
        done += file.bytes


def _batch(
    options: Options,
    stated: ManifestFile,
    rows: Sequence[Sequence[str | None]],
    message_id: str,
    headers: dict[str, str],
) -> Message:
    body = Body.of(_records(stated.written_columns(), rows, options))
    return Message(message_id, body, options.method, headers)


def _readable(parcel: Parcel) -> list[tuple[ParcelFile, ManifestFile]]:
    """Return the files with rows, with what the manifest says of each."""
    manifest = _manifest(parcel)
    stated = {each.name: each for each in manifest.files}
    if manifest.bundle is not None:
        raise Permanent(
            "rows cannot be read from an archive: deliver the files themselves, or use body: file"
        )
    found = [(file, stated[file.name]) for file in parcel.files if file.name in stated]
    if sealed := [file.name for file, each in found if each.encryption is not None]:
        raise Permanent(
            f"{', '.join(sealed)}: the rows are encrypted; use body: file or event, or no encryption"
        )
    return found


def _manifest(parcel: Parcel) -> Manifest:
    for file in parcel.files:
        if file.name.endswith(SUFFIX):
            return read_manifest(file.path)
    raise Permanent("rows need the manifest, and this delivery has none")


def _batches(stated: ManifestFile, options: Options) -> int:
    """Return how many requests a file makes; one without rows still says so."""
    return max(1, -(-stated.rows // options.batch_rows))


def _records(columns: Sequence[Column], rows: Sequence[Sequence[str | None]], options: Options) -> bytes:
    """Return the rows as an array of objects; numbers are exact, and never pass a float."""
    names = [json.dumps(column.name, ensure_ascii=False) for column in columns]
    objects = (
        ",".join(
            f"{name}:{_literal(column, cell, options)}"
            for name, column, cell in zip(names, columns, row, strict=True)
        )
        for row in rows
    )
    return ("[" + ",\n".join(f"{{{fields}}}" for fields in objects) + "]").encode()


def _literal(column: Column, cell: str | None, options: Options) -> str:
    if cell is None:
        return "null"
    if column.type is FieldType.BOOLEAN and cell in {"true", "false"}:
        return cell
    if column.type in _NUMBERS:
        exact = format(Decimal(cell), "f")  # a workbook may have written 1E+5
        return exact if options.numbers == "number" else f'"{exact}"'
    return json.dumps(cell, ensure_ascii=False)


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
