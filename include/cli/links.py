"""`loyalty links`: who can download what, until when, and how to end it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from include.cli.shown import Json, document, table

app = typer.Typer(help="Download links of recipients without a login.", no_args_is_help=True)
Id = Annotated[str, typer.Argument(metavar="ID", help="A link's id, or its first characters.")]


@app.command("list")
def list_(
    run: Annotated[str | None, typer.Option(help="Only links to files of this run.")] = None,
    recipient: Annotated[str | None, typer.Option(help="Only links of this address.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 100,
    as_json: Json = False,
) -> None:
    """List download links, the newest first; their addresses are known to their recipients only."""
    found = _links().list(run_key=run, recipient=recipient, limit=limit)
    if as_json:
        document([{"id": each.id, "state": each.state, **each.model_dump(mode="json")} for each in found])
        return
    rows = [
        [each.id, each.run_key[:12], each.file, each.recipient, each.expires_at, each.downloads, each.state]
        for each in found
    ]
    table(["link", "run", "file", "recipient", "expires at", "downloads", "state"], rows)


@app.command()
def revoke(id_: Id) -> None:
    """End a link at once; what was downloaded by it stays downloaded."""
    found = _links().revoke(id_)
    typer.echo(f"{found.id}: {found.file} for {found.recipient} is {found.state}")


def _links() -> Any:
    from include.pipeline import Context

    return Context.from_settings().state.links
