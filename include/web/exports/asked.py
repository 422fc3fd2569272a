"""What a form asks of an export's DAG, as its parameters; all that is wrong with it at once."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from starlette.datastructures import FormData

from include.definitions.addresses import is_address
from include.definitions.zones import zone
from include.errors import BadInput, Problem
from include.web.exports.permitted import Permitted

LONGEST_FIELD = 400


def run_parameters(form: FormData, found: Permitted) -> dict[str, Any]:
    """Return the parameters of a run by hand; instants without a zone are in that of the export."""
    problems: list[Problem] = []
    where = zone(found.export.timezone)
    instants = {name: instant(text(form, name), name, where, problems) for name in ("as_of", "start", "end")}
    as_of, start, end = instants.values()
    now = datetime.now(UTC)
    if as_of and end:
        right = "with a period, its end is the as-of: give one of the two"
        problems.append(Problem("as_of", str(as_of), right, "period_and_as_of"))
    if start and not end:
        problems.append(Problem("start", str(start), "a period needs its end too", "end_missing"))
    if start and end and start >= end:
        problems.append(
            Problem("start", str(start), "the period must start before it ends", "start_after_end")
        )
    problems += [
        Problem(name, str(value), "must not lie in the future", "in_future")
        for name, value in (("as_of", as_of), ("end", end))
        if value and value > now
    ]
    targets = chosen_targets(form, found, problems)
    if problems:
        raise BadInput(problems)
    asked = {name: value.isoformat() for name, value in instants.items() if value}
    return asked | {"targets": targets, "dry_run": bool(form.get("dry_run"))}


def chosen_targets(form: FormData, found: Permitted, problems: list[Problem]) -> list[str]:
    """Return the targets that a form names; empty for all."""
    known = [label for label, _ in found.export.targets]
    chosen = [str(each) for each in form.getlist("targets")]
    right = f"the targets of this export are {', '.join(known)}"
    problems += [Problem("targets", each, right, "unknown_target") for each in chosen if each not in known]
    return list(dict.fromkeys(chosen))


def address(form: FormData) -> str:
    """Return the address that a test goes to; BadInput for what is none."""
    given = text(form, "to")
    if not is_address(given):
        right = "must be an e-mail address, such as jane@example.com"
        raise BadInput([Problem("address", given, right, "bad_address")])
    return given


def instant(given: str, name: str, where: ZoneInfo, problems: list[Problem]) -> datetime | None:
    """Return an instant as a field of a form holds it, None for an empty one."""
    if not given:
        return None
    try:
        found = datetime.fromisoformat(given)
        return (found if found.tzinfo else found.replace(tzinfo=where)).astimezone(UTC)
    except (ValueError, OverflowError):
        right = "must be a date and time such as 2026-02-01T00:00"
        problems.append(Problem(name, given, right, "bad_instant"))
        return None


def day(given: str, name: str, problems: list[Problem]) -> date | None:
    """Return a day as a field of a form holds it, None for an empty one, and for one that is wrong."""
    try:
        found = date.fromisoformat(given) if given else None
    except ValueError:
        found = None
    if found is None or not 1971 <= found.year <= 2199:
        problems.append(Problem(name, given, "must be a day such as 2026-02-01", "bad_day"))
        return None
    return found


def text(form: FormData, name: str) -> str:
    """Return a field without blanks around it, empty where it is not there or no text."""
    given = form.get(name)
    return given.strip()[:LONGEST_FIELD] if isinstance(given, str) else ""
