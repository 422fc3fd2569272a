"""Requests to Google: gspread's client, made to wait as it is told, to give up, and to repeat nothing blindly.

A request that Google turned away (429) has changed nothing, and is repeated. One whose answer is lost, or is 5xx, may
have been carried out: it is repeated only where doing it twice is doing it once; else `Lost` tells the caller to look.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Mapping
from typing import Any, cast

import requests
from google.auth.exceptions import GoogleAuthError, TransportError
from gspread import Client
from gspread.exceptions import APIError
from gspread.http_client import HTTPClient

from include.connections import Connection
from include.errors import LoyaltyError, Permanent, Transient
from include.targets.sheets.login import Account
from include.targets.sheets.refusals import Refused, refusal

SHEETS = "https://sheets.googleapis.com"
DRIVE = "https://www.googleapis.com"
# Google counts by the minute: the waits of all attempts add up to more than two.
ATTEMPTS = 8
BACKOFF_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 64.0
CONNECT_SECONDS = 10
_BUSY = frozenset({408, 500, 502, 503, 504})


class Lost(Exception):
    """Nobody can tell whether the request was carried out; it never leaves this package."""


class _Busy(Exception):
    """The server has turned the request away, or not answered; ask again."""

    def __init__(self, why: str, wait: float = 0.0) -> None:
        self.wait = wait
        super().__init__(why)


def pause(attempt: int, least: float = 0.0) -> None:
    """Wait before trying once more, longer each time."""
    backoff = random.uniform(0.5, 1) * BACKOFF_SECONDS * 2**attempt  # noqa: S311
    time.sleep(min(max(least, backoff), LONGEST_WAIT_SECONDS))


class Http(HTTPClient):
    """gspread's way to Google, with our rules for what goes wrong. The session signs by an `Account`."""

    def request(
        self,
        method: str,
        endpoint: str,
        *arguments: Any,
        repeatable: bool | None = None,
        **more: Any,
    ) -> Any:
        """Return the response. repeatable: whether doing it twice does it once; left out, whether it only reads.

        Raises Refused, Lost, Transient after the last attempt, Permanent for a login that is not accepted.
        """
        safe = method.lower() == "get" if repeatable is None else repeatable
        why = ""
        for attempt in range(ATTEMPTS):
            try:
                return self._asked(method, endpoint, *arguments, safe=safe, **more)
            except _Busy as busy:
                why = str(busy)
                if attempt + 1 < ATTEMPTS:
                    pause(attempt, busy.wait)
        raise Transient(f"Google Sheets: {why}, {ATTEMPTS} times; try again later")

    def _asked(self, method: str, endpoint: str, *arguments: Any, safe: bool, **more: Any) -> Any:
        account = cast("Account", self.session.auth)
        try:
            response = super().request(method, endpoint, *arguments, **more)
            account.accepted()
        except APIError as error:
            reply = error.response
            refused = Refused(reply.status_code, error.error if isinstance(error.error, Mapping) else {})
            if refused.is_quota:
                wait = reply.headers.get("Retry-After", "")
                raise _Busy(
                    "the quota of requests is used up", float(wait) if wait.isdigit() else 0.0
                ) from None
            if reply.status_code == 401 and account.forget():
                raise _Busy("the access token is not accepted") from None
            if reply.status_code in _BUSY:
                if not safe:
                    raise Lost(f"it answers {reply.status_code}") from None
                raise _Busy(f"it answers {reply.status_code}") from None
            raise refused from None
        except requests.exceptions.SSLError as error:
            raise Permanent(f"Google's certificate is not trusted here ({type(error).__name__})") from None
        except requests.RequestException as error:
            # Its text may hold the address, and what is in it.
            if not safe:
                raise Lost(f"the connection broke ({type(error).__name__})") from None
            raise _Busy(f"the connection broke ({type(error).__name__})") from None
        return response


class Google:
    """Both of Google's interfaces, for one account. place: what its errors speak of."""

    def __init__(self, connection: Connection, account: Account, seconds: int) -> None:
        endpoint = connection.text("endpoint_url").rstrip("/")
        self._sheets, self._drive = (endpoint or SHEETS) + "/v4/", (endpoint or DRIVE) + "/drive/v3/"
        self.account = account
        self.place = "Google Sheets"
        session = requests.Session()
        session.auth = account
        self.http = cast("Http", Client(cast("Any", None), session, Http).http_client)
        self.http.set_timeout((CONNECT_SECONDS, seconds))

    def sheets(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | bytes | None = None,
        *,
        repeatable: bool | None = None,
        **query: Any,
    ) -> Any:
        """Ask the Sheets API; return its answer. Raises Refused and Lost, and what can be told at once."""
        return self._ask(method, self._sheets + path, body, query, repeatable)

    def drive(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        repeatable: bool | None = None,
        **query: Any,
    ) -> Any:
        """Ask the Drive API; return its answer, also about files in shared drives."""
        return self._ask(method, self._drive + path, body, {"supportsAllDrives": "true", **query}, repeatable)

    def named(self, refused: Refused) -> LoyaltyError:
        """Return the error for a refusal, with its remedy."""
        return refusal(self.place, self.account.shown, refused)

    def _ask(
        self,
        method: str,
        url: str,
        body: Mapping[str, Any] | bytes | None,
        query: Mapping[str, Any],
        repeatable: bool | None,
    ) -> Any:
        more: dict[str, Any] = {}
        if body is not None:
            more["data"] = body if isinstance(body, bytes) else encoded(body)
            more["headers"] = {"Content-Type": "application/json; charset=utf-8"}
        try:
            reply = self.http.request(method, url, params=dict(query), repeatable=repeatable, **more)
            return reply.json() if reply.content else {}
        except TransportError:
            raise Transient(
                f"connection {self.account.name}: Google's token service does not answer"
            ) from None
        except GoogleAuthError as error:
            raise Permanent(
                f"connection {self.account.name}: Google gives no access token ({_said(error)}); check its key, that "
                "the account is enabled, that a user's consent still holds, and the clock of this machine"
            ) from None
        except ValueError:
            raise Permanent(
                f"{self.place}: the answer is not JSON; check endpoint_url of the connection"
            ) from None


def encoded(document: Any) -> bytes:
    """Return a body as the fewest bytes; ValueError for a number that JSON has not."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def _said(error: GoogleAuthError) -> str:
    """Return Google's code of the error, such as invalid_grant: its text may hold more."""
    text = str(error.args[0]) if error.args else ""
    code = text.split(":", 1)[0].strip("('\" ")
    return code if code.replace("_", "").isalpha() and len(code) < 40 else type(error).__name__
