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
    keys: Path
    settle_delay: timedelta
    keep_snapshots: timedelta = timedelta(days=35)

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
            keys=Path(environment.get("LOYALTY_KEYS", str(home / "keys"))),
            settle_delay=timedelta(
                seconds=_number(environment, "LOYALTY_SETTLE_SECONDS", 300, most=7 * 86_400)
            ),
            keep_snapshots=timedelta(days=_number(environment, "LOYALTY_SNAPSHOT_DAYS", 35, most=36_525)),
        )


def _number(environment: Mapping[str, str], name: str, default: float, *, most: float) -> float:
    text = environment.get(name, str(default))
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= most:
        unit = name.rsplit("_", 1)[-1].lower()
        right = f"must be a number of {unit} from 0 to {most}"
        raise BadInput([Problem(name, text, right, "bad_setting")])
    return number
