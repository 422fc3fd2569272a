"""`loyalty verify`: are these the files that their manifest speaks of, row by row, and does the chain hold?

Nothing is taken from the writer: the file is hashed, unpacked and parsed by the standard library, its rows
are counted, and its totals are added up from its own text.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa

from include.errors import BadInput, Problem
from include.formats.hashes import file_sha256
from include.formats.manifest import SUFFIX, Bundle, Manifest, ManifestFile, read_manifest
from include.formats.reading import Unpacked, unpack_bundle
from include.formats.totals import currency_place, sum_name
from include.ledger.catalog import FieldType
from include.ledger.hashing import text_hashes

_IDS_AT_ONCE = 65_536


def verify(manifest_path: Path) -> list[Problem]:
    """Return everything in which files, manifest and chain disagree; empty when all is well."""
    try:
        manifest = read_manifest(manifest_path)
    except BadInput as error:
        return list(error.problems)
    problems = []
    if manifest_path.name != manifest.name + SUFFIX:
        right = f"the manifest of {manifest.name} is named {manifest.name}{SUFFIX}"
        problems.append(Problem(str(manifest_path), manifest_path.name, right, "manifest_name"))
    if manifest_path.read_bytes() != manifest.canonical():
        right = "the bytes are not those that the product writes; it was edited"
        problems.append(Problem(str(manifest_path), manifest_path.name, right, "manifest_edited"))
    with TemporaryDirectory(prefix="verify-") as scratch:
        folder = manifest_path.parent
        if manifest.bundle is not None:
            problems += _unpack(folder, manifest.bundle, Path(scratch))
            folder = Path(scratch)
        for stated in manifest.files:
            problems += _file_problems(folder, stated)
    return [*problems, *_chain_problems(manifest_path, manifest)]


def _unpack(folder: Path, bundle: Bundle, scratch: Path) -> list[Problem]:
    """Lay the files of an archive into scratch; return in what it is not the archive that was written."""
    path = folder / Path(bundle.name).name
    if path.name != bundle.name or not path.is_file():
        return [Problem(str(path), bundle.name, "the archive is not beside its manifest", "file_missing")]
    found = _Found(str(path))
    found.compare("bytes", path.stat().st_size, bundle.bytes)
    found.compare("sha256", file_sha256(path), bundle.sha256)
    try:
        unpack_bundle(path, scratch)
    except (ValueError, EOFError, OSError, zlib.error, zipfile.BadZipFile) as error:
        found.problems.append(Problem(str(path), bundle.name, f"cannot be read: {error}", "file_damaged"))
    return found.problems


def _file_problems(folder: Path, stated: ManifestFile) -> list[Problem]:
    path = folder / Path(stated.name).name
    if path.name != stated.name or not path.is_file():
        return [Problem(str(path), stated.name, "the file is not beside its manifest", "file_missing")]
    found = _Found(str(path))
    found.compare("bytes", path.stat().st_size, stated.bytes)
    found.compare("sha256", file_sha256(path), stated.sha256)
    if stated.encryption is not None:
        return found.problems  # what is inside, only its recipients can read
    try:
        with Unpacked(path, stated) as content:
            _compare_rows(stated, content, found)
            content.drain()
            found.compare("uncompressed_bytes", content.bytes, stated.uncompressed_bytes)
            found.compare("uncompressed_sha256", content.hash.hexdigest(), stated.uncompressed_sha256)
    except BadInput as error:
        found.problems.extend(error.problems)
    except (ValueError, EOFError, OSError, zlib.error, zipfile.BadZipFile) as error:
        found.problems.append(Problem(str(path), stated.name, f"cannot be read: {error}", "file_damaged"))
    return found.problems


def _compare_rows(stated: ManifestFile, content: Unpacked, found: _Found) -> None:
    """Count the rows of the file and add up its totals, from its text alone."""
    columns = stated.written_columns()
    summed = [
        (index, column.name)
        for index, column in enumerate(columns)
        if column.type in {FieldType.POINTS, FieldType.MONEY}
    ]
    sums: dict[str, dict[str, Decimal]] = {name: {} for _, name in summed}
    money = {column.name for column in columns if column.type is FieldType.MONEY}
    place = currency_place(columns)
    names = [column.name for column in columns]
    id_index = names.index(stated.id_column) if stated.id_column in names else None
    ids: list[str] = []
    hash_total = count = 0
    for count, row in enumerate(content.rows(), 1):
        for index, name in summed:
            cell = row[index]
            currency = "" if place is None or name not in money else row[place] or ""
            before = sums[name].get(currency, Decimal(0))
            sums[name][currency] = before + (0 if cell is None else _decimal(cell, count, name))
        if id_index is not None:
            ids.append(row[id_index] or "")
            if len(ids) == _IDS_AT_ONCE:
                hash_total += _hash_total(ids)
                ids = []
    hash_total += _hash_total(ids)
    found.compare("rows", count, stated.rows)
    for column, by_currency in sums.items():
        named = {sum_name(column, currency): total for currency, total in by_currency.items()}
        # A file without rows, and a manifest from before sums went by currency.
        if not named or not named.keys() <= stated.totals.keys():
            named = {column: sum(by_currency.values(), Decimal(0))}
        for name, total in named.items():
            said = stated.totals.get(name)
            same = said is not None and Decimal(said) == total
            found.compare(f"totals.{name}", format(total, "f"), format(total, "f") if same else said)
    if stated.id_column is not None:
        found.compare("id_hash_total", f"{hash_total % 2**64:016x}", stated.id_hash_total)


def _decimal(cell: str, row: int, column: str) -> Decimal:
    try:
        return Decimal(cell)
    except InvalidOperation:
        raise ValueError(f"row {row}, column {column}: {cell!r} is not a number") from None


def _hash_total(ids: Sequence[str]) -> int:
    return sum(int(value) for value in text_hashes(pa.array(ids, pa.string())))


def _chain_problems(manifest_path: Path, manifest: Manifest) -> list[Problem]:
    """Compare with the export's previous manifest where that lies beside; else nothing is known."""
    where = str(manifest_path)
    stated = manifest.previous_manifest_sha256
    if (manifest.sequence == 1) != (stated is None):
        right = "the first manifest of an export, and no other, has no previous one"
        return [Problem(f"{where}: previous_manifest_sha256", str(stated), right, "chain_start")]
    problems = []
    for path in sorted(manifest_path.parent.glob("*" + SUFFIX)):
        if path == manifest_path:
            continue
        try:
            other = read_manifest(path)
        except BadInput:
            continue  # it is told when it is verified itself
        if other.origin.export_id != manifest.origin.export_id:
            continue
        if other.sequence == manifest.sequence:
            right = f"{path.name} has the same number; one of the two is not of this chain"
            problems.append(Problem(f"{where}: sequence", str(manifest.sequence), right, "chain_twice"))
        if other.sequence == manifest.sequence - 1 and file_sha256(path) != stated:
            right = f"{path.name}, the manifest before this one, has the hash {file_sha256(path)}"
            problems.append(Problem(f"{where}: previous_manifest_sha256", str(stated), right, "chain_broken"))
    return problems


class _Found:
    """The differences found so far."""

    def __init__(self, where: str) -> None:
        self._where = where
        self.problems: list[Problem] = []

    def compare(self, what: str, found: object, stated: object) -> None:
        if found != stated:
            right = f"the manifest says {stated}"
            self.problems.append(
                Problem(f"{self._where}: {what}", str(found), right, f"{what.partition('.')[0]}_differ")
            )
