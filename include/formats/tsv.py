"""TSV: CSV with a TAB between the fields."""

from __future__ import annotations

from pydantic import Field

from include.formats import csv
from include.formats.csv import Mark, encode, read, shown

__all__ = ["EXTENSION", "KIND", "MEDIA_TYPE", "Options", "encode", "read", "shown"]

KIND = "tsv"
EXTENSION = ".tsv"
MEDIA_TYPE = "text/tab-separated-values"


class Options(csv.Options):
    """The dialect of a TSV file."""

    delimiter: Mark = Field("\t", description="What separates fields.")
