"""Whom an installation tells of every export, beside whom its definition names: read from `LOYALTY_*` settings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import get_args

from pydantic import TypeAdapter, ValidationError

from include.connections import NAME
from include.definitions.addresses import is_address
from include.definitions.base import Delay
from include.definitions.notify import DEFAULT_EVENTS, EVENTS, Event
from include.definitions.zones import zone
from include.errors import BadInput, Problem
from include.settings import Settings

_DELAY: TypeAdapter[timedelta] = TypeAdapter(Delay)
# What a name on a system may be and still be the first half of an address.
_USER = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"


@dataclass(frozen=True)
class Installation:
    """The settings. Delays and zones are checked; connections may still be missing.

    mail: connection of the mail server; demanded: whether a setting named it, so that its absence is an error.
    domain: makes an address of a user's name. late_after: for definitions that say nothing of it.
    """

    mail: str
    demanded: bool = False
    domain: str | None = None
    emails: tuple[str, ...] = ()
    webhook: str | None = None
    when: tuple[Event, ...] = DEFAULT_EVENTS
    late_after: timedelta | None = None
    requester: bool = True
    digest: tuple[str, ...] = ()
    timezone: str = "UTC"

    @staticmethod
    def from_settings(settings: Settings) -> Installation:
        """Return what the `LOYALTY_*` variables say; BadInput with all that is wrong with them."""
        values = settings.notify
        problems: list[Problem] = []

        def wrong(name: str, right: str) -> None:
            problems.append(Problem(name, values[name], right, "bad_setting"))

        def words(name: str) -> tuple[str, ...]:
            return tuple(dict.fromkeys(re.findall(r"[^\s,;]+", values.get(name, ""))))

        def emails(name: str) -> tuple[str, ...]:
            for address in words(name):
                if not is_address(address):
                    wrong(name, f"must be e-mail addresses with commas between; {address!r} is none")
            return words(name)

        def connection(name: str) -> str | None:
            if (given := values.get(name)) and not re.fullmatch(NAME, given):
                wrong(name, "must be a connection's name: lower-case letters, digits and _")
            return given or None

        domain = values.get("LOYALTY_USER_MAIL_DOMAIN") or None
        if domain and not is_address(f"user@{domain}"):
            wrong("LOYALTY_USER_MAIL_DOMAIN", "must be a domain such as example.com")
        when = words("LOYALTY_NOTIFY_WHEN")
        if set(when) - set(EVENTS):
            wrong("LOYALTY_NOTIFY_WHEN", f"must be some of {', '.join(get_args(Event))}")
        late, place = values.get("LOYALTY_NOTIFY_LATE_AFTER"), values.get("LOYALTY_TIMEZONE") or "UTC"
        late_after = None
        try:
            late_after = _DELAY.validate_python(late) if late else None
        except ValidationError:
            wrong("LOYALTY_NOTIFY_LATE_AFTER", "must be a whole number with s, m, h or d, such as 2h")
        try:
            zone(place)
        except ValueError as error:
            wrong("LOYALTY_TIMEZONE", str(error))
        requester = values.get("LOYALTY_NOTIFY_REQUESTER", "true").lower()
        if requester not in {"true", "false"}:
            wrong("LOYALTY_NOTIFY_REQUESTER", "must be true or false")
        found = Installation(
            mail=settings.mail_connection,
            demanded=bool(connection("LOYALTY_MAIL_CONNECTION")),
            domain=domain,
            emails=emails("LOYALTY_NOTIFY_EMAIL"),
            webhook=connection("LOYALTY_NOTIFY_WEBHOOK"),
            when=tuple(event for event in get_args(Event) if event in when) or DEFAULT_EVENTS,
            late_after=late_after,
            requester=requester == "true",
            digest=emails("LOYALTY_DIGEST_EMAIL"),
            timezone=place,
        )
        if problems:
            raise BadInput(problems)
        return found

    def address_of(self, user: str | None) -> str | None:
        """Return the e-mail address of who asked: the name where it is one, else the name at the domain."""
        if user is None or is_address(user):
            return user
        return f"{user}@{self.domain}" if self.domain and re.fullmatch(_USER, user) else None
