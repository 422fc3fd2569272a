"""`loyalty`: everything from the command line, with no Airflow running. Exit codes: 0 done, 1 failed, 2 bad input."""

from __future__ import annotations

import sys

import typer

from include.cli import deliveries, export, files, ledger
from include.cli.shown import fail
from include.errors import LoyaltyError

app = typer.Typer(
    name="loyalty",
    help="Scheduled, reproducible exports of a loyalty points ledger.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(ledger.app, name="ledger")
app.add_typer(export.app, name="export")
app.add_typer(deliveries.app, name="deliveries")
app.command("snapshot")(files.snapshot)
app.command("upkeep")(files.upkeep)
app.command("verify")(files.verify)
app.command("runs")(deliveries.runs)


def main() -> None:
    """Run the command line; an error of ours is one clear text, anything else is a traceback."""
    try:
        app()
    except LoyaltyError as error:
        sys.exit(fail(error))
    except KeyboardInterrupt:
        sys.exit(130)
