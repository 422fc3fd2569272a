"""One finished file in scratch: encoded, compressed, hashed and counted in one pass, then given its name."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from include.connections import Secrets
from include.errors import Permanent
from include.formats import compression
from include.formats.options import FileOptions
from include.formats.totals import Totals
from include.ledger.columns import Column

PART = ".part-"
_WRITE_BYTES = 1 << 20


@dataclass(frozen=True)
class Artefact:
    """A file and what is known of its content.

    totals: the sum of each points and money column, exact, as text, by the names that `totals.sum_name` gives.
    id_hash_total: the sum of the 64-bit
    hashes of the column `id_column`, modulo 2**64, as 16 hexadecimal digits (it sees a lost, doubled or
    changed id, not a change of order); both None where no column holds ids. plain: the file before encryption,
    the file itself where it is not encrypted.
    """

    path: Path
    rows: int
    bytes: int
    sha256: str
    uncompressed_bytes: int
    uncompressed_sha256: str
    plain_bytes: int
    plain_sha256: str
    totals: dict[str, str]
    id_column: str | None
    id_hash_total: str | None


def write(
    path: Path,
    columns: Sequence[Column],
    batches: Iterable[pa.RecordBatch],
    file: FileOptions,
    secrets: Secrets | None = None,
) -> Artefact:
    """Write the rows into `path`, which appears whole and durable or not at all.

    Memory does not grow with the rows. The bytes depend on the rows, the columns and `file` alone, until they are
    encrypted: that gives others every time. `secrets` is needed where `file` is encrypted.
    Raises BadInput for keys that must not be used, Permanent for a full disk or a missing right, and whatever the
    batches or the format raise; nothing is left then.
    """
    module, options = file.kind(), file.format_options()
    totals = Totals(columns)
    plain, packed = _Hash(), _Hash()
    sealed_end = file.encryption.module().EXTENSION if file.encryption else ""
    packed_name = path.name.removesuffix(sealed_end)
    content = plain.watch(module.encode(columns, totals.watch(batches), options))
    if file.compression == "none":
        packed = plain
    else:
        entry = packed_name.removesuffix(compression.EXTENSIONS[file.compression])
        content = packed.watch(compression.compress(file.compression, content, entry))
    sealed = packed
    if file.encryption is not None:
        sealed = _Hash()
        assert secrets is not None
        content = sealed.watch(file.encryption.encrypt(content, packed_name, secrets))
    write_whole(path, content)
    return Artefact(
        path, totals.rows, sealed.bytes, sealed.hex(), plain.bytes, plain.hex(), packed.bytes, packed.hex(),
        totals.sums, totals.id_column, totals.id_hash_total,
    )  # fmt: skip


def write_whole(path: Path, chunks: Iterable[bytes]) -> None:
    """Write a file that appears whole and durable, replacing one of the same name, or not at all.

    Raises Permanent for a full disk or a missing right, and whatever the chunks raise; nothing is left then.
    """
    part = path.with_name(f"{PART}{path.name}")
    wrote = 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb", buffering=_WRITE_BYTES) as out:
            for chunk in chunks:
                out.write(chunk)
                wrote += len(chunk)
            out.flush()
            os.fsync(out.fileno())
        part.replace(path)
        sync_folder(path.parent)
    except BaseException as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno is not None:
            raise Permanent(_disk_reason(error, path, wrote)) from error
        raise


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class _Hash:
    """The length and SHA-256 of a stream that goes by."""

    def __init__(self) -> None:
        self.bytes = 0
        self._hash = hashlib.sha256()

    def watch(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self._hash.update(chunk)
            self.bytes += len(chunk)
            yield chunk

    def hex(self) -> str:
        return self._hash.hexdigest()


def _disk_reason(error: OSError, path: Path, wrote: int) -> str:
    """Return the sentence for an error of the disk that holds `path`."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        free = shutil.disk_usage(path.parent).free
        return (
            f"{path}: {error.strerror}: the file needs more than {wrote:,} bytes, and {free:,} are free in "
            f"{path.parent} now that its part is removed; free some space or use another disk"
        )
    return f"{path}: {error.strerror}"
