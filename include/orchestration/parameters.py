"""What a person may ask of one run: the trigger form's fields, and their values read back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from airflow.sdk import Param

from include.definitions.model import ExportDefinition
from include.errors import BadInput, Problem


@dataclass(frozen=True)
class Asked:
    """What was asked; None leaves it to the definition. Instants are UTC."""

    as_of: datetime | None
    start: datetime | None
    end: datetime | None
    targets: tuple[str, ...] | None
    dry_run: bool


def parameters(definition: ExportDefinition) -> dict[str, Param]:
    """Return the parameters of this definition's DAG, with what the form shows beside them."""
    zone = f"In REST, a time without a zone is in {definition.timezone}."
    instant: dict[str, Any] = {"type": ["null", "string"], "format": "date-time", "section": "What to report"}
    found = {
        "as_of": Param(
            None,
            f"Report the ledger as it was at this instant, instead of the definition's. {zone}",
            title="As of",
            **instant,
        )
    }
    if definition.period is not None:
        found["start"] = Param(
            None, f"First instant of the period, instead of the definition's. {zone}", title="From", **instant
        )
        found["end"] = Param(
            None, f"First instant after the period; it is the as-of too. {zone}", title="To", **instant
        )
    labels = [target.label for target in definition.targets]
    found["targets"] = Param(
        None,
        "Deliver to these targets only; all when empty.",
        title="Targets",
        type=["null", "array"],
        items={"type": "string", "enum": labels},
        examples=labels,
        section="Where to deliver",
    )
    found["dry_run"] = Param(
        False,
        "Make and check the files, deliver nothing.",
        title="Dry run",
        type="boolean",
        section="Where to deliver",
    )
    return found


def asked(params: Mapping[str, Any], definition: ExportDefinition) -> Asked:
    """Return the values of a run's parameters; BadInput with every one that cannot be read.

    Whether the instants make sense together, the first step says.
    """
    problems: list[Problem] = []
    instants = {
        name: _instant(name, params.get(name), definition, problems) for name in ("as_of", "start", "end")
    }
    labels = [target.label for target in definition.targets]
    chosen = params.get("targets") or None
    problems.extend(
        Problem(
            "targets", str(label), f"targets of {definition.id} are {', '.join(labels)}", "unknown_target"
        )
        for label in chosen or ()
        if label not in labels
    )
    if problems:
        raise BadInput(problems)
    return Asked(**instants, targets=tuple(chosen) if chosen else None, dry_run=bool(params.get("dry_run")))


def _instant(name: str, value: Any, definition: ExportDefinition, problems: list[Problem]) -> datetime | None:
    if value is None or value == "":
        return None
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        right = "must be an instant such as 2026-02-01T00:00:00+01:00"
        problems.append(Problem(name, str(value), right, "bad_instant"))
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(definition.timezone))).astimezone(UTC)
