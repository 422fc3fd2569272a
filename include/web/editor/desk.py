"""One request for the form: who asks, about which export, and the pages that answer."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from fastapi import Request
from starlette.responses import Response

from include.definitions.differences import Difference
from include.pipeline import Context
from include.web import pages
from include.web.editor import choices, connections, view
from include.web.editor.form import Values, text_of
from include.web.editor.problems import Found
from include.web.reader import Reader, Right, context_of

KEPT = "kept"
SAVED = "loyalty_saved"
"""The cookie that says which form was saved, so that the browser forgets what it kept of it."""
_NONCE = re.compile(r"[A-Za-z0-9_-]{16}")


@dataclass(frozen=True)
class Met:
    """What somebody else did to the export meanwhile. theirs: what they changed; mine: what differs from that."""

    who: str
    at: datetime
    zone: str
    deleted: bool = False
    theirs: Sequence[Difference] = ()
    mine: Sequence[Difference] = ()


@dataclass(frozen=True)
class Desk:
    """A form that somebody has open.

    definition_id: None for a new export. based_on: the version that they began with.
    """

    request: Request
    reader: Reader
    path: str
    heading: str
    back: str = "/exports"
    definition_id: str | None = None
    based_on: int | None = None
    about: str = ""
    read_only: bool = False
    met: Met | None = None

    @property
    def context(self) -> Context:
        """The settings, state, store and connections of the application."""
        return context_of(self.request)

    def form(self, values: Values, found: Found | None = None, *, status: int = 200) -> Response:
        """Return the page with the form as it is typed, and its problems."""
        form = view.Form(values, found or Found(), self.definition_id, connections.names(self.context))
        sections = [(key, title) for key, (title, _) in view.SECTIONS.items()]
        return self._page(
            "editor/form.html",
            status,
            values,
            form=form,
            sections_of_form=sections,
            may_run=self.reader.may(Right.RUN, self.definition_id),
            DELIMITERS=choices.DELIMITERS,
            DATES=choices.DATES,
            INSTANTS=choices.INSTANTS,
        )

    def text(
        self, text: str, values: Values, problems: Sequence[tuple[str, str]] = (), *, status: int = 200
    ) -> Response:
        """Return the page with the definition as text. problems: place and sentence of each."""
        return self._page("editor/yaml.html", status, values, text=text, problems=problems)

    def since(self, number: int) -> Desk:
        """Return the desk of who began with that version."""
        return replace(self, based_on=number)

    def met_by(self, met: Met, based_on: int | None) -> Desk:
        """Return the desk of who has been told what somebody else did; what they save next is based on that."""
        return replace(self, met=met, based_on=based_on)

    def _page(self, template: str, status: int, values: Values, **told: Any) -> Response:
        return pages.show(
            self.request,
            self.reader,
            template,
            status=status,
            action=f"{pages.root(self.request)}{self.path}",
            heading=self.heading,
            about=self.about,
            back=self.back,
            definition_id=self.definition_id,
            based_on=self.based_on,
            read_only=self.read_only,
            met=self.met,
            may_make=self.reader.may(Right.EDIT),
            kept=nonce(values) or secrets.token_urlsafe(12),
            **told,
        )


def nonce(values: Values) -> str:
    """Return by what the browser knows what it keeps of this form; empty where it said nothing that can be."""
    said = text_of(values, KEPT)
    return said if _NONCE.fullmatch(said) else ""
