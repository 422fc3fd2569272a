"""Who is told how a run ended, and when it is late."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field, JsonValue

from include.definitions.addresses import Address
from include.definitions.base import Delay, Strict, refuse
from include.definitions.names import Identifier, repeated
from include.definitions.privacy import ConnectionName

Event = Literal["finished", "failed", "skipped", "late", "uncertain", "restated"]
EVENTS: tuple[str, ...] = get_args(Event)
# What somebody must do something about.
DEFAULT_EVENTS: tuple[Event, ...] = ("failed", "late", "uncertain")
MEANINGS = {
    "finished": "every target has its files",
    "failed": "a step failed, or a target did not get its files; `uncertain` too",
    "skipped": "there was nothing to send, as `conditions` says",
    "late": "not done when it should have been (`late_after`)",
    "uncertain": "a delivery waits for a person: nobody can tell whether it arrived, or its name is taken",
    "restated": "a restatement was delivered; a rule for `finished` covers it as well",
}


def covers(when: Collection[str], event: Event) -> bool:
    """Return whether who asked for `when` hears of the event: failures take in what waits for a person."""
    wider = {"uncertain": "failed", "restated": "finished"}.get(event)
    return event in when or wider in when


def _events_differ(value: list[Event]) -> list[Event]:
    twice = repeated(list(value))
    if twice:
        raise refuse("event_twice", f"{twice} is there twice")
    return value


class _Rule(Strict):
    when: Annotated[list[Event], AfterValidator(_events_differ)] = Field(
        default_factory=lambda: list(DEFAULT_EVENTS), min_length=1
    )
    """Which events; left out: `failed`, `late`, `uncertain`."""

    def covers(self, event: Event) -> bool:
        """Return whether the rule is about the event."""
        return covers(self.when, event)


class EmailRule(_Rule):
    """By e-mail, to each address by itself."""

    kind: Literal["email"]
    to: list[Address] = Field(min_length=1, max_length=50)
    """Addresses."""
    connection: ConnectionName | None = None
    """Connection of the mail server; left out, the installation's."""


class WebhookRule(_Rule):
    """By a signed POST to the address of a connection."""

    kind: Literal["webhook"]
    connection: ConnectionName
    """Connection that holds the address and the key of the signature."""


class AirflowRule(_Rule):
    """By a notifier of Airflow that an administrator has named in `LOYALTY_NOTIFIERS`."""

    kind: Literal["airflow"]
    notifier: Identifier
    """Its name there."""
    arguments: dict[str, JsonValue] = Field(default_factory=dict, max_length=20)
    """Values for those of its arguments that the administrator leaves to definitions. They are never templates."""


Rule = Annotated[EmailRule | WebhookRule | AirflowRule, Field(discriminator="kind")]


class Notify(Strict):
    """Who is told what about the runs of a definition, besides those whom the installation tells."""

    rules: list[Rule] = Field(default_factory=list, max_length=20)
    """Who is told, of which events, by which way."""
    requester: bool = True
    """Whether who asks for a run by hand is told how it ended, with the link."""
    late_after: Delay | None = None
    """A scheduled run is late when it is not done so long after it could start; left out, as the installation says."""
