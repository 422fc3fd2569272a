"""One request as its sender sees it: what goes out, and what came back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime

JSON = "application/json"
TOLD_CHARACTERS = 300


@dataclass(frozen=True)
class Body:
    """What a request holds. pieces: yields it anew at each call, `size` bytes in all."""

    size: int
    pieces: Callable[[], Iterable[bytes]] = field(repr=False)
    media_type: str = JSON

    @classmethod
    def of(cls, data: bytes, media_type: str = JSON) -> Body:
        """Return a body that is in memory."""
        return cls(len(data), lambda: [data], media_type)


@dataclass(frozen=True)
class Message:
    """One request. id: the same each time the message is sent again; the receiver knows it by that.

    headers: without secrets; those come from the connection.
    """

    id: str
    body: Body
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Reply:
    """What was answered, and when: `headers` ignores case, `body` is the beginning of a long one."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    at: datetime

    @property
    def text(self) -> str:
        """The body's first characters on one line, for a person; secrets may stand in it."""
        return " ".join(self.body.decode(errors="replace").split())[:TOLD_CHARACTERS]

    @property
    def retry_after(self) -> float | None:
        """How many seconds the server asks us to wait; None when it does not say."""
        asked = self.headers.get("Retry-After", "").strip()
        if asked.isdecimal() and len(asked) < 10:
            return float(asked)
        with suppress(ValueError, TypeError):
            return max(0.0, (parsedate_to_datetime(asked) - self.at).total_seconds())
        return None
