"""Azure Blob Storage: conditional creates, in blocks where large (`If-None-Match: *` on the list of blocks).

By https://learn.microsoft.com/en-us/rest/api/storageservices/put-block-list. The server refuses a body whose MD5 is
not the one sent. Blocks that nobody lists cannot be seen and go after a week.
"""

from __future__ import annotations

import base64
import hashlib
import secrets as tokens
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from include.connections import Connection
from include.errors import LoyaltyError, Permanent, Transient
from include.targets.object_stores.azure_credentials import account_of
from include.targets.object_stores.azure_signing import VERSION, shared, signed
from include.targets.object_stores.client import LANES, Ask, Client, FileBody, Refused, refusal
from include.targets.object_stores.reading import RETRY, client_options
from include.targets.object_stores.sending import Terms

_RIGHTS = (
    "these credentials may not do that; an identity needs the role Storage Blob Data Contributor on the container, a "
    "shared access signature the rights read, create, write, list and delete (racwdl) and a time that has not ended"
)
REMEDIES = {
    "AuthenticationFailed": "the key, signature or token is not accepted; check login and password or the extra of the "
    "connection, and the clock of this machine",
    "AuthorizationFailure": "the key or signature is not accepted, or a network rule of the account keeps this machine "
    "out; check login and password or the extra of the connection, and the rights read, create, write, list, delete",
    "InvalidBlobOrBlock": "another program has left an upload under this name unfinished; Azure ends it after a week, "
    "until then choose another prefix, or let that program finish",
    "ContainerNotFound": "there is no such container; make it, or correct `container`",
    "AccountIsDisabled": "the storage account is disabled",
    "ContainerBeingDeleted": "the container is being deleted",
    "401": "no credentials were accepted; check the connection",
    "403": _RIGHTS,
    "404": "there is no such container; make it, or correct `container`",
}


class Azure:
    """A container, with the credentials of a connection of type wasb."""

    lanes = LANES
    most_parts = 50_000

    def __init__(self, container: str, connection: Connection) -> None:
        self._account = account_of(connection)
        self._container = container
        self.place = f"{self._account.endpoint}/{container}"
        self._client = Client(self._account.endpoint)

    def put(self, key: str, data: bytes, terms: Terms, *, replace: bool) -> bool:
        """Create in one request (see `ObjectStore`)."""
        headers = {**_headers(terms), **_condition(replace=replace), "x-ms-blob-type": "BlockBlob"}
        try:
            self.ask("PUT", key, {}, headers, data)
        except Refused as error:
            return self.taken(key, error)
        return True

    def stream(self, key: str, body: FileBody, terms: Terms, *, replace: bool) -> bool | None:  # noqa: ARG002
        """Return None: blocks go side by side (see `ObjectStore`)."""
        return None

    def begin(self, key: str, size: int, terms: Terms, *, replace: bool) -> AzureUpload:  # noqa: ARG002
        """Begin an upload in blocks (see `ObjectStore`)."""
        return AzureUpload(self, key, {**_headers(terms), **_condition(replace=replace)}, terms.encryption)

    def client(self) -> Any:
        """Return the reading client; nothing of it comes from the environment."""
        self._credential()  # what is wrong with them is said here, not by the client in its own words
        from obstore.store import AzureStore

        return AzureStore(
            self._container,
            account_name=self._account.name,
            endpoint=self._account.endpoint,
            use_emulator=False,
            skip_signature=False,
            client_options=client_options(self._account.endpoint),
            retry_config=RETRY,
            credential_provider=self._credential,
        )

    def links(self, keys: Sequence[str], expires: timedelta) -> list[str]:
        """Sign with the account's key (see `ObjectStore`)."""
        account = self._account
        if not account.key:
            raise Permanent(
                f"{self.place}: only a connection with the account's key can sign links; give it one"
            )
        ends = datetime.now(UTC) + expires
        secure = account.endpoint.startswith("https://")
        return [
            f"{self._url(key)}?{shared(account.name, account.key, f'{self._container}/{key}', ends, secure=secure)}"
            for key in keys
        ]

    def refused(self, key: str, status: int, code: str, message: str) -> LoyaltyError:
        """Name the remedy."""
        return refusal(f"{self.place}/{key}".rstrip("/"), status, code, message, REMEDIES)

    def clear_uploads(self, prefix: str, before: datetime) -> list[str]:  # noqa: ARG002
        """Return none: blocks without a list can only be removed by naming them, and Azure ends them after a week."""
        return []

    def taken(self, key: str, error: Refused) -> bool:
        """Return False when the refusal says that the name is taken; raise what else it says."""
        if error.code in ("BlobAlreadyExists", "ConditionNotMet", "UnauthorizedBlobOverwrite"):
            return False
        if error.code == "InvalidBlockList":  # another attempt's list, which names its own blocks, came first
            raise Transient(f"{self.place}/{key}: somebody else is writing it at this moment") from error
        raise self.refused(key, error.status, error.code, error.message) from error

    def ask(
        self, method: str, key: str, values: Mapping[str, str], headers: Mapping[str, str], body: bytes
    ) -> None:
        """Send one request about the key; raise Refused."""
        account = self._account
        text = "&".join(part for part in (urlencode(values), account.sas) if part)
        url = self._url(key) + (f"?{text}" if text else "")
        told = {**headers, "x-ms-version": VERSION}
        if body:
            told["Content-MD5"] = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()

        def make() -> Ask:
            now = {**told, "x-ms-date": format_datetime(datetime.now(UTC), usegmt=True)}
            if account.bearer:
                return Ask(method, url, {**now, "Authorization": f"Bearer {account.bearer().token}"}, body)
            ask = Ask(method, url, now, body)
            return ask if account.sas else signed(ask, account=account.name, key=account.key)

        self._client.send(make)

    def _url(self, key: str) -> str:
        return f"{self._account.endpoint}/{quote(self._container)}/{quote(key, safe='/-_.~')}"

    def _credential(self) -> Any:
        account = self._account
        if account.bearer:
            bearer = account.bearer()
            return {"token": bearer.token, "expires_at": bearer.expires}
        if account.sas:
            return {"sas_token": parse_qsl(account.sas, keep_blank_values=True), "expires_at": None}
        return {"access_key": base64.b64encode(account.key).decode(), "expires_at": None}


