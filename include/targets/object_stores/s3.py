"""S3 and servers that speak it: conditional creates, in parts where large (`If-None-Match: *` on the last request).

By https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html. The SHA-256 of every body is part
of its signature, so the server itself refuses a body that arrives changed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from html import unescape
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape

from include.connections import Connection
from include.errors import LoyaltyError, Permanent, Transient
from include.targets.object_stores.aws_credentials import Credentials, domain_of, region_of
from include.targets.object_stores.aws_signing import UNRESERVED, query, signed
from include.targets.object_stores.client import LANES, Answer, Ask, Client, FileBody, Refused, refusal
from include.targets.object_stores.reading import RETRY, client_options
from include.targets.object_stores.sending import Terms

_KEYS = "check login (access key) and password (secret key) of the connection"
REMEDIES = {
    "InvalidAccessKeyId": _KEYS,
    "SignatureDoesNotMatch": _KEYS,
    "InvalidToken": _KEYS,
    "ExpiredToken": "aws_session_token has ended; give the connection a new one, or keys that do not end",
    "RequestTimeTooSkewed": "the clock of this machine is wrong",
    "NoSuchBucket": "there is no such bucket; make it, or correct `bucket` and the connection's region_name",
    "PermanentRedirect": "the bucket is in another region; set region_name in the connection's extra",
    "AuthorizationHeaderMalformed": "the bucket is in another region; set region_name in the connection's extra",
    "InvalidStorageClass": "the store has no such class; correct `storage_class`",
    "AllAccessDisabled": "the bucket or its account is closed",
    "QuotaExceeded": "the bucket is full; free some space or raise its quota",
    "403": "these credentials may not do that; they need s3:PutObject, s3:GetObject, s3:ListBucket and "
    "s3:AbortMultipartUpload on the bucket and its prefix, and with kms_key kms:GenerateDataKey and kms:Decrypt",
    "404": "there is no such bucket; make it, or correct `bucket` and the connection's region_name",
}


class S3:
    """A bucket, with the keys of a connection of type aws."""

    lanes = LANES
    most_parts = 10_000
    # The fastest way, and it leaves nothing behind; but what breaks begins again, so a larger file goes in parts.
    most_streamed_bytes = 1 << 30

    def __init__(self, bucket: str, connection: Connection) -> None:
        self.place = f"s3://{bucket}"
        self._bucket = bucket
        self._region = region_of(connection)
        self._keys = Credentials(connection)
        given = connection.text("endpoint_url").rstrip("/")
        # A name with dots is in no certificate, and other servers rarely have one name for each bucket.
        self._in_path = bool(given) or "." in bucket
        server = given or f"https://s3.{self._region}.{domain_of(self._region)}"
        self._endpoint = server if self._in_path else server.replace("https://", f"https://{bucket}.", 1)
        self._root = f"{server}/{quote(bucket)}" if self._in_path else self._endpoint
        self._client = Client(self._endpoint)

    def put(self, key: str, data: bytes | FileBody, terms: Terms, *, replace: bool) -> bool:
        """Create in one request (see `ObjectStore`)."""
        try:
            self.ask("PUT", key, headers={**_headers(terms), **_condition(replace=replace)}, body=data)
        except Refused as error:
            return self.taken(key, error)
        return True

    def stream(self, key: str, body: FileBody, terms: Terms, *, replace: bool) -> bool | None:
        """Create in one request, whose signature holds the hash of the whole (see `ObjectStore`)."""
        if body.size > self.most_streamed_bytes:
            return None
        return self.put(key, body, terms, replace=replace)

    def begin(self, key: str, size: int, terms: Terms, *, replace: bool) -> S3Upload:  # noqa: ARG002
        """Begin an upload in parts (see `ObjectStore`)."""
        answer = self._asked("POST", key, {"uploads": ""}, _headers(terms))
        found = re.search(r"<UploadId>([^<]+)<", answer.text)
        if not found:
            raise Permanent(f"{self.place}/{key}: the server cannot upload in parts; is it an S3 server?")
        return S3Upload(self, key, unescape(found[1]), replace=replace)

    def client(self) -> Any:
        """Return the reading client; nothing of it comes from the environment."""
        self._credential()  # what is wrong with them is said here, not by the client in its own words
        from obstore.store import S3Store

        return S3Store(
            self._bucket,
            endpoint=self._endpoint,
            aws_endpoint_url_s3=self._endpoint,
            region=self._region,
            virtual_hosted_style_request=not self._in_path,
            skip_signature=False,
            request_payer=False,
            client_options=client_options(self._endpoint),
            retry_config=RETRY,
            credential_provider=self._credential,
        )

    def links(self, keys: Sequence[str], expires: timedelta) -> list[str]:
        """Sign (see `ObjectStore`); links hold no longer than the keys."""
        import obstore

        try:
            return list(obstore.sign(self.client(), "GET", list(keys), expires))
        except obstore.exceptions.BaseError as error:
            raise Permanent(f"{self.place}: these credentials cannot sign links") from error

    def refused(self, key: str, status: int, code: str, message: str) -> LoyaltyError:
        """Name the remedy."""
        return refusal(f"{self.place}/{key}".rstrip("/"), status, code, message, REMEDIES)

    def clear_uploads(self, prefix: str, before: datetime) -> list[str]:
        """End uploads that began before then (see `ObjectStore`)."""
        cleared: list[str] = []
        marks: dict[str, str] = {}
        while True:
            values = {"uploads": "", "prefix": prefix, "delimiter": "/", **marks}
            text = self._asked("GET", "", values).text
            for found in re.findall(r"<Upload>(.*?)</Upload>", text, re.DOTALL):
                key = _text(found, "Key")
                if "/" in key[len(prefix) :]:  # not every server knows of the delimiter
                    continue
                if datetime.fromisoformat(_text(found, "Initiated")) < before:
                    S3Upload(self, key, _text(found, "UploadId"), replace=False).abort()
                    cleared.append(key)
            if _text(text, "IsTruncated") != "true":
                return cleared
            marks = {
                "key-marker": _text(text, "NextKeyMarker"),
                "upload-id-marker": _text(text, "NextUploadIdMarker"),
            }

    def _credential(self) -> Any:
        keys = self._keys()
        return {
            "access_key_id": keys.access,
            "secret_access_key": keys.secret,
            "token": keys.token or None,
            "expires_at": keys.expires,
        }

    def taken(self, key: str, error: Refused) -> bool:
        """Return False when the refusal says that the name is taken; raise what else it says."""
        if error.status == 412:
            return False
        if error.status == 409:
            raise Transient(f"{self.place}/{key}: somebody else is writing it at this moment") from error
        raise self.refused(key, error.status, error.code, error.message) from error

    def _asked(
        self, method: str, key: str, values: Mapping[str, str], headers: Mapping[str, str] | None = None
    ) -> Answer:
        try:
            return self.ask(method, key, values, headers)
        except Refused as error:
            raise self.refused(key, error.status, error.code, error.message) from error

    def ask(
        self,
        method: str,
        key: str,
        values: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | FileBody = b"",
    ) -> Answer:
        """Send one signed request about the key; raise Refused."""
        url = f"{self._root}/{quote(key, safe='/' + UNRESERVED)}"
        ask = Ask(method, f"{url}?{query(values)}" if values else url, headers or {}, body)
        return self._client.send(lambda: signed(ask, self._keys(), region=self._region, service="s3"))


class S3Upload:
    """An upload in parts that has begun."""

    def __init__(self, store: S3, key: str, upload: str, *, replace: bool) -> None:
        self._store, self._key, self._upload, self._replace = store, key, upload, replace
        self._tags: dict[int, str] = {}

    def part(self, number: int, data: bytes) -> None:
        """Send one part."""
        values = {"partNumber": str(number), "uploadId": self._upload}
        try:
            answer = self._store.ask("PUT", self._key, values, body=data)
        except Refused as error:
            raise self._store.refused(self._key, error.status, error.code, error.message) from error
        self._tags[number] = answer.headers["ETag"]

    def finish(self) -> bool:
        """Complete it, where the name is free. One that is gone was completed by a request whose reply was lost."""
        parts = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{escape(self._tags[number])}</ETag></Part>"
            for number in sorted(self._tags)
        )
        body = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()
        try:
            answer = self._store.ask(
                "POST", self._key, {"uploadId": self._upload}, _condition(replace=self._replace), body
            )
            if "<Error>" in answer.text:  # the reply begins before the work is done
                raise Transient(f"{self._store.place}/{self._key}: it could not be completed")
        except Refused as error:
            if error.code == "NoSuchUpload":
                return False
            if not self._store.taken(self._key, error):
                self.abort()
            return False
        return True

    def abort(self) -> None:
        """Throw the parts away; gone already is fine."""
        try:
            self._store.ask("DELETE", self._key, {"uploadId": self._upload})
        except Refused as error:
            if error.status != 404:
                raise self._store.refused(self._key, error.status, error.code, error.message) from error


def _condition(*, replace: bool) -> dict[str, str]:
    return {} if replace else {"If-None-Match": "*"}


def _headers(terms: Terms) -> dict[str, str]:
    found = {
        "Content-Type": terms.content_type,
        "Content-Encoding": terms.content_encoding,
        "x-amz-storage-class": terms.storage_class,
        "x-amz-server-side-encryption": terms.encryption,
        "x-amz-server-side-encryption-aws-kms-key-id": terms.kms_key,
        **{f"x-amz-meta-{name}": value for name, value in terms.metadata.items()},
    }
    return {name: value for name, value in found.items() if value}


def _text(xml: str, name: str) -> str:
    found = re.search(f"<{name}>([^<]*)<", xml)
    return unescape(found[1]) if found else ""
