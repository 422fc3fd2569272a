"""Signed addresses of Google Cloud Storage, by https://cloud.google.com/storage/docs/authentication/canonical-requests."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlsplit

from include.targets.object_stores.aws_signing import UNRESERVED, query


def address(
    endpoint: str, path: str, email: str, sign: Callable[[bytes], bytes], expires: timedelta, now: datetime
) -> str:
    """Return an address with which anybody can read the object. path: bucket and key, not quoted.

    sign: signs with the RSA key (SHA-256) of the account whose address is `email`.
    """
    stamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{stamp[:8]}/auto/storage/goog4_request"
    parts = urlsplit(endpoint)
    quoted = "/" + quote(path, safe="/" + UNRESERVED)
    values = query(
        {
            "X-Goog-Algorithm": "GOOG4-RSA-SHA256",
            "X-Goog-Credential": f"{email}/{scope}",
            "X-Goog-Date": stamp,
            "X-Goog-Expires": str(int(expires.total_seconds())),
            "X-Goog-SignedHeaders": "host",
        }
    )
    canonical = f"GET\n{quoted}\n{values}\nhost:{parts.netloc}\n\nhost\nUNSIGNED-PAYLOAD"
    text = f"GOOG4-RSA-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    return f"{endpoint}{quoted}?{values}&X-Goog-Signature={sign(text.encode()).hex()}"
