"""`loyalty key`: the API keys of programs without a login, as the page Keys makes and revokes them."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

import typer

from include.acting import actor
from include.cli.shown import ERR, Json, document, table

app = typer.Typer(help="API keys: who may ask without a login of Airflow, and what.", no_args_is_help=True)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Who uses the key, such as the name of a program.")],
    scope: Annotated[
        list[str] | None, typer.Option(help="What it may do, such as runs:read. Repeatable.")
    ] = None,
    export: Annotated[
        list[str] | None, typer.Option(help="Only for the export of this id. Repeatable; left out, for all.")
    ] = None,
    days: Annotated[
        int | None, typer.Option(min=1, max=10_000, help="For how many days; left out, 90.")
    ] = None,
    per_minute: Annotated[
        int | None, typer.Option(help="How many requests a minute at most; left out, 600.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a key and print it, this once: only its hash is kept."""
    from include.errors import BadInput
    from include.pipeline import Context
    from include.pipeline.exports import unknown
    from include.state.keys import LIFETIME, PER_MINUTE, key_problems

    context = Context.from_settings()
    scopes, exports = scope or [], export or []
    wish: dict[str, Any] = {
        "exports": exports,
        "expires": LIFETIME if days is None else timedelta(days=days),
        "per_minute": PER_MINUTE if per_minute is None else per_minute,
    }
    problems = [*key_problems(name, scopes, **wish), *unknown(context, exports, "exports")]
    if problems:
        raise BadInput(problems)
    made = context.state.keys.make(name, scopes, by=actor(), **wish)
    if as_json:
        document({"key": made.key, **_public(made.record)})
        return
    ERR.print(
        f"{made.record.id} for {made.record.name}, until {made.record.expires_at:%Y-%m-%d %H:%M:%S} UTC. "
        "The key is shown this once:",
        markup=False,
    )
    typer.echo(made.key)


@app.command("list")
def list_(
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 1000,
    as_json: Json = False,
) -> None:
    """List keys, the newest first, without what would make them usable. Times are UTC."""
    found = _keys().list(limit=limit)
    if as_json:
        document([_public(each) for each in found])
        return
    rows = [
        [
            each.id,
            each.name,
            " ".join(sorted(each.scopes)),
            " ".join(each.exports) or "all",
            each.created_by,
            f"{each.expires_at:%Y-%m-%d %H:%M:%S}",
            each.requests,
            each.last_used_at and f"{each.last_used_at:%Y-%m-%d %H:%M:%S}",
            each.status,
        ]
        for each in found
    ]
    columns = ["key", "name", "scopes", "exports", "made by", "expires at", "requests", "last used", "status"]
    table(columns, rows)


@app.command()
def revoke(id_: Annotated[str, typer.Argument(metavar="ID", help="A key's id.")]) -> None:
    """End a key; it is refused everywhere within seconds."""
    found = _keys().revoke(id_, by=actor())
    typer.echo(f"{found.id}: {found.name} is {found.status}")


def _public(record: Any) -> dict[str, Any]:
    shown = record.model_dump(mode="json", exclude={"active"})
    return {**shown, "scopes": sorted(record.scopes), "status": record.status}


def _keys() -> Any:
    from include.pipeline import Context

    return Context.from_settings().state.keys
