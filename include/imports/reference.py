"""The generated reference of files that can be imported: docs/reference/import-files.md.

`python -m include.imports.reference` writes it; a test fails when it has drifted from the modes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from include.imports.modes import modes
from include.imports.modes.mode import ModeFile

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "import-files.md"
_HEAD = """\
# Files that can be imported

What [imports](../imports.md) read. Made from the code: `python -m include.imports.reference`.

**Form.** CSV (RFC 4180) separated by commas, semicolons, tabs or `|`, in UTF-8 or UTF-16, with any line ends; or a
workbook (.xlsx), of which the first sheet is read; either of them alone, in gzip, or as the only file in a zip. What
a file is, its bytes say, not its name. Unpacked it has at most 4 GiB, and at most 200 times its packed size. A quote
that is not closed, a damaged archive, a document type in a workbook: the file is refused as a whole, with the row
where there is one.

**Header.** The first row names the columns, in any order. Case, blanks, `-` and `_` do not count. Columns that a mode
does not read are left out, and said; one that looks like a misspelling is refused. A balance is not read as points to
add.

**Members.** A card before a customer id before an e-mail address. Ids are texts: leading zeros count, blanks around
them do not; characters that cannot be seen are refused, and so is `1.23E+15`, which a spreadsheet made.

**Points.** Digits with at most two decimals after a point, at most 9999999999999999.99; exact, never a float. No
separator of thousands, no decimal comma, no exponent, no `-0`. In `reset` a plus sign is refused, because it would
mean to add.

**Dates.** RFC 3339 with a zone (`2030-12-31T00:00:00Z`). A start may be `immediate`, an expiry `unlimited`; empty
means the same. A duration is a number and `s`, `m`, `h`, `D`, `W`, `M` or `Y`, counted in UTC from the start, or from
the rehearsal where the start is immediate; `_D` goes back to the start of the day, `_U` on to the end of the day,
week (a Sunday), month or year. A month that has no such day ends on its last: 31 January and `1M` is 28 or 29
February.

**Rows.** Blank rows are none, but count. Exactly the same row twice is refused; another reason makes it another row.
Every problem of every row is found at once. In a workbook a formula, an error, a date that the spreadsheet made, or a
number of more than 15 digits is refused in a column that is read.
"""


def page() -> str:
    """Return the whole page."""
    return "\n".join([_HEAD, *(line for mode in modes().values() for line in _mode(mode))])


def _mode(mode: ModeFile) -> Iterator[str]:
    yield from (f"## {mode.name}", "", mode.description, "", "| what | headers | |", "|---|---|---|")
    for field, headers in mode.fields.items():
        named = ", ".join(f"`{header}`" for header in headers)
        yield f"| {field.replace('_', ' ')} | {named} | {_needed(field, mode)} |"
    yield from ("", "```csv", *(",".join(row) for row in mode.example), "```", "")


def _needed(field: str, mode: ModeFile) -> str:
    exactly = ", exactly so" if field in mode.exact else ""
    groups = [group for group in mode.required if field in group]
    return ("required" if groups and len(groups[0]) == 1 else "one of these" if groups else "") + exactly


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
