"""What every target offers, in the words of the delivery protocol (docs/reliability.md section 1).

A file's final name at a target is absent or holds the file byte for byte, at every moment. Delivering again
is always safe: a name that holds the same bytes is success, a name that holds others is for a person to see.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from pydantic import AwareDatetime, BaseModel, ConfigDict

from include.connections import Secrets
from include.errors import BadInput, NeedsPerson, Problem
from include.targets.unchanged import Stamp


@dataclass(frozen=True)
class About:
    """What a message may say of a delivery, for targets that write one. Nothing in it is about one person.

    period: as in file names. rows: of each file. totals: exact sums by file and column. notes: sentences, such as
    what changed since the last delivery, and alerts. sending: 0, or how often it was sent before on somebody's word.
    is_test: it goes to whoever wants to see it, and is no delivery.
    """

    export_id: str = ""
    name: str = ""
    description: str = ""
    owner: str = ""
    period: str = ""
    as_of: str = ""
    timezone: str = "UTC"
    revision: int = 0
    rows: Mapping[str, int] = field(default_factory=dict)
    totals: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    sending: int = 0
    is_test: bool = False


@dataclass(frozen=True)
class Parcel:
    """The files of one delivery, in the order in which they become visible: data first, its manifest after.

    key: the delivery's key; temporary names hold it, so that a retry finds what an earlier attempt left.
    in_doubt: an earlier attempt began to send, and nobody wrote down how it ended. Who can look, looks.
    accepted: what earlier attempts wrote down by `record`. record: call it with what the target has taken so far, and
    before each step that cannot be looked at afterwards.
    """

    files: Sequence[ParcelFile]
    key: str
    about: About = field(default_factory=About)
    in_doubt: bool = False
    accepted: Receipt | None = None
    record: Callable[[Receipt], None] = field(default=lambda _receipt: None)
    links: Links | None = None

    @property
    def is_said_absent(self) -> bool:
        """Whether a person said, after the last attempt, that nothing of it arrived, whatever that attempt left."""
        word = self.accepted.word if self.accepted else None
        return word is not None and not word.arrived and not self.in_doubt


@dataclass(frozen=True)
class ParcelFile:
    """One file to deliver: where it is, how it will be called, and what it must be."""

    path: Path
    name: str
    sha256: str
    bytes: int
    media_type: str
    personal: bool = False
    """Whether it holds personal data that its reader can read: not encrypted, masked or pseudonymised."""
    stamp: Stamp | None = None
    """What the file system said of it when it was hashed; None: it is hashed again as it goes out."""


class Links(Protocol):
    """Addresses from which one recipient can download a file of the parcel until they expire."""

    def page(self, file: ParcelFile, recipient: str, expires: timedelta, *, login: bool) -> str:
        """Return the address of a page: login: for who has one; else it mails a one-time code to the recipient."""

    def signed(self, file: ParcelFile, target: str, expires: timedelta) -> str:
        """Return an address of the object that another target of the definition holds, without any login."""


class Seen(StrEnum):
    """What is at the target under the parcel's names."""

    ABSENT = "absent"  # at least one name is free, and no name holds other bytes
    SAME = "same"
    OTHER = "other"


class Outcome(StrEnum):
    """What a delivery did with one file."""

    CREATED = "created"
    REPLACED = "replaced"
    ALREADY_THERE = "already there"


class Accepted(BaseModel):
    """One file that is at the target: its place there, and its hash as read back from there."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    place: str
    bytes: int
    sha256: str
    outcome: Outcome


class Answer(StrEnum):
    """What became of a message to one recipient."""

    SENDING = "sending"  # handed over, and no answer written down yet
    ACCEPTED = "accepted"
    REFUSED = "refused"
    LATER = "later"
    UNKNOWN = "unknown"


class Recipient(BaseModel):
    """One recipient of a message, and what their server said."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    address: str
    answer: Answer
    said: str = ""


