"""Requests to a receiver's own address: an event, the rows in batches, or the files (docs/targets/webhook.md).

Nobody can look at what a receiver took, so each request is written down before it goes out and after its answer;
one that was answered is never sent again. One whose answer was lost is sent again only to a receiver that is said
to know it by its key; otherwise it waits, all others go out first, and then a person decides about it alone.
"""

from __future__ import annotations

import json
import secrets as tokens
import time
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from include.connections import NAME, Secrets, missing
from include.definitions.addresses import Address
from include.errors import BadInput, LoyaltyError, Permanent, Problem, Transient, Uncertain
from include.targets import outbound
from include.targets.hooks.bodies import Request, ping, requests
from include.targets.hooks.endpoint import Endpoint, endpoint, header_problem
from include.targets.hooks.message import Message, Reply
from include.targets.protocol import (
    Accepted,
    Answer,
    Capabilities,
    Outcome,
    Parcel,
    Progress,
    Receipt,
    Recipient,
    Seen,
    check_names,
)

KIND = "webhook"
OUTSIDE = True
CAPABILITIES = Capabilities(
    is_atomic=False, can_replace=False, reads_back=False, leaves_parts=False, keeps_names=False
)
ATTEMPTS = 5
LONGEST_PAUSE_SECONDS = 20.0
# The receiver says that it took nothing.
_NOT_NOW = frozenset({408, 425, 429, 503})
# A gateway got no answer from the receiver behind it.
_LOST = frozenset({502, 504, 520, 522, 523, 524})
_CONFLICT = 409
_DOUBTFUL = frozenset({Answer.SENDING, Answer.UNKNOWN})


def _headers(found: dict[str, str]) -> dict[str, str]:
    for name, value in found.items():
        if problem := header_problem(name, value):
            raise ValueError(problem)
        if name.lower() in {"authorization", "proxy-authorization", "cookie"}:
            raise ValueError(
                f"{name} is a secret: it belongs into the connection (token, or headers of its extra)"
            )
    return found


def _below(path: str) -> str:
    if {".", ".."} & set(path.split("/")):
        raise ValueError("a path goes down from the connection's address: no '.' and no '..' in it")
    return path


