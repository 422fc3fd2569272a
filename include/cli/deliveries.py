"""`loyalty runs` and `loyalty deliveries`: what was made, and what went where."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from include.cli.shown import Json, document, patiently, progress_bar, table
from include.errors import BadInput, Problem

app = typer.Typer(help="What went where, and trying again.", no_args_is_help=True)
Key = Annotated[str, typer.Argument(metavar="KEY", help="A delivery's key, or its first characters.")]


def runs(
    export: Annotated[str | None, typer.Option(help="Only runs of this export.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 50,
    as_json: Json = False,
) -> None:
    """List runs, the newest first."""
    found = _context().state.runs.list(definition_id=export, limit=limit)
    if as_json:
        document([run.model_dump(mode="json") for run in found])
        return
    rows = [
        [run.run_key[:12], run.definition_id, run.as_of, run.known_at, run.status, _rows(run)]
        for run in found
    ]
    table(["run", "export", "as of", "known at", "status", "rows"], rows)


@app.command("list")
def list_(
    run: Annotated[str | None, typer.Option(help="Only deliveries of this run.")] = None,
    as_json: Json = False,
) -> None:
    """List deliveries with their states."""
    found = _context().state.deliveries.list(run_key=run)
    if as_json:
        document([delivery.model_dump(mode="json") for delivery in found])
        return
    rows = [
        [each.key[:12], each.run_key[:12], each.target, each.state.value, each.rows, each.message]
        for each in found
    ]
    table(["delivery", "run", "target", "state", "rows", "message"], rows)


@app.command()
def show(key: Key) -> None:
    """Print everything that is known of a delivery."""
    document(_find(key).model_dump(mode="json"))


@app.command()
def retry(key: Key) -> None:
    """Try a failed, uncertain or conflicting delivery again, after a person has looked at the target."""
    import getpass

    from include import pipeline
    from include.pipeline.deliver import targets_of

    context = _context()
    delivery = _find(key)
    labels = [target.label for target in targets_of(context.state.runs.get(delivery.run_key))]
    context.state.deliveries.reopen(delivery.key, by=getpass.getuser())
    index = labels.index(delivery.target)
    with progress_bar(quiet=False) as progress:
        receipt = patiently(lambda: pipeline.deliver(context, delivery.run_key, index, progress), wait=True)
    document(receipt)


def _context() -> Any:
    from include.pipeline import Context

    return Context.from_settings()


def _find(key: str) -> Any:
    found = [each for each in _context().state.deliveries.list(limit=100_000) if each.key.startswith(key)]
    if len(found) != 1:
        right = (
            "no delivery begins so"
            if not found
            else f"{len(found)} deliveries begin so: give more of the key"
        )
        raise BadInput([Problem("delivery", key, right, "unknown_delivery")])
    return found[0]


def _rows(run: Any) -> int | None:
    return run.artefacts[0].get("rows") if run.artefacts else None
