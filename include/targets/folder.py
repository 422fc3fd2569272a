"""A folder: a local or mounted one, or a prefix of any store (s3://, gs://, abfs://).

Local files are all written and read back under temporary names first; then they get their final names in
order, by links, which never overwrite. A full disk is therefore found before anything can be seen.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets as tokens
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from include import settings
from include.connections import Secrets
from include.errors import BadInput, Permanent, Problem, Transient
from include.formats.hashes import file_sha256
from include.snapshots.store import Store
from include.targets.protocol import (
    NOTHING_KEPT,
    PART_PREFIX,
    Accepted,
    Capabilities,
    Kept,
    Outcome,
    Parcel,
    ParcelFile,
    Progress,
    Receipt,
    Seen,
    check_names,
    conflict,
    local_chunks,
    part_key,
    part_prefix,
)

KIND = "folder"
OUTSIDE = False
CAPABILITIES = Capabilities(is_atomic=True, can_replace=True, reads_back=True, leaves_parts=True)
_TRANSIENT = {errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EBUSY, errno.EINTR, errno.EAGAIN, errno.ENOENT}
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


def is_bucket(options: Mapping[str, Any]) -> bool:
    """Return whether the folder is one of a bucket, as its URL says: outside, as the kinds for buckets are."""
    scheme, slashes, _ = str(options.get("folder", "")).partition("://")
    return bool(slashes) and scheme != "file"


def _place(text: str) -> str:
    if "://" in text:
        try:
            Store(text)
        except BadInput as error:
            raise ValueError(error.problems[0].right) from error
    elif not text or "\0" in text or ".." in Path(text).parts:
        raise ValueError("a folder's path without '..', or the URL of a store")
    return text


class Options(BaseModel):
    """Where the folder is, and what may happen to what is in it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    folder: Annotated[str, AfterValidator(_place)] = Field(
        description="An absolute path, a path below LOYALTY_HOME, or a URL: file://, s3://, gs://, abfs://. "
        "Credentials of a store come from the environment."
    )
    replace: bool = Field(
        False,
        description="Whether a file of the same name with other content is replaced. In a local folder "
        "readers see the old file or the new one; in a bucket the name is free for a moment.",
    )
    create_folder: bool = Field(True, description="Whether a missing local folder is made.")


def connections(options: Options) -> tuple[str, ...]:  # noqa: ARG001
    """Return none: a store's credentials come from the environment."""
    return ()


def deliver(options: Options, parcel: Parcel, secrets: Secrets, progress: Progress) -> Receipt:  # noqa: ARG001
    """Bring the files there, in order (see `protocol.Target`)."""
    check_names(parcel)
    folder = local_folder(options)
    if folder is None:
        accepted = _deliver_to_store(Store(options.folder), options, parcel, progress)
    else:
        with _disk_errors(folder):
            accepted = _deliver_to_disk(folder, options, parcel, progress)
    return Receipt(target=KIND, key=parcel.key, files=tuple(accepted))


def look(options: Options, parcel: Parcel, secrets: Secrets) -> Seen:  # noqa: ARG001
    """Say what is there under the parcel's names (see `protocol.Target`)."""
    check_names(parcel)
    folder = local_folder(options)
    if folder is None:
        store = Store(options.folder)
        found = [_seen_in_store(store, file) for file in parcel.files]
    else:
        with _disk_errors(folder):
            found = [_seen_on_disk(folder, file) for file in parcel.files]
    return Seen.OTHER if Seen.OTHER in found else Seen.ABSENT if Seen.ABSENT in found else Seen.SAME


def test(options: Options, secrets: Secrets) -> list[Problem]:  # noqa: ARG001
    """Write, name and remove a probe; say what is missing (see `protocol.Target`)."""
    name = f"{PART_PREFIX}probe-{tokens.token_hex(8)}"
    folder = local_folder(options)
    try:
        if folder is None:
            store, key = Store(options.folder), name.removeprefix(".")
            store.put_new(key, b"probe")
            right = "what was written could not be read back" if store.read(key) != b"probe" else ""
            store.delete(key)
        else:
            right = ""
            with _disk_errors(folder):
                _ready(folder, options)
                probe, link = folder / name, folder / f"{name}-link"
                probe.write_bytes(b"probe")
                try:
                    _publish(probe, link)
                finally:
                    link.unlink(missing_ok=True)
                    probe.unlink(missing_ok=True)
    except (Permanent, Transient) as error:
        right = str(error)
    return [Problem("folder", options.folder, right, "folder_unusable")] if right else []


def clean(
    options: Options,
    secrets: Secrets,  # noqa: ARG001
    older_than: timedelta,
    kept: Kept = NOTHING_KEPT,
) -> list[str]:
    """Remove what killed deliveries left in a local folder (see `protocol.Target`); a store clears its own parts."""
    folder = local_folder(options)
    before = time.time() - older_than.total_seconds()
    if folder is None:
        count = Store(options.folder).clear_parts(datetime.now(UTC) - older_than)
        return [f"{count} uploads of writers that died"] if count else []
    removed = []
    with _disk_errors(folder):
        for path in sorted(folder.glob(f"{PART_PREFIX}*")):
            with suppress(FileNotFoundError):
                if path.lstat().st_mtime < before and part_key(path.name) not in kept.live:
                    path.unlink()
                    removed.append(path.name)
    return removed


def local_folder(options: Options) -> Path | None:
    """Return the local folder, or None when the place is a bucket."""
    return settings.local_folder(options.folder, settings.home_folder())


# Local folders


