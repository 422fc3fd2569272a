"""A look at one customer: read from the ledger now, booked by the kernel of every export, told in the audit chain.

Decided by measuring (tests/benchmarks/customer.py): a ledger's indexes give a customer's rows in some milliseconds,
whatever the size of the ledger, while a snapshot, which lies in time order, is read from end to end for them. So a page
is of the second at which it was asked for, and says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime

from include.connections import Secrets
from include.pipeline import process
from include.pipeline.context import Context, Progress, silent
from include.pipeline.customers.figures import Figures, View, figures, needs
from include.pipeline.privacy import erasure_key
from include.scratch import working_folder
from include.settings import Settings
from include.snapshots.erased import everybody
from include.snapshots.excerpt import Holder, Looking, TooLong, looking
from include.snapshots.source import Source
from include.state.audit import Action
from include.state.looked import Person
from include.state.tables import instant

READ_SECONDS = 600
# A longer history is read and booked in a process of its own, which gives its memory back.
ROWS_IN_PLACE = 100_000
LONGEST_ID = 500
FOLDER = "customer"
_APART = "include.pipeline.customers.look:look_apart"


@dataclass(frozen=True)
class Customer:
    """What was seen of a holder at `read_at`, on the database's clock. rows: of transactions. large: many of them."""

    holder: Holder
    read_at: datetime
    rows: int
    large: bool
    figures: Figures


def is_id(text: str) -> bool:
    """Return whether a ledger can hold a text as an id: no database takes NUL or half a character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return 0 < len(text) <= LONGEST_ID and "\0" not in text


def look(context: Context, holder: Holder, view: View, *, by: str) -> Customer | None:
    """Return what there is of a holder, and tell the audit chain who looked; None for whom nobody knows.

    Nobody knows who was erased. A card that somebody owns is its owner's: see `owner_of`. Raises Transient when the
    database cannot be reached or takes too long, BadInput when its tables are wrong, LedgerViolation when the rows are.
    """
    if not is_id(holder.id):
        return None
    secrets = erasure_key(context)
    try:
        seen = _look(context, holder, view, secrets, most_rows=ROWS_IN_PLACE)
    except TooLong:
        seen = process.in_process(_APART, context.settings, holder, view, secrets, progress=silent)
    if seen is not None:
        person = Person(holder.kind, holder.id)
        context.state.looked.note(by, Action.CUSTOMER_SEEN, person, {"as_of": instant(seen.figures.at)})
    return seen


def look_apart(
    settings: Settings, holder: Holder, view: View, secrets: Secrets, *, progress: Progress
) -> Customer | None:
    """Look at a holder of many rows, in a process of its own. secrets: with the key of erased people."""
    return _look(Context(settings), holder, view, secrets, progress=progress)


def _look(
    context: Context,
    holder: Holder,
    view: View,
    secrets: Secrets,
    *,
    most_rows: int | None = None,
    progress: Progress = silent,
) -> Customer | None:
    with working_folder(context.settings.scratch, FOLDER) as folder:
        with opened(context, READ_SECONDS, secrets) as ledger:
            taken = ledger.excerpt(holder, needs(), folder, most_rows=most_rows)
        if taken is None:
            return None
        found = figures(taken, view, folder, progress=progress)
    return Customer(holder, instant(taken.read_at), taken.rows, most_rows is None, found)


def owner_of(context: Context, card: str) -> str | None:
    """Return who owns a card; None for nobody, and for a card that is not there."""
    if not is_id(card):
        return None
    with opened(context, READ_SECONDS, erasure_key(context)) as ledger:
        return ledger.owner_of(card)


@contextmanager
def opened(context: Context, seconds: int, secrets: Secrets) -> Iterator[Looking]:
    """Open the ledger for reads that take no longer than that, without the people who were erased.

    secrets: with the key by which they are known, where there are any; BadInput without it.
    """
    source = replace(Source.from_settings(context.settings), statement_seconds=seconds)
    with looking(source, everybody(context.state, secrets)) as ledger:
        yield ledger