class Word(BaseModel):
    """What a person said of a delivery that nobody could be sure of. at: UTC."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    arrived: bool
    by: str
    at: AwareDatetime
    note: str = ""


class Receipt(BaseModel):
    """What the target holds after a delivery. `place` in it never holds a secret.

    word: by whose word this is so, where the target was not asked; then `files` are those that it had confirmed before.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    target: str
    key: str
    files: tuple[Accepted, ...]
    recipients: tuple[Recipient, ...] = ()
    word: Word | None = None


@dataclass(frozen=True)
class Kept:
    """Deliveries whose temporary objects the janitor leaves, by the first `KEY_CHARACTERS` of their keys.

    live: an attempt is at work. open: nobody has confirmed it, so its marks still tell the next attempt something.
    """

    live: frozenset[str] = frozenset()
    open: frozenset[str] = frozenset()


NOTHING_KEPT = Kept()


@dataclass(frozen=True)
class Capabilities:
    """What a kind of target can do; the pipeline and pages ask this, never the kind's name."""

    is_atomic: bool
    can_replace: bool
    reads_back: bool
    leaves_parts: bool  # a killed delivery can leave a temporary object, named PART_PREFIX and the key
    max_file_bytes: int | None = None
    keeps_names: bool = True  # files stay there under their names, where one can look and be in the way


PART_PREFIX = ".part-"
KEY_CHARACTERS = 32
Progress = Callable[[int, int], None]


class Target(Protocol):
    """What a target's module offers; its name is what a definition says."""

    KIND: str
    CAPABILITIES: Capabilities
    OUTSIDE: bool
    """Whether files leave the house: personal data goes there encrypted, or with its owner's word."""
    Options: type[BaseModel]

    def connections(self, options: Any) -> tuple[str, ...]:
        """Return the names of the connections that it uses; their secrets come as `secrets`."""

    def deliver(self, options: Any, parcel: Parcel, secrets: Secrets, progress: Progress) -> Receipt:
        """Bring the files there, in order. `progress(bytes done, bytes in all)` is called now and then.

        Raises NeedsPerson when a name holds other bytes, Uncertain when nobody can tell whether it was taken,
        Transient or Permanent as errors.py says.
        """

    def look(self, options: Any, parcel: Parcel, secrets: Secrets) -> Seen:
        """Say what is there, changing nothing."""

    def test(self, options: Any, secrets: Secrets) -> list[Problem]:
        """Write and remove a probe; return what is missing, as sentences that say the remedy."""

    def clean(
        self, options: Any, secrets: Secrets, older_than: timedelta, kept: Kept = NOTHING_KEPT
    ) -> list[str]:
        """Remove temporary objects of attempts that died so long ago; return their names.

        Only of targets with `leaves_parts`. Whose attempt it was, names say where they hold a delivery's key.
        """


def part_prefix(parcel: Parcel) -> str:
    """Return how the temporary names of a delivery begin."""
    return f"{PART_PREFIX}{parcel.key[:KEY_CHARACTERS]}-"


def part_key(name: str) -> str:
    """Return the delivery's key (its first characters) in a temporary name, or what stands there in a probe's."""
    return name.removeprefix(PART_PREFIX).partition("-")[0]


def check_names(parcel: Parcel) -> None:
    """Raise BadInput for names that are not plain, visible, and different; every target calls this first."""
    names = [file.name for file in parcel.files]
    problems = [
        Problem("file name", name, "one visible name without folders", "unsafe_name")
        for name in names
        if not name or Path(name).name != name or name.startswith(".") or set(name) & set("\\\0")
    ]
    problems += [
        Problem("file name", name, "one name for each file of a delivery", "doubled_name")
        for name in sorted({name for name in names if names.count(name) > 1})
    ]
    if problems:
        raise BadInput(problems)


def conflict(place: str, file: ParcelFile) -> NeedsPerson:
    """Return the error for a name that holds other content."""
    return NeedsPerson(
        f"{place} exists with other content than this delivery's (sha256 {file.sha256[:12]}...). Look at it, "
        "then move it away and deliver again, or set replace: true."
    )


def no_progress(_done: int, _total: int) -> None:
    """Report to nobody."""


def local_chunks(file: ParcelFile) -> Iterator[bytes]:
    """Yield the bytes of the local file."""
    with file.path.open("rb") as source:
        while chunk := source.read(1 << 20):
            yield chunk
