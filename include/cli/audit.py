"""`loyalty audit`: who did what, whether the chain of it is whole, and its head written elsewhere."""

from __future__ import annotations

import re
from typing import Annotated, Any

import typer

from include.cli.shown import ERR, Json, document, instant, table
from include.errors import BadInput, Permanent, Problem

app = typer.Typer(help="Who did what, and whether nobody has touched the record of it.", no_args_is_help=True)


@app.command("list")
def list_(
    action: Annotated[str | None, typer.Option(help="Only this action, such as delivered.")] = None,
    subject: Annotated[str | None, typer.Option(help="Only subjects that begin so: a key, a name.")] = None,
    actor: Annotated[str | None, typer.Option(help="Only what this user did.")] = None,
    since: Annotated[str | None, typer.Option(help="Only from this instant on.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000)] = 100,
    as_json: Json = False,
) -> None:
    """List entries, the newest first."""
    from include.state.audit import Action

    if action is not None and action not in set(Action):
        right = f"known actions are {', '.join(sorted(Action))}"
        raise BadInput([Problem("--action", action, right, "unknown_action")])
    found = _context().state.audit.newest(
        action=None if action is None else Action(action),
        subject=subject,
        actor=actor,
        since=instant("--since", since),
        limit=limit,
    )
    if as_json:
        document([entry.document() for entry in found])
        return
    rows = [
        [
            each.sequence,
            f"{each.at:%Y-%m-%d %H:%M:%S}",
            each.actor,
            each.action,
            _short(each.subject),
            _told(each.detail),
        ]
        for each in found
    ]
    table(["entry", "at (UTC)", "actor", "action", "subject", "detail"], rows)


@app.command()
def verify(
    against: Annotated[
        list[str] | None,
        typer.Option(help="SEQUENCE:SHA256 of an anchor that you hold yourself. Repeatable."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check that no entry was changed, removed, moved or put in, against all anchors that can be read."""
    from include.pipeline.audit import anchors as audit

    found = audit.verify(_context(), [audit.parsed(each) for each in against or ()])
    for place in found.unread:
        ERR.print(f"anchors not read: {place}", style="yellow", markup=False)
    if as_json:
        document(
            {
                "entries": found.entries,
                "head": None if found.head is None else found.head._asdict(),
                "anchors": found.anchors,
                "unread": list(found.unread),
                "problems": [vars(problem) for problem in found.problems],
            }
        )
    if found.problems:
        raise Permanent("\n".join(str(problem) for problem in found.problems))
    if not as_json:
        head = f", the last {found.head.sequence}:{found.head.sha256}" if found.head else ""
        typer.echo(
            f"{found.entries} entries are whole and in order, held against {found.anchors} anchors{head}"
        )
        if not found.anchors:
            typer.echo("without an anchor nobody sees whether the newest entries were taken away")


@app.command()
def anchor(as_json: Json = False) -> None:
    """Write the chain's head to every place of LOYALTY_AUDIT_ANCHORS; Airflow does it every day."""
    from include.pipeline.audit import anchors as audit

    written = audit.anchor(_context())
    if as_json:
        document(written)
        return
    table(["anchor"], [[place] for place in written])


def _context() -> Any:
    from include.pipeline import Context

    return Context.from_settings()


def _short(subject: str) -> str:
    """Return a key's first characters, as other lists show it; --subject finds by them."""
    return subject[:12] if re.fullmatch(r"[0-9a-f]{64}", subject) else subject


def _told(detail: dict[str, Any]) -> str:
    """Return the parts of an entry's detail that are short, for a table; --json shows all."""
    shown = {name: value for name, value in detail.items() if isinstance(value, str | int)}
    return " ".join(
        f"{name}={value}" for name, value in shown.items() if name not in {"run_key", "definition_version"}
    )
