"""Google Cloud Storage: resumable uploads whose end creates the object only where there is none (generation 0).

By https://cloud.google.com/storage/docs/performing-resumable-uploads and .../request-preconditions. An upload that
nobody ends cannot be seen, costs nothing and goes after a week.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import quote, urlencode

from include.connections import Connection
from include.errors import LoyaltyError, Permanent, Transient
from include.targets.google_keys import key_in
from include.targets.object_stores.client import (
    SILENCE_SECONDS,
    Answer,
    Ask,
    Client,
    FileBody,
    Refused,
    refusal,
)
from include.targets.object_stores.gcs_signing import address
from include.targets.object_stores.reading import RETRY, client_options
from include.targets.object_stores.sending import Terms

ENDPOINT = "https://storage.googleapis.com"
SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"
REMEDIES = {
    "401": "its key is not accepted; check keyfile_dict of the connection, and that the account is enabled",
    "403": "this account may not do that; give it the role Storage Object User on the bucket (storage.objects.create, "
    "get, list, delete), and with kms_key let the bucket's service agent use the key",
    "404": "there is no such bucket; make it, or correct `bucket`",
}
_EARLY = timedelta(minutes=5)


class Token:
    """Returns an access token that is good for some minutes more."""

    def __init__(self, connection: Connection) -> None:
        self._name = connection.name
        self.key = key_in(connection)
        self._credentials: Any = None
        self._lock = threading.Lock()

    def __call__(self) -> tuple[str, datetime | None]:
        """Return the token and its end (UTC); Permanent when the key is not accepted."""
        from google.auth.exceptions import GoogleAuthError, TransportError
        from google.auth.transport.requests import Request

        with self._lock:
            try:
                if self._credentials is None:
                    self._credentials = self.account()
                ends = _utc(self._credentials.expiry)
                if not self._credentials.token or (ends and ends - _EARLY < datetime.now(UTC)):
                    self._credentials.refresh(partial(Request(), timeout=SILENCE_SECONDS))
            except TransportError as error:
                raise Transient(f"connection {self._name}: Google's token service does not answer") from error
            except (GoogleAuthError, ValueError) as error:
                raise Permanent(
                    f"connection {self._name}: no access token ({type(error).__name__}); check keyfile_dict, that the "
                    "account is enabled and its key not deleted, and the clock of this machine"
                ) from error
            return self._credentials.token, _utc(self._credentials.expiry)

    def account(self) -> Any:
        """Return the account as Google's library has it: the connection's, or the machine's."""
        if self.key is None:
            import google.auth

            return google.auth.default(scopes=[SCOPE])[0]
        from google.oauth2 import service_account

        make: Any = service_account.Credentials.from_service_account_info
        return make(self.key, scopes=[SCOPE])


