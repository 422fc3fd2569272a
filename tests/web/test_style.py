"""Everybody can read the pages: contrast of WCAG 2.2 level AA, in light and in dark."""

from __future__ import annotations

import re

import pytest

from include.web.assets import FOLDER

PAIRS = [  # what stands on what, and the least contrast that its kind needs
    ("ink", "paper", 4.5),
    ("ink", "ground", 4.5),
    ("soft", "paper", 4.5),
    ("main", "paper", 4.5),
    ("main-over", "ground", 4.5),
    ("on-main", "main", 4.5),
    ("on-main", "main-over", 4.5),
    ("good", "good-ground", 4.5),
    ("bad", "bad-ground", 4.5),
    ("field", "paper", 3.0),
]

APP_PAIRS = [
    *PAIRS,
    ("link", "paper", 4.5),
    ("link", "ground", 4.5),
    ("link-over", "paper", 4.5),
    ("soft", "ground", 4.5),
    ("warn", "warn-ground", 4.5),
    ("main-over", "main-ground", 4.5),
    ("link", "line", 3.0),  # how far a bar is
]


def style(sheet: str) -> str:
    return (FOLDER / sheet).read_text("utf-8")


def colours(sheet: str, theme: str) -> dict[str, str]:
    light, *dark = re.findall(r":root[^ ]* \{(.*?)\}", style(sheet), re.DOTALL)
    found = [dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", each)) for each in (light, *dark)]
    assert all(each == found[1] for each in found[1:])  # chosen, or what the system prefers
    return found[theme == "dark"]


def luminance(colour: str) -> float:
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    ("sheet", "above", "below", "least"),
    [("app.css", *pair) for pair in APP_PAIRS] + [("downloads.css", *pair) for pair in PAIRS],
)
def test_contrast(sheet, theme, above, below, least):
    found = colours(sheet, theme)
    lighter, darker = sorted((luminance(found[above]), luminance(found[below])), reverse=True)
    assert (lighter + 0.05) / (darker + 0.05) >= least


@pytest.mark.parametrize("sheet", ["app.css", "downloads.css"])
def test_both_themes_name_the_same_colours_and_nothing_comes_from_elsewhere(sheet):
    assert colours(sheet, "light").keys() == colours(sheet, "dark").keys()
    assert "//" not in re.sub(r"/\*.*?\*/", "", style(sheet), flags=re.DOTALL)
