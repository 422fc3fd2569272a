"""`loyalty import` and `loyalty imports`: files of points and birthdays into the ledger."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from include.cli.shown import ERR, Json, document, patiently, progress_bar, table, user
from include.errors import BadInput, Problem
from include.imports.options import Mode

app = typer.Typer(
    help="What was imported, by whom and when; approve, post and take back.", no_args_is_help=True
)
Id = Annotated[
    str, typer.Argument(metavar="IMPORT", help="The import's id, as `loyalty imports list` shows it.")
]
By = Annotated[str | None, typer.Option(help="In whose name; left out, the user of this machine.")]
_SHOWN_ROWS = 20


def import_(
    file: Annotated[Path, typer.Argument(help="A CSV, TSV or XLSX file, also zipped or gzipped.")],
    mode: Annotated[Mode, typer.Option(help="What its rows mean: add, reset, birthday or points.")],
    program: Annotated[str, typer.Option(help="The program whose points move.")] = "",
    subledger: Annotated[str, typer.Option(help="The subledger of rows that name none.")] = "",
    card: Annotated[bool, typer.Option("--card", help="Points go to members' cards.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would happen, and book nothing.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="The same file is meant to be imported once more.")
    ] = False,
    renewed: Annotated[
        bool, typer.Option("--renewed", help="A file of this name was imported; the new bytes are meant.")
    ] = False,
    by: By = None,
    as_json: Json = False,
) -> None:
    """Rehearse a file and post it: all of its rows in one database transaction, or none. See docs/imports.md."""
    from include.imports.options import Options
    from include.pipeline import Context, imports

    context, who = Context.from_settings(), by or user()
    if not file.is_file():
        raise BadInput(
            [
                Problem(
                    "FILE",
                    str(file),
                    "there is no such file: give the path of a CSV, XLSX, zip or gzip file",
                    "no_file",
                )
            ]
        )
    options = Options(mode=mode, program=program, subledger=subledger, card=card)
    record = imports.receive(
        context, file, name=file.name, options=options, by=who, again=again, renewed=renewed
    )
    before = record.state
    with progress_bar(quiet=as_json) as progress:
        step = imports.rehearse if dry_run else imports.run
        more: dict[str, Any] = {} if dry_run else {"by": who}
        record = patiently(lambda: step(context, record.import_id, progress=progress, **more), wait=True)
    _end(context, record, before, as_json=as_json, tells=not dry_run)


@app.command("list")
def list_(
    limit: Annotated[int, typer.Option(min=1, help="So many, the newest first.")] = 50, as_json: Json = False
) -> None:
    """List imports: what, where they stand, who asked, who agreed, who posted, when."""
    from include.pipeline import Context, imports

    found = imports.history(Context.from_settings(), limit=limit)
    if as_json:
        document([each.model_dump(mode="json") for each in found])
        return
    columns = [
        "import",
        "file",
        "mode",
        "program",
        "state",
        "rows",
        "points",
        "asked by",
        "asked at",
        "posted by",
        "posted at",
    ]
    table(columns, [_line(each) for each in found])


@app.command("show")
def show(import_id: Id, as_json: Json = False) -> None:
    """Show an import: what it would do or did, and its first rows, wrong ones first."""
    from include.pipeline import Context, imports

    context = Context.from_settings()
    _show(context, imports.get(context, import_id), as_json=as_json)


@app.command("approve")
def approve(
    import_id: Id,
    by: By = None,
    note: Annotated[str, typer.Option(help="Why.")] = "",
    as_json: Json = False,
) -> None:
    """Agree to an import that waits for a second person, and post it."""
    from include.pipeline import Context, imports

    context, who = Context.from_settings(), by or user()
    imports.approve(context, import_id, by=who, note=note)
    _post(context, import_id, who, as_json=as_json)


@app.command("refuse")
def refuse(
    import_id: Id,
    reason: Annotated[str, typer.Option(help="Why.")] = "",
    by: By = None,
    as_json: Json = False,
) -> None:
    """Say that an import will not be posted."""
    from include.pipeline import Context, imports
    from include.pipeline.imports.telling import tell

    context = Context.from_settings()
    record = imports.refuse(context, import_id, by=by or user(), reason=reason)
    _show(context, record, as_json=as_json)
    tell(context, record)


@app.command("post")
def post(import_id: Id, by: By = None, as_json: Json = False) -> None:
    """Post an import that was rehearsed and, where it must be, approved."""
    from include.pipeline import Context

    _post(Context.from_settings(), import_id, by or user(), as_json=as_json)


@app.command("rehearse")
def rehearse(import_id: Id, as_json: Json = False) -> None:
    """Find out anew what posting would do."""
    from include.pipeline import Context, imports

    context = Context.from_settings()
    with progress_bar(quiet=as_json) as progress:
        record = patiently(lambda: imports.rehearse(context, import_id, progress=progress), wait=True)
    _end(context, record, record.state, as_json=as_json)


@app.command("undo")
def undo(
    import_id: Id,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would happen, and book nothing.")
    ] = False,
    by: By = None,
    as_json: Json = False,
) -> None:
    """Take a posted import back, lot by lot; it is rehearsed and, where the import was, approved like any other."""
    from include.pipeline import Context, imports

    context, who = Context.from_settings(), by or user()
    with progress_bar(quiet=as_json) as progress:
        record = patiently(lambda: imports.undo(context, import_id, by=who, progress=progress), wait=True)
        before = record.state
        if not dry_run:
            record = patiently(
                lambda: imports.run(context, record.import_id, by=who, progress=progress), wait=True
            )
    _end(context, record, before, as_json=as_json, tells=not dry_run)


@app.command("resume")
def resume(as_json: Json = False) -> None:
    """Finish what a crash left half posted."""
    from include.pipeline import Context, imports
    from include.state.imports import ImportState
    from include.state.leases import ATTEMPT

    context = Context.from_settings()
    found = imports.resume(context)
    if as_json:
        document([each.model_dump(mode="json") for each in found])
    ERR.print(f"{len(found)} imports were finished", markup=False)
    for each in imports.history(context, states=[ImportState.POSTING]):
        told = f"is being posted; where it was killed, ask again in {ATTEMPT // timedelta(minutes=1)} minutes"
        ERR.print(f"{each.import_id} {told}", markup=False)


@app.command("file")
def file_(
    import_id: Id,
    kind: Annotated[str, typer.Argument(help="result, undo or original.")] = "result",
    to: Annotated[Path | None, typer.Option(help="Write into this file instead of standard output.")] = None,
) -> None:
    """Print a file of an import: what became of each row, the one that takes it back, or what was received."""
    from include.pipeline import Context, imports
    from include.pipeline.imports import keeping

    context = Context.from_settings()
    makes: dict[str, Any] = {
        "result": imports.result_file,
        "undo": imports.undo_file,
        "original": imports.original,
    }
    if kind not in makes:
        raise BadInput([Problem("KIND", kind, f"known are {', '.join(makes)}", "unknown_kind")])
    imports.get(context, import_id)
    keeping.refuse_gone(context, import_id)
    chunks = makes[kind](context, import_id)
    if chunks is None:
        raise BadInput(
            [
                Problem(
                    "import",
                    import_id,
                    f"it has no {kind} file yet: `loyalty imports show` says what is to be done next",
                    "no_file",
                )
            ]
        )
    _write(chunks, to)


@app.command("template")
def template(
    mode: Annotated[Mode, typer.Argument(help="add, reset, birthday or points.")],
    to: Annotated[Path | None, typer.Option(help="Write into this file; .xlsx makes a workbook.")] = None,
) -> None:
    """Print a file to begin with."""
    from include.imports.templates import template as made

    workbook = to is not None and to.suffix.lower() == ".xlsx"
    _write([made(mode.value, "xlsx" if workbook else "csv").content], to)


def _write(chunks: Any, to: Path | None) -> None:
    if to is None:
        for chunk in chunks:
            sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()
        return
    with to.open("wb") as out:
        for chunk in chunks:
            out.write(chunk)


def _post(context: Any, import_id: str, who: str, *, as_json: bool) -> None:
    from include.pipeline import imports

    before = imports.get(context, import_id).state
    with progress_bar(quiet=as_json) as progress:
        record = patiently(lambda: imports.post(context, import_id, by=who, progress=progress), wait=True)
    _end(context, record, before, as_json=as_json, tells=True)


def _end(context: Any, record: Any, before: str, *, as_json: bool, tells: bool = False) -> None:
    """Show where an import stands now, and tell who should know; exit with 2 where rows are wrong."""
    from include.pipeline.imports.telling import tell

    _show(context, record, as_json=as_json)
    if tells:
        tell(context, record)
    if record.state == "wrong":
        raise typer.Exit(2)
    words = {
        "posted": "it was posted before: nothing was done" if before == "posted" else "posted",
        "waiting": f"nothing was booked: a second person must approve it (loyalty imports approve {record.import_id})",
        "rehearsed": f"nothing was booked (loyalty imports post {record.import_id})",
        "refused": "it was refused: nothing was done (--again imports the file anew)",
        "undone": "it was posted and taken back: nothing was done (--again imports the file anew)",
    }
    ERR.print(words.get(record.state, str(record.state)), markup=False, soft_wrap=True)


def _line(each: Any) -> list[object]:
    seen = each.rehearsal
    return [
        each.import_id,
        each.file_name,
        each.options.mode,
        "/".join(filter(None, [each.options.program, each.options.subledger])),
        each.state,
        seen.rows if seen else None,
        f"{seen.points_in:+} {seen.points_out}" if seen and each.options.program else None,
        each.requested_by,
        f"{each.requested_at:%Y-%m-%d %H:%M:%S} UTC",
        each.posted_by,
        f"{each.posted_at:%Y-%m-%d %H:%M:%S} UTC" if each.posted_at else None,
    ]


def _show(context: Any, record: Any, *, as_json: bool) -> None:
    from include.imports.effects import RowStatus
    from include.pipeline import imports

    wrong = imports.rows(context, record.import_id, only=RowStatus.WRONG, limit=_SHOWN_ROWS)
    shown = wrong or imports.rows(context, record.import_id, limit=_SHOWN_ROWS)
    if as_json:
        rows = [each.model_dump(mode="json") for each in shown]
        document({**record.model_dump(mode="json"), "rows": rows})
        return
    table(["", ""], _facts(record), f"{record.import_id} {record.file_name}")
    if shown:
        columns = ["row", "status", "member", "customer", "card", "points", "before", "after", "outcome"]
        cells = [
            [
                x.row,
                x.status,
                x.member,
                x.customer,
                x.card,
                x.points,
                x.balance_before,
                x.balance_after,
                x.said,
            ]
            for x in shown
        ]
        table(columns, cells, "wrong rows" if wrong else "first rows")


def _facts(record: Any) -> list[list[object]]:
    seen = record.rehearsal
    facts: list[list[object]] = [["mode", record.options.mode], ["state", record.state]]
    for what, who, at in (
        ("asked", record.requested_by, record.requested_at),
        (record.decision, record.decided_by, record.decided_at),
        ("posted", record.posted_by, record.posted_at),
    ):
        facts += [[f"{what} by", f"{who}, {at:%Y-%m-%d %H:%M:%S} UTC"]] if who and at else []
    facts += [["note of the second person", record.decision_note]] if record.decision_note else []
    if seen is None:
        return facts
    facts += [["rows", f"{seen.rows}: {seen.done} to book, {seen.skipped} skipped, {seen.wrong} wrong"]]
    facts += [["note", note] for note in seen.notes]
    return [*facts, *_effects(seen)] if record.options.program and seen.done else facts


def _effects(seen: Any) -> list[list[object]]:
    found: list[list[object]] = [
        ["points", f"{seen.points_in:+} {seen.points_out}"],
        ["accounts", f"{seen.accounts} of {seen.members} members, {seen.debts} end below zero"],
        ["balances", f"{seen.balance_before} -> {seen.balance_after}"],
        ["pending", f"{seen.pending_before} -> {seen.pending_after}"],
    ]
    for tier in seen.tiers:
        who = f"{tier.members} members, {tier.points:+}; nobody's tier changes"
        found.append([f"tier {tier.tier or 'none'}", who])
    for owed in seen.liability:
        money = "" if owed.money is None else f", {owed.money:+} {owed.currency} before expected breakage"
        outstanding = f"{owed.outstanding_before} -> {owed.outstanding_after} points outstanding{money}"
        found.append(["liability", outstanding])
    return found
