"""Bring files into a folder on an SFTP server, so that a name there is free or holds its file whole, at every moment.

All files are written and read back under temporary names first; then they get their final names in order, by
SFTP's rename, which does not overwrite. A large part that an earlier attempt left is taken over and continued
where it holds the right bytes. Before a file is named, a mark is laid beside its part: when an attempt ended
there and part and name are both gone, the receiver may have taken the file, and a person decides.
"""

from __future__ import annotations

import hashlib
import secrets as tokens
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from include.errors import LoyaltyError, Permanent, Transient, Uncertain
from include.targets.protocol import Accepted, Outcome, Parcel, ParcelFile, Progress, Seen, part_prefix
from include.targets.ssh.login import Lost
from include.targets.ssh.remote import Refused
from include.targets.ssh.there import There, hashed, pieces

# Below this a part is sent again rather than read.
RESUMED_BYTES = 1 << 20


@dataclass(frozen=True)
class _Item:
    """One file on its way. seen: what has its name; part: its temporary name in this attempt.

    old: the largest part that earlier attempts left, empty when there is none; others: all of them; is_marked: one of
    these attempts was about to give the name.
    """

    file: ParcelFile
    seen: Seen
    part: str
    mark: str
    old: str
    old_bytes: int
    others: tuple[str, ...]
    is_marked: bool


def bring(there: There, parcel: Parcel, progress: Progress) -> tuple[Accepted, ...]:
    """Deliver the files (see `protocol.Target.deliver`)."""
    there.ready()
    items = _items(there, parcel)
    for item in items:
        _check(there, item, is_said_absent=parcel.is_said_absent)
    outcomes: list[Outcome] = []
    try:
        _stage_all(there, items, progress)
        while len(outcomes) < len(items):
            outcomes.append(_name(there, items[len(outcomes)]))
    except Lost:
        raise  # what is there helps the next attempt
    except LoyaltyError:
        with suppress(Lost):
            for item in items[len(outcomes) :]:
                keep = item.seen is Seen.SAME and item.is_marked
                there.remote.discard(there.path(item.part), *([] if keep else [there.path(item.mark)]))
        raise
    with suppress(Lost):  # every name is confirmed
        _tidy(there, part_prefix(parcel))
    return tuple(
        Accepted(
            name=file.name,
            place=there.place(file.name),
            bytes=file.bytes,
            sha256=file.sha256,
            outcome=outcome,
        )
        for file, outcome in zip(parcel.files, outcomes, strict=True)
    )


def _items(there: There, parcel: Parcel) -> list[_Item]:
    """Look at what is there: parts and marks first, names after, so that a file on its way is seen once at least."""
    with there.named("list"):
        left = there.remote.sizes(there.options.folder, part_prefix(parcel))
    attempt = tokens.token_hex(4)  # an attempt that lost its lease must not open our parts
    items = []
    for index, file in enumerate(parcel.files):
        stem = f"{part_prefix(parcel)}{file.sha256[:8]}-{index}-"
        mark = f"{stem}naming"
        found = [name for name in left if name.startswith(stem) and name != mark]
        old = max(found, key=left.__getitem__, default="")
        seen = there.seen(file)
        items.append(
            _Item(file, seen, stem + attempt, mark, old, left.get(old, 0), tuple(found), mark in left)
        )
    return items


def _check(there: There, item: _Item, *, is_said_absent: bool) -> None:
    """Raise what stands against sending the file."""
    place = there.place(item.file.name)
    if item.seen is Seen.OTHER and not there.options.replace:
        raise there.conflict(item.file)
    if item.seen is Seen.OTHER and not there.remote.can_replace:
        raise Permanent(
            f"{place} is there with other content, and this server cannot replace a file in one step (it does not "
            "offer posix-rename). Remove the file there, or ask the server's owner to allow it"
        )
    if item.seen is Seen.ABSENT and item.is_marked and not item.old and not is_said_absent:
        raise Uncertain(
            f"{place}: an earlier attempt ended while it gave this name, and now neither the file nor its part is "
            "there. Probably the receiver took it at once: ask. If they have it, say that it was delivered; if "
            f"not, say that, or remove {there.path(item.mark)} there, and deliver again"
        )


