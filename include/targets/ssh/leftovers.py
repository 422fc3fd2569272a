"""What attempts that died left in a folder on an SFTP server: parts, probes, and marks laid before a file was named."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import timedelta

from include.targets.protocol import PART_PREFIX, Kept, part_key
from include.targets.ssh.remote import Refused
from include.targets.ssh.there import There

MARK = "naming"
# A mark without its part says that the receiver may have the file: it is all that keeps a retry from sending twice.
LONE_MARKS_KEPT = timedelta(days=35)


def removed(there: There, older_than: timedelta, kept: Kept) -> list[str]:
    """Remove what is that old and belongs to no attempt at work; return the names.

    A mark goes before its parts, which say that the name was not given; so an attempt that comes later starts anew.
    """
    try:
        found = there.remote.ages(there.options.folder, PART_PREFIX)
    except Refused as refused:
        if refused.code == Refused.MISSING:  # nothing was ever delivered there
            return []
        raise there.refused("list", "", refused) from refused
    now = time.time()
    ages = {name: now - at for name, at in found.items() if part_key(name) not in kept.live}
    parts = {name: age for name, age in ages.items() if not name.endswith(MARK)}
    old = [name for name, age in parts.items() if age > older_than.total_seconds()]
    young = parts.keys() - set(old)
    marks = [
        name
        for name, age in ages.items()
        if name not in parts
        and not _of(name, young)
        and (_of(name, old) or (age > LONE_MARKS_KEPT.total_seconds() and part_key(name) not in kept.open))
    ]
    going = [*sorted(marks), *sorted(old)]
    for name in going:
        try:
            there.remote.remove(there.path(name))
        except Refused as refused:
            if refused.code != Refused.MISSING:
                raise there.refused("delete", name, refused) from refused
    return going


def _of(mark: str, parts: Iterable[str]) -> bool:
    """Whether one of the parts is of the file that the mark is about."""
    stem = mark.removesuffix(MARK)
    return any(name.startswith(stem) for name in parts)
