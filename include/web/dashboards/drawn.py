"""Charts as pages show them: drawn for a wide place and for a phone, with the cells of the table as text."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from include.charts import picture
from include.charts.words import full_day
from include.pipeline.dashboards import Asked, Chart

_HASH_SHOWN = 12


@dataclass(frozen=True)
class Drawn:
    """A chart, its pictures (`narrow` is None for one that keeps its width), and its table as text."""

    chart: Chart
    wide: Markup | None
    narrow: Markup | None
    cells: list[list[str]]

    @property
    def sha256(self) -> str:
        """The beginning of the hash of the file that it is drawn from."""
        return self.chart.source.sha256[:_HASH_SHOWN]


def drawn(chart: Chart, *, alone: bool = False) -> Drawn:
    """Draw a chart for a page: beside others, or alone."""
    wide = _svg(chart, "w", picture.WIDE if alone or chart.keeps_width else picture.HALF)
    narrow = None if chart.keeps_width else _svg(chart, "n", picture.PHONE)
    return Drawn(chart, wide, narrow, chart.table.shown())


def standing(chart: Chart, asked: Asked, theme: str) -> str:
    """Return the picture that stands alone, which says what it is drawn from (SVG)."""
    assert chart.drawing is not None
    source = (
        f"{chart.source.name} (sha256 {chart.source.sha256[:_HASH_SHOWN]}), "
        f"figures until {full_day(asked.figures.last_day)}, {asked.figures.timezone}"
    )
    subtitle = f"{asked.program_name}, {chart.of}"
    return picture.standing(
        chart.drawing,
        title=chart.title,
        subtitle=subtitle,
        source=source,
        description=chart.says,
        theme=theme,
    )


def _svg(chart: Chart, which: str, width: int) -> Markup | None:
    if chart.drawing is None:
        return None
    name = f"{chart.name}-{which}"
    text = picture.svg(chart.drawing, name=name, title=chart.title, description=chart.says, width=width)
    return Markup(text)  # noqa: S704 - our own markup: `Canvas` escapes every text that it is given
