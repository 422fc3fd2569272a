"""What needs somebody, in one list: each with what happened, what to do about it, and what a button may do.

What a button does is what the command line does too: `resolving`, `notify`, `upkeep`, or a new run.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path

from include.definitions.load import files, scan
from include.errors import Problem
from include.notices.reasons import LEDGER
from include.pipeline import doubts, exports, health
from include.pipeline.checks import check
from include.pipeline.context import Context
from include.pipeline.imports.attention import matters
from include.pipeline.kept import Kept
from include.pipeline.telling import to_do
from include.pipeline.watch import late_runs
from include.state import troubles
from include.state.audit import Action
from include.state.deliveries import DeliveryState
from include.state.notices import NoticeState, StoredNotice
from include.state.runs import RunRecord, RunStatus
from include.state.troubles import Open

# What takes time to find out, and seldom changes with what somebody does here.
KEPT_SECONDS = 60.0
# Anchors are written every day.
ANCHORED = timedelta(days=2)
KEY_ENDS = timedelta(days=14)


class Group(StrEnum):
    """What it is about, in the order in which people should look at it."""

    DOUBT = "doubt"
    DELIVERY = "delivery"
    IMPORT = "import"
    LATE = "late"
    RUN = "run"
    LEDGER = "ledger"
    DEFINITION = "definition"
    NOTICE = "notice"
    CONNECTION = "connection"
    UPKEEP = "upkeep"
    KEY = "key"


HEADINGS: dict[Group, str] = {
    Group.DOUBT: "Deliveries that nobody can be sure of",
    Group.DELIVERY: "Deliveries that failed",
    Group.IMPORT: "Imports",
    Group.LATE: "Late",
    Group.RUN: "Runs that failed",
    Group.LEDGER: "The ledger",
    Group.DEFINITION: "Definitions with problems",
    Group.NOTICE: "Messages that did not reach anybody",
    Group.CONNECTION: "Connections",
    Group.UPKEEP: "Upkeep",
    Group.KEY: "API keys",
}


class Deed(StrEnum):
    """What can be done about it by a button."""

    RETRY = "retry"
    ARRIVED = "arrived"
    NOT_ARRIVED = "not_arrived"
    RUN_AGAIN = "run_again"
    EDIT = "edit"
    SEND_NOTICE = "send_notice"
    ANCHOR = "anchor"
    KEYS = "keys"
    CONNECTIONS = "connections"
    IMPORT = "import"


@dataclass(frozen=True)
class Item:
    """One thing. `subject` is what the deeds are done to: the key of a delivery, run or notice.

    definition_id: whose business it is; None where it is the administrators'. since: when it began. fence: of a
    delivery, as it is seen here: what is decided about it counts only while it has that one.
    """

    group: Group
    definition_id: str | None
    subject: str
    title: str
    happened: str
    to_do: str
    since: datetime
    deeds: tuple[Deed, ...] = ()
    run_key: str | None = None
    fence: int = 0


@dataclass(frozen=True)
class Visible:
    """Whose matters are looked at: these exports (None: all), the installation's, and imports."""

    exports: Collection[str] | None = None
    installation: bool = True
    imports: bool = True

    def shows(self, definition_id: str | None) -> bool:
        """Say whether a matter of this export, or of none, is shown."""
        if definition_id is None:
            return self.installation
        return self.exports is None or definition_id in self.exports


def collect(context: Context, visible: Visible, now: datetime | None = None) -> list[Item]:
    """Return everything that needs somebody: by group, the oldest first. It changes nothing."""
    moment = now or datetime.now(UTC)
    found = list(_of_exports(context, visible))
    found += [item for item in (*_late(context), *_definitions(context)) if visible.shows(item.definition_id)]
    found += _of_pages(context, visible)
    if visible.imports:
        found += _imports(context, moment)
    if visible.installation:
        found += [*_connections(context), *_upkeep(context, moment), *_keys(context, moment)]
        found += _ledger(context, moment)
    order = list(Group)
    return sorted(found, key=lambda item: (order.index(item.group), item.since, item.subject))


def counted(context: Context, visible: Visible) -> int:
    """Return about how many there are, quickly: what the state knows, and what was found when somebody last looked."""
    counts = troubles.counts(context.state.database)
    known = sum(count for definition_id, count in counts.items() if visible.shows(definition_id))
    known += sum(map(visible.shows, context.state.exports.broken()))
    key, folder = context.settings.state_url, str(context.settings.exports)
    found = [*(_LATE.known(key) or []), *_BROKEN.get(folder, (None, []))[1]]
    now = datetime.now(UTC)
    if visible.imports:
        known += sum(1 for _ in _imports(context, now))
    if visible.installation:
        found += [*(_UNUSABLE.known(key) or []), *_upkeep(context, now), *_keys(context, now)]
        found += _ledger(context, now)
    return known + sum(visible.shows(item.definition_id) for item in found)


