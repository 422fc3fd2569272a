"""The generated reference of all layouts: docs/reference/layouts.md.

`python -m include.layouts.reference` writes it; a test fails when it has drifted from the layouts.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

from include.definitions.split import Split
from include.layouts.layout import Layout, LayoutColumn, layouts

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "layouts.md"
_HEAD = """\
# Layouts

The column lists of existing systems, by the name that a definition gives as its `layout`. Made from the code:
`python -m include.layouts.reference`.

A definition's `fields` are headers of its layout, to choose, rename and reorder; `metadata.city` is one property of
a JSON column. Left out, a file has the columns that are called defaults here, or all where none are. Filters and
order go by the names of the model, which stand under *made of*. A personal column is in the file where the layout
has it: who names a layout names its columns.
"""


def page() -> str:
    """Return the whole page."""
    known = layouts()
    rows = [(f"[`{name}`](#{_anchor(name)})", _model(layout.model)) for name, layout in known.items()]
    lines = [_HEAD, *_table(("layout", "model"), rows), ""]
    for system, names in groupby(known, key=lambda name: name.partition(".")[0]):
        document = sys.modules[f"{__package__}.{system}"].__doc__ or ""
        lines += [f"## {system}", "", document.strip(), ""]
        lines += [line for name in names for line in _layout(name, known[name])]
    return "\n".join(lines)


def _layout(name: str, layout: Layout) -> Iterator[str]:
    says = [f"Model {_model(layout.model)}"]
    if layout.options:
        says.append("options " + ", ".join(f"`{key}: {value}`" for key, value in layout.options.items()))
    if layout.default:
        says.append("defaults " + ", ".join(f"`{header}`" for header in layout.default))
    if layout.split:
        says.append(_limit(layout.split))
    yield from (f"### {name}", "", f"{'; '.join(says)}.", "")
    yield from _table(("header", "type", "personal", "made of"), map(_column, layout.made))
    yield ""


def _limit(split: Split) -> str:
    """Return the sentence on how large the system lets a file be."""
    return f"at most {split.rows:,} rows a file, rows of one `{split.together}` in one file"


def _column(column: LayoutColumn) -> tuple[str, ...]:
    reads = "always empty" if column.empty else ", ".join(f"`{name}`" for name in column.reads)
    return f"`{column.header}`", column.type.value, "yes" if column.pii else "", reads


def _model(name: str) -> str:
    return f"[`{name}`](models.md#{name})"


def _anchor(name: str) -> str:
    """Return the anchor that Markdown gives to a heading of this name."""
    return name.replace(".", "")


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
