"""What was seen of a stretch of accounts, in one file that travels to whoever joins the stretches."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

from include.reports.engine.shares import Seen

_HEAD = "seen.pickle"


def pack(seen: Seen, path: Path) -> None:
    """Write it, with the files that it names, into one file."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        with archive.open(_HEAD, "w", force_zip64=True) as head:
            writer = _Writer(head)
            writer.dump(seen)
        for name, each in writer.named.items():
            archive.write(each, name)


def unpack(path: Path, folder: Path) -> Seen:
    """Return what was packed, its files in `folder`. Only for files whose hash is the one that was told."""
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder, [name for name in archive.namelist() if name != _HEAD])
        with archive.open(_HEAD) as head:
            seen: Seen = _Reader(head, folder).load()
    return seen


class _Writer(pickle.Pickler):
    """Writes paths as names within the archive."""

    def __init__(self, file: Any) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self.named: dict[str, Path] = {}

    def persistent_id(self, obj: Any) -> str | None:
        """Return the name of a file; None for all that is no path."""
        if not isinstance(obj, Path):
            return None
        name = f"{len(self.named):05}.arrow"
        self.named[name] = obj
        return name


class _Reader(pickle.Unpickler):
    """Reads names within the archive as paths in a folder."""

    def __init__(self, file: Any, folder: Path) -> None:
        super().__init__(file)
        self._folder = folder

    def persistent_load(self, pid: Any) -> Path:
        """Return where the file lies."""
        return self._folder / str(pid)
