"""One zip archive of the files of a run: the same files give the same bytes."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path

from include.formats.artefact import PART, sync_folder
from include.formats.hashes import file_sha256
from include.formats.manifest import Bundle

EXTENSION = ".zip"
MEDIA_TYPE = "application/zip"
# The earliest instant that a zip can name: when a file was packed must not change the bytes.
_EPOCH = (1980, 1, 1, 0, 0, 0)


def write_bundle(path: Path, files: Sequence[Path]) -> Bundle:
    """Write the files, in this order and stored as they are, into `path`, which appears whole or not at all."""
    part = path.with_name(f"{PART}{path.name}")
    try:
        with zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
            for file in files:
                about = zipfile.ZipInfo(file.name, _EPOCH)
                about.external_attr = 0o644 << 16
                about.file_size = file.stat().st_size  # tells zipfile whether the entry needs 64 bits
                with file.open("rb") as source, archive.open(about, "w") as entry:
                    shutil.copyfileobj(source, entry, 1 << 20)
        part.replace(path)
        sync_folder(path.parent)
    finally:
        part.unlink(missing_ok=True)
    return Bundle(name=path.name, bytes=path.stat().st_size, sha256=file_sha256(path))
