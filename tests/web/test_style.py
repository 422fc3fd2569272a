"""Everybody can read the pages: contrast of WCAG 2.2 level AA, in light and in dark."""

from __future__ import annotations

import re

import pytest

from include.web.pages import style

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


def colours(theme: str) -> dict[str, str]:
    light, dark = re.findall(r":root \{(.*?)\}", style(), re.DOTALL)
    return dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", dark if theme == "dark" else light))


def luminance(colour: str) -> float:
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("above", "below", "least"), PAIRS)
def test_contrast(theme, above, below, least):
    found = colours(theme)
    lighter, darker = sorted((luminance(found[above]), luminance(found[below])), reverse=True)
    assert (lighter + 0.05) / (darker + 0.05) >= least


def test_both_themes_name_the_same_colours():
    assert colours("light").keys() == colours("dark").keys()
    assert "url(" not in style()