def concerned(context: Context, *, waiting: bool) -> frozenset[str]:
    """Return the exports of which something needs somebody, whoever may see them; few, where there are very many.

    waiting: find out first what takes time; else what was found when somebody last looked.
    """
    late = _late(context) if waiting else _LATE.known(context.settings.state_url) or []
    found = [*troubles.counts(context.state.database), *(item.definition_id for item in late)]
    return context.state.exports.broken().union(each for each in found if each is not None)


def forget() -> None:
    """Let what takes time to find out be found out anew."""
    _LATE.forget()
    _UNUSABLE.forget()
    _BROKEN.clear()


def _of_exports(context: Context, visible: Visible) -> Iterator[Item]:
    database = context.state.database
    for each in troubles.deliveries(database, visible.exports):
        yield _delivery(each)
    for run in troubles.runs(database, visible.exports):
        yield _run(run)
    for notice in troubles.notices(database):
        if visible.shows(notice.definition_id):
            yield _notice(notice)


def _delivery(open_: Open) -> Item:
    delivery = open_.delivery
    doubtful = delivery.state in (DeliveryState.UNCERTAIN, DeliveryState.CONFLICT)
    todo = to_do(delivery)
    deeds = [Deed.RETRY] if todo and todo.retry else []
    if todo and todo.resolve:
        deeds += (
            [Deed.ARRIVED, Deed.NOT_ARRIVED] if delivery.state is DeliveryState.UNCERTAIN else [Deed.ARRIVED]
        )
    again = f", sent again the {delivery.sending}. time" if delivery.sending else ""
    return Item(
        Group.DOUBT if doubtful else Group.DELIVERY,
        open_.definition_id,
        delivery.key,
        f"{open_.definition_id} to {delivery.target}{again}",
        delivery.message or f"The delivery was {delivery.state.value} when its process ended.",
        todo.sentence if todo else "",
        delivery.updated_at,
        tuple(deeds),
        delivery.run_key,
        delivery.fence,
    )


def _run(run: RunRecord) -> Item:
    failure = str((run.summary or {}).get("failure") or "")
    if run.status is not RunStatus.FAILED:
        happened = f"Nothing has happened since it was at {run.stage or 'its beginning'!r}."
        what, group = (
            "Look whether its process is alive in Airflow; if not, run it again: it continues.",
            Group.RUN,
        )
    elif LEDGER in failure:
        happened, group = failure, Group.LEDGER
        what = "loyalty ledger check lists the rows. When they are put right in the ledger, run it again."
    else:
        happened = failure or "No file was made, or a target was not tried."
        what, group = (
            "Put right what it says, then run it again: what was made already is not made twice.",
            Group.RUN,
        )
    since = run.updated_at or run.known_at
    title = f"{run.definition_id}, as of {run.as_of:%Y-%m-%d %H:%M} UTC"
    deeds = (Deed.RUN_AGAIN,)
    return Item(group, run.definition_id, run.run_key, title, happened, what, since, deeds, run.run_key)


def _notice(notice: StoredNotice) -> Item:
    unknown = notice.state is NoticeState.UNKNOWN
    about = notice.definition_id or "the installation"
    return Item(
        Group.NOTICE,
        notice.definition_id,
        notice.key,
        f"{about}: {notice.event}, to {notice.recipient}",
        notice.message or ("Nobody knows whether it was taken." if unknown else "It could not be sent."),
        "Ask whether it came, else send it again."
        if unknown
        else "Put right what it says, then send it again.",
        notice.updated_at,
        (Deed.SEND_NOTICE,),
        notice.run_key,
    )


_LATE: Kept[list[Item]] = Kept(KEPT_SECONDS)
_UNUSABLE: Kept[list[Item]] = Kept(KEPT_SECONDS)


def _late(context: Context) -> list[Item]:
    def find() -> list[Item]:
        found = late_runs(context, datetime.now(UTC), watching=False)
        return [_due(due.definition.id, due.occurrence, due.deadline, due.run) for due in found]

    return _LATE.get(context.settings.state_url, find)


def _due(definition_id: str, occurrence: datetime, deadline: datetime, run: RunRecord | None) -> Item:
    if run is None:
        happened = "No run of it has begun."
        what = "Look whether its DAG is paused and the scheduler at work; or run it now."
    else:
        at = f", at {run.stage}" if run.stage else ""
        happened = f"Its run is {run.status.value}{at}."
        what = "Look at its run. If nothing moves, run it again: it continues from where it was."
    title = f"{definition_id}, scheduled for {occurrence:%Y-%m-%d %H:%M} UTC"
    subject = f"{definition_id} {occurrence.isoformat()}"
    key = run.run_key if run else None
    # A run of now reports what a run of then did only where one was pinned.
    deeds = (Deed.RUN_AGAIN,) if run else ()
    return Item(Group.LATE, definition_id, key or subject, title, happened, what, deadline, deeds, key)


