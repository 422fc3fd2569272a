"""The board: every chart in the order in which people read them, and what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from include.pipeline.dashboards import people, points, value
from include.pipeline.dashboards.chart import Asked, Chart, Make
from include.pipeline.dashboards.reading import Unreadable
from include.pipeline.dashboards.tiles import Tile, tiles

CHARTS: Mapping[str, Make] = MappingProxyType({
    "liability": value.liability,
    "outstanding": value.outstanding,
    "bridge": points.bridge,
    "earned-redeemed": points.earned_redeemed,
    "points": points.held,
    "expiry": points.expiry,
    "members": people.members,
    "new-members": people.new_members,
    "tiers": people.tiers,
    "tier-moves": people.tier_moves,
    "rewards": value.rewards,
    "top-earners": people.top_earners,
    "cohorts": value.cohorts,
})  # fmt: skip
"""By its name in addresses: what makes the chart."""


@dataclass(frozen=True)
class Board:
    """Tiles and charts of one program and frame; `missing` says by name which charts cannot be drawn, and why."""

    tiles: tuple[Tile, ...]
    charts: tuple[Chart, ...]
    missing: Mapping[str, str]


def board(asked: Asked) -> Board:
    """Return everything that is shown of a program in a frame."""
    made: list[Chart] = []
    missing: dict[str, str] = {}
    for name, make in CHARTS.items():
        try:
            made.append(make(asked))
        except Unreadable as error:
            missing[name] = str(error)
    return Board(tuple(tiles(asked)), tuple(made), missing)
