"""Who we are for Google: the account of a connection, and how its access tokens come about."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from google.auth.transport.requests import Request
from requests import PreparedRequest
from requests.auth import AuthBase

from include.connections import Connection
from include.errors import BadInput, Problem
from include.targets.google_keys import key_in

SPREADSHEETS = "https://www.googleapis.com/auth/spreadsheets"
OWN_FILES = "https://www.googleapis.com/auth/drive.file"
ALL_FILES = "https://www.googleapis.com/auth/drive"
TOKEN_SECONDS = 30  # that the token service may be silent
TOKEN_URI = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address


class Account(AuthBase):
    """The account of a connection, which signs requests. address: whom to share with; empty where nobody knows it.

    Google's own session asks a further service about the account, in a thread of its own; this one does not.
    """

    def __init__(self, connection: Connection, scopes: Sequence[str]) -> None:
        self.name = connection.name
        self._credentials, self.address = _credentials(connection, scopes)
        self._is_new = False

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Sign a request; raises what Google's library raises when there is no token to be had."""
        if not self._credentials.valid:
            self._credentials.refresh(partial(Request(), timeout=TOKEN_SECONDS))
            self._is_new = True
        request.headers["Authorization"] = f"Bearer {self._credentials.token}"
        return request

    def accepted(self) -> None:
        """Note that the token was accepted."""
        self._is_new = False

    def forget(self) -> bool:
        """Forget a token that is no longer accepted; return whether another one may help."""
        if self._is_new:
            return False
        self._credentials.token = None
        return True

    @property
    def shown(self) -> str:
        """The account in a sentence."""
        return self.address or f"the account of connection {self.name}"


def _credentials(connection: Connection, scopes: Sequence[str]) -> tuple[Any, str]:
    key = key_in(connection)
    if key is None:
        import google.auth

        found: Any = google.auth.default(scopes=list(scopes))[0]
        return found, getattr(found, "service_account_email", "")
    kind = key.get("type", "service_account")
    try:
        if kind == "authorized_user":
            return _user(key), ""
        return _service(key, connection, scopes)
    except (KeyError, ValueError, TypeError) as error:
        right = (
            "its key is neither that of a service account (type, client_email, private_key, token_uri) nor that of a "
            "user who has consented (type: authorized_user, client_id, client_secret, refresh_token): "
            f"{type(error).__name__}"
        )
        raise BadInput([Problem("connection", connection.name, right, "bad_credentials")]) from None


def _service(key: dict[str, Any], connection: Connection, scopes: Sequence[str]) -> tuple[Any, str]:
    from google.oauth2 import service_account

    make: Any = service_account.Credentials.from_service_account_info
    found = make(key, scopes=list(scopes))
    person = connection.text("delegate_to")
    return (found.with_subject(person), person) if person else (found, found.service_account_email)


def _user(key: dict[str, Any]) -> Any:
    """Return the login of a person: its scopes are those that the person has consented to."""
    from google.oauth2 import credentials

    make: Any = credentials.Credentials
    return make(
        None,
        refresh_token=key["refresh_token"],
        token_uri=key.get("token_uri", TOKEN_URI),
        client_id=key["client_id"],
        client_secret=key["client_secret"],
    )
