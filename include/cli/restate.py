"""`loyalty export restate`: look at delivered periods again, with what is known now."""

from __future__ import annotations

from typing import Annotated

import typer

from include.cli.export import Name, deliver_to_each, find
from include.cli.shown import Json, document, patiently, progress_bar, table, user
from include.errors import LoyaltyError, Permanent


def command(
    name: Name,
    last: Annotated[
        int | None, typer.Option(min=1, max=1000, help="How many of the newest periods; as the export says.")
    ] = None,
    run: Annotated[
        str | None,
        typer.Option(help="Only the period of this run: the first characters of its key, or latest."),
    ] = None,
    deliver: Annotated[bool, typer.Option("--deliver", help="Deliver what changed to the targets.")] = False,
    as_json: Json = False,
) -> None:
    """Make a restatement of each delivered period that late rows have changed; what was delivered stays as it is."""
    from include import pipeline
    from include.pipeline import restate

    definition = find(name)
    context = pipeline.Context.from_settings()
    if run is not None:
        periods = [restate.find(context, definition, run)]
    else:
        periods = restate.delivered(context, definition, last or definition.restate.last or 1)
    found, failures = [], []
    with progress_bar(quiet=as_json) as progress:
        for each in periods:
            try:
                again = patiently(
                    lambda: restate.look_again(context, each.run_key, progress, requested_by=user()),  # noqa: B023 - called at once
                    wait=True,
                )
                if deliver and not again.skipped:
                    targets = restate.reached(context, again)
                    deliver_to_each(context, again.run_key, targets, progress, wait=True)
                    pipeline.settle(context, again.run_key, targets)  # what went wrong is in what it raises
                    again = context.state.runs.get(again.run_key)
                found.append(again)
            except LoyaltyError as error:
                failures.append(f"{each.as_of:%Y-%m-%d}: {error}")
    if as_json:
        document([again.model_dump(mode="json") for again in found])
    else:
        rows = [
            [
                again.run_key[:12],
                again.as_of,
                again.revision,
                again.status.value,
                again.skipped or _told(again.files),
            ]
            for again in found
        ]
        table(["run", "as of", "revision", "status", ""], rows, f"{definition.name}: looked at again")
    if failures:
        raise Permanent("\n".join(failures))


def _told(files: list[dict[str, object]]) -> str:
    """Return the sentences of the files, each once."""
    told = [sentence for each in files for sentence in each.get("told", ())]  # type: ignore[attr-defined]
    return "\n".join(dict.fromkeys(told))
