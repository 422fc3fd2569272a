"""Who a run is: pure functions from what decides bytes and destination to keys (docs/architecture.md).

A *request* is what was asked for; its key finds the run that pinned K for it earlier. A *run* is the answer,
with K; a *delivery* is one run to one target. Keys are sha256 in hex of one canonical JSON array.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

DISTRIBUTION = "loyalty-ledger-exports"
# The layers whose code decides the bytes of a file.
DECIDING = ("ledger", "definitions", "shaping", "layouts", "reports", "snapshots", "formats", "pipeline")


def request_key(
    definition_id: str,
    definition_version: str,
    *,
    as_of: datetime,
    start: datetime | None,
    end: datetime | None,
    known_at: datetime | None,
    revision: int,
    dry_run: bool,
) -> str:
    """Return the key of what was asked: T, the interval, and K where the asker named it (else None)."""
    instants = [_text(moment) for moment in (as_of, start, end, known_at)]
    return _digest("request", definition_id, definition_version, *instants, revision, dry_run)


def run_key(
    definition_id: str,
    definition_version: str,
    *,
    as_of: datetime,
    known_at: datetime,
    start: datetime | None,
    end: datetime | None,
    revision: int,
    dry_run: bool = False,
) -> str:
    """Return the key of a run: (T, K), interval and revision of one version of a definition."""
    instants = [_text(moment) for moment in (as_of, known_at, start, end)]
    return _digest("run", definition_id, definition_version, *instants, revision, dry_run)


def delivery_key(of_run: str, target: str, sending: int = 0) -> str:
    """Return the key of the delivery of one run to one target. sending: the number of a repetition, 0 for none."""
    return _digest("delivery", of_run, target, *([sending] if sending else []))


@cache
def code_version() -> str:
    """Return the installed version and a hash of the code that decides bytes: `0.1.0+1a2b3c4d5e6f`."""
    try:
        released = version(DISTRIBUTION)
    except PackageNotFoundError:  # run from a checkout that is not installed
        released = "0"
    return f"{released}+{code_of(*DECIDING)}"


@cache
def code_of(*layers: str) -> str:
    """Return a hash of the code of some layers, 12 digits."""
    root = Path(__file__).resolve().parent.parent
    total = hashlib.sha256()
    for layer in layers:
        for path in sorted((root / layer).rglob("*.py")):
            total.update(f"{path.relative_to(root).as_posix()}\0".encode() + path.read_bytes() + b"\0")
    return total.hexdigest()[:12]


def _text(moment: datetime | None) -> str | None:
    """Write an instant the same way whatever zone it was given in; refuse one without a zone."""
    if moment is None:
        return None
    if moment.tzinfo is None:
        raise ValueError(f"an instant without a zone: {moment}")
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _digest(*parts: str | int | bool | None) -> str:
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()