class Options(BaseModel):
    """What is sent where, and how the receiver says that it has it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    connection: Annotated[str, Field(pattern=rf"^{NAME}$")] = Field(
        description="The Airflow connection with the receiver's address and secrets."
    )
    path: Annotated[str, Field(pattern=r"^[A-Za-z0-9._~/-]{0,500}$"), AfterValidator(_below)] = Field(
        "",
        description="What follows the connection's address; where it is a secret, the connection holds it.",
    )
    body: Literal["event", "rows", "file"] = Field(
        "event",
        description="event: one JSON document about the delivery. rows: the rows as JSON arrays of objects, in "
        "batches. file: each file as it is, one request each.",
    )
    method: Literal["POST", "PUT"] = "POST"
    headers: Annotated[dict[str, str], AfterValidator(_headers)] = Field(
        default_factory=dict, description="Headers of every request; secret ones belong into the connection."
    )
    success: Annotated[tuple[Annotated[int, Field(ge=200, le=299)], ...], Field(max_length=20)] = Field(
        (), description="The statuses that mean taken; left out, every one from 200 to 299."
    )
    answer_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")] = Field(
        "id",
        description="The header, or the field of a JSON answer, with the receiver's own id, for the receipt.",
    )
    receiver_is_idempotent: bool = Field(
        False,
        description="Whether the receiver takes a repeated Idempotency-Key (or webhook-id) once. Then a request "
        "whose answer was lost is sent again; otherwise it waits for a person.",
    )
    batch_rows: int = Field(500, ge=1, le=10_000, description="Rows in each request (body: rows).")
    numbers: Literal["number", "string"] = Field(
        "number",
        description="Points, money and rates as exact JSON numbers, or as strings for readers with floats "
        "(body: rows).",
    )
    form_field: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.\[\]-]{1,64}$")] | None = Field(
        None, description="The field of a form (multipart/form-data) that holds the file (body: file)."
    )
    manifest: bool = Field(
        True, description="Whether the manifest is sent too, after the files (body: file)."
    )
    link_target: str | None = Field(
        None, description="The name of another target whose signed addresses the event holds, for machines."
    )
    link_recipient: Address | None = Field(
        None, description="Who may open the page that the event links to, by a code that is mailed there."
    )
    link_days: int = Field(7, ge=1, le=7, description="How long links last.")
    ping: bool = Field(
        False, description='Whether a test sends {"type": "ping"}; otherwise it only connects.'
    )
    timeout_seconds: int = Field(30, ge=1, le=600, description="Of each request; a large body gets more.")

    @model_validator(mode="after")
    def _fitting(self) -> Options:
        """Refuse what would be silently without effect."""
        belongs = {
            "rows": {"batch_rows", "numbers"},
            "file": {"form_field", "manifest"},
            "event": {"link_target", "link_recipient", "link_days"},
        }
        for body, names in belongs.items():
            if body != self.body and (lost := sorted(names & self.model_fields_set)):
                raise ValueError(f"{', '.join(lost)}: has a meaning only with body: {body}")
        if self.link_target and self.link_recipient:
            raise ValueError("link_target or link_recipient, not both")
        return self


def connections(options: Options) -> tuple[str, ...]:
    """Return the one connection."""
    return (options.connection,)


def deliver(options: Options, parcel: Parcel, secrets: Secrets, progress: Progress) -> Receipt:
    """Send what was not taken yet, in order (see `protocol.Target`)."""
    check_names(parcel)
    sender = _Sender(options, parcel, secrets)
    total = sum(file.bytes for file in parcel.files)
    waiting = requests(options, parcel)
    for request in waiting:
        sender.bring(request)
        progress(request.done, total)
        if sender.lost and next(waiting, None) is not None:
            raise sender.interrupted()
    sender.check()
    progress(total, total)
    return sender.receipt()


def look(options: Options, parcel: Parcel, secrets: Secrets) -> Seen:  # noqa: ARG001
    """Say what the receiver took by what is written down: it cannot be asked (see `protocol.Target`)."""
    check_names(parcel)
    taken = _answers(parcel)
    found = [taken.get(request.part) for request in requests(options, parcel)]
    return Seen.SAME if all(each and each.answer is Answer.ACCEPTED for each in found) else Seen.ABSENT


def test(options: Options, secrets: Secrets) -> list[Problem]:
    """Connect, and where the receiver knows it send a ping (see `protocol.Target`)."""
    try:
        where = _where(options, secrets)
        if not options.ping:
            outbound.reach(where, seconds=options.timeout_seconds)
            return []
        reply = outbound.send(
            where, ping(options, f"ping-{tokens.token_hex(8)}"), seconds=options.timeout_seconds
        )
        if _is_success(options, reply):
            return []
        raise outbound.failure(where, reply)
    except BadInput as error:
        return list(error.problems)
    except LoyaltyError as error:
        said = secrets.scrub(str(error))
        return [Problem("connection", options.connection, said, "webhook_unusable")]


def _where(options: Options, secrets: Secrets) -> Endpoint:
    connection = secrets.connections.get(options.connection)
    if connection is None:
        raise missing(options.connection)
    return endpoint(connection, options.path)


class _Sender:
    """Sends the requests of one delivery, and writes down what became of each before anything else happens."""

    def __init__(self, options: Options, parcel: Parcel, secrets: Secrets) -> None:
        self._options, self._parcel, self._secrets = options, parcel, secrets
        self._where = _where(options, secrets)
        self._answers = _answers(parcel)
        self._files: dict[str, Accepted] = {}
        self._doubts: list[str] = []
        self.lost = ""
        """Of which request the answer was lost in this attempt."""

    def bring(self, request: Request) -> None:
        """Send the request, unless an earlier attempt did or may have; raise where it was not taken."""
        before = self._answers.get(request.part)
        if before is not None and before.answer is Answer.ACCEPTED:
            self._complete(request, Outcome.ALREADY_THERE)
            return
        in_doubt = before is not None and before.answer in _DOUBTFUL
        if in_doubt and not self._options.receiver_is_idempotent:
            self._doubts.append(request.part)
            return
        message = request.message()
        self._note(request.part, Answer.SENDING)
        said = self._send(request.part, message, in_doubt=in_doubt)
        if said is not None:
            self._complete(request, Outcome.CREATED)
            self._note(request.part, Answer.ACCEPTED, said)

    def interrupted(self) -> Transient:
        """Return the error for an attempt that ends with a lost answer, before others were sent."""
        return Transient(
            f"{self._where.place}: nobody can tell whether it took {self.lost}; what comes after it is sent by the "
            "next attempt"
        )

    def check(self) -> None:
        """Raise Uncertain where all was sent, and of some of it nobody can tell whether it was taken."""
        if self._doubts:
            raise Uncertain(
                f"{self._where.place}: nobody can tell whether it took {', '.join(self._doubts)}. Look there "
                f"whether it has it (its webhook-id begins with {self._parcel.key[:12]}), then resolve the delivery; a "
                "receiver that takes a repeated key once needs no person: set receiver_is_idempotent: true"
            )

    def receipt(self) -> Receipt:
        """Return what is known to be taken."""
        return Receipt(
            target=KIND,
            key=self._parcel.key,
            files=tuple(self._files.values()),
            recipients=tuple(self._answers.values()),
        )

    def _complete(self, request: Request, outcome: Outcome) -> None:
        for file in request.completes:
            self._files[file.name] = Accepted(
                name=file.name,
                place=self._where.place,
                bytes=file.bytes,
                sha256=file.sha256,
                outcome=outcome,
            )

    def _send(self, part: str, message: Message, *, in_doubt: bool) -> str | None:
        """Return what the receiver said when it took it, None where that is in doubt; raise everything else."""
        try:
            reply = self._answered(message)
        except outbound.Unanswered as error:
            self._note(part, Answer.UNKNOWN, str(error))
            if self._options.receiver_is_idempotent:
                raise
            self._doubt(part)
            return None
        except LoyaltyError as error:  # nothing went out, or a redirect came back
            self._note(part, _not_taken(error, in_doubt=in_doubt), str(error))
            raise
        said = self._said(reply)
        if _is_success(self._options, reply):
            return said
        if reply.status == _CONFLICT and (_names(reply, message.id) or in_doubt):
            return f"{said}, it had this already"
        if reply.status in _LOST and not self._options.receiver_is_idempotent:
            self._note(part, Answer.UNKNOWN, f"{said}, by a gateway in its place")
            self._doubt(part)
            return None
        failed = outbound.failure(self._where, reply)
        self._note(part, _not_taken(failed, in_doubt=in_doubt), f"{said}: {reply.text}")
        raise failed

    def _answered(self, message: Message) -> Reply:
        """Return the answer; a receiver that asks us to wait a little is asked again."""
        for attempt in range(1, ATTEMPTS + 1):
            reply = outbound.send(self._where, message, seconds=self._options.timeout_seconds)
            pause = reply.retry_after if reply.retry_after is not None else 0.5 * 2**attempt
            if reply.status not in _NOT_NOW or pause > LONGEST_PAUSE_SECONDS or attempt == ATTEMPTS:
                break
            time.sleep(pause)
        return reply

    def _note(self, part: str, answer: Answer, said: str = "") -> None:
        address = f"{self._where.place} {part}"
        self._answers[part] = Recipient(address=address, answer=answer, said=self._secrets.scrub(said))
        self._parcel.record(self.receipt())

    def _said(self, reply: Reply) -> str:
        own = _own_id(self._options.answer_id, reply)
        return f"{reply.status} at {reply.at:%Y-%m-%dT%H:%M:%SZ}" + (f", id {own}" if own else "")

    def _doubt(self, part: str) -> None:
        self.lost = part
        self._doubts.append(part)


def _answers(parcel: Parcel) -> dict[str, Recipient]:
    """Return by part what is written down; the address holds the part after the receiver's place.

    Where a person looked and said that it did not arrive, nothing is in doubt.
    """
    recipients = parcel.accepted.recipients if parcel.accepted else ()
    if parcel.is_said_absent:
        recipients = tuple(each for each in recipients if each.answer not in _DOUBTFUL)
    return {each.address.partition(" ")[2]: each for each in recipients}


def _not_taken(error: LoyaltyError, *, in_doubt: bool) -> Answer:
    """Return what to write down of a request that was not taken now; an earlier attempt's may have been."""
    if in_doubt:
        return Answer.UNKNOWN
    return Answer.REFUSED if isinstance(error, Permanent) else Answer.LATER


def _is_success(options: Options, reply: Reply) -> bool:
    return reply.status in options.success if options.success else 200 <= reply.status < 300


def _names(reply: Reply, message_id: str) -> bool:
    """Return whether an answer speaks of this very message."""
    return message_id in (reply.headers.get("Idempotency-Key"), reply.headers.get("webhook-id")) or (
        message_id.encode() in reply.body
    )


def _own_id(name: str, reply: Reply) -> str:
    """Return the receiver's id for what it took, from a header or a field of its JSON; empty when it says none."""
    found: Any = reply.headers.get(name)
    if found is None:
        try:
            document = json.loads(reply.body)
        except (ValueError, RecursionError):
            document = None
        found = document.get(name) if isinstance(document, Mapping) else None
    return str(found)[:100] if isinstance(found, str | int) else ""
