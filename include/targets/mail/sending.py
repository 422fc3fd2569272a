"""Sending one delivery's mails, and writing down after each recipient what became of theirs.

What is written down just before a message's end is sent is all that a killed attempt leaves: the next one sends again
to whom nothing was handed over, and for who is in doubt it does what `on_doubt` says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Literal

from include.connections import Connection
from include.errors import Permanent, Transient, Uncertain
from include.targets.mail.letters import Writer
from include.targets.mail.session import Session, TooLarge, address, session
from include.targets.protocol import Answer, Parcel, Receipt, Recipient

OnDoubt = Literal["hold", "resend"]
_DOUBTFUL = (Answer.SENDING, Answer.UNKNOWN)
_TOO_LARGE = "(552 "
_SMALLER = "lower max_attachment, or let the files go as links (attach: never)"
_ENDED = "an earlier attempt ended while it was handing the mail over"


class Book:
    """What became of each recipient's mail, written down at once through `Parcel.record`."""

    def __init__(self, target: str, parcel: Parcel, addresses: Sequence[str], on_doubt: OnDoubt) -> None:
        known = {each.address: each for each in (parcel.accepted.recipients if parcel.accepted else ())}
        self._target, self._parcel, self._on_doubt = target, parcel, on_doubt
        self._found = {address: known.get(address) for address in addresses}
        for each in known.values():
            if each.address in self._found and each.answer is Answer.SENDING:
                self._found[each.address] = each.model_copy(update={"answer": Answer.UNKNOWN, "said": _ENDED})

    @property
    def waiting(self) -> list[str]:
        """Who gets a mail in this attempt."""
        done = {Answer.ACCEPTED} | (set(_DOUBTFUL) if self._on_doubt == "hold" else set())
        return [address for address, each in self._found.items() if each is None or each.answer not in done]

    def note(self, recipient: Recipient) -> None:
        """Write down an answer."""
        self._found[recipient.address] = recipient
        self._parcel.record(self.receipt())

    def receipt(self) -> Receipt:
        """Return what is known so far."""
        known = tuple(each for each in self._found.values() if each is not None)
        return Receipt(target=self._target, key=self._parcel.key, files=(), recipients=known)

    def check(self) -> None:
        """Raise Transient, Uncertain or Permanent unless everyone has their mail; it names each who has not."""
        later, doubtful = self._told(Answer.LATER), self._told(*_DOUBTFUL)
        refused = self._told(Answer.REFUSED)
        parts = [f"not now: {later}"] if later else []
        if doubtful and self._on_doubt == "resend":
            parts.append(f"sent, and nobody knows whether it arrived, so it is sent again: {doubtful}")
        elif doubtful:
            parts.append(
                f"nobody knows whether it arrived: {doubtful}. Ask them, or look in the server's log; then say "
                "whether it arrived (loyalty deliveries resolve)"
            )
        if refused:
            parts.append(f"refused: {refused}. Correct the addresses, or what the server's words name")
            if _TOO_LARGE in refused:
                parts.append(
                    f"{_TOO_LARGE.strip('( ')} says that the mail is too large or a mailbox full: {_SMALLER}"
                )
        if not parts:
            return
        accepted = sum(each is not None and each.answer is Answer.ACCEPTED for each in self._found.values())
        told = f"{accepted} of {len(self._found)} recipients have their mail; " + "; ".join(parts)
        if later or (doubtful and self._on_doubt == "resend"):
            raise Transient(told)
        raise Uncertain(told) if doubtful else Permanent(told)

    def _told(self, *answers: Answer) -> str:
        some = [each for each in self._found.values() if each is not None and each.answer in answers]
        return ", ".join(f"{each.address} ({each.said})" for each in some)


def send(
    book: Book, writer: Writer, connection: Connection, seconds: float, told: Callable[[], None]
) -> Writer:
    """Send to each who waits; returns the writer as the server's limits made it. told: called after each.

    What a server says of one recipient, or a connection lost on the way to one, keeps nobody else from their mail.
    Raises Transient when there is no server now, Permanent for what concerns all.
    """
    line: Session | None = None
    with ExitStack() as stack:
        for recipient in book.waiting:
            if line is None or not line.alive:
                stack.close()
                try:
                    line = stack.enter_context(session(connection, seconds))
                except Transient as error:
                    book.note(Recipient(address=recipient, answer=Answer.LATER, said=str(error)))
                    break
                if writer.max_bytes != line.max_bytes:
                    writer = replace(writer, max_bytes=line.max_bytes)
            message = writer.write(recipient)
            sending = Recipient(address=recipient, answer=Answer.SENDING, said=address(connection))
            try:
                book.note(line.send(writer.sender, recipient, message, partial(book.note, sending)))
            except TooLarge as error:
                raise Permanent(f"{error}: {_SMALLER}") from error
            told()
    return writer
