"""What is chosen for an import: what its rows mean, and where their points go."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class Mode(StrEnum):
    """What the rows of a file mean. UNDO takes back what an import posted; nobody uploads one."""

    ADD = "add"
    RESET = "reset"
    BIRTHDAY = "birthday"
    POINTS = "points"
    UNDO = "undo"


class Options(BaseModel):
    """The choices of one import.

    program: the id of the program whose points move; empty in mode birthday alone, which moves none.
    subledger: the subledger of rows that name none; '' is the program's only one.
    card: points go to cards: the one that a row names, else the member's only card of the program.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: Mode
    program: str = ""
    subledger: str = ""
    card: bool = False