class AzureUpload:
    """An upload in blocks; their names hold this attempt's mark, so that no other attempt's block is ever listed."""

    def __init__(self, store: Azure, key: str, headers: Mapping[str, str], scope: str) -> None:
        self._store, self._key, self._headers = store, key, headers
        self._scope = {"x-ms-encryption-scope": scope} if scope else {}
        self._mark = tokens.token_hex(8)
        self._numbers: list[int] = []

    def part(self, number: int, data: bytes) -> None:
        """Send one block."""
        values = {"comp": "block", "blockid": self._id(number)}
        try:
            self._store.ask("PUT", self._key, values, self._scope, data)
        except Refused as error:
            raise self._store.refused(self._key, error.status, error.code, error.message) from error
        self._numbers.append(number)

    def finish(self) -> bool:
        """List the blocks, with which the blob is there; False when its name is taken."""
        listed = "".join(f"<Latest>{self._id(number)}</Latest>" for number in sorted(self._numbers))
        body = f'<?xml version="1.0" encoding="utf-8"?><BlockList>{listed}</BlockList>'.encode()
        try:
            self._store.ask("PUT", self._key, {"comp": "blocklist"}, self._headers, body)
        except Refused as error:
            return self._store.taken(self._key, error)
        return True

    def abort(self) -> None:
        """Do nothing: blocks that are not listed cannot be removed, and Azure ends them after a week."""

    def _id(self, number: int) -> str:
        """Return the block's id: all of a blob's are of one length."""
        return base64.b64encode(f"{self._mark}-{number:06}".encode()).decode()


def _condition(*, replace: bool) -> dict[str, str]:
    return {} if replace else {"If-None-Match": "*"}


def _headers(terms: Terms) -> dict[str, str]:
    found = {
        "x-ms-blob-content-type": terms.content_type,
        "x-ms-blob-content-encoding": terms.content_encoding,
        "x-ms-access-tier": terms.storage_class,
        "x-ms-encryption-scope": terms.encryption,
        **{f"x-ms-meta-{name}": value for name, value in terms.metadata.items()},
    }
    return {name: value for name, value in found.items() if value}
