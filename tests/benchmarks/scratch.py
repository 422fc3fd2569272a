"""How much scratch a run comes to hold, beside what it says beforehand that it may need (docs/operations.md).

    python -m tests.benchmarks.scratch --rows 1000000

Every example that the product ships is rendered over one ledger, each by itself, then all of them in one pass. The share
of what was promised is printed; above 1 the rule would be wrong. Bytes follow neither the machine nor what else it does.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from datetime import timedelta
from functools import partial

from include import pipeline, sample
from include.pipeline import render_stage, together
from include.pipeline.checks import load_definitions
from include.pipeline.context import silent
from include.pipeline.privacy import secrets_of
from include.sample.plan import END, Plan
from include.settings import Settings
from tests.benchmarks.units import MIB, Peak


def main() -> None:
    """Parse arguments, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory(prefix="loyalty-bench-") as name:
        shipped = Settings.from_environment({})
        settings = replace(
            Settings.from_environment({"LOYALTY_HOME": name}),
            exports=shipped.exports,
            settle_delay=timedelta(0),
        )
        sample.load(settings.ledger_url, Plan(customers=rows // 25, transactions=rows))
        context = pipeline.Context(settings)
        definitions = list(load_definitions(settings.exports).values())
        runs = []
        for definition in definitions:
            occurrence = definition.recurrence and definition.recurrence.previous_before(END)
            run = pipeline.pin(context, definition, occurrence=occurrence or END, dry_run=True)
            pipeline.snapshot(context, run.run_key)
            runs.append(context.state.runs.get(run.run_key))
            promised = render_stage._scratch_needed(context, runs[-1:])
            with Peak(settings.scratch) as peak:
                pipeline.render(context, run.run_key)
            show(definition.id, peak.bytes, promised)
        members = [
            together.Member(*each)
            for each in zip(runs, map(partial(secrets_of, context), definitions), strict=True)
        ]
        same = [each for each in members if each.run.snapshot_id == runs[0].snapshot_id]
        promised = render_stage._scratch_needed(context, [each.run for each in same])
        with Peak(settings.scratch) as peak:
            made = render_stage.make_together(
                settings, [each.run for each in same], together.all_secrets(same), progress=silent
            )
        if failed := [each for each in made if isinstance(each, BaseException)]:
            raise failed[0]
        show(f"{len(same)} in one pass", peak.bytes, promised)


def show(what: str, held: int, promised: int) -> None:
    """Print a line."""
    print(f"{what:24} {held / MIB:8.1f} of {promised / MIB:8.1f} MiB: {held / promised:5.2f}", flush=True)


if __name__ == "__main__":
    main()
