"""One-time codes: mailed to a link's recipient, and to nobody else, whoever asks for them."""

from __future__ import annotations

import secrets as tokens
from datetime import timedelta

from include.connections import Connection, resolve
from include.errors import BadInput, LoyaltyError, Permanent, Transient
from include.pipeline.context import Context
from include.pipeline.scrubbing import scrubbed
from include.state.links import CODE_LIFETIME
from include.targets.protocol import Answer, Recipient

# A person waits before a page.
SILENT_SECONDS = 20.0

_TEXT = """Your code: {code}

It opens one download of {file}, and is valid for {minutes} minutes.
Type it on the page on which you asked for it, and tell it to nobody.

If you did not ask for it, somebody has your link: nothing was downloaded, and without this code nothing can be.
"""


def mail_code(context: Context, token: str) -> None:
    """Mail a new code to the link's recipient.

    Raises NotYet within a minute of the last one, NoMoreCodes, Permanent for a link that is over or whose recipient or
    sender is refused, BadInput without a mail connection, Transient when there is no mail now.
    """
    links = context.state.links
    link = links.find(token)
    if link is None:
        raise Permanent("the link is over")
    found, problems = resolve(context.connections, [context.settings.mail_connection], context.settings.keys)
    if problems:
        raise BadInput(problems)
    code = links.new_code(token)
    try:
        answer = _mailed(found.connections[context.settings.mail_connection], link.recipient, link.file, code)
        if answer.answer in (Answer.REFUSED, Answer.LATER):
            kind = Permanent if answer.answer is Answer.REFUSED else Transient
            raise kind(f"the code of link {link.id} was not taken: {answer.said}")
    except LoyaltyError as error:
        links.withdraw_code(token, code)
        raise scrubbed(error, found.scrub) from None
    links.code_sent(token)


def _mailed(connection: Connection, recipient: str, file: str, code: str) -> Recipient:
    from include.targets.mail.message import Letter, compose, message_id
    from include.targets.mail.session import sender_of, session

    sender = sender_of(connection)
    half = len(code) // 2
    text = _TEXT.format(
        code=f"{code[:half]} {code[half:]}", file=file, minutes=CODE_LIFETIME // timedelta(minutes=1)
    )
    letter = Letter(sender, "The code for your download", text, to=[recipient])
    message = compose(letter, message_id(tokens.token_hex(16), sender, recipient))
    with session(connection, SILENT_SECONDS) as opened:
        return opened.send(sender, recipient, message)
