"""Who asks, and what they may do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated

from fastapi import Depends, HTTPException, Request

from include.pipeline import Context


class Right(StrEnum):
    """What somebody may do, with one export or with all.

    Airflow's own rights on an export's DAG decide on `see` and `run`. The others are an administrator's only, until
    one grants them to a role; to edit an export also needs Airflow's right to change its DAG, and to import points that
    to run the DAG of the imports.
    """

    SEE = "see"
    RUN = "run"
    EDIT = "edit"
    PERSONAL = "personal"
    IMPORT = "import"
    ADMINISTER = "administer"


DOING = {
    Right.SEE: "see",
    Right.RUN: "run",
    Right.EDIT: "change",
    Right.PERSONAL: "see personal data of",
    Right.IMPORT: "import points",
    Right.ADMINISTER: "administer",
}


@dataclass(frozen=True)
class Reader:
    """A user who has logged in. `allowed` says whether a right is theirs for a definition's id, or for None, for all.

    `readable` returns, of many ids, those that they may see: it is quick where asking for each would not be.
    `login` is the token by which Airflow knows them.
    """

    name: str
    roles: frozenset[str]
    allowed: Callable[[Right, str | None], bool]
    readable: Callable[[Collection[str]], frozenset[str]]
    login: str = field(default="", repr=False)

    def may(self, right: Right, definition_id: str | None = None) -> bool:
        """Say whether they have a right for one export, or for all."""
        return self.allowed(right, definition_id)

    def require(self, right: Right, definition_id: str | None = None) -> None:
        """Raise HTTPException 403, with a sentence, where they have not."""
        if not self.may(right, definition_id):
            what = "all exports" if definition_id is None else definition_id
            doing = DOING[right] if right is Right.IMPORT else f"{DOING[right]} {what}"
            raise HTTPException(403, f"You have no right to {doing}. An administrator can grant it.")


Access = Callable[[Request], Awaitable[Reader]]
"""Returns who asks; raises HTTPException 401 when nobody has logged in."""


async def asking(request: Request) -> Reader:
    """Return who asks; HTTPException 401 when nobody has logged in."""
    access: Access = request.app.state.access
    reader = await access(request)
    request.state.reader = reader
    return reader


Asking = Annotated[Reader, Depends(asking)]


def context_of(request: Request) -> Context:
    """Return the settings, state, store and connections that the application works with."""
    context: Context = request.app.state.context
    return context
