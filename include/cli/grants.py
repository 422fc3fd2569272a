"""`loyalty grant`: rights that roles of Airflow have on exports, as the page Access grants and revokes them."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from include.acting import actor
from include.cli.shown import Json, document, table
from include.errors import BadInput, Problem

app = typer.Typer(
    help="Rights of roles on exports: edit, personal, import, administer.", no_args_is_help=True
)
Role = Annotated[str, typer.Argument(help="A role of Airflow's, such as op; in whatever case.")]
Right = Annotated[str, typer.Argument(help="edit, personal, import or administer.")]
ForExport = Annotated[
    str | None, typer.Option("--export", help="For the export of this id; left out, for all.")
]


@app.command("list")
def list_(as_json: Json = False) -> None:
    """List what was granted, by role; the role admin has every right without it."""
    found = _context().state.grants.list()
    if as_json:
        document([each.model_dump(mode="json") for each in found])
        return
    rows = [
        [each.role, each.right, each.definition_id, each.granted_by, f"{each.at:%Y-%m-%d %H:%M:%S} UTC"]
        for each in found
    ]
    table(["role", "right", "export", "granted by", "at"], rows)


@app.command()
def add(role: Role, right: Right, export: ForExport = None) -> None:
    """Grant a right to a role; it counts within seconds. What it has already is no error."""
    from include.pipeline.exports import unknown
    from include.state.grants import EVERY, grant_problems

    context = _context()
    which = export or EVERY
    problems = [*grant_problems(role, right, which), *unknown(context, {which} - {EVERY}, "export")]
    if problems:
        raise BadInput(problems)
    given = context.state.grants.grant(role, right, which, by=actor())
    typer.echo(f"{role}: {right} {_of(which)}" + ("" if given else ", as before"))


@app.command()
def revoke(role: Role, right: Right, export: ForExport = None) -> None:
    """Take a right away from a role, as it was granted: for one export, or for all."""
    from include.state.grants import EVERY

    which = export or EVERY
    if not _context().state.grants.revoke(role, right, which, by=actor()):
        wanted = "a right that the role has; `loyalty grant list` shows them"
        raise BadInput([Problem("grant", f"{role}: {right} {_of(which)}", wanted, "unknown_grant")])
    typer.echo(f"{role}: no longer {right} {_of(which)}")


def _of(which: str) -> str:
    from include.state.grants import EVERY

    return "all exports" if which == EVERY else which


def _context() -> Any:
    from include.pipeline import Context

    return Context.from_settings()
