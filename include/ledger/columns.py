"""What a report's column is: its name as it stands in a header, and the type that decides how it is written."""

from __future__ import annotations

from typing import NamedTuple

from include.ledger.fields import FieldType


class Column(NamedTuple):
    """One output column. `type` says what the Arrow values are (points: int64 hundredths); pii: about a person."""

    name: str
    type: FieldType
    pii: bool = False
