"""What the targets s3, gcs and azure_blob share: names, reading back, conflicts, probes, links, what was left behind.

A name is absent or whole at every moment: the store itself gives it, at the end of the upload, where it is free.
Whether a file is there is found by reading it back and hashing it; the hash among an object's metadata is for others.
"""

from __future__ import annotations

import re
import secrets as tokens
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from include.connections import NAME, Connection, Secrets
from include.errors import BadInput, LoyaltyError, Problem, Uncertain
from include.targets.object_stores.reading import delete, listed, read_back
from include.targets.object_stores.sending import ObjectStore, Terms, send
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
    part_key,
)

CAPABILITIES = Capabilities(
    is_atomic=True, can_replace=True, reads_back=True, leaves_parts=True, max_file_bytes=5 << 40
)
LONGEST_LINK = timedelta(days=7)
OURS = ("sha256", "delivery_key")
_PROBE = b"A probe; it can be deleted."


def _prefix(text: str) -> str:
    steps = text.split("/")
    if text and (
        any(step in {"", ".", ".."} or step != step.strip() for step in steps)
        or re.search(r"[\x00-\x1f\x7f\\]", text)
        or len(text) > 500
    ):
        raise ValueError("a path such as loyalty/acme: no leading or trailing '/', no '..', no empty step")
    return text


def _metadata(found: dict[str, str]) -> dict[str, str]:
    for name, value in found.items():
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,60}", name) or name in OURS:
            raise ValueError(
                f"{name!r}: names are small letters, digits and '_', and {' and '.join(OURS)} are ours"
            )
        if not value.isascii() or not value.isprintable() or value != value.strip():
            raise ValueError(f"{name}: values are printable ASCII")
    if sum(len(name) + len(value) for name, value in found.items()) > 1500:
        raise ValueError("1,500 characters in all are the most that every store takes")
    return found


ConnectionName = Annotated[str, StringConstraints(pattern=f"^{NAME}$")]
Word = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,512}$")]


class ObjectOptions(BaseModel):
    """What every kind of object store lets one choose."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    connection: ConnectionName = Field(description="The Airflow connection with address and credentials.")
    prefix: Annotated[str, AfterValidator(_prefix)] = Field(
        "", description="The folder in it that names go to, such as loyalty/acme."
    )
    replace: bool = Field(
        False, description="Whether an object of the same name with other content is replaced, at once."
    )
    metadata: Annotated[dict[str, str], AfterValidator(_metadata)] = Field(
        default_factory=dict, description="Metadata of every object, beside its sha256 and delivery_key."
    )
    content_type: Word | None = Field(None, description="Content type; left out, that of the file's format.")
    content_encoding: Word | None = Field(
        None, description="Content encoding, such as gzip, for readers that unpack by themselves."
    )

    def key(self, name: str) -> str:
        """Return the object's key."""
        return f"{self.prefix}/{name}" if self.prefix else name


def connection_of(options: ObjectOptions, secrets: Secrets) -> Connection:
    """Return the connection that the options name."""
    return secrets.connections[options.connection]


def deliver(
    kind: str, store: ObjectStore, options: ObjectOptions, terms: Terms, parcel: Parcel, progress: Progress
) -> Receipt:
    """Bring the files there, in order (see `protocol.Target`)."""
    check_names(parcel)
    seen = [_seen(store, options, file) for file in parcel.files]
    for file, state in zip(parcel.files, seen, strict=True):
        if state is Seen.OTHER and not options.replace:
            raise conflict(_place(store, options, file), file)
    total, done = sum(file.bytes for file in parcel.files), 0
    accepted = []
    for file, state in zip(parcel.files, seen, strict=True):
        base = done
        outcome = Outcome.ALREADY_THERE
        if state is not Seen.SAME:
            own = _terms_of(terms, file, parcel)
            created = send(
                store,
                options.key(file.name),
                file,
                own,
                replace=options.replace,
                told=lambda sent, base=base: progress(base + sent, total),  # type: ignore[misc]
            )
            outcome = _outcome(store, options, file, before=state, created=created)
        place = _place(store, options, file)
        accepted.append(
            Accepted(name=file.name, place=place, bytes=file.bytes, sha256=file.sha256, outcome=outcome)
        )
        done += file.bytes
        progress(done, total)
    return Receipt(target=kind, key=parcel.key, files=tuple(accepted))


def look(store: ObjectStore, options: ObjectOptions, parcel: Parcel) -> Seen:
    """Say what is there under the parcel's names (see `protocol.Target`)."""
    check_names(parcel)
    found = [_seen(store, options, file) for file in parcel.files]
    return Seen.OTHER if Seen.OTHER in found else Seen.ABSENT if Seen.ABSENT in found else Seen.SAME


def test(store: ObjectStore, options: ObjectOptions, terms: Terms) -> list[Problem]:
    """Create a probe, read it, see that it is not overwritten, delete it; return what is missing."""
    key = options.key(f"{PART_PREFIX}probe-{tokens.token_hex(8)}")
    probe = Terms(**{**vars(terms), "content_type": "text/plain", "content_encoding": ""})
    right = ""
    try:
        store.put(key, _PROBE, probe, replace=False)
        if (found := read_back(store, key, len(_PROBE))) is None or found.bytes != len(_PROBE):
            right = "what was written could not be read back"
        elif store.put(key, _PROBE, probe, replace=False):
            right = (
                "this store overwrites in spite of If-None-Match, so that a delivery could destroy a file; use a "
                "store, or a newer version of it, that keeps the condition"
            )
        delete(store, key)
    except LoyaltyError as error:
        right = str(error)
    return [Problem("connection", options.connection, right, "object_store_unusable")] if right else []


