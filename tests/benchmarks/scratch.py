"""How much scratch a run comes to hold, beside what it says beforehand that it may need (docs/operations.md).

    python -m tests.benchmarks.scratch --rows 1000000

Every example that the product ships is rendered over one ledger, each by itself. Its share of what was promised is
printed; above 1 the rule would be wrong. Bytes follow neither the machine nor what else it does.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from datetime import timedelta

from include import pipeline, sample
from include.pipeline import render_stage
from include.pipeline.checks import load_definitions
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
        for definition in load_definitions(settings.exports).values():
            occurrence = definition.recurrence and definition.recurrence.previous_before(END)
            run = pipeline.pin(context, definition, occurrence=occurrence or END, dry_run=True)
            pipeline.snapshot(context, run.run_key)
            promised = render_stage._scratch_needed(context, [context.state.runs.get(run.run_key)])
            with Peak(settings.scratch) as peak:
                pipeline.render(context, run.run_key)
            print(
                f"{definition.id:24} {peak.bytes / MIB:8.1f} of {promised / MIB:8.1f} MiB: {peak.bytes / promised:5.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
