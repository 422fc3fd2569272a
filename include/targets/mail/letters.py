"""What one delivery writes to each recipient: its files attached, or links from which that recipient gets them.

Personal data that its reader could read never travels inside a mail; a link asks who opens it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Literal
from zoneinfo import ZoneInfo

from include.errors import Permanent, Transient
from include.formats.hashes import file_sha256
from include.formats.manifest import is_about
from include.targets.mail import chart
from include.targets.mail.body import CHART, Body, Line, chart_figures
from include.targets.mail.message import Attached, Image, Letter, compose, encoded_bytes, message_id
from include.targets.mail.wording import filled, subject
from include.targets.protocol import Links, Parcel, ParcelFile

if TYPE_CHECKING:
    from include.targets.email import Options

Link = Literal["code", "login", "signed", "none"]
# The headers of one attached file, with a long name in them.
_PART_BYTES = 2_000
_ACCESS = {
    "code": "The page behind the link mails a code to this address; it opens the file.",
    "login": "The link asks for your login.",
    "signed": "Whoever has the link can download the file: do not pass it on.",
}


@dataclass(frozen=True)
class Writer:
    """Writes the mails of one delivery. max_bytes: what the server takes, None where it does not say."""

    options: Options
    parcel: Parcel
    sender: str
    max_bytes: int | None = None
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    @cached_property
    def linked(self) -> tuple[ParcelFile, ...]:
        """The files that go as links. Raises Permanent where neither way is open to a file."""
        files, options = self.parcel.files, self.options
        personal = [file.name for file in files if file.personal]
        if options.attach == "never":
            found = tuple(files) if options.link != "none" else ()
        elif not personal and self._whole_bytes <= self._most_bytes:
            found = ()
        elif options.attach == "always":
            raise Permanent(self._why_not_attached(personal))
        else:
            found = tuple(file for file in files if not is_about(file.name))
            if options.link == "none":
                raise Permanent(f"{self._why_not_attached(personal)}, or let it go as a link (link: code)")
        if found and options.link == "signed" and personal:
            raise Permanent(
                f"{', '.join(personal)}: a signed link opens for anyone, and the file holds personal data that can be "
                "read. Choose link: code or login, encrypt the file, or protect its fields"
            )
        return found

    @property
    def attached(self) -> tuple[ParcelFile, ...]:
        """The files that travel inside the mail."""
        if self.options.attach == "never":
            return ()
        return tuple(file for file in self.parcel.files if file not in self.linked)

    def check(self) -> None:
        """Raise what stands against any mail: files that are not what was rendered, or that cannot go."""
        for file in self.parcel.files:
            found = file_sha256(file.path)
            if found != file.sha256:
                raise Transient(
                    f"{file.path}: {found[:12]}... is not the file that was rendered ({file.sha256[:12]}...)"
                )
        if self.linked:
            self._links()

    def write(self, recipient: str) -> bytes:
        """Return the mail for one recipient; links in it are theirs alone."""
        if not self.linked:
            return self._shared
        lines = [Line(file.name, file.bytes, self._link(file, recipient)) for file in self.parcel.files]
        return self._message(lines, message_id(self.parcel.key, self.sender, recipient), self.attached)

    def place(self, file: ParcelFile) -> str:
        """Return for the receipt how a file went."""
        if file in self.linked:
            return f"mail: link ({self.options.link})"
        told = "attached to" if file in self.attached else "told of in"
        return f"mail: {told} {message_id(self.parcel.key, self.sender)}"

    @cached_property
    def _shared(self) -> bytes:
        return self._message(self._plain_lines, message_id(self.parcel.key, self.sender), self.attached)

    @property
    def _plain_lines(self) -> list[Line]:
        return [Line(file.name, file.bytes) for file in self.parcel.files]

    @property
    def _most_bytes(self) -> int:
        return min(self.options.max_attachment, self.max_bytes or self.options.max_attachment)

    @cached_property
    def _whole_bytes(self) -> int:
        """The size of the mail with every file in it, as sent."""
        bare = self._message(self._plain_lines, message_id(self.parcel.key, self.sender), ())
        return len(bare) + sum(encoded_bytes(file.bytes) + _PART_BYTES for file in self.parcel.files)

    def _why_not_attached(self, personal: Sequence[str]) -> str:
        if personal:
            return (
                f"{', '.join(personal)}: holds personal data that can be read, and so does not travel in a mail; "
                "encrypt the file (file.encryption), protect its fields (privacy.fields)"
            )
        whose = "this server takes" if self.max_bytes == self._most_bytes else "max_attachment allows"
        return (
            f"the mail would have {self._whole_bytes:,} bytes with its files, as encoded for sending, and {whose} "
            f"{self._most_bytes:,}; compress the file, split the export"
        )

    def _link(self, file: ParcelFile, recipient: str) -> str:
        if file not in self.linked:
            return ""
        links, expires = self._links(), timedelta(days=self.options.link_days)
        if self.options.link == "signed":
            return links.signed(file, self.options.link_target or "", expires)
        return links.page(file, recipient, expires, login=self.options.link == "login")

    def _links(self) -> Links:
        if self.parcel.links is None:
            raise Permanent(
                f"{', '.join(file.name for file in self.linked)}: would go as a link, and this installation makes "
                "none: set LOYALTY_PUBLIC_URL (docs/links.md), or let the file travel in the mail (attach: always, "
                "for what is small and has no personal data that can be read)"
            )
        return self.parcel.links

    def _message(self, lines: Sequence[Line], identity: str, attached: Sequence[ParcelFile]) -> bytes:
        options, about = self.options, self.parcel.about
        told = subject(options.subject, about)
        is_linked = any(line.link for line in lines)
        until = (self.now + timedelta(days=options.link_days)).astimezone(ZoneInfo(about.timezone))
        body = Body(
            about,
            told,
            filled(options.text, about),
            [line for line in lines if line.link or options.attach != "never"],
            access=_ACCESS.get(options.link, "") if is_linked else "",
            until="" if options.link == "login" else f"{until:%Y-%m-%d %H:%M} ({about.timezone})",
            has_totals=options.totals,
            has_chart=bool(self._images),
        )
        letter = Letter(
            self.sender,
            told,
            body.text(),
            body.html(),
            to=options.to,
            cc=options.cc,
            sender_name=options.sender_name or "",
            reply_to=options.reply_to or "",
            images=self._images,
            attached=[Attached(file.name, file.media_type, file.path.read_bytes()) for file in attached],
        )
        return compose(letter, identity, date=self.now)

    @cached_property
    def _images(self) -> tuple[Image, ...]:
        figures = chart_figures(self.parcel.about) if self.options.chart else []
        return (Image(CHART, chart.bars(figures)),) if figures else ()
