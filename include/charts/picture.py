"""A drawing as a picture: SVG for pages and downloads, PNG for mails and slides."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from include.charts.canvas import Canvas
from include.charts.theme import THEMES

WIDE, HALF, PHONE = 860, 560, 340
"""Pixels: what a picture is drawn for, alone in a page, beside another one, and on a phone."""
_MARGIN, _HEADING = 20, 62
_FONTS = Path(__file__).parent / "fonts"
_OTHER_FONTS = (Path("/usr/share/fonts"), Path("/usr/local/share/fonts"), Path("/Library/Fonts"))
_PNG_SCALE = 2  # for screens of high density


class Drawing(Protocol):
    """Figures with everything that decides how they look but size and colours."""

    def height(self, width: float) -> float:
        """Return how high the picture is at a width."""
        ...

    def draw(self, canvas: Canvas) -> None:
        """Draw it all over the canvas."""
        ...


def svg(drawing: Drawing, *, name: str, title: str, description: str, width: float = WIDE) -> str:
    """Return a picture to stand inside a page, which has its title beside it. name: unique in the page."""
    canvas = Canvas(width, drawing.height(width), THEMES["light"])
    drawing.draw(canvas)
    return canvas.svg(name, title, description)


def standing(
    drawing: Drawing, *, title: str, subtitle: str, source: str, description: str, theme: str = "light"
) -> str:
    """Return a picture that stands alone: with its title, what it is of, and where its figures come from."""
    inner = Canvas(WIDE, drawing.height(WIDE), THEMES[theme])
    drawing.draw(inner)
    body = inner.svg("inner", title, description)
    outer = Canvas(WIDE + 2 * _MARGIN, inner.height + _HEADING + 2 * _MARGIN + 14, THEMES[theme])
    outer.text(_MARGIN, _MARGIN + 16, title, "ink", size=18, bold=True)
    outer.text(_MARGIN, _MARGIN + 38, subtitle)
    outer.text(_MARGIN, outer.height - 14, source, size=11)
    whole = outer.svg("chart", title, description, ground=True)
    at = f'<svg x="{_MARGIN}" y="{_HEADING + _MARGIN - 6}" width="{WIDE}" height="{inner.height:g}"'
    # Inside, the picture needs no name of its own.
    marks = body[body.index("</desc>") + len("</desc>") : -len("</svg>")]
    return whole.removesuffix("</svg>") + f'{at} viewBox="0 0 {WIDE} {inner.height:g}">{marks}</svg></svg>'


def png(standing_svg: str) -> bytes:
    """Return a picture that stands alone as a PNG.

    Letters are those of our font, so that the bytes do not depend on the machine; a script that it lacks comes from
    the machine's fonts, where there are any.
    """
    import resvg_py

    folders = (
        [] if all(map(_is_ours, standing_svg)) else [str(each) for each in _OTHER_FONTS if each.is_dir()]
    )
    return bytes(
        resvg_py.svg_to_bytes(
            svg_string=standing_svg,
            font_files=sorted(str(path) for path in _FONTS.glob("*.ttf")),
            font_dirs=folders,
            font_family="Inter",
            sans_serif_family="Inter",
            skip_system_fonts=True,
            zoom=_PNG_SCALE,
        )
    )


def _is_ours(letter: str) -> bool:
    """Say whether our font may have a letter: Latin, Greek, Cyrillic and what is written with them."""
    return letter < "\u0530" or "\u1d00" <= letter <= "\u2bff"
