"""An imported file from bytes, as tests see it: rows as dicts, problems as the sentences that people read."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from include.errors import BadInput
from include.imports import reading
from include.imports.rows import LIMITS, Limits

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass
class Seen:
    rows: list[dict[str, Any]]
    problems: list[str]
    codes: list[str]
    columns: dict[str, str]
    ignored: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def good(self) -> list[dict[str, Any]]:
        """What the good rows say: without their numbers, and without what the file does not say."""
        rows = [row for row in self.rows if row["ok"]]
        return [{k: v for k, v in row.items() if v is not None and k not in {"row", "ok"}} for row in rows]


def opened(
    content: bytes | str,
    mode: str = "add",
    *,
    name: str = "p.csv",
    keep_repeats: bool = False,
    limits: Limits = LIMITS,
) -> Seen:
    """Read a whole file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "received"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        rows, problems, codes = [], [], []
        with reading.open_file(
            path, name=name, mode=mode, now=NOW, keep_repeats=keep_repeats, limits=limits
        ) as file:
            for batch in file.batches():
                rows += batch.rows.to_pylist()
                problems += [str(one.problem(name)) for one in batch.problems]
                codes += [one.code for one in batch.problems]
        return Seen(rows, problems, codes, file.columns, file.ignored, file.notes)


def refused(content: bytes | str, mode: str = "add", **given: Any) -> list[str]:
    """The sentences by which a file is refused as a whole."""
    try:
        seen = opened(content, mode, **given)
    except BadInput as bad:
        return [str(problem) for problem in bad.problems]
    raise AssertionError(f"it was read: {seen}")


def limited(**changed: int) -> Limits:
    return replace(LIMITS, **changed)
