"""The text of a delivery's mail, as HTML and as plain text, from templates of ours. No text of a user is a template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from include.targets.mail.chart import MOST_BARS, WIDTH
from include.targets.protocol import About

if TYPE_CHECKING:
    import jinja2

CHART = "chart"
# Mail programs cut off what is longer than about 100 kB.
MOST_LINES = 60
_UNITS = ("bytes", "kB", "MB", "GB", "TB")


@dataclass(frozen=True)
class Line:
    """One file as the mail shows it. link: empty where the file is attached."""

    name: str
    bytes: int
    link: str = ""


@dataclass(frozen=True)
class Body:
    """What the mail says. subject: as in its header; access: how a link opens, in a sentence; until: a local day."""

    about: About
    subject: str
    intro: str
    files: Sequence[Line]
    access: str = ""
    until: str = ""
    has_totals: bool = True
    has_chart: bool = False

    def html(self) -> str:
        """Return the HTML."""
        return _templates().get_template("mail.html.j2").render(self._values())

    def text(self) -> str:
        """Return the plain text."""
        return _templates().get_template("mail.txt.j2").render(self._values())

    def _values(self) -> Mapping[str, object]:
        about, totals = self.about, figures(self.about) if self.has_totals else []
        return {
            "about": about,
            "subject": self.subject,
            "paragraphs": [each.strip() for each in self.intro.split("\n\n") if each.strip()],
            "notes": about.notes,
            "files": [
                {
                    "name": file.name,
                    "size": size(file.bytes),
                    "rows": f"{about.rows[file.name]:,}" if file.name in about.rows else "",
                    "link": file.link,
                }
                for file in self.files
            ],
            "totals": [(label, f"{value:,}") for label, value in totals[:MOST_LINES]],
            "more": max(0, len(totals) - MOST_LINES),
            "access": self.access,
            "until": self.until,
            "chart": f"cid:{CHART}" if self.has_chart else "",
            "chart_alt": chart_alt(about),
            "chart_width": WIDTH,
        }


def figures(about: About) -> list[tuple[str, Decimal]]:
    """Return each total with its label: the column, and before it the file where there are several."""
    several = len(about.totals) > 1
    found = []
    for file, totals in about.totals.items():
        for column, text in totals.items():
            try:
                found.append((f"{file}: {column}" if several else column, Decimal(text)))
            except InvalidOperation:
                continue
    return found


def chart_figures(about: About) -> list[tuple[str, Decimal]]:
    """Return what the chart shows: the totals, or, where nothing is summed up, the rows of several files."""
    totals = [(label, value) for label, value in figures(about) if value]
    rows = [(name, Decimal(count)) for name, count in about.rows.items()]
    return totals or (rows if len(rows) > 1 and any(value for _, value in rows) else [])


def chart_alt(about: About) -> str:
    """Return the chart in words, for those who do not see it."""
    return "; ".join(f"{label} {value:,}" for label, value in chart_figures(about)[:MOST_BARS])


def size(count: int) -> str:
    """Return a number of bytes as people read it: `1.8 MB`."""
    value, unit = float(count), 0
    while value >= 999.5 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.0f} {_UNITS[unit]}" if unit == 0 or value >= 10 else f"{value:.1f} {_UNITS[unit]}"


@cache
def _templates() -> jinja2.Environment:
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=jinja2.select_autoescape(("html.j2",)),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
