"""Notices by e-mail: one message for each recipient, sessions with mail servers shared within a round of sending."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack

from include.connections import Connection
from include.errors import LoyaltyError, Transient
from include.notices import words
from include.notices.notice import Notice
from include.state.notices import StoredNotice
from include.targets.mail.message import Letter, compose, message_id
from include.targets.mail.session import Session, sender_of, session
from include.targets.protocol import Answer, Recipient

# A mail server that is silent for longer gets the notice later; the run does not wait for it.
SECONDS = 20.0
SENDER_NAME = "Loyalty exports"


class MailRoom:
    """The sessions of one round of sending. A server that failed once is not asked again in this round."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._open: dict[str, Session] = {}
        self._failed: dict[str, str] = {}

    def send(
        self,
        connection: Connection,
        stored: StoredNotice,
        notice: Notice,
        links: Mapping[str, str],
        sending: Callable[[], None],
        *,
        again: bool,
    ) -> Recipient:
        """Send a notice and return what became of it; raises what opening the session raises.

        sending: called just before the message's end leaves. again: the words say that it may be a second copy.
        """
        sender = sender_of(connection)
        letter = Letter(
            sender,
            f"{notice.title}",
            words.text(notice, links, again=again),
            words.html(notice, links, again=again),
            to=[stored.recipient],
            sender_name=SENDER_NAME,
        )
        message = compose(letter, message_id(stored.key, sender, stored.recipient))
        answer = self._session(connection).send(sender, stored.recipient, message, sending)
        if answer.answer is Answer.UNKNOWN:
            self._failed[connection.name] = answer.said
        return answer

    def _session(self, connection: Connection) -> Session:
        if connection.name in self._failed:
            raise Transient(self._failed[connection.name])
        found = self._open.get(connection.name)
        if found is None or not found.alive:
            try:
                found = self._stack.enter_context(session(connection, SECONDS))
            except LoyaltyError as error:
                self._failed[connection.name] = str(error)
                raise
            self._open[connection.name] = found
        return found
