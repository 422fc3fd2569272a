"""`loyalty snapshot`, `loyalty upkeep` and `loyalty verify`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from include.cli.shown import Json, document, patiently, progress_bar, table
from include.errors import Permanent


def snapshot(
    wait: Annotated[bool, typer.Option(help="Wait while it is too early.")] = True, as_json: Json = False
) -> None:
    """Take a snapshot of the ledger now, with what all enabled exports need; or find a fresh one."""
    from include.pipeline import Context
    from include.pipeline.snapshot import take_now

    context = Context.from_settings()
    until = datetime.now(UTC) - context.settings.settle_delay
    with progress_bar(quiet=as_json) as progress:
        made = patiently(lambda: take_now(context, until, progress), wait=wait)
    if as_json:
        document(made.model_dump(mode="json"))
        return
    rows = [
        [name, each.rows, len(each.files), sum(f.bytes for f in each.files)]
        for name, each in made.relations.items()
    ]
    table(["relation", "rows", "files", "bytes"], rows, f"Snapshot {made.id}, read at {made.read_at}")


def upkeep(as_json: Json = False) -> None:
    """Retire old snapshots that no run needs, clear away dead uploads; Airflow does it every day."""
    from include import pipeline

    done = pipeline.upkeep(pipeline.Context.from_settings())
    if as_json:
        document(done)
        return
    table(["retired snapshot"], [[snapshot_id] for snapshot_id in done["retired_snapshots"]])
    typer.echo(f"{done['cleared_uploads']} uploads of dead writers cleared away")


def verify(
    manifests: Annotated[list[Path], typer.Argument(help="Manifest files, each beside its data file.")],
) -> None:
    """Check files against their manifests: bytes, rows, totals, and the chain."""
    from include.formats.verify import verify as check

    problems = [problem for path in manifests for problem in check(path)]
    if problems:
        raise Permanent("\n".join(str(problem) for problem in problems))
    typer.echo(f"all files of {len(manifests)} manifests are what these say")
