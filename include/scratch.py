"""Folders of work in scratch: each belongs to a process, and is removed when that process is gone.

Scratch may hold rows in clear. A folder's owner holds a lock on the file `<folder>.lock` beside it, which the
kernel lets go when the owner ends, however it ends. Whoever makes a folder first removes those without an owner.

The lock file holds how many bytes its owner may come to need, so that work which starts together fits together.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from include.errors import NotYet, Permanent, Transient

_LOCK = ".lock"
ASK_AGAIN = timedelta(seconds=20)


@contextmanager
def working_folder(scratch: Path, name: str, needs: int = 0, budget: int = 0) -> Iterator[Path]:
    """Give a new folder of that name (and a random end) in scratch, for its owner's eyes only; removed in the end.

    needs: bytes that it may come to hold. budget: bytes that all such folders may; 0: what the disk has. Raises
    NotYet where they fit once others are done, Transient where the disk is full of other things, and Permanent where
    the budget is too small.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    folder = scratch / f"{name}-{uuid.uuid4().hex[:8]}"
    with _alone(scratch):
        sweep(scratch)
        if needs:
            _refuse(scratch, name, needs, budget)
        lock = _locked(_lock_of(folder), wait=True)
        assert lock is not None
        os.write(lock, str(needs).encode())
    try:
        folder.mkdir(mode=0o700)
        yield folder
    finally:
        _remove(folder, lock)


def _refuse(scratch: Path, name: str, needs: int, budget: int) -> None:
    """Raise the error that says why `needs` bytes more do not fit, if they do not."""
    promised = {path: _promise(path) for path in scratch.glob(f"*{_LOCK}")}
    held = sum(promised.values())
    coming = sum(max(0, each - _bytes(path.with_suffix(""))) for path, each in promised.items())
    free = shutil.disk_usage(scratch).free
    said = f"{name} may need {_gb(needs)} in {scratch}"
    if budget and needs > budget:
        raise Permanent(f"{said}, and LOYALTY_SCRATCH_GB allows {_gb(budget)}: raise it")
    if needs <= free - coming and (not budget or needs <= budget - held):
        return
    if held:
        message = f"{said}: {_gb(free)} are free, and work that is under way may need {_gb(held)}"
        raise NotYet(message, datetime.now(UTC) + ASK_AGAIN)
    raise Transient(
        f"{said}, and the disk has {_gb(free)}: make room, or set LOYALTY_SCRATCH to a larger disk"
    )


def _promise(lock: Path) -> int:
    with suppress(FileNotFoundError, ValueError):
        return int(lock.read_text())
    return 0


def _bytes(folder: Path) -> int:
    """Return the bytes on disk below a folder; its owner is at work there, so files and folders go meanwhile."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                total += (Path(path) / name).lstat().st_blocks * 512
    return total


def _gb(count: int) -> str:
    return f"{count / 1e9:.1f} GB"


@contextmanager
def _alone(scratch: Path) -> Iterator[None]:
    """Wait until nobody else asks for room in this scratch."""
    descriptor = os.open(scratch, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


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
