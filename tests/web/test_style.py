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
    (root,) = re.findall(r":root \{(.*?)\}", style(sheet), re.DOTALL)
    hexadecimal = r"(#[0-9a-f]{6})"
    both = re.findall(rf"--([a-z-]+): light-dark\({hexadecimal}, {hexadecimal}\);", root)
    same = re.findall(rf"--([a-z-]+): {hexadecimal};", root)
    return dict(same) | {name: dark if theme == "dark" else light for name, light, dark in both}


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
def test_every_colour_is_one_of_its_theme_and_nothing_comes_from_elsewhere(sheet):
    root, _, rest = style(sheet).partition("}")
    assert len(re.findall(r"#[0-9a-f]{3,8}", root)) == sum(
        len({colours(sheet, "light")[name], colours(sheet, "dark")[name]}) for name in colours(sheet, "light")
    )
    assert not re.findall(r"(?<!-)color: #|background: #", rest)
    assert "color-scheme: light dark;" in root
    assert "//" not in re.sub(r"/\*.*?\*/", "", style(sheet), flags=re.DOTALL)


def test_the_theme_of_airflow_wins_over_that_of_the_system():
    for theme in ("light", "dark"):
        assert f':root[data-theme="{theme}"] {{ color-scheme: {theme}; }}' in style("app.css")
