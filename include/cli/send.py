"""`loyalty export send`: the files of a finished run once more, or to oneself as a test."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from include.cli.shown import Json, document, progress_bar, table
from include.errors import BadInput, LoyaltyError, Permanent, Problem


def send(
    name: Annotated[str, typer.Argument(metavar="NAME|FILE", help="Id of an export, or its YAML file.")],
    run: Annotated[
        str, typer.Option(help="The run: the first characters of its key, or latest.", metavar="KEY")
    ] = "latest",
    latest: Annotated[
        bool, typer.Option("--latest", help="The run about the latest instant; as when nothing is said.")
    ] = False,
    to: Annotated[
        list[str] | None, typer.Option(help="Only to the target of this name. Repeatable.", metavar="TARGET")
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Also where it arrived: as a sending of its own, with a number.")
    ] = False,
    test_to: Annotated[
        str | None,
        typer.Option(
            help="Send it to this address or into this folder as a test, and to no target.", metavar="PLACE"
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Send the stored files of a run. What has arrived is not sent again, and the schedule goes on as it was."""
    from include import pipeline
    from include.pipeline import resend, trial
    from include.pipeline.artefacts import described

    if problems := _conflicts(run, to, test_to, latest=latest, again=again):
        raise BadInput(problems)
    context = pipeline.Context.from_settings()
    found = resend.find_run(context, _id(name), run, as_test=test_to is not None)
    with progress_bar(quiet=as_json) as progress:
        if test_to is not None:
            receipt = trial.send_test(context, found, _place(test_to), progress)
            outcomes: dict[str, Any] = {f"test to {test_to}": receipt}
        else:
            sendings = resend.plan(context, found, to, again=again)
            outcomes = resend.resend(context, found, sendings, progress)
    errors = {label: str(each) for label, each in outcomes.items() if isinstance(each, LoyaltyError)}
    if as_json:
        sent = {
            label: {"error": errors[label]} if label in errors else each for label, each in outcomes.items()
        }
        document({"run": found.run_key, "sent": sent})
    else:
        _table(described(found), outcomes)
    if errors:
        raise Permanent("\n".join(f"{label}: {told}" for label, told in errors.items()))


def _table(title: str, outcomes: dict[str, Any]) -> None:
    from include.cli.delivery_text import places

    rows = [
        [label, "failed" if isinstance(each, LoyaltyError) else "there",
         str(each) if isinstance(each, LoyaltyError) else "\n".join(places(each))]
        for label, each in outcomes.items()
    ]  # fmt: skip
    table(["target", "", ""], rows, title)


def _conflicts(
    run: str, to: list[str] | None, test_to: str | None, *, latest: bool, again: bool
) -> list[Problem]:
    problems = []
    if latest and run != "latest":
        problems.append(Problem("--run", run, "give --run or --latest, not both", "run_and_latest"))
    if test_to is not None and (to or again):
        right = "a test goes to no target: leave out --to and --again"
        problems.append(Problem("--test-to", test_to, right, "test_and_targets"))
    return problems


def _id(name: str) -> str:
    """Return the export's id; its definition may be gone, what is sent is of the run's own."""
    if Path(name).suffix not in {".yaml", ".yml"}:
        return name
    from include.definitions.load import load

    return load(Path(name)).id


def _place(test_to: str) -> str:
    """Return the address, or the folder as seen from here."""
    from include.definitions.addresses import is_address

    return test_to if is_address(test_to) or "://" in test_to else str(Path(test_to).absolute())
