"""The connections that the installation uses: by which exports, how deliveries over them went, and trying them now.

Nothing here returns what is secret in a connection: its kind, host and port are all that is said of it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy.engine import URL

from include import database_url, kinds, targets
from include.acting import actor
from include.definitions.model import ExportDefinition, Target
from include.definitions.notify import EmailRule, WebhookRule
from include.errors import BadInput, LoyaltyError, Problem
from include.notices.installation import Installation
from include.pipeline import exports
from include.pipeline.checks import options_of
from include.pipeline.context import Context
from include.pipeline.privacy import connections_of
from include.pipeline.probing import Probed, probe_target
from include.snapshots import names
from include.snapshots.source import Source, open_read
from include.state import troubles
from include.state.audit import Action

LEDGER = "ledger"
# Deliveries of longer ago say nothing about a connection of today.
LOOKED_BACK = timedelta(days=90)


@dataclass(frozen=True)
class Use:
    """What a connection is used for. `target` is the label of the target of that export, None for other uses."""

    definition_id: str | None
    what: str
    target: str | None = None


@dataclass(frozen=True)
class Tested:
    """How the last test of one target over it came out; `problems` are codes."""

    at: datetime
    by: str
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Known:
    """A connection as people may see it. `problem` says why it cannot be used at all."""

    name: str
    kind: str
    place: str
    problem: str
    uses: tuple[Use, ...]
    arrived: datetime | None
    failed: datetime | None
    tested: Tested | None

    @property
    def exports(self) -> tuple[str, ...]:
        """The exports that use it, each once."""
        return tuple(dict.fromkeys(use.definition_id for use in self.uses if use.definition_id))


def uses(context: Context) -> dict[str, list[Use]]:
    """Return by connection what it is used for, as definitions and settings say today."""
    found: dict[str, list[Use]] = {}

    def add(name: str | None, use: Use) -> None:
        if name:
            found.setdefault(name, []).append(use)

    installation = Installation.from_settings(context.settings)
    for definition in _definitions(context):
        for target in definition.targets:
            for name in _of_target(target):
                add(name, Use(definition.id, f"delivers to {target.label}", target.label))
        for name in sorted(connections_of(definition)):
            add(name, Use(definition.id, "protects or signs its files"))
        for rule in definition.notify.rules:
            if isinstance(rule, EmailRule):
                add(rule.connection or installation.mail, Use(definition.id, "tells people by e-mail"))
            elif isinstance(rule, WebhookRule):
                add(rule.connection, Use(definition.id, "tells a webhook"))
    if installation.demanded or installation.emails or installation.digest:
        add(installation.mail, Use(None, "mail of the installation"))
    add(installation.webhook, Use(None, "webhook of the installation"))
    if context.state.erasures.list():
        add(names.CONNECTION, Use(None, "knows erased customers"))
    return found


def known(context: Context) -> list[Known]:
    """Return every connection in use, by name, with how deliveries over it went; it asks Airflow for each."""
    last = troubles.last_deliveries(context.state.database, datetime.now(UTC) - LOOKED_BACK)
    tests = _tests(context)
    found = []
    for name, used in sorted(uses(context).items()):
        kind, place, problem = _shown(context, name)
        theirs = [
            last[each.definition_id, each.target]
            for each in used
            if each.definition_id and each.target and (each.definition_id, each.target) in last
        ]
        tested = [tests[each.target] for each in used if each.target in tests]
        found.append(
            Known(
                name, kind, place, problem, tuple(used),
                max((each.confirmed for each in theirs if each.confirmed), default=None),
                max((each.failed for each in theirs if each.failed), default=None),
                max(tested, key=lambda each: each.at, default=None),
            )
        )  # fmt: skip
    return found


def unusable(context: Context) -> Iterator[tuple[str, str]]:
    """Yield the connections in use that are missing or cannot be read, with why; it asks Airflow for each."""
    for name in sorted(uses(context)):
        if problem := _shown(context, name)[2]:
            yield name, problem


def test(context: Context, name: str) -> list[Probed]:
    """Try every target that uses a connection, each once; BadInput when none does. The audit chain is told."""
    wanted: dict[str, Target] = {}
    for definition in _definitions(context):
        for target in definition.targets:
            if name in _of_target(target):
                wanted.setdefault(json.dumps([target.kind, target.options], sort_keys=True), target)
    if not wanted:
        right = "a connection that a target of an export uses; another one is tried by using it"
        raise BadInput([Problem("connection", name, right, "not_testable")])
    return [probe_target(context, target) for target in wanted.values()]


def test_ledger(context: Context) -> Probed:
    """Open the ledger as a snapshot would, and say what it lacks; the audit chain is told."""
    problems: tuple[Problem, ...] = ()
    try:
        with open_read(Source.from_settings(context.settings), values=False) as reading:
            if not reading.has("transactions"):
                right = "must be a relation: give its SQL query in a mapping file, as docs/user-guide.md says"
                problems = (Problem(LEDGER, "transactions", right, "no_transactions"),)
    except BadInput as error:
        problems = error.problems
    except LoyaltyError as error:
        problems = (Problem(LEDGER, "", str(error), "ledger_unusable"),)
    told = {"kind": LEDGER, "problems": [each.code for each in problems]}
    context.state.audit.write(actor(), Action.TARGET_TESTED, LEDGER, told)
    return Probed(LEDGER, LEDGER, problems)


@dataclass(frozen=True)
class StateHealth:
    """The state database: its kind, how long a question takes, how many bytes and audit entries it has."""

    dialect: str
    seconds: float
    bytes: int | None
    entries: int


def state_health(context: Context) -> StateHealth:
    """Ask the state database about itself."""
    began = time.monotonic()
    head = context.state.audit.head()
    took = time.monotonic() - began
    database = context.state.database
    return StateHealth(database.dialect, took, database.bytes(), head.sequence if head else 0)


def ledger_place(context: Context) -> str:
    """Return where the ledger is, without who we are there."""
    url = database_url.read(context.settings.ledger_url)
    if url is None:
        return database_url.hidden(context.settings.ledger_url)
    shown = URL.create(url.get_backend_name(), host=url.host, port=url.port, database=url.database)
    return shown.render_as_string()


def ledger_tested(context: Context) -> Tested | None:
    """Return how the last test of the ledger came out, None where there was none lately."""
    return _tests(context).get(LEDGER)


def _definitions(context: Context) -> Iterable[ExportDefinition]:
    return exports.known(context).values()


def _of_target(target: Target) -> tuple[str, ...]:
    """Return the connections that a target names; none for options that are wrong, which is told elsewhere."""
    try:
        module = kinds.load(targets, target.kind, where=f"target {target.label}")
        return tuple(module.connections(options_of(module, target.options, f"target {target.label}")))
    except BadInput:
        return ()


def _shown(context: Context, name: str) -> tuple[str, str, str]:
    """Return kind, place and problem of a connection."""
    try:
        found = context.connections(name)
    except BadInput as error:
        return "", "", "; ".join(problem.right for problem in error.problems)
    port = f":{found.port}" if found.port else ""
    return found.conn_type, f"{_host(found.host)}{port}" if found.host else "", ""


def _host(host: str) -> str:
    """Return a host without what people put into it that may be secret: a path, a query, a login."""
    scheme, separator, rest = host.rpartition("://")
    bare = rest.partition("/")[0].partition("?")[0].rpartition("@")[2]
    return f"{scheme}{separator}{bare}"


def _tests(context: Context) -> dict[str, Tested]:
    """Return the newest test of each target, as far back as the last thousand."""
    found: dict[str, Tested] = {}
    for entry in context.state.audit.newest(action=Action.TARGET_TESTED, limit=1000):
        problems = tuple(map(str, entry.detail.get("problems", ())))
        found.setdefault(entry.subject, Tested(entry.at, entry.actor, problems))
    return found
