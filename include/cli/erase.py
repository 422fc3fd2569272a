"""`loyalty erase` and `loyalty erasures`: taking a customer out of everything that this product keeps and reads."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from include.cli.shown import ERR, Json, document, patiently, progress_bar, table
from include.errors import BadInput, Problem

app = typer.Typer(help="Who was erased, by hashes that name nobody.", no_args_is_help=True)


def erase(
    customers: Annotated[
        list[str] | None, typer.Argument(metavar="[CUSTOMER]...", help="Ids of customers.")
    ] = None,
    email: Annotated[
        str | None, typer.Option(help="Find the customer by this address, in whatever case.")
    ] = None,
    card: Annotated[
        str | None, typer.Option(help="Who holds this card: its owner, or nobody but the card.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be touched, and change nothing.")
    ] = False,
    anyway: Annotated[
        bool,
        typer.Option(
            "--anyway",
            help="Also an id that is found nowhere: the person may stand only in files that nobody can look into "
            "(encrypted, or hiding ids). All such files of people are removed.",
        ),
    ] = False,
    by: Annotated[
        str | None, typer.Option(help="Who asks for it; left out, the user of this machine.")
    ] = None,
    reason: Annotated[
        str | None, typer.Option(help="Why, such as a ticket; it is kept, so name nobody.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Erase customers from snapshots, stored files, records, and all that is read from now on. See docs/privacy.md."""
    from include.pipeline import Context
    from include.pipeline.erasure import erase as erasing
    from include.pipeline.erasure.person import by_email

    context = Context.from_settings()
    people = [{"customer": each} for each in customers or ()]
    people += [{"customer": by_email(context, email)}] if email else []
    people += [{"card": card}] if card else []
    if not people:
        right = "give ids of customers, or --email, or --card"
        raise BadInput([Problem("customer", "", right, "nobody_named")])
    if dry_run:
        looked = erasing.look_all(context, people, anyway=anyway)
        _show(list(zip(people, looked, strict=True)), as_json=as_json)
        return
    planned = erasing.ask_all(context, people, by=by, reason=reason, anyway=anyway)
    asked = [each.subject for each in planned]
    with progress_bar(quiet=as_json) as progress:
        patiently(lambda: erasing.resume(context, progress), wait=True)
    done = [context.state.erasures.get(subject) for subject in asked]
    if as_json:
        document([_public(each) for each in done])
        return
    _list(done)


@app.command("list")
def list_(as_json: Json = False) -> None:
    """List erasures: pseudonym, state, who asked, when, and what was done."""
    from include.pipeline import Context

    found = Context.from_settings().state.erasures.list()
    if as_json:
        document([_public(each) for each in found])
        return
    _list(found)


def _list(erasures: list[Any]) -> None:
    columns = ["pseudonym", "state", "asked by", "asked at", "reason", "done"]
    table(
        columns,
        [
            [
                each.pseudonym,
                each.state,
                each.requested_by,
                f"{each.created_at:%Y-%m-%d %H:%M:%S} UTC",
                each.detail.reason,
                ", ".join(f"{name.replace('_', ' ')}: {count}" for name, count in each.detail.done.items()),
            ]
            for each in erasures
        ],
    )


def _public(erasure: Any) -> dict[str, Any]:
    shown = erasure.model_dump(mode="json", exclude={"detail"})
    return {**shown, "reason": erasure.detail.reason, "done": erasure.detail.done}


def _show(found: list[tuple[dict[str, str], Any]], *, as_json: bool) -> None:
    shown = [_touched(who, each) for who, each in found]
    if as_json:
        document(shown)
        return
    for each in shown:
        who = next(iter(each["who"].values()))
        rows = [
            *(["ledger (is not changed)", name, f"{count} rows"] for name, count in each["ledger"].items()),
            *(
                ["snapshot (written anew)", name, f"{count} rows"]
                for name, count in each["snapshots"].items()
            ),
            *(
                [f"stored files ({_gone(run)})", run["export"], f"{run['as_of']} revision {run['revision']}"]
                for run in each["runs"]
            ),
            *(
                [
                    f"import's files ({_gone(made)}){', import refused' * made['refused']}",
                    made["import_id"],
                    made["file_name"],
                ]
                for made in each["imports"]
            ),
            *(["definition (change it by hand)", name, ""] for name in each["definitions"]),
            *(["card (stays: others use it)", name, ""] for name in each["kept_cards"]),
        ]
        table(["what", "which", "how much"], rows, f"Erasing {who} would touch")
    ERR.print("nothing was changed", markup=False)


def _gone(stored: dict[str, Any]) -> str:
    return "removed" if stored["named"] else "removed: cannot be looked into"


def _touched(who: dict[str, str], each: Any) -> dict[str, Any]:
    return {
        "who": who,
        "state": each.state.value if each.state else None,
        "ledger": each.ledger,
        "snapshots": each.snapshots,
        "runs": [
            {
                "run_key": run.run_key,
                "export": run.definition_id,
                "as_of": run.as_of.isoformat(),
                "revision": run.revision,
                "named": held is held.NAMED,
            }
            for run, held in each.runs
        ],
        "imports": [
            {
                "import_id": record.import_id,
                "file_name": record.file_name,
                "refused": not record.finished and record.state != "posting",
                "named": held is held.NAMED,
            }
            for record, held in each.imports
        ],
        "definitions": list(each.definitions),
        "kept_cards": list(each.kept_cards),
    }
