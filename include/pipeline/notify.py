"""Tell people how a run ended: put the notices into the outbox, send them, and never let that change the outcome."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from include.definitions.model import ExportDefinition
from include.definitions.notify import AirflowRule, Event
from include.errors import BadInput, Problem, Transient
from include.notices.installation import Installation
from include.notices.notice import Notice, of_run, unpinned
from include.notices.outbox import ALARMS, Post, send_due
from include.notices.recipients import recipients, requester
from include.pipeline.context import Context
from include.pipeline.links import with_code, with_login
from include.state.notices import Address, StoredNotice
from include.state.runs import RunRecord

LOG = logging.getLogger(__name__)
# A mail with more links than this helps nobody; the page of the run has all files.
MOST_LINKS = 10


@dataclass(frozen=True)
class Occasion:
    """What the run's record does not say of one attempt to make it.

    requested_by: who asked this time; login: whether that is somebody with a login to Airflow. name: tells apart two
    times that somebody asked for the same run. page: where it can be looked at. backfill: one of many. definition: as
    it is now, for whom it names.
    """

    requested_by: str | None = None
    login: bool = False
    name: str = ""
    page: str | None = None
    backfill: bool = False
    definition: ExportDefinition | None = None


def way_problems(context: Context, definition: ExportDefinition, where: str) -> list[Problem]:
    """Return a problem for each rule whose connection is missing or cannot be read: nobody shall wait for a notice.

    where: what the definition is called.
    """
    found = []
    mail = context.settings.mail_connection
    for number, rule in enumerate(definition.notify.rules):
        name = None if isinstance(rule, AirflowRule) else rule.connection or mail
        try:
            if name is not None:
                context.connections(name)
        except BadInput as error:
            place = f"{where}: notify.rules[{number}].connection"
            found += [Problem(place, name or "", each.right, each.code) for each in error.problems]
    return found


def prepare(
    context: Context,
    run: RunRecord,
    deliveries: dict[str, dict[str, Any]],
    failure: str | None,
    occasion: Occasion | None = None,
) -> list[str]:
    """Put what is to be told of a run into the outbox; return the notices' keys. Never raises.

    Of a dry run only who asked hears. Of a backfill nobody hears but of what went wrong, once a day.
    """
    when = occasion or Occasion(requested_by=run.requested_by)
    try:
        definition = when.definition or ExportDefinition.model_validate(run.definition)
        notice = of_run(run, deliveries, failure, when.page, _todo(context, run))
        return _put(context, definition, notice, when, run)
    except Exception:
        LOG.exception("%s: the notices of the run could not be prepared", run.definition_id)
        return []


def failed_early(
    context: Context, definition: ExportDefinition, failure: str, occasion: Occasion
) -> list[str]:
    """Put what is to be told of a run that failed before it was recorded into the outbox. Never raises."""
    try:
        return _put(context, definition, unpinned(definition, failure, occasion.page), occasion, None)
    except Exception:
        LOG.exception("%s: the notices of the run could not be prepared", definition.id)
        return []


def put(
    context: Context, notice: Notice, subject: str, to: list[Address], definition_id: str | None
) -> list[str]:
    """Put a notice into the outbox for each address and return the keys.

    subject: what it is about: a run's key where there is one.
    """
    document = notice.model_dump(mode="json")
    return [
        context.state.notices.add(
            notice.event, subject, address, document, definition_id=definition_id, run_key=notice.run_key
        )
        for address in to
    ]


def send(context: Context, keys: list[str] | None = None) -> list[dict[str, Any]]:
    """Send what is due of these notices, of all when left out; return what became of each. Never raises."""
    if keys == []:
        return []
    try:
        tried = send_due(post(context), keys)
    except Exception:
        LOG.exception("notices could not be sent; the next upkeep tries again")
        return []
    for each in tried:
        if each.state != "sent":
            LOG.warning("notice %s to %s: %s: %s", each.event, each.recipient, each.state.value, each.message)
    return [_shown(each) for each in tried]


def told(context: Context, run_key: str) -> list[dict[str, Any]]:
    """Return who was told of a run, and what became of each notice. Never raises."""
    try:
        return [_shown(each) for each in reversed(context.state.notices.list(run_key=run_key))]
    except Transient:
        LOG.warning("who was told of the run could not be read")
        return []


def post(context: Context) -> Post:
    """Return what sending needs."""

    def links(stored: StoredNotice, notice: Notice) -> Mapping[str, str]:
        """Return an address for each file, made anew for its one reader; none where the installation gives out none."""
        how = stored.way.get("link")
        if not how or not notice.run_key or not context.settings.public_url:
            return {}
        names = notice.files[:MOST_LINKS]
        if how == "login":
            return {f"Download {name}": with_login(context.settings, notice.run_key, name) for name in names}
        to = stored.recipient
        return {f"Download {name}": with_code(context, notice.run_key, name, to) for name in names}

    return Post(context.state.notices, context.connections, context.settings.keys, links, context.notifier)


def _todo(context: Context, run: RunRecord) -> list[str]:
    """Return what to do about the run's deliveries, each in sentences with the commands."""
    from include.pipeline.resolving import next_step  # it settles runs itself, and so imports us

    steps = [(each.target, next_step(each)) for each in context.state.deliveries.list(run_key=run.run_key)]
    return [f"{target}: {step}" for target, step in steps if step]


def _shown(stored: StoredNotice) -> dict[str, Any]:
    return stored.model_dump(mode="json", include={"event", "channel", "recipient", "state", "message"})


def _put(
    context: Context, definition: ExportDefinition, notice: Notice, when: Occasion, run: RunRecord | None
) -> list[str]:
    event: Event = notice.event  # type: ignore[assignment]
    subject = run.run_key if run else f"{definition.id} {when.name or datetime.now(UTC).isoformat()}"
    if when.backfill:
        if event not in ALARMS:
            return []
        subject = f"backfill of {definition.id} on {datetime.now(UTC):%Y-%m-%d}"
    installation = Installation.from_settings(context.settings)
    to = [] if run and run.dry_run else recipients(definition, installation, event)
    keys = []
    asker = (
        None if when.backfill else requester(definition, installation, when.requested_by, login=when.login)
    )
    if asker is not None and reachable(context, installation):
        if not _was_told(context, notice, asker, when):
            keys = put(context, notice, f"{subject} {when.name}".rstrip(), [asker], definition.id)
        to = [each for each in to if (each.channel, each.recipient) != (asker.channel, asker.recipient)]
    return keys + put(context, notice, subject, to, definition.id)


def _was_told(context: Context, notice: Notice, asker: Address, when: Occasion) -> bool:
    """Whether who asked has heard of this already, where nobody asks anew: a person settled a delivery, for example."""
    if when.name or not notice.run_key:
        return False
    told = context.state.notices.list(run_key=notice.run_key, event=notice.event)
    return any((each.channel, each.recipient) == (asker.channel, asker.recipient) for each in told)


def reachable(context: Context, installation: Installation) -> bool:
    """Say whether the installation's mail connection is there; one that was never set up is nothing to complain of."""
    if installation.demanded:
        return True
    try:
        context.connections(installation.mail)
    except BadInput:
        LOG.info("nobody is mailed: there is no connection %s", installation.mail)
        return False
    return True
