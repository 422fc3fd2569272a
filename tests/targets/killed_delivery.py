"""A process that delivers to a folder and kills itself: `python -m tests.targets.killed_delivery SOURCE FOLDER POINT`.

POINT: `middle` of the first file, or n: before the n-th call of the system on the folder.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from include.connections import Secrets
from include.targets import folder
from tests.targets.test_folder import parcel_of

if __name__ == "__main__":
    source, place, point = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    calls = 0

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def count(event, arguments) -> None:
        global calls
        watched = event in ("open", "os.link", "os.rename", "os.remove", "os.mkdir")
        if watched and place in str(arguments[:2]):
            if str(calls) == point:
                die()
            calls += 1

    def progress(done, total) -> None:
        if point == "middle" and done > total // 3:
            die()

    parcel = parcel_of(source)
    options = folder.Options(folder=place)
    sys.addaudithook(count)
    folder.deliver(options, parcel, Secrets(Path()), progress)
