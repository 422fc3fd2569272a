"""The colours of a picture that stands alone, light and dark; static/dashboards.css has the same for pages.

Series are told apart by people who see no red or no green too (Okabe and Ito, darkened or lightened until each has a
contrast of 3 : 1 with the ground); the scale of heat is one hue whose lightness says how much.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

Theme = Mapping[str, str]

LIGHT: Theme = MappingProxyType({
    "paper": "#ffffff", "ink": "#161d2d", "soft": "#3e5873", "grid": "#dee3ea", "axis": "#778ba2",
    "s1": "#0b6bb8", "s2": "#c2570c", "s3": "#00795c", "s4": "#8a4b9c", "s5": "#8a6d00", "s6": "#5c6b7e",
    "up": "#0b6bb8", "down": "#c2570c", "total": "#3e5873",
    "h0": "#f1f5fa", "h1": "#d5e4f3", "h2": "#aecdea", "h3": "#7db0dc", "h4": "#3277b5", "h5": "#1f609e",
    "h6": "#0c4078", "on-low": "#161d2d", "on-high": "#ffffff",
})  # fmt: skip
DARK: Theme = MappingProxyType({
    "paper": "#1b2436", "ink": "#f0f4fa", "soft": "#a3afbe", "grid": "#2b3950", "axis": "#778ba2",
    "s1": "#6cb6f2", "s2": "#f2a057", "s3": "#4fc9a4", "s4": "#cf9be0", "s5": "#dcc04a", "s6": "#a3afbe",
    "up": "#6cb6f2", "down": "#f2a057", "total": "#a3afbe",
    "h0": "#222d42", "h1": "#23405f", "h2": "#23547f", "h3": "#2a6ca3", "h4": "#4a8ec8", "h5": "#83b8e4",
    "h6": "#bfdcf5", "on-low": "#f0f4fa", "on-high": "#0f1a30",
})  # fmt: skip
THEMES = MappingProxyType({"light": LIGHT, "dark": DARK})
SERIES = ("s1", "s2", "s3", "s4", "s5", "s6")
HEAT_STEPS = 7
