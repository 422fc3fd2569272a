"""Composing a message: text and HTML, images inside, files attached, an identity that a second copy shares."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

# A line of base64 holds 57 bytes as 76 characters, and CR LF.
_LINE_BYTES, _LINE_CHARACTERS = 57, 78
# An encoded word begins so (RFC 2047). In a header's text it would be decoded, and may turn out to hold line ends.
_ENCODED, _APART = "=?", "= ?"


@dataclass(frozen=True)
class Image:
    """A PNG shown inside the HTML, where that says `cid:NAME`."""

    name: str
    content: bytes


@dataclass(frozen=True)
class Attached:
    """A file that travels with the message. media_type: `text/csv`."""

    name: str
    media_type: str
    content: bytes


@dataclass(frozen=True)
class Letter:
    """All of a message but its identity. Addresses are bare; who is neither in `to` nor in `cc` is not named in it."""

    sender: str
    subject: str
    text: str
    html: str = ""
    to: Sequence[str] = ()
    cc: Sequence[str] = ()
    sender_name: str = ""
    reply_to: str = ""
    images: Sequence[Image] = ()
    attached: Sequence[Attached] = ()


def message_id(key: str, sender: str, recipient: str = "") -> str:
    """Return the Message-ID of the message with this key: the same whenever and wherever it is made.

    recipient: given where each gets a text of their own. The domain is the sender's.
    """
    digest = hmac.digest(key.encode(), f"message-id\0{recipient.lower()}".encode(), "sha256").hex()
    return f"<{digest}@{sender.rpartition('@')[2]}>"


def compose(letter: Letter, identity: str, *, date: datetime | None = None) -> bytes:
    """Return the message as it is sent, in ASCII with CR LF. identity: from `message_id`; date: now when left out.

    The bytes depend on nothing else. Raises ValueError for a header with a line end in it.
    """
    message = EmailMessage(policy=SMTP)
    message["From"] = Address(letter.sender_name.replace(_ENCODED, _APART), addr_spec=letter.sender)
    for header, addresses in (("To", letter.to), ("Cc", letter.cc)):
        if addresses:
            message[header] = [Address(addr_spec=each) for each in addresses]
    if not letter.to and not letter.cc:
        message["To"] = "undisclosed-recipients:;"
    if letter.reply_to:
        message["Reply-To"] = Address(addr_spec=letter.reply_to)
    message["Subject"] = letter.subject.replace(_ENCODED, _APART)
    message["Date"] = format_datetime((date or datetime.now(UTC)).replace(microsecond=0))
    message["Message-ID"] = identity
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
    message.set_content(letter.text, cte="quoted-printable")
    if letter.html:
        message.add_alternative(letter.html, subtype="html", cte="quoted-printable")
        body = message.get_body(("html",))
        assert isinstance(body, EmailMessage)
        for image in letter.images:
            body.add_related(image.content, "image", "png", cid=f"<{image.name}>", disposition="inline")
    for file in letter.attached:
        main, _, sub = file.media_type.partition("/")
        message.add_attachment(file.content, main, sub or "octet-stream", filename=file.name)
    _bound(message, identity)
    return message.as_bytes()


def encoded_bytes(size: int) -> int:
    """Return how many bytes a file of this size takes in a message."""
    lines, rest = divmod(size, _LINE_BYTES)
    return lines * _LINE_CHARACTERS + ((rest + 2) // 3 * 4 + 2 if rest else 0)


def _bound(message: EmailMessage, identity: str) -> None:
    """Give the parts boundaries that are the same each time; the library's are random."""
    parts = [part for part in message.walk() if part.is_multipart()]
    for index, part in enumerate(parts):
        boundary = hmac.digest(identity.encode(), f"boundary\0{index}".encode(), "sha256").hex()
        part.set_boundary(f"={boundary[:40]}={index}")
