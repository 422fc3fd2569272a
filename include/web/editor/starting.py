"""Starting a run of an export that was saved a moment ago."""

from __future__ import annotations

import asyncio

from fastapi import Request

from include.web.reader import Reader
from include.web.scheduler import Refused, Scheduler

# Airflow needs some seconds to know a new export.
_PAUSE_SECONDS = 0.5
_MOST_TRIES = 16
NOT_YET = "Airflow does not know it yet, so it was not started: press Run now in a few seconds."


async def started(request: Request, reader: Reader, definition_id: str) -> str:
    """Start a run, waiting for Airflow to know the export; return what to tell."""
    scheduler = Scheduler.of(request, reader)
    for tried in range(_MOST_TRIES):
        if tried:
            await asyncio.sleep(_PAUSE_SECONDS)
        try:
            await scheduler.trigger(definition_id)
        except Refused as refused:
            if refused.status_code != 404:
                return f"It was not started: {refused.detail}"
        else:
            return "A run is asked for. It begins in a few seconds, and shows below."
    return NOT_YET