_BROKEN: dict[str, tuple[object, list[Item]]] = {}


def _definitions(context: Context) -> list[Item]:
    """Return the YAML files with problems; they are read again when one of them changes."""
    folder = context.settings.exports
    stamps = {path.name: path.stat() for path in files(folder)}
    seen = tuple((name, each.st_mtime_ns, each.st_size) for name, each in stamps.items())
    kept = _BROKEN.get(str(folder))
    if kept is None or kept[0] != seen:
        kept = (seen, list(_broken(folder, {name: each.st_mtime for name, each in stamps.items()})))
        _BROKEN[str(folder)] = kept
    return kept[1]


def _broken(folder: Path, changed: dict[str, float]) -> Iterator[Item]:
    by_file: dict[str, list[Problem]] = {}
    for problem in scan(folder, check=check)[1]:
        by_file.setdefault(problem.where.partition(":")[0], []).append(problem)
    for name, problems in by_file.items():
        lines = [str(problem).removeprefix(f"{name}: ") for problem in problems]
        since = datetime.fromtimestamp(changed.get(name, 0), UTC)
        what = "Correct the file where it is kept; loyalty export validate says the same."
        yield Item(Group.DEFINITION, None, name, name, "\n".join(lines), what, since)


def _of_pages(context: Context, visible: Visible) -> Iterator[Item]:
    """Yield the exports made in the pages that have no DAG, with what is wrong with each of them now."""
    for definition_id in sorted(filter(visible.shows, context.state.exports.broken())):
        export = context.state.exports.get(definition_id)
        problems = exports.unsound(context, export) if export is not None else []
        if export is not None and problems:
            yield Item(
                Group.DEFINITION,
                definition_id,
                definition_id,
                definition_id,
                "\n".join(map(str, problems)),
                "Edit it: as it is, it has no DAG and cannot run.",
                export.edited_at,
                (Deed.EDIT,),
            )


def _imports(context: Context, now: datetime) -> Iterator[Item]:
    for record, happened, what in matters(context, now):
        title = f"Import of {record.file_name}"
        since, deeds = record.updated_at, (Deed.IMPORT,)
        yield Item(Group.IMPORT, None, record.import_id, title, happened, what, since, deeds)


def _ledger(context: Context, now: datetime) -> Iterator[Item]:
    for subject, happened, what, since in doubts.found(context, now):
        yield Item(Group.LEDGER, None, subject, f"Snapshot {subject}", happened, what, since)


def _upkeep(context: Context, now: datetime) -> Iterator[Item]:
    anchored = context.state.audit.newest(action=Action.ANCHORED, limit=1)
    if not anchored:
        first = context.state.audit.get(1)
        since, happened = (first.at if first else now), "No anchor of the audit log was ever written."
    else:
        since = anchored[0].at
        happened = (
            f"The last anchor of the audit log is of {since:%Y-%m-%d %H:%M} UTC; there should be one a day."
        )
    if now - since >= ANCHORED:
        what = "See that the DAG loyalty-upkeep is on and its runs go well; or write an anchor now."
        yield Item(
            Group.UPKEEP, None, "anchor", "Anchors of the audit log", happened, what, since, (Deed.ANCHOR,)
        )


def _keys(context: Context, now: datetime) -> Iterator[Item]:
    for key in context.state.keys.list():
        if key.active and key.expires_at - now <= KEY_ENDS and key.last_used_at is not None:
            used = f"was used on {key.last_used_at:%Y-%m-%d}"
            happened = f"It expires on {key.expires_at:%Y-%m-%d %H:%M} UTC, and {used}."
            what = "Make a new key, give it to whoever uses this one, and revoke this one."
            began = max(key.expires_at - KEY_ENDS, key.created_at)
            yield Item(
                Group.KEY, None, key.id, f"The API key {key.name}", happened, what, began, (Deed.KEYS,)
            )


def _connections(context: Context) -> list[Item]:
    """Return the connections in use that are missing or unreadable."""

    def find() -> list[Item]:
        now = datetime.now(UTC)
        return [_unusable(name, problem, now) for name, problem in health.unusable(context)]

    return _UNUSABLE.get(context.settings.state_url, find)


def _unusable(name: str, problem: str, now: datetime) -> Item:
    what = "Make or correct it in Airflow under Admin > Connections, then test it."
    title = f"The connection {name}"
    return Item(Group.CONNECTION, None, name, title, problem, what, now, (Deed.CONNECTIONS,))
