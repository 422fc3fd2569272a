"""Our folder of DAG files, as Airflow's DAG processor sees it: it parses an export again when that has changed.

Without it, all exports would have to be parsed every few seconds only to see whether one is new; while the processor
writes down what it has parsed, it hears nothing of what is saved.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from airflow.dag_processing.bundles.local import LocalDagBundle

from include.orchestration import shards
from include.settings import Settings

# Shows what is wrong with definitions, so it is parsed whenever any has changed.
PROBLEMS = "broken_definitions.py"


@dataclass(frozen=True)
class Seen:
    """What DAGs follow from without being announced: names, times and sizes of YAML files, and which exports beside
    them need a DAG and are broken; None where the state database cannot be read.
    """

    files: tuple[tuple[str, int, int], ...]
    broken: dict[str, bool] | None


class DagFolder(LocalDagBundle):
    """Airflow's DAG processor refreshes it every few seconds, and whenever something was saved in the pages.

    All else of Airflow takes it for what it is, a folder.
    """

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self._seen: Seen | None = None

    def refresh(self) -> None:
        """Have the files parsed whose exports differ from those of the last time; all are when the processor starts."""
        from include.orchestration.announcing import request

        now = look(Settings.from_environment())
        for file in sorted(outdated(self._seen, now)) if self._seen else ():
            request(file)
        self._seen = now


def look(settings: Settings) -> Seen:
    """Return what there is now; a file that cannot be read any more is seen as one that is gone."""
    from include.definitions.load import files
    from include.orchestration.catalogue import beside_files

    found = []
    for path in files(settings.exports):
        try:
            about = path.stat()
        except OSError:
            continue
        found.append((path.name, about.st_mtime_ns, about.st_size))
    return Seen(tuple(found), beside_files(settings))


def outdated(before: Seen, now: Seen) -> set[str]:
    """Return the names of the DAG files that must be parsed again. Any change of a YAML file may concern them all.

    Not what was saved in the pages: that is announced (`announcing`), and would be parsed twice.
    """
    if before == now:
        return set()
    if before.files != now.files or before.broken is None or now.broken is None:
        return {PROBLEMS, *(shards.file_name(number) for number in range(shards.COUNT))}
    changed = {id_ for id_, broken in before.broken.items() if now.broken.get(id_) != broken}
    return {PROBLEMS, *map(shards.file_of, changed)} if changed else set()
