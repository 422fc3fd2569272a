"""Whose keys sign for S3: those of an Airflow connection of type aws, a role that they assume, or the machine's role.

Extras, as Airflow's own aws connection has them: `aws_session_token`, `region_name`, `role_arn` (or
`assume_role_arn`), `assume_role_kwargs` (ExternalId, RoleSessionName, DurationSeconds). One of ours: `machine_role`.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any

from include.connections import Connection
from include.errors import BadInput, Permanent, Problem
from include.targets.object_stores.aws_signing import Keys, query, signed
from include.targets.object_stores.client import Answer, Ask, Client, Refused

DEFAULT_REGION = "us-east-1"
_EARLY = timedelta(minutes=5)
_SESSION = "loyalty-ledger-exports"
_CONTAINER_HOST = "http://169.254.170.2"
_METADATA_HOST = "http://169.254.169.254"


class Credentials:
    """Returns keys that are good for some minutes more, asking for new ones when they end."""

    def __init__(self, connection: Connection) -> None:
        self._source = _source(connection)
        self._lock = threading.Lock()
        self._keys: Keys | None = None

    def __call__(self) -> Keys:
        """Return the keys; Permanent, with the remedy, when nobody gives any."""
        with self._lock:
            if self._keys is None or (
                self._keys.expires is not None and self._keys.expires - _EARLY < datetime.now(UTC)
            ):
                self._keys = self._source()
            return self._keys


def region_of(connection: Connection) -> str:
    """Return the region that the connection names, else AWS's first."""
    return connection.text("region_name") or DEFAULT_REGION


def domain_of(region: str) -> str:
    """Return the domain of a region's services."""
    return "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"


def _source(connection: Connection) -> Callable[[], Keys]:
    base: Callable[[], Keys]
    if connection.login and connection.password:
        keys = Keys(connection.login, connection.password, connection.text("aws_session_token"))
        base = lambda: keys  # noqa: E731
    elif connection.extra.get("machine_role") is True:
        base = _machine
    else:
        right = (
            "login holds the access key and password the secret key; or set machine_role to true in the extra, "
            "to use the role of the machine that Airflow's workers run on"
        )
        raise BadInput([Problem("connection", connection.name, right, "missing_credentials")])
    role = connection.text("role_arn") or connection.text("assume_role_arn")
    return (lambda: _assumed(connection, role, base())) if role else base


def _assumed(connection: Connection, role: str, keys: Keys) -> Keys:
    """Ask the token service for keys of the role."""
    region = region_of(connection)
    more = connection.extra.get("assume_role_kwargs")
    known = {name: str(value) for name, value in more.items()} if isinstance(more, Mapping) else {}
    values = {"RoleSessionName": _SESSION, **known, "Action": "AssumeRole", "RoleArn": role}
    endpoint = _token_service(region, connection.text("sts_endpoint_url"))
    return _of_token_service(endpoint, values, lambda ask: signed(ask, keys, region=region, service="sts"))


def _machine() -> Keys:
    """Return the keys of the machine's role: of a pod or web identity, of a container, or of an instance."""
    environment = os.environ
    if (role := environment.get("AWS_ROLE_ARN")) and (path := environment.get("AWS_WEB_IDENTITY_TOKEN_FILE")):
        region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or DEFAULT_REGION
        values = {
            "Action": "AssumeRoleWithWebIdentity",
            "RoleArn": role,
            "RoleSessionName": _SESSION,
            "WebIdentityToken": Path(path).read_text().strip(),
        }
        return _of_token_service(_token_service(region, ""), values, lambda ask: ask)
    relative = environment.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
    if address := environment.get("AWS_CONTAINER_CREDENTIALS_FULL_URI") or (
        f"{_CONTAINER_HOST}{relative}" if relative else ""
    ):
        return _of_document(_asked(Ask("GET", address, _container_token(environment))).document)
    return _of_instance(environment.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", _METADATA_HOST).rstrip("/"))


def _of_instance(host: str) -> Keys:
    token = _asked(
        Ask("PUT", f"{host}/latest/api/token", {"x-aws-ec2-metadata-token-ttl-seconds": "300"})
    ).text
    headers = {"x-aws-ec2-metadata-token": token}
    place = f"{host}/latest/meta-data/iam/security-credentials/"
    role = _asked(Ask("GET", place, headers)).text.strip()
    return _of_document(_asked(Ask("GET", place + role, headers)).document)


def _container_token(environment: Mapping[str, str]) -> dict[str, str]:
    path = environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")
    token = Path(path).read_text().strip() if path else environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN")
    return {"Authorization": token} if token else {}


def _of_document(document: Any) -> Keys:
    try:
        expires = datetime.fromisoformat(document["Expiration"])
        return Keys(document["AccessKeyId"], document["SecretAccessKey"], document["Token"], expires)
    except (KeyError, TypeError, ValueError):
        raise Permanent("the machine's role gave no keys; check that the role may be used here") from None


def _token_service(region: str, endpoint: str) -> str:
    return endpoint.rstrip("/") or f"https://sts.{region}.{domain_of(region)}"


def _of_token_service(endpoint: str, values: dict[str, str], sign: Callable[[Ask], Ask]) -> Keys:
    headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    body = query({**values, "Version": "2011-06-15"}).encode()
    answer = _asked(Ask("POST", f"{endpoint}/", headers, body), sign)
    found = {
        name: unescape(value)
        for name, value in re.findall(
            r"<(AccessKeyId|SecretAccessKey|SessionToken|Expiration)>([^<]+)<", answer.text
        )
    }
    if len(found) < 4:
        raise Permanent(f"{endpoint}: the token service gave no keys; check sts_endpoint_url")
    expires = datetime.fromisoformat(found["Expiration"])
    return Keys(found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"], expires)


def _asked(ask: Ask, sign: Callable[[Ask], Ask] = lambda ask: ask) -> Answer:
    client = Client(ask.url)
    try:
        return client.send(lambda: sign(ask))
    except Refused as error:
        raise Permanent(
            f"{client.host}: no keys for this role ({error.status} {error.code}); check the connection's keys, "
            "role_arn, and whom the role trusts"
        ) from error
