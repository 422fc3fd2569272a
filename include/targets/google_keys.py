"""The key of a Google account that a connection of type google_cloud_platform holds, as Airflow keeps it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from include.connections import Connection
from include.errors import BadInput, Problem

# How older versions of Airflow called the fields of the extra.
_OLD_PREFIX = "extra__google_cloud_platform__"


def value_in(connection: Connection, name: str) -> Any:
    """Return a value of the extra, also under the name that older versions of Airflow gave it."""
    return connection.extra.get(name) or connection.extra.get(_OLD_PREFIX + name)


def key_in(connection: Connection) -> dict[str, Any] | None:
    """Return the JSON key that the connection holds or names; None: the account of the machine.

    Raises BadInput, which never quotes a key, when there is none or it cannot be read.
    """
    given, path = value_in(connection, "keyfile_dict"), value_in(connection, "key_path")
    try:
        if isinstance(given, Mapping):
            return dict(given)
        if isinstance(given, str) and given:
            return dict(json.loads(given))
        if isinstance(path, str) and path:
            return dict(json.loads(Path(path).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        right = "keyfile_dict, or the file key_path on every worker, must hold the JSON key of an account"
        raise BadInput([Problem("connection", connection.name, right, "bad_credentials")]) from None
    if connection.extra.get("machine_role") is True:
        return None
    right = (
        "the extra needs keyfile_dict, the JSON key of a service account, or key_path, its file; or machine_role: "
        "true, to use the account of the machine that Airflow's workers run on"
    )
    raise BadInput([Problem("connection", connection.name, right, "missing_credentials")])
