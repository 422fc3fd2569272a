"""The form of an export, read from its page and sent as a browser without scripts does."""

from __future__ import annotations

import html
import re
from typing import Any
from urllib.parse import urlencode

from tests.web.editor.page_form import Pairs, changed, sent
from tests.web.posting import OWN

NEW = "/loyalty/exports/new/balance"
RIGHT = {"name": "Été balances", "targets__0__kind": "folder", "targets__0__options__folder": "daily"}


def form_of(client, path: str = NEW) -> Pairs:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return sent(answer.text)


def press(client, path: str, pairs: Pairs, button: str = "save", **values: str) -> Any:
    body = urlencode([*changed(pairs, **values), ("do", button)])
    headers = {**OWN, "content-type": "application/x-www-form-urlencoded"}
    return client.post(path, content=body, headers=headers)


def value(pairs: Pairs, name: str) -> str:
    return [text for key, text in pairs if key == name][-1]


def summary(answer) -> list[str]:
    part = answer.text.partition('id="summary"')[2].partition("</ul>")[0]
    return [html.unescape(re.sub(r"<[^>]+>", "", each)) for each in re.findall(r"<li>(.*?)</li>", part)]


def made(client, **values: str) -> str:
    """The id of an export that was made in the pages."""
    answer = press(client, NEW, form_of(client), **{**RIGHT, **values})
    assert answer.status_code == 303, summary(answer)
    return answer.headers["location"].rpartition("/")[2]
