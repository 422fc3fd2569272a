"""Where things are: read from the environment once, with the embedded defaults of docs/architecture.md."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from include.errors import BadInput, Problem

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Settings:
    """All settings. URLs may hold secrets: never log them, show `include.snapshots.source.public_url`."""

    ledger_url: str
    ledger_mapping: Path | None
    state_url: str
    store_url: str
    scratch: Path
    exports: Path
    settle_delay: timedelta

    @staticmethod
    def from_environment(environment: Mapping[str, str] = os.environ) -> Settings:
        """Return settings from `LOYALTY_*` variables; what is not set has its embedded default under var/."""
        home = Path(environment.get("LOYALTY_HOME", str(ROOT / "var"))).resolve()
        mapping = environment.get("LOYALTY_LEDGER_MAPPING")
        return Settings(
            ledger_url=environment.get("LOYALTY_LEDGER_URL", f"sqlite:///{home / 'ledger.sqlite'}"),
            ledger_mapping=Path(mapping) if mapping else None,
            state_url=environment.get("LOYALTY_STATE_URL", f"sqlite:///{home / 'state.sqlite'}"),
            store_url=environment.get("LOYALTY_STORE", f"file://{home / 'store'}"),
            scratch=Path(environment.get("LOYALTY_SCRATCH", str(home / "scratch"))),
            exports=Path(environment.get("LOYALTY_EXPORTS", str(ROOT / "include" / "exports"))),
            settle_delay=_seconds("LOYALTY_SETTLE_SECONDS", environment.get("LOYALTY_SETTLE_SECONDS", "300")),
        )


def _seconds(name: str, text: str) -> timedelta:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 7 * 86_400:
        raise BadInput([Problem(name, text, "must be a number of seconds, at most a week", "bad_setting")])
    return timedelta(seconds=seconds)
