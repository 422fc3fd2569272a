"""The preview's part of the page: what is typed, as a definition that can be looked at, and what came of looking."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from include.definitions.load import from_document
from include.definitions.model import ExportDefinition
from include.definitions.periods import Interval
from include.definitions.zones import zone
from include.errors import BadInput, LoyaltyError, Problem
from include.pipeline import Context, snapshot_ahead
from include.pipeline.checks import check
from include.pipeline.previews.preview import Busy, NotGathered, NothingToRead, Preview, preview
from include.pipeline.snapshot_ahead import Making
from include.web.editor.guess import instead
from include.web.editor.schedule import days

# What a look at the rows needs nothing of: where they go, who is told, how long files are kept.
_ELSEWHERE = (
    "targets",
    "notify",
    "conditions",
    "restate",
    "retention",
    "sign",
    "owner",
    "description",
    "compare",
)
# A preview needs some name and id; whether those that are typed are right is said beside their fields.
_NAMES = ("id", "name")


@dataclass(frozen=True)
class Looked:
    """What the page shows: the preview, or why there is none: problems, no snapshot (`making`: one is made), a word."""

    timezone: str = "UTC"
    seen: Preview | None = None
    period: str = ""
    problems: tuple[Problem, ...] = ()
    no_snapshot: str = ""
    making: Making | None = None
    failure: str = ""


def definition_of(document: Mapping[str, Any]) -> ExportDefinition:
    """Return the definition of what is typed, as far as its rows and files go; BadInput with its problems."""
    kept = {key: value for key, value in document.items() if key not in _ELSEWHERE}
    stands = instead(kept)
    try:
        return from_document({**stands, **kept}, where="preview", check=check)
    except BadInput as error:
        wrong = {problem.where.removeprefix("preview: ") for problem in error.problems}
        if not wrong & set(_NAMES):
            raise
    named = {key: stands[key] for key in _NAMES}
    return from_document({**stands, **kept, **named}, where="preview", check=check)


def looked(context: Context, document: Mapping[str, Any], *, personal: bool) -> Looked:
    """Return what the page shows of a document that may have problems."""
    try:
        definition = definition_of(document)
    except BadInput as error:
        return Looked(problems=error.problems)
    told = _told(context, definition, personal=personal)
    return replace(told, timezone=definition.timezone)


def _told(context: Context, definition: ExportDefinition, *, personal: bool) -> Looked:
    try:
        seen = preview(context, definition, personal=personal)
    except NotGathered as error:
        return Looked(no_snapshot=str(error), making=snapshot_ahead.gather(context, error.run))
    except NothingToRead as error:
        return Looked(no_snapshot=str(error), making=snapshot_ahead.state(context))
    except Busy as error:
        return Looked(failure=f"{str(error)[:1].upper()}{str(error)[1:]}.")
    except BadInput as error:
        return Looked(problems=error.problems)
    except LoyaltyError as error:
        return Looked(failure=f"The preview could not be drawn: {error}.")
    return Looked(seen=seen, period=_about(seen, definition.timezone))


def _about(seen: Preview, timezone: str) -> str:
    """Return the period in the brand's days, empty where the rows are about one moment."""
    return "" if seen.end is None else days(Interval(seen.start, seen.end), zone(timezone))
