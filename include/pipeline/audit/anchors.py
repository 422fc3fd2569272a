"""The audit chain's anchors, and its verification against them.

An anchor is a copy of the chain's head in a place outside the state database: one small object for each, created and
never overwritten. Whoever can change the database can compute a whole chain anew; not so what an anchor says of it.
What came after the newest anchor rests on the database alone, so anchors are written every day.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from include.acting import actor
from include.errors import BadInput, LoyaltyError, NeedsPerson, Permanent, Problem, Transient
from include.pipeline.audit import anchor_mail
from include.pipeline.context import Context
from include.snapshots.store import Store
from include.state.audit import Action, Entry, Head, digest

# Beside snapshots and artefacts, where no other place is set.
FOLDER = "audit-anchors"
_CHANGED = "was changed: its content has another hash"
_PREFIX, _SUFFIX = "loyalty-audit-", ".json"


class Anchor(BaseModel):
    """What an anchor says: the newest entry at that time; its number is also how many entries there were."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    audit_anchor: Literal[1] = 1
    sequence: int = Field(ge=1)
    at: AwareDatetime
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")

    def canonical(self) -> bytes:
        """Return the anchor's bytes: the same head gives the same."""
        return (json.dumps(self.model_dump(mode="json"), sort_keys=True) + "\n").encode()

    def key(self) -> str:
        """Return the object's key; keys sort by number."""
        return f"{_PREFIX}{self.sequence:012d}{_SUFFIX}"


class Known(NamedTuple):
    """What an anchor says, and where it was found."""

    where: str
    sequence: int
    sha256: str


@dataclass(frozen=True)
class Verified:
    """What verifying found. Problems are sorted: the first names the first wrong entry.

    anchors: how many were read. unread: places that could not be read, and why.
    """

    entries: int
    head: Head | None
    anchors: int
    problems: tuple[Problem, ...]
    unread: tuple[str, ...]


def places(context: Context) -> tuple[str, ...]:
    """Return the URLs where anchors go: those of LOYALTY_AUDIT_ANCHORS, else a folder of the store."""
    return context.settings.audit_anchors or (f"{context.store.url}/{FOLDER}",)


def anchor(context: Context) -> list[str]:
    """Write the chain's head to every place; return the places of the anchors, none before the first entry.

    A place that fails does not keep the others from being tried. Raises then: Transient or Permanent, and NeedsPerson
    where an anchor of this number says something else, since then the chain was rewritten, or two share a place.
    """
    head = context.state.audit.head()
    if head is None:
        return []
    if not head.sha256:
        raise NeedsPerson("the audit chain's newest entry was changed: see loyalty audit verify")
    made = Anchor(sequence=head.sequence, at=head.at, sha256=head.sha256)
    written: list[str] = []
    errors: list[LoyaltyError] = []
    for place in places(context):
        try:
            is_mail = place.startswith(anchor_mail.SCHEME)
            where = anchor_mail.mail(context, place, head) if is_mail else _write(Store(place), made)
        except LoyaltyError as error:
            errors.append(error)
            continue
        if where is not None:
            written.append(where)
            detail = {"sequence": made.sequence, "sha256": made.sha256}
            context.state.audit.write(actor(), Action.ANCHORED, where, detail)
    if errors:
        raise _together(errors)
    return written


@dataclass(frozen=True)
class Anchored:
    """What the places of the anchors say. problems: anchors that are damaged; read, unread: the places."""

    known: tuple[Known, ...]
    problems: tuple[Problem, ...]
    read: tuple[str, ...]
    unread: tuple[str, ...]

    def gone(self, told: Iterable[str]) -> list[Problem]:
        """Return a problem for each anchor that the chain tells of and that its place does not have any more."""
        there = {each.where for each in self.known} | {each.value for each in self.problems}
        right = "is gone: the chain says that it was written"
        return [
            Problem("anchor", each, right, "anchor_gone")
            for each in told
            if each.startswith(self.read) and each not in there
        ]


def verify(context: Context, against: Sequence[Known] = ()) -> Verified:
    """Check the whole chain by itself, against all anchors that can be read, and against the deliveries.

    against: anchors from elsewhere, such as a mail. Memory grows with the anchors, not with the chain.
    """
    found = read_anchors(context)
    anchors = [*against, *found.known]
    seen = Walk(anchors)
    for entry in context.state.audit.entries():
        seen.step(entry)
    untold = context.state.audit.untold()
    problems = [
        *seen.end(),
        *found.problems,
        *found.gone(seen.anchored),
        *(
            Problem("delivery", key, "is confirmed, and the chain says nothing of it", "untold")
            for key in untold
        ),
    ]
    return Verified(seen.count, seen.head, len(anchors), tuple(problems), found.unread)