class Gcs:
    """A bucket, with the account of a connection of type google_cloud_platform."""

    lanes = 1  # the parts of an upload come one after another
    most_parts = 1_000_000

    def __init__(self, bucket: str, connection: Connection) -> None:
        self.place = f"gs://{bucket}"
        self._bucket = bucket
        self._endpoint = connection.text("endpoint_url").rstrip("/") or ENDPOINT
        self._token = Token(connection)
        self._client = Client(self._endpoint)

    def put(self, key: str, data: bytes, terms: Terms, *, replace: bool) -> bool:
        """Create as an upload of one part (see `ObjectStore`)."""
        upload = self.begin(key, len(data), terms, replace=replace)
        upload.part(1, data)
        return upload.finish()

    def stream(self, key: str, body: FileBody, terms: Terms, *, replace: bool) -> bool | None:  # noqa: ARG002
        """Return None: an upload goes on where it broke (see `ObjectStore`)."""
        return None

    def begin(self, key: str, size: int, terms: Terms, *, replace: bool) -> GcsUpload:
        """Begin an upload (see `ObjectStore`)."""
        resource = {
            "name": key,
            "contentType": terms.content_type,
            "contentEncoding": terms.content_encoding,
            "storageClass": terms.storage_class,
            "metadata": dict(terms.metadata),
            # Else Google unpacks what is kept as gzip for those who do not ask for it, and its hash is another.
            "cacheControl": "no-transform" if terms.content_encoding else "",
        }
        values = {"uploadType": "resumable", "name": key}
        if not replace:
            values["ifGenerationMatch"] = "0"
        if terms.kms_key:
            values["kmsKeyName"] = terms.kms_key
        url = f"{self._endpoint}/upload/storage/v1/b/{quote(self._bucket)}/o?{urlencode(values)}"
        headers = {"Content-Type": "application/json; charset=utf-8", "X-Upload-Content-Length": str(size)}
        body = json.dumps({name: value for name, value in resource.items() if value}).encode()
        try:
            session = self.ask("POST", url, headers, body).headers.get("Location", "")
        except Refused as error:
            if error.status != 412:
                raise self.refused(key, error.status, error.code, error.message) from error
            session = ""
        return GcsUpload(self, key, session, size)

    def client(self) -> Any:
        """Return the reading client; nothing of it comes from the environment."""
        self._credential()  # what is wrong with them is said here, not by the client in its own words
        from obstore.store import GCSStore

        return GCSStore(
            self._bucket,
            base_url=self._endpoint,
            skip_signature=False,
            client_options=client_options(self._endpoint),
            retry_config=RETRY,
            credential_provider=self._credential,
        )

    def links(self, keys: Sequence[str], expires: timedelta) -> list[str]:
        """Sign with the key of the connection (see `ObjectStore`)."""
        if self._token.key is None:
            raise Permanent(f"{self.place}: only a connection with keyfile_dict can sign links; give it one")
        account, now = self._token.account(), datetime.now(UTC)
        return [
            address(
                self._endpoint,
                f"{self._bucket}/{key}",
                account.signer_email,
                account.sign_bytes,
                expires,
                now,
            )
            for key in keys
        ]

    def refused(self, key: str, status: int, code: str, message: str) -> LoyaltyError:
        """Name the remedy."""
        return refusal(f"{self.place}/{key}".rstrip("/"), status, code, message, REMEDIES)

    def clear_uploads(self, prefix: str, before: datetime) -> list[str]:  # noqa: ARG002
        """Return none: nobody can list them, nobody pays for them, and Google ends them after a week."""
        return []

    def ask(self, method: str, url: str, headers: Mapping[str, str], body: bytes = b"") -> Answer:
        """Send one request with the token; raise Refused."""
        return self._client.send(
            lambda: Ask(method, url, {**headers, "Authorization": f"Bearer {self._token()[0]}"}, body)
        )

    def _credential(self) -> Any:
        token, expires = self._token()
        return {"token": token, "expires_at": expires}


class GcsUpload:
    """An upload that has begun; the last part waits for `finish`, since it is what creates the object."""

    def __init__(self, store: Gcs, key: str, session: str, size: int) -> None:
        self._store, self._key, self._session, self._size = store, key, session, size
        self._waiting: bytes = b""
        self._sent = 0

    def part(self, number: int, data: bytes) -> None:  # noqa: ARG002 - they come in order
        """Send the part before this one."""
        if self._session and self._waiting:
            self._send(self._waiting)
        self._waiting = data

    def finish(self) -> bool:
        """Send the last part, with which the object is there; False when its name is taken."""
        if not self._session:
            return False
        try:
            self._send(self._waiting)
        except Refused as error:
            if error.status == 412:
                return False
            if error.status in (404, 410):
                raise Transient(f"{self._store.place}/{self._key}: Google has ended the upload") from error
            raise self._store.refused(self._key, error.status, error.code, error.message) from error
        return True

    def abort(self) -> None:
        """Cancel the upload; gone already is fine."""
        if self._session:
            try:
                self._store.ask("DELETE", self._session, {})
            except Refused as error:
                if error.status not in (404, 410, 499):  # 499 is how Google confirms it
                    raise self._store.refused(self._key, error.status, error.code, error.message) from error

    def _send(self, data: bytes) -> None:
        """Send the next bytes; the server says how far it has come, which may be less far than they go."""
        end = self._sent + len(data)
        while True:
            rest = data[len(data) - (end - self._sent) :]
            span = f"{self._sent}-{end - 1}" if rest else "*"
            answer = self._store.ask(
                "PUT", self._session, {"Content-Range": f"bytes {span}/{self._size}"}, rest
            )
            if answer.status != 308:
                self._sent = end
                return
            found = re.search(r"(\d+)$", answer.headers.get("Range", ""))
            reached = int(found[1]) + 1 if found else 0
            if reached <= self._sent:
                raise Transient(f"{self._store.place}/{self._key}: the upload does not go on")
            self._sent = min(reached, end)
            if self._sent == end < self._size:
                return


def _utc(moment: datetime | None) -> datetime | None:
    """Google's library keeps its instants without a zone, in UTC."""
    return moment.replace(tzinfo=UTC) if moment and moment.tzinfo is None else moment
