"""A process that writes an artefact and kills itself: `python -m tests.formats.killed_writer FOLDER POINT`.

POINT: `middle`, or n: before the n-th call of the system on the folder (open, rename, remove, mkdir).
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from include.formats import artefact
from tests.formats.test_artefact import BIG_COLUMNS, PLAIN, big

if __name__ == "__main__":
    folder, point = Path(sys.argv[1]), sys.argv[2]
    batches = big()
    artefact.Totals(BIG_COLUMNS).add(batches[0])  # compiled code is loaded before calls are counted
    calls = 0

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def count(event, arguments) -> None:
        global calls
        if event in ("open", "os.rename", "os.remove", "os.mkdir") and str(folder) in str(arguments[:2]):
            if str(calls) == point:
                die()
            calls += 1

    def watched():
        for number, batch in enumerate(batches):
            if number == 6 and point == "middle":
                die()
            yield batch

    sys.addaudithook(count)
    artefact.write(folder / "x.csv", BIG_COLUMNS, watched(), PLAIN)
