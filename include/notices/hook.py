"""Notices by webhook: the facts and the text as JSON, by the guarded, signed request of `include.targets.outbound`."""

from __future__ import annotations

import json
from collections.abc import Callable

from include.connections import Connection
from include.notices import words
from include.notices.notice import Notice
from include.state.notices import StoredNotice
from include.targets import outbound
from include.targets.hooks.endpoint import endpoint

SECONDS = 20.0


def document(stored: StoredNotice, notice: Notice) -> dict[str, object]:
    """Return what a receiver gets: `id` is the same when the notice comes a second time."""
    about = "import" if "import" in notice.facts else "export"
    return {
        "type": f"loyalty.{about}.{notice.event}",
        "id": stored.key,
        "created_at": stored.created_at.isoformat(),
        "data": {**notice.facts, "title": notice.title, "text": words.text(notice), "page": notice.page},
    }


def send(connection: Connection, stored: StoredNotice, notice: Notice, sending: Callable[[], None]) -> str:
    """Send a notice and return what was answered; raises as `outbound.send` and for an answer that is no success."""
    where = endpoint(connection)
    body = json.dumps(document(stored, notice), ensure_ascii=False).encode()
    sending()
    reply = outbound.send(where, outbound.Message(stored.key, outbound.Body.of(body)), seconds=SECONDS)
    if not 200 <= reply.status < 300:
        raise outbound.failure(where, reply)
    return f"{where.place} answers {reply.status}"
