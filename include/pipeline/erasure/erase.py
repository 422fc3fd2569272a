"""Erasing a customer: from snapshots, from stored files, from records, and from all that is read from now on.

The ledger is never written. As soon as an erasure is recorded, nothing new is read with that person in it; what is
there already is then cleared, step by step, each of which can be done again after a crash (docs/privacy.md).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from include.acting import actor
from include.errors import BadInput, NotYet, Problem
from include.pipeline import exports, run_shares
from include.pipeline.artefacts import FOLDER
from include.pipeline.context import Context, Progress, silent
from include.pipeline.erasure.holding import Held, holds, named_manifests
from include.pipeline.erasure.person import Person, find
from include.pipeline.imports import keeping as import_keeping
from include.pipeline.privacy import erasure_secrets
from include.pipeline.removal import being_delivered, data_keys, remove_files
from include.scratch import sweep
from include.snapshots import names, renew, stored
from include.snapshots.erased import Erased, everybody
from include.state.erasures import Erasure, ErasureDetail, ErasureState
from include.state.imports import ImportRecord
from include.state.mentions import replace_mentions
from include.state.runs import RunRecord

_Whom = Mapping[str, str | None]
_T = TypeVar("_T")
_LEASE = timedelta(minutes=2)
_ASK_AGAIN = timedelta(seconds=5)
_ALL = 10_000_000
_BY_CHARACTERS = 255
_UNKNOWN = (
    "is in neither the ledger, nor a snapshot, nor an import, nor a stored file that can be looked into: write the id "
    "as the ledger does; for somebody who may stand in files only that are encrypted, or hide ids, add --anyway"
)


@dataclass(frozen=True)
class Touched:
    """What an erasure would touch: rows of the ledger and of each snapshot, runs and imports whose files go.

    Runs and imports come with whether they name the person, or may and cannot be looked into. definitions: ids of those
    whose YAML names the person, which somebody must change by hand. kept_cards: numbers of cards that stay, because
    other customers use them. state: how far the erasure is, None where there is none yet.
    """

    subject: str
    state: ErasureState | None
    ledger: dict[str, int]
    snapshots: dict[str, int]
    runs: tuple[tuple[RunRecord, Held], ...]
    imports: tuple[tuple[ImportRecord, Held], ...]
    definitions: tuple[str, ...]
    kept_cards: tuple[str, ...]

    @property
    def nothing(self) -> bool:
        """Whether nobody knows of such a person."""
        named = any(held is Held.NAMED for _, held in (*self.runs, *self.imports))
        return self.state is None and not (self.ledger or any(self.snapshots.values()) or named)


def look(context: Context, *, anyway: bool = False, **whom: str | None) -> Touched:
    """Return what erasing a customer, or whoever holds a card, would touch; see `look_all`."""
    return look_all(context, [whom], anyway=anyway)[0]


def look_all(context: Context, people: Sequence[_Whom], *, anyway: bool = False) -> list[Touched]:
    """Return what erasing people (as of `ask_all`) would touch; changes nothing.

    Reads the ids of the ledger and of all snapshots, and the stored files. Raises BadInput as `ask_all` does.
    """

    def touched(whom: _Whom) -> Touched:
        person, rows = _find(context, whom)
        found = _touched(context, person, rows)
        if found.nothing and not anyway:
            raise _unknown(whom)
        return found

    names.hasher(erasure_secrets(context), context.state.erasures.list())
    return _for_all(people, touched)


def erase(
    context: Context, *, progress: Progress = silent, anyway: bool = False, **whom: str | None
) -> Erasure:
    """Ask for an erasure (arguments of `ask`), do it and return it; again is fine. Raises what the two steps raise."""
    subject = ask(context, anyway=anyway, **whom).subject
    resume(context, progress)
    done = context.state.erasures.get(subject)
    assert done is not None
    return done


def ask(
    context: Context,
    *,
    customer: str | None = None,
    card: str | None = None,
    by: str | None = None,
    reason: str | None = None,
    anyway: bool = False,
) -> Erasure:
    """Record that a customer, or whoever holds a card, is to be erased; see `ask_all`."""
    whom = {"customer": customer, "card": card}
    return ask_all(context, [whom], by=by, reason=reason, anyway=anyway)[0]


def ask_all(
    context: Context,
    people: Sequence[_Whom],
    *,
    by: str | None = None,
    reason: str | None = None,
    anyway: bool = False,
) -> list[Erasure]:
    """Record that people, each by `customer` or `card`, are to be erased; from now on nothing is read with them in it.

    anyway: also somebody whom nothing knows that can be looked into. Raises BadInput without `loyalty_erasure`, and
    for everybody who cannot be erased; then nobody is recorded.
    """

    def draft(whom: _Whom) -> Erasure:
        person, rows = _find(context, whom)
        subject = person.subject(hashed)
        known = context.state.erasures.get(subject)
        if known is None and not rows and not anyway and _touched(context, person, rows).nothing:
            raise _unknown(whom)
        pseudonym = known.pseudonym if known else names.pseudonym()
        made = _draft(subject, pseudonym, person.detail(hashed, pseudonym, reason))
        if reason is not None and Erased(hashed, [made]).text(reason) != reason:
            right = "must not name the person: it is kept"
            raise BadInput([Problem("reason", reason, right, "named_in_reason")])
        return made

    hashed = names.hasher(erasure_secrets(context), context.state.erasures.list())
    asked_by = (by or actor())[:_BY_CHARACTERS]
    plan = context.state.erasures.plan
    drafts = _for_all(people, draft)
    return [plan(each.subject, each.pseudonym, each.detail, by=asked_by) for each in drafts]


def _for_all(people: Sequence[_Whom], do: Callable[[_Whom], _T]) -> list[_T]:
    """Do something for everybody; BadInput with the problems of all."""
    done: list[_T] = []
    problems: list[Problem] = []
    for whom in people:
        try:
            done.append(do(whom))
        except BadInput as error:
            problems += error.problems
    if problems:
        raise BadInput(problems)
    return done


def _find(context: Context, whom: _Whom) -> tuple[Person, Counter[str]]:
    """Return who that is and how many rows of the ledger name them, by relation; BadInput for a pseudonym of ours."""
    name = _name(whom)
    if any(name in each.detail.names.values() for each in context.state.erasures.list()):
        right = "is the pseudonym of somebody who was erased: give the id or card that the person had"
        raise BadInput([Problem("customer", name, right, "a_pseudonym")])
    return find(context, customer=whom.get("customer"), card=whom.get("card"))


def _name(whom: _Whom) -> str:
    return whom.get("customer") or whom.get("card") or ""


def _unknown(whom: _Whom) -> BadInput:
    return BadInput([Problem("customer", _name(whom), _UNKNOWN, "unknown_customer")])


def resume(context: Context, progress: Progress = silent) -> list[str]:
    """Finish all erasures that are recorded and not done; return their subjects.

    Raises NotYet while runs, deliveries or another erasure are at work: ask again, it goes on where it was.
    """
    state = context.state
    if not state.erasures.unfinished() and not state.snapshots.any_stale():
        return []
    owner = f"erase {datetime.now(UTC).isoformat()}"
    lease = state.leases.acquire("erasure", owner, _LEASE)
    if lease is None:
        raise NotYet("another erasure is at work", datetime.now(UTC) + _ASK_AGAIN)
    with state.leases.kept(lease, _LEASE) as beat:
        waiting = state.erasures.unfinished()
        erased = everybody(state, erasure_secrets(context))
        if erased is None:
            return []
        _advance(context, waiting, ErasureState.SNAPSHOTS, {})
        renewed = renew.renew(context.store, state, erased, context.settings.scratch)
        beat.check()
        if not waiting:
            return []
        _advance(context, waiting, ErasureState.FILES, renewed)
        removed = _clear_files(context, erased, progress) + import_keeping.clear(context, erased)
        beat.check()
        sweep(context.settings.scratch)
        run_shares.clear_dead(context, older_than=timedelta(0))
        records = replace_mentions(state.database, erased.document) + state.looked.rename(erased.name)
        _advance(context, waiting, ErasureState.DONE, {"files_removed": removed, "records_changed": records})
    return [each.subject for each in waiting]


def rename_later(context: Context) -> int:
    """Rename who was erased in records that were not done with then; return how many changed.

    Raises BadInput without the key `loyalty_erasure`, once somebody was erased.
    """
    erased = everybody(context.state, erasure_secrets(context)) if context.state.erasures.digest() else None
    if erased is None:
        return 0
    looked = context.state.looked.rename(erased.name)
    return replace_mentions(context.state.database, erased.document) + looked


def _advance(context: Context, erasures: list[Erasure], step: ErasureState, done: dict[str, int]) -> None:
    for each in erasures:
        context.state.erasures.advance(each.subject, step, done)


def _touched(context: Context, person: Person, rows: Counter[str]) -> Touched:
    hashed = names.hasher(erasure_secrets(context), context.state.erasures.list())
    subject = person.subject(hashed)
    known = context.state.erasures.get(subject)
    pseudonym = known.pseudonym if known else names.pseudonym()
    detail = person.detail(hashed, pseudonym, None)
    erased = Erased(hashed, [_draft(subject, pseudonym, detail)])
    over = known is not None and known.state is ErasureState.DONE and known.detail.knows(detail)
    runs = () if over else context.state.runs.with_files()
    held = ((run, _held(context, erased, run)) for run in runs)
    return Touched(
        subject,
        known.state if known else None,
        dict(rows),
        stored.rows_of(context.store, context.state, erased, context.settings.scratch),
        tuple((run, how) for run, how in held if how),
        () if over else tuple(import_keeping.holding(context, erased)),
        tuple(id_ for id_, each in exports.known(context).items() if _names(erased, each.document())),
        tuple(sorted(person.kept_cards)),
    )


def _held(context: Context, erased: Erased, run: RunRecord) -> Held:
    if named_manifests(context, erased, run.run_key):
        return Held.NAMED
    return holds(context, erased, run.run_key, run.definition)


def _names(erased: Erased, document: dict[str, Any]) -> bool:
    """Say whether a document names the person."""
    return bool(erased.document(document) != document)


def _clear_files(context: Context, erased: Erased, progress: Progress) -> int:
    """Remove the stored files that hold somebody who was erased; return of how many runs."""
    runs = {run.run_key: run for run in context.state.runs.list(limit=_ALL)}
    making = {run.run_key for run in context.state.runs.at_work(renew.SILENT)}
    folders = sorted({entry.key.split("/")[1] for entry in context.store.list(FOLDER)})
    removed = 0
    for done, run_key in enumerate(folders):
        progress("search files", done, len(folders))
        run = runs.get(run_key)
        if run_key in making:
            raise NotYet(f"run {run_key[:12]} is being made", datetime.now(UTC) + _ASK_AGAIN)
        also = named_manifests(context, erased, run_key)
        kept = data_keys(context, run_key)
        if not also and not (kept and holds(context, erased, run_key, run.definition if run else None)):
            continue
        if being_delivered(context, run_key):
            raise NotYet(f"run {run_key[:12]} is being delivered", datetime.now(UTC) + _ASK_AGAIN)
        remove_files(context, run_key, "erasure", also=also)
        removed += 1
    return removed


def _draft(subject: str, pseudonym: str, detail: ErasureDetail) -> Erasure:
    """Return an erasure that is only looked at."""
    now = datetime.now(UTC)
    return Erasure(
        subject=subject,
        pseudonym=pseudonym,
        state=ErasureState.PLANNED,
        requested_by="",
        detail=detail,
        created_at=now,
        updated_at=now,
    )
