"""Compile what is compiled at first use, once, at installation: a tiny ledger through every report, and the rest.

numba keeps compiled code beside its source, so no run afterwards pays for it. It shows as well that what was
installed works.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import typer

from include.errors import LoyaltyError
from include.orchestration.one_of_each import one_of_each
from include.settings import Settings


def main() -> int:
    """Do it in a temporary folder; return 0 when every report could be made."""
    from include import pipeline, sample
    from include.pipeline.checks import load_definitions
    from include.sample.plan import END, Plan

    _beside_reports()
    with tempfile.TemporaryDirectory(prefix="loyalty-warm-") as name:
        home = Path(name)
        shipped = Settings.from_environment({})
        settings = replace(
            Settings.from_environment({"LOYALTY_HOME": name}),
            exports=shipped.exports,
            settle_delay=timedelta(0),
        )
        try:
            sample.load(settings.ledger_url, Plan(customers=40, transactions=1000))
            context = pipeline.Context(settings)
            every = load_definitions(settings.exports).values()
            for definition in one_of_each(every, lambda part: (part.model, part.file.format)):
                occurrence = definition.recurrence and definition.recurrence.previous_before(END)
                run = pipeline.pin(context, definition, occurrence=occurrence or END, dry_run=True)
                pipeline.snapshot(context, run.run_key)
                pipeline.render(context, run.run_key)
        except LoyaltyError as error:
            typer.echo(f"warm: {home}: {error}", err=True)
            return error.exit_code
    return 0


def _beside_reports() -> None:
    """Compile what reads a ledger of PostgreSQL, and what an import looks for rows with that stand twice."""
    from include.imports.repeats import Repeats
    from include.snapshots import copy_decode, copy_stream

    copy_decode.compile_now()
    copy_stream.compile_now()
    Repeats().firsts(np.array([2]), [pa.array(["a row"])])


if __name__ == "__main__":
    sys.exit(main())
