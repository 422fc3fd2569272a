"""Erasing a customer: from snapshots, from stored files, from records, and from all that is read from now on.

The ledger is never written. As soon as an erasure is recorded, nothing new is read with that person in it; what is
there already is then cleared, step by step, each of which can be done again after a crash (docs/privacy.md).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from include.acting import actor
from include.errors import BadInput, NotYet, Problem
from include.pipeline import exports, run_shares
from include.pipeline.artefacts import FOLDER
from include.pipeline.context import Context, Progress, silent
from include.pipeline.erasure.holding import holds, named_manifests
from include.pipeline.erasure.person import Person, find
from include.pipeline.imports import keeping as import_keeping
from include.pipeline.privacy import erasure_secrets
from include.pipeline.removal import being_delivered, data_keys, remove_files
from include.scratch import sweep
from include.snapshots import names, renew, stored
from include.snapshots.erased import Erased, everybody
from include.state.erasures import Erasure, ErasureDetail, ErasureState
from include.state.mentions import replace_mentions
from include.state.runs import RunRecord

_LEASE = timedelta(minutes=2)
_ASK_AGAIN = timedelta(seconds=5)
_ALL = 10_000_000
_BY_CHARACTERS = 255


@dataclass(frozen=True)
class Touched:
    """What an erasure would touch: rows of the ledger and of each snapshot, runs whose files go, definitions by id.

    definitions: those whose YAML names the person, which somebody must change by hand. kept_cards: numbers of cards
    that stay, because other customers use them. state: how far the erasure is, None where there is none yet.
    """

    subject: str
    state: ErasureState | None
    ledger: dict[str, int]
    snapshots: dict[str, int]
    runs: tuple[RunRecord, ...]
    definitions: tuple[str, ...]
    kept_cards: tuple[str, ...]

    @property
    def nothing(self) -> bool:
        """Whether nobody knows of such a person."""
        return self.state is None and not (self.ledger or any(self.snapshots.values()) or self.runs)


def look(context: Context, *, customer: str | None = None, card: str | None = None) -> Touched:
    """Return what erasing a customer, or whoever holds a card, would touch; changes nothing.

    Reads the ids of the ledger and of all snapshots, and the stored files. Raises BadInput without the key
    `loyalty_erasure`.
    """
    person, rows = find(context, customer=customer, card=card)
    return _touched(context, person, rows)


def erase(context: Context, *, progress: Progress = silent, **whom: str | None) -> Erasure:
    """Ask for an erasure (arguments of `ask`), do it and return it; again is fine. Raises what the two steps raise."""
    subject = ask(context, **whom).subject
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
) -> Erasure:
    """Record that a customer, or whoever holds a card, is to be erased; from now on nothing is read with them in it.

    Raises BadInput for somebody whom neither the ledger nor anything stored knows, and without `loyalty_erasure`.
    """
    person, rows = find(context, customer=customer, card=card)
    hashed = names.hasher(erasure_secrets(context), context.state.erasures.list())
    subject = person.subject(hashed)
    known = context.state.erasures.get(subject)
    if known is None and not rows and _touched(context, person, rows).nothing:
        right = "is in neither the ledger, nor a snapshot, nor a stored file"
        raise BadInput([Problem("customer", customer or card or "", right, "unknown_customer")])
    pseudonym = known.pseudonym if known else names.pseudonym()
    detail = person.detail(hashed, pseudonym, reason)
    if reason is not None and Erased(hashed, [_draft(subject, pseudonym, detail)]).text(reason) != reason:
        raise BadInput([Problem("reason", reason, "must not name the person: it is kept", "named_in_reason")])
    return context.state.erasures.plan(subject, pseudonym, detail, by=(by or actor())[:_BY_CHARACTERS])


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
    return Touched(
        subject,
        known.state if known else None,
        dict(rows),
        stored.rows_of(context.store, context.state, erased, context.settings.scratch),
        tuple(run for run in runs if holds(context, erased, run.run_key, run.definition)),
        tuple(id_ for id_, each in exports.known(context).items() if _names(erased, each.document())),
        tuple(sorted(person.kept_cards)),
    )


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
