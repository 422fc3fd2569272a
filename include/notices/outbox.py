"""Sending what is in the outbox: each notice is claimed, sent and written down; a failure costs nothing but itself.

- The receiver takes it: sent.
- The receiver is away or refuses for now, or a connection is missing or wrong: tried again with growing pauses for
  three days, then failed.
- The mail server refuses the recipient for good, or the installation sends nothing to its domain: failed.
- The answer is lost, or we die while it leaves: a webhook gets it again under the same id; by mail and notifier an
  alarm is sent again and says that it may be a second copy, and anything else stays unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from include.connections import Resolver, Secrets, resolve
from include.errors import BadInput, LoyaltyError, Permanent
from include.notices import hook, words
from include.notices.mail import MailRoom
from include.notices.notice import Notice
from include.state.leases import StaleFence
from include.state.notices import Notices, StoredNotice
from include.targets.mail.domains import SETTING, allowed_domains, is_allowed
from include.targets.protocol import Answer

ALARMS = frozenset({"failed", "late", "uncertain"})
CLAIM = timedelta(minutes=5)
# A mail server may take ten minutes over a message's end; until then nobody else may judge.
LEAVING = timedelta(minutes=15)
PAUSES = (
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=15),
    timedelta(hours=1),
    timedelta(hours=6),
)
GIVEN_UP = timedelta(days=3)

Notifier = Callable[[str, Mapping[str, Any], Mapping[str, str], Callable[[], None]], None]
"""Calls the notifier of that name with a definition's arguments, the notice's texts (subject, text, event, page), and
what to call just before it sends."""


@dataclass(frozen=True)
class Post:
    """What sending needs. links: gives the addresses that a notice offers; notifier: None without Airflow."""

    outbox: Notices
    connections: Resolver
    keys: Path
    links: Callable[[StoredNotice, Notice], Mapping[str, str]]
    notifier: Notifier | None = None


class _Refused(Permanent):
    """The receiver will never take it."""


class _Unknown(LoyaltyError):
    """It may have been taken."""


def send_due(post: Post, keys: list[str] | None = None) -> list[StoredNotice]:
    """Send what is due, of `keys` only where given; return those notices as they stand then.

    Without Airflow, what its notifiers should send waits for it.
    """
    channels = ["email", "webhook"] + (["airflow"] if post.notifier else [])
    tried = []
    with ExitStack() as stack:
        room = MailRoom(stack)
        for key in post.outbox.due(keys, channels):
            claimed = post.outbox.claim(key, CLAIM)
            if claimed is not None:
                tried.append(key)
                try:
                    _attempt(post, room, claimed)
                except StaleFence:
                    continue  # another attempt has taken over, and writes down what it sees
    return [found for key in tried if (found := post.outbox.get(key))]


def _attempt(post: Post, room: MailRoom, claimed: StoredNotice) -> None:
    """Send one notice and write down what became of it."""
    again = claimed.may_have_left and claimed.channel != "webhook"
    if again and claimed.event not in ALARMS:
        post.outbox.unknown(claimed, "an earlier attempt ended while it was sending")
        return
    names = [str(claimed.way["connection"])] if "connection" in claimed.way else []
    secrets, problems = resolve(post.connections, names, post.keys)
    try:
        if problems:
            raise BadInput(problems)  # noqa: TRY301 - one place judges what is tried again
        said = _sent(post, room, claimed, secrets, again=again)
    except StaleFence:
        raise
    except _Refused as error:
        post.outbox.failed(claimed, secrets.scrub(str(error)))
    except _Unknown as error:
        _doubt(post, claimed, secrets.scrub(str(error)))
    except LoyaltyError as error:
        _later(post, claimed, secrets.scrub(str(error)))
    except Exception as error:  # noqa: BLE001 - whatever a notifier raises, the run goes on
        _doubt(post, claimed, secrets.scrub(f"{type(error).__name__}: {error}"))
    else:
        post.outbox.sent(claimed, secrets.scrub(said))


def _sent(post: Post, room: MailRoom, claimed: StoredNotice, secrets: Secrets, *, again: bool) -> str:
    """Send, and return what the receiver said."""
    notice = Notice.model_validate(claimed.notice)

    def sending() -> None:
        post.outbox.sending(claimed, LEAVING)

    if claimed.channel == "airflow":
        assert post.notifier is not None
        text = words.text(notice, again=again)
        told = {"subject": notice.title, "text": text, "event": notice.event, "page": notice.page or ""}
        post.notifier(claimed.recipient, claimed.way.get("arguments") or {}, told, sending)
        return "the notifier ended without an error"
    (connection,) = secrets.connections.values()
    if claimed.channel == "webhook":
        return hook.send(connection, claimed, notice, sending)
    domains = allowed_domains()
    if not is_allowed(claimed.recipient, domains):
        raise _Refused(f"mail goes to {', '.join(domains)} only ({SETTING})")
    answer = room.send(connection, claimed, notice, post.links(claimed, notice), sending, again=again)
    if answer.answer is Answer.REFUSED:
        raise _Refused(answer.said)
    if answer.answer is Answer.UNKNOWN:
        raise _Unknown(answer.said)
    if answer.answer is Answer.LATER:
        raise LoyaltyError(answer.said)
    return answer.said


def _doubt(post: Post, claimed: StoredNotice, message: str) -> None:
    """Write down that it may have been taken: an alarm is repeated, and says so; anything else is not."""
    if claimed.event in ALARMS or claimed.channel == "webhook":
        _later(post, claimed, message, nothing_left=False)
    else:
        post.outbox.unknown(claimed, message)


def _later(post: Post, claimed: StoredNotice, message: str, *, nothing_left: bool = True) -> None:
    if datetime.now(UTC) - claimed.created_at > GIVEN_UP:
        post.outbox.failed(claimed, message)
        return
    wait = PAUSES[min(claimed.attempts, len(PAUSES)) - 1]
    post.outbox.later(claimed, message, wait, nothing_left=nothing_left)
