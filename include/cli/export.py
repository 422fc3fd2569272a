"""`loyalty export`: run, list, show and validate definitions."""

from __future__ import annotations

import contextlib
from collections.abc import Container, Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from include.cli.shown import Json, document, instant, patiently, progress_bar, table, user
from include.errors import BadInput, LoyaltyError, NotYet, Permanent, Problem

app = typer.Typer(help="Run, list, show and validate exports.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="NAME|FILE", help="Id of a definition, or a YAML file.")]


@app.command()
def run(
    name: Name,
    as_of: Annotated[str | None, typer.Option(help="Report the ledger as it was at this instant.")] = None,
    start: Annotated[str | None, typer.Option("--from", help="First instant of the period.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="First instant after the period.")] = None,
    occurrence: Annotated[
        str | None, typer.Option(help="Do what the schedule would have done at this instant.")
    ] = None,
    known_at: Annotated[
        str | None, typer.Option(help="Leave out rows that were recorded after this instant.")
    ] = None,
    revision: Annotated[int, typer.Option(min=0, help="Number of the restatement, 0 for none.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Folder for the file and its manifest.")] = None,
    deliver: Annotated[bool, typer.Option("--deliver", help="Deliver to the definition's targets.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Make and check the files, deliver nothing.")
    ] = False,
    requested_by: Annotated[
        str | None, typer.Option(help="Who asks for it, and is told how it ended; you when left out.")
    ] = None,
    wait: Annotated[bool, typer.Option(help="Wait while it is too early, instead of failing.")] = True,
    as_json: Json = False,
) -> None:
    """Make an export's file, and deliver it if asked.

    An instant has its zone, as in 2026-02-01T06:00:00Z; a date alone is when that day begins in the export's time zone.
    """
    from include import pipeline
    from include.notices.reasons import reason
    from include.pipeline.artefacts import refuse_gone
    from include.pipeline.notify import Occasion

    definition = find(name)
    instants: dict[str, Any] = {
        "occurrence": instant("--occurrence", occurrence, definition.timezone),
        "as_of": instant("--as-of", as_of, definition.timezone),
        "start": instant("--from", start, definition.timezone),
        "end": instant("--to", end, definition.timezone),
        "known_at": instant("--known-at", known_at, definition.timezone),
    }
    context = pipeline.Context.from_settings()
    asker = requested_by or user()
    occasion = Occasion(requested_by=asker, definition=definition)
    with progress_bar(quiet=as_json) as progress:
        pinned = patiently(
            lambda: pipeline.pin(
                context, definition, **instants, revision=revision, dry_run=dry_run, requested_by=asker
            ),
            wait=wait,
        )
        key = pinned.run_key
        try:
            step = "snapshot"
            patiently(lambda: pipeline.snapshot(context, key, progress), wait=wait)
            step = "render"
            made = patiently(lambda: pipeline.render(context, key, progress), wait=wait)
        except NotYet:
            raise
        except LoyaltyError as error:
            if deliver:  # who waits for the files hears of it, as in a run of Airflow
                with contextlib.suppress(LoyaltyError):
                    pipeline.settle(context, key, failure=reason(step, error), occasion=occasion)
            raise
        places = [
            str(context.store.path(each["key"]) or f"{context.store.url}/{each['key']}") for each in made
        ]
        if out is not None:
            refuse_gone(context.state.runs.get(key))
            places = [str(_copy(context, key, each, out)) for each in made]
        failures = (
            deliver_to_each(context, key, range(len(definition.targets)), progress, wait=wait)
            if deliver and not dry_run
            else []
        )
    rows = [
        [definition.id, "file", each["name"], _count(each), each["bytes"], place]
        for each, place in zip(made, places, strict=True)
    ]
    skipped = context.state.runs.get(key).skipped
    summary = None
    if deliver and not dry_run:
        try:
            summary = pipeline.settle(context, key, occasion=occasion)
        except LoyaltyError as error:
            failures.append(str(error))
        rows += [
            [record.target, record.state.value, each["name"], "", each.get("bytes"), each.get("place")]
            for record in context.state.deliveries.list(run_key=key)
            for each in (record.receipt or {}).get("files", [{"name": record.message}])
        ]
    if as_json:
        run_document = pinned.model_dump(mode="json")
        document(
            {"run": run_document, "files": made, "places": places, "skipped": skipped, "summary": summary}
        )
    elif skipped:
        typer.echo(f"{definition.id}: nothing is sent: {skipped}")
    else:
        table(
            ["what", "state", "name", "rows", "bytes", "where"],
            rows,
            f"{definition.name}, as of {pinned.as_of}",
        )
    if failures:
        raise Permanent("\n".join(dict.fromkeys(failures)))


@app.command("list")
def list_(as_json: Json = False) -> None:
    """List the definitions of LOYALTY_EXPORTS and those made in the pages, with their schedules.

    Where some are wrong, the others are listed, and what is wrong is said; then the exit code is 2.
    """
    from include.pipeline import Context
    from include.pipeline.checks import check

    files, made, problems = _all(Context.from_settings(), check)
    found = files | made
    if as_json:
        document([definition.document() for definition in found.values()])
    else:
        _listed(found.values(), made)
    if problems:
        raise BadInput(problems)


def _listed(found: Iterable[Any], made: Container[str]) -> None:
    rows = [
        [
            each.id,
            ", ".join(part.model for part in each.parts),
            each.recurrence.describe() if each.recurrence else "by hand",
            ", ".join(target.label for target in each.targets),
            "pages" if each.id in made else "file",
            "" if each.enabled and not each.paused else "paused" if each.enabled else "disabled",
        ]
        for each in found
    ]
    table(["id", "model", "schedule", "targets", "from", ""], rows)


@app.command()
def show(name: Name) -> None:
    """Print a definition as YAML, with its version."""
    from include.definitions.model import version
    from include.definitions.writing import as_yaml

    definition = find(name)
    typer.echo(f"# version {version(definition)}")
    typer.echo(as_yaml(definition.document()), nl=False)


@app.command()
def validate(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="YAML files; by default all of LOYALTY_EXPORTS, and those made in the pages."),
    ] = None,
) -> None:
    """Say everything that is wrong with definitions, their connections and keys; exit code 2 if anything is."""
    from include.definitions.load import load
    from include.pipeline import Context
    from include.pipeline.checks import check
    from include.pipeline.exports import lacking

    context = Context.from_settings()
    problems: list[Problem] = []
    found = []

    def whole(definition: Any, where: str) -> list[Problem]:
        return check(definition, where) + lacking(context, definition, where)

    for path in paths or ():
        try:
            found.append(load(path, check=whole))
        except BadInput as error:
            problems += error.problems
    if not paths:
        files, made, problems = _all(context, whole)
        found = [*files.values(), *made.values()]
    if problems:
        raise BadInput(problems)
    typer.echo(f"{len(found)} definitions are right")


@app.command()
def diff(
    before: Annotated[Path, typer.Argument(help="Manifest of the earlier delivery.")],
    after: Annotated[Path, typer.Argument(help="Manifest of the later one.")],
    key: Annotated[
        list[str] | None,
        typer.Option(help="Column that tells rows apart; found in the rows by default. Repeatable."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for files of the rows that differ.")] = None,
    as_json: Json = False,
) -> None:
    """Say what changed between two deliveries of an export: rows added, removed and changed, totals that moved."""
    from include.formats.diff import delivered

    found = []
    for name, difference in delivered(before, after, tuple(key or ())):
        place = None if out is None else difference.write(out, f"{name}_changes")
        counts = {x: getattr(difference, x) for x in ("added", "removed", "changed")}
        found.append(
            {"export": name, **counts, "sentence": difference.sentence(), "file": place and str(place)}
        )
    if as_json:
        document(found)
        return
    for each in found:
        typer.echo(f"{each['export']}: {each['sentence']}" + (f"\n  {each['file']}" if each["file"] else ""))


@app.command()
def schema(
    manifest: Annotated[
        Path | None,
        typer.Argument(help="Manifest of a delivery in XML; left out: the JSON schema of a definition."),
    ] = None,
) -> None:
    """Print the JSON schema of a definition, or the XML schema of the XML files of a delivery."""
    from include.definitions.model import json_schema

    if manifest is None:
        document(json_schema())
        return
    from include.formats import xml
    from include.formats.manifest import read_manifest

    files = read_manifest(manifest).files
    found = [file for file in files if file.format == xml.KIND and file.holds == "rows"]
    schemas = {xml.schema(file.written_columns(), xml.Options.model_validate(file.options)) for file in found}
    if len(schemas) != 1:
        right = "must be of one export in XML"
        formats = ", ".join(f"{file.export or file.name} in {file.format}" for file in files)
        raise BadInput([Problem(str(manifest), formats, right, "no_schema")])
    typer.echo(schemas.pop().decode(), nl=False)


def find(name: str) -> Any:
    """Return the definition in a file, or with an id; BadInput lists the known ids."""
    from include.pipeline.checks import check, load_definition

    path = Path(name)
    if path.suffix in {".yaml", ".yml"}:
        return load_definition(path)
    from include.definitions.load import from_document, scan
    from include.pipeline import Context

    context = Context.from_settings()
    sound, problems = scan(context.settings.exports, check=check)
    for definition in sound.values():
        if definition.id == name:
            return definition
    made = context.state.exports.made()
    if name in made:
        return from_document(made[name], where=name, check=check)
    known = ", ".join(sorted({definition.id for definition in sound.values()} | made.keys())) or "none"
    raise BadInput([Problem("export", name, f"known exports are {known}", "unknown_export"), *problems])


def _all(context: Any, check: Any) -> tuple[dict[str, Any], dict[str, Any], list[Problem]]:
    """Return all sound definitions of files, all made in the pages, both by id, and the problems of the others."""
    from include.definitions.load import scan
    from include.pipeline.exports import made

    folder = context.settings.exports
    if not folder.is_dir():
        right = "is no folder; LOYALTY_EXPORTS must name the one that holds the YAML files"
        raise BadInput([Problem("LOYALTY_EXPORTS", str(folder), right, "no_folder")])
    files, problems = scan(folder, check=check)
    of_files = {each.id: each for each in files.values()}
    of_pages, more = made(context, check=check)
    return of_files, {id_: each for id_, each in of_pages.items() if id_ not in of_files}, problems + more


def _copy(context: Any, run_key: str, entry: dict[str, Any], out: Path) -> Path:
    """Copy an artefact of a run out of the store, and say so first; a file there with other content is not touched."""
    from include.acting import actor
    from include.formats.hashes import file_sha256
    from include.state.audit import Action

    path = out / str(entry["name"])
    if path.exists() and file_sha256(path) != entry["sha256"]:
        right = "is there with other content; move it away or choose another folder"
        raise BadInput([Problem("--out", str(path), right, "file_exists")])
    if not path.exists():
        detail = {"file": entry["name"], "sha256": entry["sha256"]}
        context.state.audit.write(actor(), Action.DOWNLOADED, run_key, detail)
        try:
            context.store.get_to(entry["key"], path)
        except (FileNotFoundError, FileExistsError, NotADirectoryError, PermissionError) as error:
            right = f"no file can be written there ({error.strerror}); give a folder"
            raise BadInput([Problem("--out", str(out), right, "no_folder")]) from error
    return path


def deliver_to_each(context: Any, key: str, places: Iterable[int], progress: Any, *, wait: bool) -> list[str]:
    """Deliver a run to its targets of these places; one that fails does not stop the others. Return what went wrong."""
    from include import pipeline

    failures = []
    for index in places:
        try:
            patiently(lambda: pipeline.deliver(context, key, index, progress), wait=wait)  # noqa: B023 - called at once
        except LoyaltyError as error:
            failures.append(str(error))
    return failures


def _count(entry: dict[str, Any]) -> str:
    return f"{entry['rows']:,}" if "rows" in entry else ""
