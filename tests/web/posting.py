"""Forms as a browser sends them: read the page first, bring its token, say where the form comes from."""

from __future__ import annotations

from typing import Any

from lxml import html

OWN = {"sec-fetch-site": "same-origin"}


def read(answer: Any, status: int = 200) -> Any:
    """The page of an answer."""
    assert answer.status_code == status, answer.text
    return html.fromstring(answer.text)


def text_of(answer: Any, status: int = 200) -> str:
    """What a page says, in one line."""
    return " ".join(" ".join(read(answer, status).xpath("//main")[0].itertext()).split())


def token(client: Any, page: str) -> str:
    """The token that forms of a page bring."""
    found: list[str] = read(client.get(page)).xpath("//input[@name='form_token']/@value")
    return found[0]


def post(client: Any, path: str, page: str | None = None, **fields: Any) -> Any:
    """Send a form of a page; by default one that it has for its own address."""
    data = {"form_token": token(client, page or path), **fields}
    return client.post(path, data=data, headers=OWN)