def _deliver_to_disk(folder: Path, options: Options, parcel: Parcel, progress: Progress) -> list[Accepted]:
    _ready(folder, options)
    seen = [_seen_on_disk(folder, file) for file in parcel.files]
    for file, state in zip(parcel.files, seen, strict=True):
        if state is Seen.OTHER and not options.replace:
            raise conflict(str(folder / file.name), file)
    total, done = sum(file.bytes for file in parcel.files), 0
    attempt = tokens.token_hex(4)  # a zombie of this delivery must not write into our parts
    parts = [folder / f"{part_prefix(parcel)}{attempt}-{index}" for index in range(len(parcel.files))]
    try:
        for file, state, part in zip(parcel.files, seen, parts, strict=True):
            if state is not Seen.SAME:
                for size in _stage(file, part):
                    progress(done + size, total)
            done += file.bytes
            progress(done, total)
        accepted = []
        for file, state, part in zip(parcel.files, seen, parts, strict=True):
            outcome = Outcome.ALREADY_THERE if state is Seen.SAME else _name(part, folder, file, options)
            accepted.append(_accepted(file, str(folder / file.name), outcome))
    finally:
        for part in parts:
            with suppress(OSError):
                part.unlink(missing_ok=True)
    for left in folder.glob(f"{part_prefix(parcel)}*"):  # of attempts that were killed
        left.unlink(missing_ok=True)
    _sync(folder)
    return accepted


def _ready(folder: Path, options: Options) -> None:
    if options.create_folder:
        folder.mkdir(parents=True, exist_ok=True)
    elif not folder.is_dir():
        raise Permanent(f"{folder} is not a folder here; create or mount it, or set create_folder: true")


def _seen_on_disk(folder: Path, file: ParcelFile) -> Seen:
    path = folder / file.name
    try:
        if path.stat().st_size != file.bytes or not path.is_file():
            return Seen.OTHER
    except FileNotFoundError:
        return Seen.OTHER if path.is_symlink() else Seen.ABSENT
    return Seen.SAME if file_sha256(path) == file.sha256 else Seen.OTHER


def _stage(file: ParcelFile, part: Path) -> Iterator[int]:
    """Write and sync the part, and compare what the disk gives back; yields the bytes written so far."""
    size = 0
    with part.open("xb") as out:
        for chunk in local_chunks(file):
            out.write(chunk)
            size += len(chunk)
            yield size
        out.flush()
        os.fsync(out.fileno())
        if hasattr(os, "posix_fadvise"):  # read back from the disk, not from memory
            os.posix_fadvise(out.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    if size != file.bytes or file_sha256(part) != file.sha256:
        raise Transient(f"{part}: what was written is not the file that was rendered ({file.sha256[:12]}...)")


def _name(part: Path, folder: Path, file: ParcelFile, options: Options) -> Outcome:
    """Give the part its final name."""
    path = folder / file.name
    if options.replace:
        outcome = Outcome.REPLACED if path.exists() else Outcome.CREATED
        part.replace(path)
        return outcome
    try:
        _publish(part, path)
    except FileExistsError:  # somebody was faster
        if _seen_on_disk(folder, file) is Seen.SAME:
            return Outcome.ALREADY_THERE
        raise conflict(str(path), file) from None
    return Outcome.CREATED


def _publish(part: Path, path: Path) -> None:
    """Link the part to its final name: atomic, and never an overwrite."""
    try:
        os.link(part, path)
    except OSError as error:
        if error.errno in _NO_LINKS:
            raise Permanent(
                f"{path}: this file system has no hard links, so a file cannot be named without the risk of "
                "overwriting another; set replace: true, or use another folder"
            ) from error
        raise


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some mounted file systems cannot sync a folder
            os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        place = error.filename or folder
        if error.errno in _FULL:
            free = shutil.disk_usage(folder).free
            raise Permanent(
                f"{place}: {error.strerror}; {free:,} bytes are free in {folder}; free some space"
            ) from error
        if error.errno in _TRANSIENT:
            raise Transient(f"{place}: {error.strerror}") from error
        raise Permanent(f"{place}: {error.strerror}; check the folder and its rights") from error


# Stores


def _deliver_to_store(store: Store, options: Options, parcel: Parcel, progress: Progress) -> list[Accepted]:
    seen = [_seen_in_store(store, file) for file in parcel.files]
    for file, state in zip(parcel.files, seen, strict=True):
        if state is Seen.OTHER and not options.replace:
            raise conflict(f"{store.url}/{file.name}", file)
    total, done = sum(file.bytes for file in parcel.files), 0
    accepted = []
    for file, state in zip(parcel.files, seen, strict=True):
        place = f"{store.url}/{file.name}"
        outcome = Outcome.ALREADY_THERE
        if state is not Seen.SAME:
            if state is Seen.OTHER:
                store.delete(file.name)
            created = store.put_new(file.name, file.path)
            if _seen_in_store(store, file) is not Seen.SAME:
                raise conflict(place, file)
            if created:
                outcome = Outcome.REPLACED if state is Seen.OTHER else Outcome.CREATED
        accepted.append(_accepted(file, place, outcome))
        done += file.bytes
        progress(done, total)
    return accepted


def _seen_in_store(store: Store, file: ParcelFile) -> Seen:
    entry = store.entry(file.name)
    if entry is None:
        return Seen.ABSENT
    if entry.bytes != file.bytes:
        return Seen.OTHER
    digest = hashlib.sha256()
    for chunk in store.chunks(file.name):
        digest.update(chunk)
    return Seen.SAME if digest.hexdigest() == file.sha256 else Seen.OTHER


def _accepted(file: ParcelFile, place: str, outcome: Outcome) -> Accepted:
    return Accepted(name=file.name, place=place, bytes=file.bytes, sha256=file.sha256, outcome=outcome)