def read_anchors(context: Context) -> Anchored:
    """Read the anchors of every place; one that cannot be read does not keep the others from it."""
    known: list[Known] = []
    damaged: list[Problem] = []
    read: list[str] = []
    unread: list[str] = []
    for place in places(context):
        if place.startswith(anchor_mail.SCHEME):
            continue  # its reader holds it against the chain
        try:
            store = Store(place)
            found = list(_read(store))
        except LoyaltyError as error:
            unread.append(f"{place}: {error}")
            continue
        read.append(f"{store.url}/")
        known += [each for each in found if isinstance(each, Known)]
        damaged += [each for each in found if isinstance(each, Problem)]
    return Anchored(tuple(known), tuple(damaged), tuple(read), tuple(unread))


class Walk:
    """Walks along the chain, holding every entry against the one before it and the anchors of its number."""

    def __init__(self, anchors: Sequence[Known], head: Head | None = None) -> None:
        """head: the entry after which the walk begins, None for the first one."""
        self.count = 0
        self.head = head
        self.anchored: list[str] = []
        self._problem: Problem | None = None
        self._anchors: dict[int, list[Known]] = {}
        for each in anchors:
            self._anchors.setdefault(each.sequence, []).append(each)

    def step(self, entry: Entry) -> None:
        """Take the next entry; after the first that is wrong, the rest is only counted."""
        self.count += 1
        if self._problem is None:
            self._problem = self._wrong(entry)
        if entry.action == Action.ANCHORED:
            self.anchored.append(entry.subject)
        self.head = Head(entry.sequence, entry.sha256, entry.at)

    def end(self) -> list[Problem]:
        """Return what is wrong: one problem, since the first one casts doubt on all that follows."""
        if self._problem is not None:
            return [self._problem]
        last = self.head.sequence if self.head else 0
        if not self._anchors or max(self._anchors) <= last:
            return []
        newest = max(self._anchors)
        where = self._anchors[newest][0].where
        right = f"is gone: the chain ends at entry {last}, and {where} knows {newest}"
        return [_problem(last + 1, right, "audit_truncated")]

    def _wrong(self, entry: Entry) -> Problem | None:
        expected = self.head.sequence + 1 if self.head else 1
        if not entry.sha256 and entry.sequence in (expected, 0):
            return _problem(expected, _CHANGED, "audit_changed")
        if entry.sequence != expected:
            right = f"is missing: entry {entry.sequence} comes after entry {expected - 1}"
            return _problem(expected, right, "audit_gap")
        if entry.previous_sha256 != (self.head.sha256 if self.head else None):
            return _problem(expected, "does not name the hash of the entry before it", "audit_order")
        if digest(entry.model_dump()) != entry.sha256:
            return _problem(expected, _CHANGED, "audit_changed")
        for each in self._anchors.get(expected, ()):
            if each.sha256 != entry.sha256:
                right = f"was rewritten, or one before it: {each.where} says that its hash is {each.sha256}"
                return _problem(expected, right, "audit_rewritten")
        return None


def parsed(text: str) -> Known:
    """Return the anchor `SEQUENCE:SHA256`, as a person copies it from a message; BadInput for anything else."""
    found = re.fullmatch(r"0*([1-9]\d{0,17}):([0-9a-f]{64})", text, re.ASCII)
    if found is None:
        right = "must be the number of an entry, a colon and its sha256, such as 1204:9f86d08..."
        raise BadInput([Problem("--against", text, right, "bad_anchor")])
    return Known("the anchor given by hand", int(found[1]), found[2])


def _problem(sequence: int, right: str, code: str) -> Problem:
    return Problem("audit entry", str(sequence), right, code)


def _write(store: Store, made: Anchor) -> str:
    place = f"{store.url}/{made.key()}"
    if not store.put_new(made.key(), made.canonical()) and store.read(made.key()) != made.canonical():
        raise NeedsPerson(
            f"{place} is there and says something else than the chain's entry {made.sequence}: the chain was "
            "rewritten, or two installations keep their anchors in one place; see loyalty audit verify"
        )
    return place


def _read(store: Store) -> Iterator[Known | Problem]:
    """Yield the anchors of a place; other objects there are left alone."""
    for each in store.list():
        name = each.key.rpartition("/")[2]
        if not (name.startswith(_PREFIX) and name.endswith(_SUFFIX)):
            continue
        where = f"{store.url}/{each.key}"
        try:
            made = Anchor.model_validate_json(store.read(each.key))
            yield Known(where, made.sequence, made.sha256)
        except ValidationError:
            yield Problem("anchor", where, "is damaged: it is no anchor any more", "anchor_damaged")


def _together(errors: Sequence[LoyaltyError]) -> LoyaltyError:
    """Return one error for all; what a person must see comes before what may pass."""
    if len(errors) == 1:
        return errors[0]
    kinds = [kind for kind in (NeedsPerson, Transient) if any(isinstance(error, kind) for error in errors)]
    return (kinds[0] if kinds else Permanent)("; ".join(str(error) for error in errors))
