"""An import in words: for who must decide about it, and for who is told how it ended. No member is named in any."""

from __future__ import annotations

import logging
from decimal import Decimal
from typing import Any

from include.definitions.notify import Event, covers
from include.imports.effects import Rehearsal
from include.imports.options import Mode, Options
from include.notices.installation import Installation
from include.notices.notice import Notice, Table
from include.notices.recipients import email
from include.pipeline import notify
from include.pipeline.context import Context
from include.settings import WEB_PREFIX
from include.state.imports import ImportRecord, ImportState
from include.state.notices import Address

LOG = logging.getLogger(__name__)
PAGE = "The import"
DOES = {
    Mode.ADD: "Adds points",
    Mode.RESET: "Sets balances",
    Mode.BIRTHDAY: "Sets birthdays",
    Mode.POINTS: "Adds points (Talon.One's form)",
    Mode.UNDO: "Takes an import back",
}
_EVENTS: dict[ImportState, Event] = {
    ImportState.POSTED: "finished",
    ImportState.WRONG: "failed",
    ImportState.REFUSED: "skipped",
    ImportState.WAITING: "uncertain",
}
_TITLES = {
    ImportState.POSTED: "posted",
    ImportState.WRONG: "wrong rows, nothing posted",
    ImportState.REFUSED: "refused, nothing posted",
    ImportState.WAITING: "waits for a second person",
}


def what(options: Options) -> str:
    """Return what an import does and where: `Adds points in the program gold, subledger winter`."""
    said = DOES[options.mode] + (f" in the program {options.program}" if options.program else "")
    more = [f"subledger {options.subledger}" if options.subledger else "", "to cards" if options.card else ""]
    return ", ".join([said, *filter(None, more)])


def figures(rehearsal: Rehearsal) -> list[tuple[str, str]]:
    """Return what would happen in total, each with its name."""
    found = [
        ("Rows", f"{rehearsal.rows:,}"),
        ("Done", f"{rehearsal.done:,}"),
        ("Skipped", f"{rehearsal.skipped:,}"),
        ("Wrong", f"{rehearsal.wrong:,}"),
        ("Members", f"{rehearsal.members:,}"),
    ]
    if not rehearsal.accounts:  # birthdays move no points
        return found
    found += [
        ("Accounts", f"{rehearsal.accounts:,}"),
        ("Points in", points(rehearsal.points_in)),
        ("Points out", points(rehearsal.points_out)),
        ("Balances", _change(rehearsal.balance_before, rehearsal.balance_after)),
        ("Pending points", _change(rehearsal.pending_before, rehearsal.pending_after)),
    ]
    if rehearsal.debts:
        found.append(("Accounts that end below zero", f"{rehearsal.debts:,}"))
    found += [
        (
            f"Liability of {each.program_id}" + (f", {each.currency}" if each.currency else ""),
            _change(each.outstanding_before, each.outstanding_after, "points")
            + (f", {each.money:+,.2f} {each.currency} at cost" if each.money is not None else ""),
        )
        for each in rehearsal.liability
    ]
    found += [
        (
            f"Tier {each.tier or 'none'} of {each.program_id}",
            f"{counted(each.members, 'member')}, {points(each.points)} points",
        )
        for each in rehearsal.tiers
    ]
    return [*found, ("Tiers that change", f"{rehearsal.tier_changes:,}")]


def counted(number: int, thing: str) -> str:
    """Return `1 row` or `1,234 rows`."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def points(value: Decimal) -> str:
    """Return points as people read them: `1,234.5`."""
    text = f"{value:,.2f}"
    return text.rstrip("0").rstrip(".")


def place(context: Context, import_id: str) -> str | None:
    """Return the address of the import's page, None where the installation has no address."""
    url = context.settings.public_url
    return f"{url}{WEB_PREFIX}/imports/{import_id}" if url else None


def question(record: ImportRecord, page: str | None, approvers: tuple[str, ...]) -> str:
    """Return what a second person is asked, in Markdown: the rehearsal, and whose answer counts."""
    assert record.rehearsal is not None
    rows = "\n".join(f"| {_plain(name)} | {_plain(value)} |" for name, value in figures(record.rehearsal))
    named = f"{', '.join(approvers)} may answer here. " if approvers else ""
    shown = f"[the page of the import]({page})" if page else "the page Imports"
    return (
        f"**{_plain(what(record.options))}**, from the file {_plain(record.file_name)}, asked for by "
        f"**{_plain(record.requested_by)}**.\n\n| If it is posted | |\n|---|---:|\n{rows}\n\n"
        f"Each row stands on {shown}, where whoever has the right *import* can approve too. {named}"
        f"An answer of {_plain(record.requested_by)}, or of anybody else, does not count: then this is asked again."
    )