def _stage_all(there: There, items: list[_Item], progress: Progress) -> None:
    total, done = sum(item.file.bytes for item in items), 0
    for item in items:
        if item.seen is not Seen.SAME:
            for size in _stage(there, item):
                progress(done + size, total)
        done += item.file.bytes
        progress(done, total)


def _stage(there: There, item: _Item) -> Iterator[int]:
    """Write the part, or the rest of it, and compare what the server gives back; yields the bytes there so far."""
    file, path = item.file, there.path(item.part)
    start, digest = _continued(there, item)

    def rest(size: int) -> Iterator[bytes]:
        for piece in pieces(file, size, start=start):
            if there.options.verify == "size":  # then this is all that can be hashed
                digest.update(piece)
            yield piece

    try:
        yield from there.remote.write(path, rest, start=start, mode=there.file_mode)
    except Refused as refused:
        raise there.unwritten(file, item.part, refused) from refused
    with there.named("read", item.part):
        size = there.remote.size(path)
        if there.options.verify == "read_back" and size == file.bytes:
            hashed(there.remote.read(path, size - start, start=start), digest)
    if size != file.bytes or digest.hexdigest() != file.sha256:
        raise Transient(
            f"{there.place(item.part)}: what was written is not the file that was rendered ({file.sha256[:12]}...)"
        )


def _continued(there: There, item: _Item) -> tuple[int, hashlib._Hash]:
    """Take over a large part whose bytes are the file's first; returns their number and hash, 0 when there is none."""
    path = there.path(item.part)
    if RESUMED_BYTES <= item.old_bytes <= item.file.bytes and there.options.verify == "read_back":
        with suppress(Refused):
            there.remote.rename(there.path(item.old), path)
            digest = hashed(there.remote.read(path, item.old_bytes))
            if digest.digest() == hashed(pieces(item.file, end=item.old_bytes)).digest():
                if there.file_mode is not None:  # it may have got its final permissions already
                    there.remote.chmod(path, there.file_mode | 0o600)
                return item.old_bytes, digest
        there.remote.discard(path)
    return 0, hashlib.sha256()


def _name(there: There, item: _Item) -> Outcome:
    """Give the part its final name; nothing is overwritten unless `replace` says so."""
    if item.seen is Seen.SAME:
        return Outcome.ALREADY_THERE
    file, old, new = item.file, there.path(item.part), there.path(item.file.name)
    # From here on, no part means that the name was given.
    there.remote.discard(*map(there.path, item.others))
    if not item.is_marked:
        with there.named("make", item.mark):
            list(there.remote.write(there.path(item.mark), lambda _: ()))
    try:
        if item.seen is Seen.OTHER:
            there.remote.posix_rename(old, new)
            return Outcome.REPLACED
        # Not every server's rename refuses to overwrite, as SFTP says that it must.
        if there.remote.size(new) is None:
            there.remote.rename(old, new)
            return Outcome.CREATED
    except Refused as refused:
        now = there.seen(file)
        if now is Seen.ABSENT and there.remote.size(old) is None:
            raise Transient(
                f"{there.place(item.part)} was taken by another attempt of this delivery"
            ) from refused
        if now is Seen.ABSENT or item.seen is Seen.OTHER:
            raise there.refused("name", file.name, refused) from refused
    if there.seen(file) is Seen.SAME:  # somebody was faster
        return Outcome.ALREADY_THERE
    raise there.conflict(file)


def _tidy(there: There, prefix: str) -> None:
    """Remove what attempts of this delivery left, the marks last."""
    with suppress(Refused):
        left = there.remote.sizes(there.options.folder, prefix)
        there.remote.discard(*map(there.path, sorted(left, key=lambda name: name.endswith("-naming"))))
