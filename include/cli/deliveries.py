"""`loyalty runs` and `loyalty deliveries`: what was made, what went where, and what waits for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from include.cli.shown import Json, document, instant, patiently, progress_bar, table
from include.errors import BadInput, Problem

if TYPE_CHECKING:
    from include.pipeline import Context
    from include.state.deliveries import Delivery, DeliveryState
    from include.state.runs import RunRecord

app = typer.Typer(help="What went where, what waits for a person, and trying again.", no_args_is_help=True)
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
    export: Annotated[str | None, typer.Option(help="Only deliveries of this export.")] = None,
    run: Annotated[str | None, typer.Option(help="Only deliveries of this run (its whole key).")] = None,
    state: Annotated[
        list[str] | None, typer.Option(help="Only deliveries in this state, such as failed. Repeatable.")
    ] = None,
    target: Annotated[str | None, typer.Option(help="Only deliveries to the target of this name.")] = None,
    since: Annotated[
        str | None, typer.Option(help="Only those to which something happened since this instant.")
    ] = None,
    waiting: Annotated[
        bool, typer.Option("--waiting", help="Only those that wait for a person: uncertain, in conflict.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most so many, the newest.")] = 200,
    as_json: Json = False,
) -> None:
    """List deliveries with their states, the newest last. Times are UTC."""
    from include.cli.delivery_text import listed

    context = _context()
    found = context.state.deliveries.list(
        run_key=run,
        definition_ids=None if export is None else [export],
        target=target,
        states=_states(state or [], waiting=waiting),
        since=instant("--since", since),
        limit=limit,
    )
    of = {key: context.state.runs.get(key) for key in {each.run_key for each in found}}
    if as_json:
        document([_document(each, of[each.run_key]) for each in found])
        return
    heads = ["delivery", "export", "as of", "target", "state", "last change", "rows", "message"]
    table(heads, [listed(each, of[each.run_key]) for each in found])


@app.command()
def show(key: Key, as_json: Json = False) -> None:
    """Tell everything that is known of a delivery: what went where, who has it, its history, what to do now."""
    from include.cli.delivery_text import shown
    from include.pipeline import resolving

    context = _context()
    delivery = resolving.find(context, key)
    run = context.state.runs.get(delivery.run_key)
    history = context.state.audit.newest(subject=delivery.key)[::-1]
    if as_json:
        told = [entry.model_dump(mode="json") for entry in history]
        document({**_document(delivery, run), "history": told})
        return
    typer.echo(shown(delivery, run, history))


@app.command()
def retry(key: Key, as_json: Json = False) -> None:
    """Try a failed, uncertain or conflicting delivery again, after a person has looked at the target."""
    from include.cli.delivery_text import places
    from include.pipeline import resolving

    context = _context()
    delivery = resolving.find(context, key)
    with progress_bar(quiet=as_json) as progress:
        receipt = patiently(lambda: resolving.retry(context, delivery, progress), wait=True)
    if as_json:
        document(receipt)
        return
    typer.echo("\n".join([f"{delivery.target}: confirmed", *places(receipt)]))


@app.command()
def resolve(
    key: Key,
    arrived: Annotated[
        bool | None,
        typer.Option(
            "--arrived/--not-arrived",
            help="The receiver has it: it counts as confirmed, by your word. Or nothing of it arrived: it is open "
            "again, with nothing in doubt.",
        ),
    ] = None,
    note: Annotated[
        str, typer.Option(help="Who said so, or how you know; it is kept with the delivery.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Say whether a delivery arrived that nobody could be sure of. Who says so, and when, is kept."""
    from include.pipeline import resolving

    if arrived is None:
        right = "say --arrived or --not-arrived; `loyalty deliveries show` tells what is known"
        raise BadInput([Problem("resolve", key, right, "nothing_said")])
    context = _context()
    done = resolving.resolve(context, resolving.find(context, key), arrived=arrived, note=note)
    if as_json:
        document(_document(done, context.state.runs.get(done.run_key)))
        return
    typer.echo(f"{done.target}: {done.state.value}: {done.message}")
    if step := resolving.next_step(done):
        typer.echo(step)


def _context() -> Context:
    from include.pipeline import Context

    return Context.from_settings()


def _document(delivery: Delivery, run: RunRecord) -> dict[str, Any]:
    """Return a delivery for machines, with what a list wants to know of its run, and what to do now."""
    from include.pipeline import resolving

    about = {"definition_id": run.definition_id, "as_of": run.as_of, "revision": run.revision}
    return {
        **delivery.model_dump(mode="json"),
        **about,
        "is_live": delivery.is_live,
        "next_step": resolving.next_step(delivery),
    }


def _states(names: list[str], *, waiting: bool) -> list[DeliveryState]:
    from include.state.deliveries import WAITING, DeliveryState

    known = {state.value for state in DeliveryState}
    right = f"states are {', '.join(sorted(known))}"
    if wrong := [name for name in names if name not in known]:
        raise BadInput([Problem("--state", name, right, "unknown_state") for name in wrong])
    return [*map(DeliveryState, names), *(WAITING if waiting else ())]


def _rows(run: Any) -> int | None:
    return run.artefacts[0].get("rows") if run.artefacts else None
