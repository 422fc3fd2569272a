"""`loyalty spark`: a report made by Spark from a snapshot."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from include.cli.shown import Json, document, instant, user
from include.errors import BadInput, Problem


def spark(
    report: Annotated[
        str, typer.Argument(help="A report of booked accounts: balance, history, liability...")
    ],
    as_of: Annotated[str, typer.Option(help="Report the ledger as it was at this instant.")],
    out: Annotated[str, typer.Option(help="A new folder, or a URL that Spark can write to.")],
    start: Annotated[str | None, typer.Option("--from", help="Where the period begins.")] = None,
    known_at: Annotated[
        str | None, typer.Option(help="What was known by this instant; by default all that is settled.")
    ] = None,
    options: Annotated[str, typer.Option(help="The report's options, as a JSON object.")] = "{}",
    timezone: Annotated[str, typer.Option(help="An IANA time zone.")] = "UTC",
    snapshot: Annotated[
        str | None, typer.Option(help="The snapshot's id; by default the newest that holds what is read.")
    ] = None,
    tasks: Annotated[
        int | None, typer.Option(min=1, max=65_535, help="How many ranges of accounts; by default by rows.")
    ] = None,
    kind: Annotated[str, typer.Option("--format", help="A format of Spark's.")] = "parquet",
    master: Annotated[
        str | None, typer.Option(help="Spark's master, such as local[4]; by default as Spark is configured.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a report with Spark: the rows of `loyalty export run`, from the same snapshot, by the same kernel."""
    from include.pipeline import Context
    from include.spark.plan import Question, plan
    from include.spark.write import session, write

    moment = instant("--as-of", as_of)
    assert moment is not None
    question = Question(
        report=report,
        as_of=moment,
        start=instant("--from", start),
        known_at=instant("--known-at", known_at),
        options=_object(options),
        timezone=timezone,
        snapshot_id=snapshot,
    )
    context = Context.from_settings()
    planned = plan(context, question, tasks=tasks)
    with session(master) as spark_session:
        rows = write(context, spark_session, planned, out, kind, by=user())
    if as_json:
        document({"snapshot": planned.manifest.id, "tasks": planned.tasks, "rows": rows, "out": out})
    else:
        typer.echo(f"{rows} rows of {report} are in {out}, from snapshot {planned.manifest.id}")


def _object(text: str) -> dict[str, object]:
    right = 'must be a JSON object, such as {"include_zero": false}'
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise BadInput([Problem("--options", text, right, "bad_options")])
    return found
