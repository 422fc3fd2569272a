"""When a run's files are worth sending, what a person should be told, and how they are compared with the last ones."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from include.definitions.base import Strict
from include.definitions.names import FieldName, Identifier

Percent = Annotated[Decimal, Field(ge=0, le=1_000_000, max_digits=9, decimal_places=3)]


class Compare(Strict):
    """How a file is compared with the one that was delivered last: what was added, removed, changed."""

    key: list[FieldName] = Field(default_factory=list, max_length=10)
    """Columns of the file that tell its rows apart; left out, they are found: its ids, and more where those do not."""
    file: bool = False
    """`true`: the added, removed and changed rows are delivered too, as a file of the same format."""


class Alert(Strict):
    """A total that moved more than it should against the last delivery."""

    column: FieldName
    """A points or money column of the file."""
    moved_more_than: Percent
    """In percent of the total that was delivered last."""
    export: Identifier | None = None
    """Which export of a pack; left out, every one that has the column."""


class Conditions(Strict):
    """When a run's files are sent, and when somebody should look at them."""

    when_empty: Literal["send", "skip", "fail"] = "send"
    """What happens when no file of the run has a row."""
    only_when_changed: bool = False
    """`true`: nothing is sent when all files hold what was delivered last."""
    alerts: list[Alert] = Field(default_factory=list, max_length=50)
    """Sentences for the run's summary, where a total moved too far."""
