"""What an address of the dashboards asks for: the program, the days, and what the reader may see of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlencode

from fastapi import Depends, Query

from include.errors import BadInput, Problem
from include.pipeline.dashboards import DASHBOARD, Asked, Figures
from include.pipeline.dashboards.frames import CUSTOM, USUAL, WORDS, Frame, frame
from include.web.reader import Reader, Right

_LONGEST = 200  # characters of a parameter


@dataclass(frozen=True)
class Wish:
    """The parameters of an address, as they came; empty: what is usual."""

    program: str = ""
    frame: str = USUAL
    first: str = ""
    last: str = ""

    def query(self, **other: str) -> str:
        """Return the parameters as an address has them, with others in place of some; of days only for days."""
        values = {"program": self.program, "frame": self.frame, "from": self.first, "to": self.last} | other
        if values["frame"] != CUSTOM:
            values["from"] = values["to"] = ""
        return urlencode({name: value for name, value in values.items() if value})


def wish(
    program: Annotated[str, Query(max_length=_LONGEST)] = "",
    frame: Annotated[str, Query(max_length=_LONGEST)] = USUAL,
    first: Annotated[str, Query(alias="from", max_length=_LONGEST)] = "",
    last: Annotated[str, Query(alias="to", max_length=_LONGEST)] = "",
) -> Wish:
    """Return the parameters of an address."""
    return Wish(program, frame, first, last)


Wished = Annotated[Wish, Depends(wish)]


def asked(figures: Figures, reader: Reader, wished: Wish) -> Asked:
    """Return what is asked of a run; BadInput for a program, a frame or days that there are not."""
    programs = figures.programs()
    program = wished.program or next(iter(programs), "")
    if program not in programs:
        known = ", ".join(programs) or "none yet"
        raise BadInput(
            [Problem("program", program, f"the programs of the run are {known}", "unknown_program")]
        )
    found = frame(figures, wished.frame, wished.first, wished.last)
    personal = reader.may(Right.PERSONAL, DASHBOARD)
    return Asked(figures, program, programs[program], found, personal)


def usual(figures: Figures, reader: Reader) -> Asked:
    """Return what is shown where something is asked for that there is not."""
    return asked(figures, reader, Wish())


def every_frame(figures: Figures, wished: Wish) -> list[tuple[Frame, str]]:
    """Return the time frames that can be chosen, each with the parameters of its address."""
    return [(frame(figures, kind), wished.query(frame=kind)) for kind in WORDS]
