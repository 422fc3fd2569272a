"""A mail to each recipient, with the files attached or as links (`mail` says how; docs/targets/email.md is for users).

A message cannot be looked for where it went, so what each recipient's server answered is written down recipient by
recipient; an attempt that was killed sends again only to whom nothing was handed over.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from include.connections import NAME, Connection, Secrets, missing
from include.definitions.addresses import Address
from include.definitions.base import refuse
from include.definitions.names import Identifier, Line
from include.errors import Permanent, Problem, Transient
from include.formats.manifest import is_about
from include.targets.mail.domains import allowed
from include.targets.mail.letters import Link, Writer
from include.targets.mail.sending import Book, OnDoubt, send
from include.targets.mail.session import address, sender_of, session
from include.targets.mail.wording import checked
from include.targets.protocol import (
    Accepted,
    Answer,
    Capabilities,
    Outcome,
    Parcel,
    Progress,
    Receipt,
    Seen,
    check_names,
)

KIND = "email"
OUTSIDE = True
CAPABILITIES = Capabilities(
    is_atomic=True, can_replace=False, reads_back=False, leaves_parts=False, keeps_names=False
)
MOST_RECIPIENTS = 50
MOST_SIGNED_DAYS = 7
_Allowed = Annotated[Address, AfterValidator(allowed)]
_Words = Annotated[str, AfterValidator(checked)]
_Copies = Annotated[list[_Allowed], Field(max_length=MOST_RECIPIENTS)]


class Options(BaseModel):
    """Who gets the mail, what it says, and how the files go with it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    connection: Annotated[str, Field(pattern=rf"^{NAME}$")] = Field(
        description="The name of the Airflow connection with host, port, login and password of the mail server."
    )
    to: list[_Allowed] = Field(
        min_length=1, max_length=MOST_RECIPIENTS, description="Addresses of the recipients."
    )
    cc: _Copies = Field([], description="Addresses of those who get a copy.")
    bcc: _Copies = Field([], description="Addresses of those who get a copy and are not named in it.")
    sender: Address | None = Field(
        None, description="Whom it is from; left out, from_email of the connection, else its login."
    )
    sender_name: Line | None = Field(None, description="The sender's name as mail programs show it.")
    reply_to: Address | None = Field(None, description="Where answers go; left out, to the sender.")
    subject: Annotated[Line, AfterValidator(checked)] = Field(
        "{name}: {period}",
        description="The subject; {id}, {name}, {period}, {as_of}, {owner}, {rows} and {revision} are filled in.",
    )
    text: Annotated[_Words, Field(max_length=4000)] = Field(
        "", description="What stands above the figures, as plain text; placeholders as in the subject."
    )
    attach: Literal["auto", "always", "never"] = Field(
        "auto",
        description="`auto`: files are attached where the mail stays below max_attachment and holds no personal "
        "data that can be read, else they go as links; `always`: attached, or an error; `never`: as links.",
    )
    max_attachment: int = Field(
        10_000_000, ge=10_000, le=50_000_000, description="The largest mail in bytes, as encoded for sending."
    )
    manifest: bool = Field(True, description="Whether the manifest goes with the files.")
    link: Link = Field(
        "code",
        description="What a link asks for: `code`, one that its page mails to the recipient; `login`, the one of "
        "this installation; `signed`, nothing, from an object store that is another target; `none`: there are no "
        "links, and with attach: never the mail only tells the figures.",
    )
    link_target: Identifier | None = Field(
        None, validate_default=True, description="Of `signed`, the name of that other target."
    )
    link_days: int = Field(
        7, ge=1, le=90, description="After how many days a link is dead; a signed one after 7 at most."
    )
    on_doubt: OnDoubt = Field(
        "hold",
        description="When nobody knows whether a mail arrived: `hold` waits for a person, `resend` sends it again, "
        "so that it may arrive twice.",
    )
    totals: bool = Field(True, description="Whether the mail shows the totals.")
    chart: bool = Field(True, description="Whether the mail shows a chart of the totals.")
    timeout_seconds: int = Field(60, ge=1, le=600, description="How long the server may be silent.")

    @field_validator("link_target")
    @classmethod
    def _signed_has_a_target(cls, value: str | None, others: ValidationInfo) -> str | None:
        if (value is not None) != (others.data.get("link") == "signed"):
            raise refuse(
                "link_target", "names another target of the definition, for link: signed and for no other"
            )
        return value

    @field_validator("link_days")
    @classmethod
    def _stores_sign_for_a_week(cls, value: int, others: ValidationInfo) -> int:
        if others.data.get("link") == "signed" and value > MOST_SIGNED_DAYS:
            raise refuse("link_too_long", f"object stores sign links for {MOST_SIGNED_DAYS} days at most")
        return value

    @property
    def recipients(self) -> tuple[str, ...]:
        """Everyone who gets the mail, once each."""
        found: dict[str, str] = {}
        for each in (*self.to, *self.cc, *self.bcc):
            found.setdefault(each.lower(), each)
        return tuple(found.values())


