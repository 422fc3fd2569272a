"""A watched folder of this machine."""

from __future__ import annotations

import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from include.errors import Permanent
from include.pipeline.inbox.place import FOLDERS, Stamp
from include.snapshots.store import disk_errors


@dataclass(frozen=True)
class Local:
    """The folder; the three are below it, so a file is moved within one file system."""

    folder: Path

    def prepare(self) -> None:
        """See `Place`."""
        if not self.folder.is_dir():
            raise Permanent(f"{self.folder}: there is no such folder; make it, or correct LOYALTY_INBOXES")
        for name in FOLDERS:
            with disk_errors(self.folder / f".part-{name}"):
                (self.folder / name).mkdir(exist_ok=True)

    def files(self, folder: str = "") -> dict[str, Stamp]:
        """See `Place`."""
        found = {}
        with os.scandir(self.folder / folder) as entries:
            for each in entries:
                try:
                    about = each.stat(follow_symlinks=False)
                except FileNotFoundError:  # its writer has just given it another name
                    continue
                if stat.S_ISREG(about.st_mode):
                    found[each.name] = Stamp(about.st_size, about.st_mtime)
        return found

    def fetch(self, name: str, to: Path) -> None:
        """See `Place`."""
        with disk_errors(to):
            # Not through a link that has taken the file's place since it was listed.
            handle = os.open(self.folder / name, os.O_RDONLY | os.O_NOFOLLOW)
            with os.fdopen(handle, "rb") as source, to.open("wb") as out:
                shutil.copyfileobj(source, out, 1 << 20)

    def move(self, name: str, folder: str, new: str, *, out_of: str = "") -> None:
        """See `Place`."""
        source, target = self.folder / out_of / name, self.folder / folder / new
        try:
            if target.exists():
                raise Permanent(f"{target}: a file of this name is there already; move it away")
            source.rename(target)
        except OSError as error:
            raise Permanent(f"{source}: cannot be moved to {target}: {error.strerror}") from error

    def put(self, folder: str, name: str, content: Path) -> None:
        """See `Place`."""
        part = self.folder / folder / f".part-{name}"
        with disk_errors(part):
            shutil.copyfile(content, part)
            part.replace(self.folder / folder / name)

    def shown(self, name: str, folder: str = "") -> str:
        """See `Place`."""
        return str(self.folder / folder / name)
