"""PSV: CSV with `|` between the fields."""

from __future__ import annotations

from pydantic import Field

from include.formats import csv
from include.formats.csv import Mark, encode, read, shown

__all__ = ["EXTENSION", "KIND", "MEDIA_TYPE", "Options", "encode", "read", "shown"]

KIND = "psv"
EXTENSION = ".psv"
MEDIA_TYPE = "text/csv"


class Options(csv.Options):
    """The dialect of a PSV file."""

    delimiter: Mark = Field("|", description="What separates fields.")
