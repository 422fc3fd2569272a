"""One look into a watched folder: take what is whole, and put away what was imported."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from include.errors import BadInput, Problem
from include.pipeline import imports
from include.pipeline.context import Context
from include.pipeline.imports.asking import ask
from include.pipeline.inbox.config import Inbox
from include.pipeline.inbox.place import ARCHIVE, REFUSED, TAKEN, Place, Stamp, opened
from include.state.imports import ImportRecord, ImportState

_TAKEN = re.compile(r"(imp-[0-9a-f]{16})--.+", re.DOTALL)
_LONGEST = 180  # bytes of a name that are kept behind the id; most file systems allow 255 in all
_ENDED_WELL = (ImportState.POSTED, ImportState.UNDONE)


@dataclass
class Looked:
    """What a look found. to_run: imports that were taken and are not over; the rest are names of files.

    unfinished: files that somebody writes to; told again by a later look.
    """

    to_run: list[str] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)
    archived: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)


def look(context: Context, inbox: Inbox, pause: Callable[[float], None] = time.sleep) -> Looked:
    """Take every whole file of an inbox, and put away those whose imports are over.

    Raises BadInput for its connection and where nothing can be imported, Permanent for its folder, Transient for a
    network. pause: waits for seconds.
    """
    if why_not := imports.why_not_writable(context):
        raise BadInput([Problem("ledger", inbox.name, why_not, "imports_off")])
    found = Looked()
    with opened(inbox, context.connections, context.settings) as place:
        place.prepare()
        for name, stamp in _whole(inbox, place, pause, found).items():
            _take(context, inbox, place, name, stamp, found)
        for name in sorted(place.files(TAKEN)):
            _put_away(context, place, name, found)
    return found


def _whole(inbox: Inbox, place: Place, pause: Callable[[float], None], found: Looked) -> dict[str, Stamp]:
    """Return the files that kept their size and time for as long as the inbox says."""
    before = {name: stamp for name, stamp in place.files().items() if inbox.wants(name)}
    if not before:
        return {}
    pause(inbox.quiet.total_seconds())
    after = place.files()
    found.unfinished += [name for name, stamp in before.items() if name in after and after[name] != stamp]
    return {name: before[name] for name in sorted(before) if after.get(name) == before[name]}


def _take(context: Context, inbox: Inbox, place: Place, name: str, stamp: Stamp, found: Looked) -> None:
    context.settings.scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=context.settings.scratch, prefix="inbox-") as scratch:
        copy = Path(scratch) / "file"
        place.fetch(name, copy)
        if place.files().get(name) != stamp or copy.stat().st_size != stamp.bytes:
            found.unfinished.append(name)
            return
        try:
            record = imports.receive(
                context, copy, name=name, options=inbox.options, by=inbox.who, renewed=inbox.same_name
            )
        except BadInput as error:
            told = [str(problem) for problem in error.problems]
            _refuse(context, place, name, _named(f"{time.time_ns() // 1_000_000}", name), told)
            found.refused.append(name)
            return
    new = _named(record.import_id, name)
    at_work = any(each.startswith(_named(record.import_id, "")) for each in place.files(TAKEN))
    if record.state in (*_ENDED_WELL, ImportState.REFUSED) or at_work:
        _refuse(
            context,
            place,
            name,
            _named(f"{record.import_id}-{time.time_ns() // 1_000_000}", name),
            [_again(record)],
        )
        found.refused.append(name)
        return
    ask(context, record.import_id, inbox.who, standing=True)
    place.move(name, TAKEN, new)
    found.taken.append(name)


def _put_away(context: Context, place: Place, name: str, found: Looked) -> None:
    """Move a taken file to where it belongs; a name that is none of ours stays, for whoever put it there."""
    match = _TAKEN.fullmatch(name)
    if match is None:
        return
    try:
        record = imports.get(context, match[1])
    except BadInput:
        return
    if record.state in (*_ENDED_WELL, ImportState.REFUSED, ImportState.WRONG):
        well = record.state in _ENDED_WELL
        folder = ARCHIVE if well else REFUSED
        _put_result(context, place, folder, f"{name}.result.csv", record.import_id)
        if well:
            place.move(name, folder, name, out_of=TAKEN)
        else:
            _refuse(context, place, name, name, _why(record), out_of=TAKEN)
        (found.archived if well else found.refused).append(name)
    else:
        found.to_run.append(record.import_id)


def _put_result(context: Context, place: Place, folder: str, name: str, import_id: str) -> None:
    content = imports.result_file(context, import_id)
    if content is not None:
        _put(context, place, folder, name, content)


def _refuse(
    context: Context, place: Place, name: str, new: str, told: list[str], *, out_of: str = ""
) -> None:
    _put(context, place, REFUSED, f"{new}.why.txt", [("\n".join(told) + "\n").encode()])
    place.move(name, REFUSED, new, out_of=out_of)


def _put(context: Context, place: Place, folder: str, name: str, content: Iterable[bytes]) -> None:
    context.settings.scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=context.settings.scratch, prefix="inbox-") as file:
        for piece in content:
            file.write(piece)
        file.flush()
        place.put(folder, name, Path(file.name))


def _again(record: ImportRecord) -> str:
    ended = f", which is {record.state.value}" if record.finished else ", which waits"
    return (
        f"These bytes came before, on {record.requested_at:%Y-%m-%d %H:%M} UTC, as import {record.import_id}{ended}. "
        "Nothing was posted twice. If the same points are meant once more, import the file on the page Imports."
    )


def _why(record: ImportRecord) -> list[str]:
    if record.state is ImportState.REFUSED:
        note = f": {record.decision_note}" if record.decision_note else ""
        return [f"{record.decided_by} refused it{note}. Nothing was posted."]
    if record.rehearsal and not record.rehearsal.rows:
        return [
            *record.rehearsal.notes,
            "Nothing was posted. Put the right file into the inbox under another name.",
        ]
    wrong = record.rehearsal.wrong if record.rehearsal else 0
    return [
        f"{wrong:,} of its rows are wrong, so nothing was posted. The result file beside this one says what is right.",
        "Correct them and put the file into the inbox again under another name.",
    ]


def _named(prefix: str, name: str) -> str:
    """Return the name behind a prefix, its end where it is too long."""
    kept = name.encode()[-_LONGEST:].decode(errors="ignore")
    return f"{prefix}--{kept}"
