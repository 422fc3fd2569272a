"""`loyalty snapshot`, `loyalty upkeep` and `loyalty verify`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from include.cli.shown import ERR, Json, document, patiently, progress_bar, table
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
    """Close runs that died, retire old snapshots and files, clear away what the dead left; Airflow does it daily."""
    from include.pipeline import Context
    from include.pipeline.upkeep import upkeep

    done = upkeep(Context.from_settings())
    if as_json:
        document(done)
        return
    rows = [["snapshot retired", snapshot_id] for snapshot_id in done["retired_snapshots"]]
    rows += [["run closed as failed or done", run_key] for run_key in done["closed_runs"]]
    rows += [["files removed of run", run_key] for run_key in done["removed_files"]]
    rows += [["files removed of import", import_id] for import_id in done["removed_imports"]]
    rows += [["export asked for by API, forgotten", export_id] for export_id in done["forgotten_exports"]]
    rows += [["erasure finished", subject] for subject in done["erased"]]
    rows += [
        [f"removed at {place}", name] for place, names in done["targets"]["removed"].items() for name in names
    ]
    rows += [["audit anchor written", place] for place in done["anchors"]]
    table(["what", "which"], rows)
    typer.echo(f"{done['cleared_uploads']} uploads of dead writers to the store cleared away")
    typer.echo(f"{done['cleared_shares']} shares of runs that ended without them cleared away")
    for place, why in done["targets"]["failed"].items():
        ERR.print(f"{place}: not cleaned: {why}", style="yellow", markup=False, soft_wrap=True)


def verify(
    manifests: Annotated[list[Path], typer.Argument(help="Manifest files, each beside its data file.")],
    key: Annotated[
        Path | None,
        typer.Option(help="OpenPGP public key: each manifest must have a signature by it beside it."),
    ] = None,
) -> None:
    """Check files against their manifests: bytes, rows, totals, the chain, and signatures where a key is given."""
    from include.formats import signature
    from include.formats.verify import verify as check

    problems = [problem for path in manifests for problem in check(path)]
    if key is not None:
        signer = signature.read_key(key)
        problems += [problem for path in manifests for problem in signature.check(path, signer)]
    if problems:
        raise Permanent("\n".join(str(problem) for problem in problems))
    typer.echo(f"all files of {len(manifests)} manifests are what these say")
