"""Who asks Azure: as an Airflow connection of type wasb says it.

login and password: the account and its key; with the extra `tenant_id`, the client id and secret of an application.
host: the account's address, where it is not the usual one. Extras as Airflow's own: `connection_string`,
`sas_token`, `shared_access_key`, `tenant_id`, `managed_identity_client_id`. Ours: `machine_role`, `authority_host`.
"""

from __future__ import annotations

import base64
import binascii
import os
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode

from include.connections import Connection
from include.errors import BadInput, Permanent, Problem
from include.targets.object_stores.client import Ask, Client, Refused

SCOPE = "https://storage.azure.com/.default"
_RESOURCE = "https://storage.azure.com/"
_AUTHORITY = "https://login.microsoftonline.com"
_METADATA = "http://169.254.169.254/metadata/identity/oauth2/token"
_EARLY = timedelta(minutes=5)


class Bearer(NamedTuple):
    """An access token and its end (UTC)."""

    token: str
    expires: datetime


class Account(NamedTuple):
    """A storage account and one way to use it: its key, a shared access signature, or tokens."""

    name: str
    endpoint: str
    key: bytes = b""
    sas: str = ""
    bearer: Callable[[], Bearer] | None = None


def account_of(connection: Connection) -> Account:
    """Return the account; BadInput, with what to fill in, when the connection does not say enough."""
    stated = _stated(connection)
    with_tokens = bool(connection.text("tenant_id")) or connection.extra.get("machine_role") is True
    endpoint = (stated.get("BlobEndpoint") or connection.host).rstrip("/")
    if endpoint and "://" not in endpoint:
        endpoint = f"https://{endpoint}"
    name = stated.get("AccountName") or ("" if connection.text("tenant_id") else connection.login)
    name = name or endpoint.partition("://")[2].partition(".")[0]
    if not name:
        raise _wrong(connection, "login holds the name of the storage account, or host its address")
    suffix = stated.get("EndpointSuffix", "core.windows.net")
    account = Account(name, endpoint or f"https://{name}.blob.{suffix}")
    if sas := (stated.get("SharedAccessSignature") or connection.text("sas_token")):
        return account._replace(sas=sas.rpartition("?")[2])
    if with_tokens:
        return account._replace(bearer=Tokens(connection))
    key = stated.get("AccountKey") or connection.text("shared_access_key") or connection.password
    try:
        found = base64.b64decode(key, validate=True)
    except binascii.Error:
        raise _wrong(connection, "password holds the account's key, which is written in base64") from None
    if not found:
        right = (
            "password holds the account's key; or the extra has sas_token, or tenant_id with an application's id and "
            "secret as login and password; or machine_role is true, to use the identity of Airflow's workers"
        )
        raise _wrong(connection, right)
    return account._replace(key=found)


class Tokens:
    """Returns a token that is good for some minutes more: an application's, or the machine's identity's."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._bearer: Bearer | None = None

    def __call__(self) -> Bearer:
        """Return the token; Permanent when nobody gives one."""
        with self._lock:
            if self._bearer is None or self._bearer.expires - _EARLY < datetime.now(UTC):
                self._bearer = self._asked()
            return self._bearer

    def _asked(self) -> Bearer:
        ask = self._request()
        client = Client(ask.url)
        try:
            document = client.send(lambda: ask).document
            return Bearer(
                document["access_token"], datetime.now(UTC) + timedelta(seconds=int(document["expires_in"]))
            )
        except (Refused, KeyError, TypeError, ValueError) as error:
            code = f"{error.status} {error.code}" if isinstance(error, Refused) else "an unknown answer"
            raise Permanent(
                f"connection {self._connection.name}: no access token from {client.host} ({code}); check tenant_id, "
                "the application's id and secret, or the identity that this machine was given"
            ) from error

    def _request(self) -> Ask:
        connection, environment = self._connection, os.environ
        authority = connection.text("authority_host") or environment.get("AZURE_AUTHORITY_HOST") or _AUTHORITY
        values = {"grant_type": "client_credentials", "scope": SCOPE}
        if tenant := connection.text("tenant_id"):
            values |= {"client_id": connection.login, "client_secret": connection.password}
        elif path := environment.get("AZURE_FEDERATED_TOKEN_FILE"):
            tenant = environment.get("AZURE_TENANT_ID", "")
            kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
            values |= {"client_id": environment.get("AZURE_CLIENT_ID", ""), "client_assertion_type": kind}
            values |= {"client_assertion": Path(path).read_text().strip()}
        else:
            return _of_machine(connection.text("managed_identity_client_id"), environment)
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        url = f"{authority.rstrip('/')}/{tenant}/oauth2/v2.0/token"
        return Ask("POST", url, headers, urlencode(values).encode())


def _of_machine(client: str, environment: Mapping[str, str]) -> Ask:
    """Ask the metadata service of the machine, or that of an app service."""
    values = {"resource": _RESOURCE, **({"client_id": client} if client else {})}
    if address := environment.get("IDENTITY_ENDPOINT"):
        headers = {"X-IDENTITY-HEADER": environment.get("IDENTITY_HEADER", "")}
        return Ask("GET", f"{address}?{urlencode({**values, 'api-version': '2019-08-01'})}", headers)
    return Ask(
        "GET", f"{_METADATA}?{urlencode({**values, 'api-version': '2018-02-01'})}", {"Metadata": "true"}
    )


def _stated(connection: Connection) -> dict[str, str]:
    """Return the parts of a connection string."""
    pairs = (part.partition("=") for part in connection.text("connection_string").split(";") if part.strip())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _wrong(connection: Connection, right: str) -> BadInput:
    return BadInput([Problem("connection", connection.name, right, "missing_credentials")])
