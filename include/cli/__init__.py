"""`loyalty`: everything from the command line, with no Airflow running. Exit codes: 0 done, 1 failed, 2 bad input."""

from __future__ import annotations

import sys

import typer

from include.acting import acting
from include.cli import (
    audit,
    deliveries,
    erase,
    export,
    files,
    grants,
    imports,
    keys,
    ledger,
    links,
    notices,
    restate,
    send,
    spark,
    target,
)
from include.cli.shown import fail, user
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
app.add_typer(target.app, name="target")
export.app.command("send")(send.send)
export.app.command("restate")(restate.command)
app.command("import")(imports.import_)
app.add_typer(imports.app, name="imports")
app.add_typer(links.app, name="links")
app.add_typer(keys.app, name="key")
app.add_typer(grants.app, name="grant")
app.add_typer(notices.app, name="notices")
app.command("watch")(notices.watch)
app.command("digest")(notices.digest)
app.add_typer(audit.app, name="audit")
app.add_typer(erase.app, name="erasures")
app.command("erase")(erase.erase)
app.command("snapshot")(files.snapshot)
app.command("spark")(spark.spark)
app.command("upkeep")(files.upkeep)
app.command("verify")(files.verify)
app.command("runs")(deliveries.runs)


@app.callback()
def _begin(context: typer.Context) -> None:
    """Note in whose name all that follows is done."""
    context.with_resource(acting(user()))


def main() -> None:
    """Run the command line; an error of ours is one clear text, anything else is a traceback."""
    try:
        app()
    except LoyaltyError as error:
        sys.exit(fail(error))
    except KeyboardInterrupt:
        sys.exit(130)
