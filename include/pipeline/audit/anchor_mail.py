"""An anchor of the audit chain as a mail: a mailbox that others keep is a place where nobody here can change it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from include.connections import Connection, resolve
from include.errors import BadInput, LoyaltyError, Permanent, Transient
from include.pipeline.context import Context
from include.pipeline.scrubbing import scrubbed
from include.state.audit import Action, Head
from include.targets.protocol import Answer, Recipient

SCHEME = "mailto:"
# One a day, also when upkeep is done again because another place failed.
APART = timedelta(hours=12)

_TEXT = """The audit chain of loyalty exports has {sequence} entries; the last one was written on {at}.

{sequence}:{sha256}

Keep this message. It proves that none of these entries was changed or removed later:

loyalty audit verify --against {sequence}:{sha256}
"""


def mail(context: Context, place: str, head: Head) -> str | None:
    """Mail the head to the address of `place` (mailto:somebody@example.com); return the place, None if one went today.

    Raises BadInput without a mail connection, Permanent when the address is refused, Transient when there is no mail
    now.
    """
    since = datetime.now(UTC) - APART
    # An address may begin as another one does.
    near = context.state.audit.newest(action=Action.ANCHORED, subject=place, since=since)
    if any(each.subject == place for each in near):
        return None
    name = context.settings.mail_connection
    found, problems = resolve(context.connections, [name], context.settings.keys)
    if problems:
        raise BadInput(problems)
    try:
        answer = _mailed(found.connections[name], place.removeprefix(SCHEME), head)
    except LoyaltyError as error:
        raise scrubbed(error, found.scrub) from None
    if answer.answer in (Answer.REFUSED, Answer.LATER):
        kind = Permanent if answer.answer is Answer.REFUSED else Transient
        raise kind(f"the anchor for {place} was not taken: {found.scrub(answer.said)}")
    return place


def _mailed(connection: Connection, recipient: str, head: Head) -> Recipient:
    from include.targets.mail.message import Letter, compose, message_id
    from include.targets.mail.session import sender_of, session

    sender = sender_of(connection)
    text = _TEXT.format(sequence=head.sequence, sha256=head.sha256, at=f"{head.at:%Y-%m-%d %H:%M:%S} UTC")
    letter = Letter(sender, f"Audit anchor {head.sequence}", text, to=[recipient])
    message = compose(letter, message_id(head.sha256, sender, recipient))
    with session(connection) as opened:
        return opened.send(sender, recipient, message)
