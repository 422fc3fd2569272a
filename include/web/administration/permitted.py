"""Administrators, and what their forms bring."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends
from starlette.datastructures import FormData

from include.web.forms import posted
from include.web.reader import Asking, Reader, Right

LONGEST_FIELD = 1000


def administering(reader: Asking) -> Reader:
    """Return who asks, who may administer; HTTPException 401, 403."""
    reader.require(Right.ADMINISTER)
    return reader


Administrator = Annotated[Reader, Depends(administering)]
OWN_FORM = Depends(posted)
"""For forms without fields."""


def text(form: FormData, name: str) -> str:
    """Return a field without blanks around it, empty where it is not there or no text."""
    given = form.get(name)
    return given.strip()[:LONGEST_FIELD] if isinstance(given, str) else ""
