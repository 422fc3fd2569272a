"""Answers of any size: a report's file, sent in pieces, whole or visibly not, gone from scratch afterwards."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from datetime import UTC, datetime

from fastapi import Request
from starlette.responses import Response, StreamingResponse

from include.pipeline.answers.report import Answer
from include.web.api import etags
from include.web.downloads.sending import disposition

AS_OF = "Loyalty-As-Of"
READ_AT = "Loyalty-Read-At"
ROWS = "Loyalty-Rows"


def sent(
    request: Request,
    drawn: AbstractContextManager[Answer],
    *,
    name: str | None = None,
    media_type: str | None = None,
) -> Response:
    """Return the answer that `drawn` gives as a streamed response, 304 for who has it already.

    name: of the file, where it is to be saved. Headers say the as-of, when the ledger was read, and how many rows
    there are. Raises what `answered` does.
    """
    stack = ExitStack()
    with stack:
        answer = stack.enter_context(drawn)
        etag = etags.etag_of(answer.sha256, answer.as_of)
        headers = {
            "ETag": etag,
            "Cache-Control": "private, no-cache",
            AS_OF: utc(answer.as_of),
            READ_AT: utc(answer.read_at),
            ROWS: str(answer.rows),
        }
        if etags.has(request, etag):
            return Response(status_code=304, headers=headers)
        headers |= {
            "Content-Length": str(answer.bytes),
            # Airflow would compress it on the way: then its length and its hash were those of another file.
            "Content-Encoding": "identity",
            "Repr-Digest": f"sha-256=:{base64.b64encode(bytes.fromhex(answer.sha256)).decode()}:",
        }
        if name is not None:
            headers["Content-Disposition"] = disposition(name)
        content = _pieces(answer, stack.pop_all())
        return StreamingResponse(content, headers=headers, media_type=media_type or answer.media_type)


def utc(moment: datetime) -> str:
    """Return an instant as APIs write it: RFC 3339, UTC."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _pieces(answer: Answer, stack: ExitStack) -> Iterator[bytes]:
    """Yield the file; it goes when it was sent, or whoever asked has left."""
    with stack:
        yield from answer.chunks()
