"""Where a picture is drawn: elements as text, with attributes only, everything that comes from outside escaped."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from include.charts.theme import Theme

FONT = "Inter, 'Helvetica Neue', Arial, sans-serif"
TEXT = 12.0
Box = tuple[float, float, float, float]
"""x, y, width and height of a rectangle."""


class Canvas:
    """A picture of a width and a height in pixels. Coordinates are rounded to a tenth, so that bytes are few."""

    def __init__(self, width: float, height: float, theme: Theme) -> None:
        self.width, self.height = width, height
        self._theme = theme
        self._parts: list[str] = []
        self._data: dict[str, str] = {}

    def slots(
        self, left: float, step: float, count: int, top: float, bottom: float, *, way: str = "across"
    ) -> None:
        """Say where the marks of each row of the table stand, for the script that shows a row at the pointer.

        way: `across`, each beside the one before; `along`, at points of a line; `down`, each below the one before.
        """
        self._data |= {"left": _n(left), "step": f"{step:.4f}", "count": str(count)}
        self._data |= {"top": _n(top), "bottom": _n(bottom), "way": way}

    def rect(
        self, x: float, y: float, width: float, height: float, tone: str, title: str = "", *,
        faint: bool = False, round_: float = 0,
    ) -> None:  # fmt: skip
        """Draw a filled rectangle; one with a title says it when pointed at."""
        corner = f' rx="{_n(round_)}"' if round_ else ""
        shape = f'x="{_n(x)}" y="{_n(y)}" width="{_n(width)}" height="{_n(height)}"{corner}'
        self._mark("rect", f"{shape} {self._fill(tone)}{_faint(faint)}", title)

    def path(self, points: str, tone: str, *, faint: bool = False, title: str = "") -> None:
        """Draw a filled shape."""
        self._mark("path", f'd="{points}" {self._fill(tone)}{_faint(faint)}', title)

    def area(self, points: str, tone: str) -> None:
        """Draw the ground under a line."""
        self._mark("path", f'd="{points}" {self._fill(tone)} opacity="0.13"', "")

    def stroke(self, points: str, tone: str, width: float = 2, dash: str = "") -> None:
        """Draw a line."""
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        look = f'fill="none" stroke="{self._theme[tone]}" stroke-width="{_n(width)}" class="l-{tone}"'
        self._mark("path", f'd="{points}" {look} stroke-linejoin="round" stroke-linecap="round"{dashed}', "")

    def dot(self, x: float, y: float, tone: str, radius: float = 3.5) -> None:
        """Draw a dot."""
        self._mark("circle", f'cx="{_n(x)}" cy="{_n(y)}" r="{_n(radius)}" {self._fill(tone)}', "")

    def text(
        self, x: float, y: float, text: str, tone: str = "soft", *, anchor: str = "start", size: float = TEXT,
        bold: bool = False,
    ) -> None:  # fmt: skip
        """Write a text on a base line; anchor: start, middle or end."""
        look = f' text-anchor="{anchor}"' if anchor != "start" else ""
        look += f' font-size="{_n(size)}"' if size != TEXT else ""
        look += ' font-weight="600"' if bold else ""
        self._parts.append(
            f'<text x="{_n(x)}" y="{_n(y)}" {self._fill(tone)}{look}>{escape(text, quote=False)}</text>'
        )

    def svg(self, name: str, title: str, description: str, *, ground: bool = False) -> str:
        """Return the whole picture. name: what ids in it begin with; ground: paint the paper, to stand alone."""
        data = "".join(f' data-{key}="{value}"' for key, value in self._data.items())
        size = f"{_n(self.width)} {_n(self.height)}"
        # A picture in a page is as wide as its place; one that stands alone has a size.
        own = f' width="{_n(self.width)}" height="{_n(self.height)}"' if ground else ""
        paper = f'<rect width="100%" height="100%" {self._fill("paper")}/>' if ground else ""
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}"{own} role="img" class="chart"'
            f' aria-labelledby="{name}-t {name}-d" font-family="{FONT}" font-size="{_n(TEXT)}"{data}>'
            f'<title id="{name}-t">{escape(title, quote=False)}</title>'
            f'<desc id="{name}-d">{escape(description, quote=False)}</desc>'
            f"{paper}{''.join(self._parts)}</svg>"
        )

    def _fill(self, tone: str) -> str:
        return f'fill="{self._theme[tone]}" class="f-{tone}"'

    def _mark(self, element: str, attributes: str, title: str) -> None:
        inner = f"><title>{escape(title, quote=False)}</title></{element}>" if title else "/>"
        self._parts.append(f"<{element} {attributes}{inner}")


def polyline(points: Iterable[tuple[float, float]]) -> str:
    """Return a path through points."""
    return "M" + "L".join(f"{_n(x)} {_n(y)}" for x, y in points)


def boxes(rectangles: Iterable[Box]) -> str:
    """Return one path of many rectangles (x, y, width, height): a tenth of the bytes of as many elements."""
    return "".join(f"M{_n(x)} {_n(y)}h{_n(w)}v{_n(h)}h{_n(-w)}z" for x, y, w, h in rectangles)


def _n(value: float) -> str:
    text = f"{value:.1f}"
    return text.removesuffix(".0") if text != "-0.0" else "0"


def _faint(faint: bool) -> str:
    return ' opacity="0.45"' if faint else ""
