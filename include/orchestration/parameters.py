"""What a person may ask of one run: the trigger form's fields, and their values read back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from airflow.sdk import Param

from include.definitions.addresses import is_address
from include.definitions.model import ExportDefinition
from include.errors import BadInput, Problem

_FOLDER = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9 ._-]*(/[A-Za-z0-9_-][A-Za-z0-9 ._-]*)*", re.ASCII)


@dataclass(frozen=True)
class Asked:
    """What was asked; None leaves it to the definition. Instants are UTC.

    resend: a finished run to send once more, again: also where it arrived. test_to: an address or folder that gets the
    files instead of the targets. test_targets: nothing is made, the targets are tried. restate: a delivered run whose
    period is looked at again.
    """

    as_of: datetime | None
    start: datetime | None
    end: datetime | None
    targets: tuple[str, ...] | None
    dry_run: bool
    resend: str | None = None
    again: bool = False
    test_to: str | None = None
    test_targets: bool = False
    restate: str | None = None


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
    found["restate"] = Param(
        None,
        "Look at the period of a delivered run again, with what is known now, and deliver what changed as a "
        "restatement: `latest`, or the first characters of the run's key.",
        title="Restate run",
        type=["null", "string"],
        maxLength=64,
        section="What to report",
    )
    return found | _aside()


def _aside() -> dict[str, Param]:
    """Return the parameters that ask for something else than a run; none of it touches the schedule."""
    text: dict[str, Any] = {"type": ["null", "string"], "maxLength": 300, "section": "Instead of a run"}
    yes: dict[str, Any] = {"type": "boolean", "section": "Instead of a run"}
    return {
        "resend": Param(
            None,
            "Send the stored files of a finished run once more: `latest`, or the first characters of its key. "
            "What has arrived is not sent again.",
            title="Resend run",
            **text,
        ),
        "again": Param(
            False,
            "With a run to resend: also to targets that have it. The same files, as a sending with its own number.",
            title="Send again even if it arrived",
            **yes,
        ),
        "test_to": Param(
            None,
            "Send the files to this e-mail address, or into this folder below LOYALTY_HOME/tests, marked as a test, "
            "and to no target. Without a run to resend, they are made as in a dry run.",
            title="Test send to",
            **text,
        ),
        "test_targets": Param(
            False,
            "Log in to each target, try its rights with a probe, and say what is missing. Nothing is made or sent.",
            title="Test the targets only",
            **yes,
        ),
    }


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
        and not (params.get("resend") or params.get("restate"))  # a run may be of an earlier definition
    )
    found = Asked(
        **instants,
        targets=tuple(chosen) if chosen else None,
        dry_run=bool(params.get("dry_run")),
        resend=str(params.get("resend") or "").strip() or None,
        again=bool(params.get("again")),
        test_to=str(params.get("test_to") or "").strip() or None,
        test_targets=bool(params.get("test_targets")),
        restate=str(params.get("restate") or "").strip() or None,
    )
    problems += _contradictions(found)
    if problems:
        raise BadInput(problems)
    return found


def _contradictions(wish: Asked) -> list[Problem]:
    """Return what cannot be asked together, and places that a test must not go to."""
    found = []

    def wrong(name: str, value: object, right: str, code: str) -> None:
        found.append(Problem(name, str(value), right, code))

    if wish.again and wish.resend is None:
        wrong("again", True, "say which run to resend: latest, or its key", "again_without_resend")
    if wish.test_to is not None:
        if wish.again or wish.targets:
            wrong(
                "test_to",
                wish.test_to,
                "a test goes to no target: leave out targets and again",
                "test_and_targets",
            )
        if not is_address(wish.test_to) and not _FOLDER.fullmatch(wish.test_to):
            right = "must be an e-mail address, or a folder below LOYALTY_HOME/tests such as mine"
            wrong("test_to", wish.test_to, right, "bad_test_place")
    if wish.resend is not None and (wish.as_of or wish.start or wish.end or wish.dry_run):
        right = "is of a finished run: leave out as_of, start, end and dry_run"
        wrong("resend", wish.resend, right, "resend_and_run")
    others = wish.as_of or wish.start or wish.end or wish.dry_run or wish.resend or wish.test_to
    if wish.restate is not None and (others or wish.test_targets):
        right = "is of a delivered run: leave out as_of, start, end, dry_run, resend and the tests"
        wrong("restate", wish.restate, right, "restate_and_run")
    if wish.test_targets and (wish.resend or wish.test_to):
        wrong("test_targets", True, "leave out resend and test_to", "test_targets_and_more")
    return found


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