def link(store: ObjectStore, options: ObjectOptions, parcel: Parcel, expires: timedelta) -> dict[str, str]:
    """Return a signed address by file name, from which anybody can download until then, without credentials.

    It holds no longer than the credentials that signed it: those of a role end within hours. Raises Permanent where
    the store or these credentials cannot sign.
    """
    if not timedelta(0) < expires <= LONGEST_LINK:
        right = f"more than nothing, and at most the {LONGEST_LINK.days} days that the stores allow"
        raise BadInput([Problem("expires", str(expires), right, "bad_expiry")])
    check_names(parcel)
    names = [file.name for file in parcel.files]
    return dict(zip(names, store.links([options.key(name) for name in names], expires), strict=True))


def clean(store: ObjectStore, options: ObjectOptions, older_than: timedelta, kept: Kept) -> list[str]:
    """Remove what killed deliveries and probes left directly below the prefix, if it is older; return the names.

    A store cannot tell whose an upload in parts is: give this prefix to nobody whose uploads last longer than that.
    """
    before = datetime.now(UTC) - older_than
    removed = store.clear_uploads(options.key(""), before)
    for key, modified in listed(store, options.prefix):
        name = key.rpartition("/")[2]
        if name.startswith(PART_PREFIX) and modified < before and part_key(name) not in kept.live:
            delete(store, key)
            removed.append(key)
    return removed


class ObjectTarget:
    """What the file of a kind of object store offers (see `protocol.Target`), made of how it opens one."""

    def __init__(
        self, kind: str, store: Callable[[Any, Secrets], ObjectStore], terms: Callable[[Any], Terms]
    ) -> None:
        self._kind, self._store, self._terms = kind, store, terms

    def connections(self, options: ObjectOptions) -> tuple[str, ...]:
        """Return the one connection."""
        return (options.connection,)

    def deliver(
        self, options: ObjectOptions, parcel: Parcel, secrets: Secrets, progress: Progress
    ) -> Receipt:
        """Bring the files there, in order."""
        return deliver(
            self._kind, self._store(options, secrets), options, self._terms(options), parcel, progress
        )

    def look(self, options: ObjectOptions, parcel: Parcel, secrets: Secrets) -> Seen:
        """Say what is there."""
        return look(self._store(options, secrets), options, parcel)

    def test(self, options: ObjectOptions, secrets: Secrets) -> list[Problem]:
        """Try it with a probe."""
        return test(self._store(options, secrets), options, self._terms(options))

    def link(
        self, options: ObjectOptions, parcel: Parcel, secrets: Secrets, expires: timedelta
    ) -> dict[str, str]:
        """Return a signed address by file name (see `link`)."""
        return link(self._store(options, secrets), options, parcel, expires)

    def clean(
        self, options: ObjectOptions, secrets: Secrets, older_than: timedelta, kept: Kept = NOTHING_KEPT
    ) -> list[str]:
        """Remove what killed deliveries left (see `clean`)."""
        return clean(self._store(options, secrets), options, older_than, kept)


def _outcome(
    store: ObjectStore, options: ObjectOptions, file: ParcelFile, *, before: Seen, created: bool
) -> Outcome:
    """Read back what is there now, and say how it came there."""
    now = _seen(store, options, file)
    place = _place(store, options, file)
    if now is Seen.OTHER:
        raise conflict(place, file)
    if created:  # a receiver may have taken it away by now; the store has confirmed that it was there
        return Outcome.REPLACED if before is Seen.OTHER else Outcome.CREATED
    if now is Seen.ABSENT:
        raise Uncertain(
            f"{place} was there when its upload ended, and is gone: either a receiver took this delivery's file, or "
            "somebody removed another one. Ask the receiver, then resolve or retry the delivery."
        )
    return Outcome.ALREADY_THERE


def _seen(store: ObjectStore, options: ObjectOptions, file: ParcelFile) -> Seen:
    found = read_back(store, options.key(file.name), file.bytes)
    if found is None:
        return Seen.ABSENT
    return Seen.SAME if found == (file.bytes, file.sha256) else Seen.OTHER


def _place(store: ObjectStore, options: ObjectOptions, file: ParcelFile) -> str:
    return f"{store.place}/{options.key(file.name)}"


def _terms_of(terms: Terms, file: ParcelFile, parcel: Parcel) -> Terms:
    """Return the terms of one object: its own type, and the metadata by which others can check it."""
    own: Mapping[str, Any] = {
        **vars(terms),
        "content_type": terms.content_type or file.media_type,
        "metadata": {**terms.metadata, "sha256": file.sha256, "delivery_key": parcel.key},
    }
    return Terms(**own)


def common_terms(options: ObjectOptions) -> dict[str, Any]:
    """Return the terms that every kind has, by name."""
    return {
        "content_type": options.content_type or "",
        "content_encoding": options.content_encoding or "",
        "metadata": options.metadata,
    }