def tell(
    context: Context, record: ImportRecord, *, failure: str | None = None, attempt: str = ""
) -> list[str]:
    """Tell who should know how the import stands; return the notices' keys. Never raises.

    failure: why a step of it ended without an outcome; attempt: tells one such end from the next.
    """
    event = "failed" if failure else _EVENTS.get(record.state)
    if event is None:
        return []
    try:
        installation = Installation.from_settings(context.settings)
        to = _recipients(context, installation, record, event)
        seen = record.rehearsal.at.isoformat() if record.rehearsal else ""
        subject = f"{record.import_id} {record.state.value} {attempt if failure else seen}"
        keys = notify.put(context, notice(context, record, event, failure), subject, to, None)
        notify.send(context, keys)
    except Exception:
        LOG.exception("%s: nobody could be told of the import", record.import_id)
        return []
    return keys


def notice(context: Context, record: ImportRecord, event: Event, failure: str | None = None) -> Notice:
    """Return what people and machines are told."""
    title = "not finished" if failure else _TITLES[record.state]
    said = [f"{what(record.options)}, asked for by {record.requested_by}."]
    if record.decided_by:
        note = f": {record.decision_note}" if record.decision_note else ""
        said.append(f"{record.decided_by} {record.decision} it{note}.")
    rehearsal, receipt = record.rehearsal, record.receipt
    tables = [] if rehearsal is None else [_table(rehearsal)]
    return Notice(
        event=event,
        title=f"Import {record.file_name}: {title}",
        said=(*said, *([failure] if failure else [])),
        tables=tuple(tables),
        todo=_todo(record, failure),
        page=place(context, record.import_id),
        page_name=PAGE,
        facts={
            "import": record.import_id,
            "file": record.file_name,
            "sha256": record.sha256,
            "mode": record.options.mode.value,
            "program": record.options.program,
            "state": record.state.value,
            "requested_by": record.requested_by,
            "decided_by": record.decided_by,
            "posted_by": record.posted_by,
            "rows": rehearsal.rows if rehearsal else None,
            "wrong": rehearsal.wrong if rehearsal else None,
            "points_in": str(receipt.points_in) if receipt else None,
            "points_out": str(receipt.points_out) if receipt else None,
            "failure": failure,
        },
    )


def _table(rehearsal: Rehearsal) -> Table:
    return Table(title="In total", head=("", ""), rows=tuple(figures(rehearsal)), numbers=(1,))


def _todo(record: ImportRecord, failure: str | None) -> tuple[str, ...]:
    if failure:
        return (
            "Put right what it says, then run it again on its page. What was posted is not posted twice.",
        )
    if record.state is ImportState.WAITING:
        return (
            f"Somebody other than {record.requested_by} looks at the rehearsal, and approves or refuses it.",
        )
    if record.state is ImportState.WRONG:
        return ("Correct the rows that the result file names, and import the file again.",)
    return ()


def _recipients(
    context: Context, installation: Installation, record: ImportRecord, event: Event
) -> list[Address]:
    """Return who asked, of what waits those who may answer, and whom the installation names, each once."""
    asked = context.state.keys.person_behind(record.requested_by)
    people = [asked, *(context.settings.import_approvers if event == "uncertain" else ())]
    found = [installation.address_of(each) for each in people] if installation.requester else []
    if covers(installation.when, event):
        found += installation.emails
    to = [email(each, installation.mail) for each in dict.fromkeys(found) if each]
    if not notify.reachable(context, installation):
        to = []
    if installation.webhook and covers(installation.when, event):
        to.append(Address("webhook", installation.webhook, {"connection": installation.webhook}))
    return to


def _change(before: Decimal, after: Decimal, unit: str = "") -> str:
    behind = f" {unit}" if unit else ""
    return f"{points(before)} \N{RIGHTWARDS ARROW} {points(after)}{behind}"


def _plain(text: Any) -> str:
    """Return a text that Markdown shows as it is."""
    return "".join(f"\\{each}" if each in r"\`*_{}[]<>()#+-!|~" else each for each in str(text))
