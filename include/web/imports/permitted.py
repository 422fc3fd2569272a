"""Who may import, and the import that an address names."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from fastapi import Depends, HTTPException, Request

from include.errors import BadInput
from include.pipeline import imports
from include.state.imports import ImportRecord
from include.web.reader import Asking, Reader, Right, context_of

UNKNOWN = "There is no such import."


def importing(reader: Asking) -> Reader:
    """Return who asks, who may import; HTTPException 401, 403."""
    reader.require(Right.IMPORT)
    return reader


Importer = Annotated[Reader, Depends(importing)]


class Permitted(NamedTuple):
    """An import, and whether the reader may see what its file says of people."""

    record: ImportRecord
    personal: bool

    @property
    def place(self) -> str:
        """Return the way to its page, below the application."""
        return f"/imports/{self.record.import_id}"


def permitted(import_id: str, request: Request, reader: Importer) -> Permitted:
    """Return an import for who may import; HTTPException 403, 404.

    What a file says of people is for who brought it, and for who may see personal data.
    """
    if len(import_id) != 20 or not import_id.isascii() or not import_id.isprintable():
        raise HTTPException(404, UNKNOWN)
    try:
        record = imports.get(context_of(request), import_id)
    except BadInput:
        raise HTTPException(404, UNKNOWN) from None
    return Permitted(record, record.requested_by == reader.name or reader.may(Right.PERSONAL))


Found = Annotated[Permitted, Depends(permitted)]