def connections(options: Options) -> tuple[str, ...]:
    """Return the one connection."""
    return (options.connection,)


def deliver(options: Options, parcel: Parcel, secrets: Secrets, progress: Progress) -> Receipt:
    """Send to each who has not got the mail yet (see `protocol.Target`)."""
    check_names(parcel)
    connection = _connection(options, secrets)
    files = [file for file in parcel.files if options.manifest or not is_about(file.name)]
    book = Book(KIND, parcel, options.recipients, options.on_doubt)
    writer = Writer(options, replace(parcel, files=files), sender_of(connection, options.sender))
    writer.check()
    total, waiting = sum(file.bytes for file in files), len(book.waiting)
    outcome = Outcome.CREATED if waiting else Outcome.ALREADY_THERE

    def told() -> None:
        progress(total - total * len(book.waiting) // waiting, total)

    writer = send(book, writer, connection, options.timeout_seconds, told)
    book.check()
    progress(total, total)
    accepted = tuple(
        Accepted(
            name=file.name, place=writer.place(file), bytes=file.bytes, sha256=file.sha256, outcome=outcome
        )
        for file in files
    )
    return book.receipt().model_copy(update={"files": accepted})


def look(options: Options, parcel: Parcel, secrets: Secrets) -> Seen:  # noqa: ARG001
    """Say from what was written down whether everyone has it (see `protocol.Target`); nobody else can tell."""
    check_names(parcel)
    known = parcel.accepted.recipients if parcel.accepted else ()
    have = {each.address for each in known if each.answer is Answer.ACCEPTED}
    return Seen.SAME if set(options.recipients) <= have else Seen.ABSENT


def test(options: Options, secrets: Secrets) -> list[Problem]:
    """Log in and ask for each recipient whether mail is taken, without sending any (see `protocol.Target`)."""
    problems = []
    try:
        connection = _connection(options, secrets)
        sender = sender_of(connection, options.sender)
        with session(connection, options.timeout_seconds) as line:
            for recipient in options.recipients:
                found = line.probe(sender, recipient)
                if found.answer is not Answer.ACCEPTED:
                    right = f"{address(connection)} does not take mail for it: {found.said}"
                    problems.append(Problem("recipient", recipient, right, "recipient_refused"))
            if (
                options.attach != "never"
                and (line.max_bytes or options.max_attachment) < options.max_attachment
            ):
                right = f"the server takes {line.max_bytes:,} bytes; lower max_attachment"
                problems.append(
                    Problem("max_attachment", str(options.max_attachment), right, "server_takes_less")
                )
    except (Permanent, Transient) as error:
        problems.append(Problem("connection", options.connection, str(error), "email_unusable"))
    return problems


def _connection(options: Options, secrets: Secrets) -> Connection:
    connection = secrets.connections.get(options.connection)
    if connection is None:
        raise missing(options.connection)
    return connection
