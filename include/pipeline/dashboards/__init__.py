"""Dashboards: what the files of the export `dashboard` hold, as charts with their tables.

A chart is drawn from a stored file of the newest finished run and from nothing else, so it never says anything that a
file does not. What belongs here: reading these files, choosing rows by time frame and program, adding up days. What
does not: figures of any other origin (they are models, include/reports), colours and lines (include/charts), HTTP.
"""

from include.pipeline.dashboards.board import CHARTS, Board, board
from include.pipeline.dashboards.chart import Asked, Chart
from include.pipeline.dashboards.reading import DASHBOARD, Figures, newest

__all__ = ["CHARTS", "DASHBOARD", "Asked", "Board", "Chart", "Figures", "board", "newest"]
