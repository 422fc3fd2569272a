"""Folders of work in scratch: each belongs to a process, and is removed when that process is gone.

Scratch may hold rows in clear. A folder's owner holds a lock on the file `<folder>.lock` beside it, which the
kernel lets go when the owner ends, however it ends. Whoever makes a folder first removes those without an owner.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_LOCK = ".lock"


@contextmanager
def working_folder(scratch: Path, name: str) -> Iterator[Path]:
    """Give a new folder of that name (and a random end) in scratch, for its owner's eyes only; removed in the end."""
    scratch.mkdir(parents=True, exist_ok=True)
    sweep(scratch)
    folder = scratch / f"{name}-{uuid.uuid4().hex[:8]}"
    lock = _locked(_lock_of(folder), wait=True)
    assert lock is not None
    try:
        folder.mkdir(mode=0o700)
        yield folder
    finally:
        _remove(folder, lock)


def sweep(scratch: Path) -> list[str]:
    """Remove the folders of processes that are gone; return their names. Other things in scratch stay."""
    removed = []
    for path in sorted(scratch.glob(f"*{_LOCK}")):
        lock = _locked(path, wait=False)
        if lock is not None:
            folder = path.with_suffix("")
            if folder.is_dir():
                removed.append(folder.name)
            _remove(folder, lock)
    return removed


def _lock_of(folder: Path) -> Path:
    return folder.with_name(folder.name + _LOCK)


def _remove(folder: Path, lock: int) -> None:
    """Remove folder, then lock file, then the lock: nobody sees a folder without them."""
    shutil.rmtree(folder, ignore_errors=True)
    if not folder.exists():
        _lock_of(folder).unlink(missing_ok=True)
    os.close(lock)


def _locked(path: Path, *, wait: bool) -> int | None:
    """Return the descriptor of the locked file, made if `wait`; None when another holds it or it is gone."""
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | (os.O_CREAT if wait else 0), 0o600)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError:
            os.close(descriptor)
            return None
        # A sweep may have removed the file between opening and locking it.
        with suppress(FileNotFoundError):
            if os.fstat(descriptor).st_ino == path.stat().st_ino:
                return descriptor
        os.close(descriptor)
        if not wait:
            return None
