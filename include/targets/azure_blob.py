"""Azure Blob Storage.

The connection is of type wasb; include/targets/object_stores/azure_credentials.py says what of it is read.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from include.connections import Secrets
from include.errors import Problem
from include.targets import objects
from include.targets.object_stores.sending import ObjectStore, Terms
from include.targets.objects import CAPABILITIES as CAPABILITIES  # noqa: PLC0414
from include.targets.protocol import Parcel, Progress, Receipt, Seen

KIND = "azure_blob"
OUTSIDE = True


class Options(objects.ObjectOptions):
    """Which container, and how it keeps what it gets."""

    container: Annotated[str, StringConstraints(pattern=r"^[a-z0-9](?:-?[a-z0-9]){2,62}$")] = Field(
        description="The container's name."
    )
    storage_class: Literal["Hot", "Cool", "Cold"] | None = Field(
        None, description="Access tier; left out, the account's own. From Archive nothing can be read back."
    )
    encryption_scope: objects.Word | None = Field(
        None, description="Encryption scope of the account, with its own key; left out, the container's own."
    )


def connections(options: Options) -> tuple[str, ...]:
    """Return the one connection."""
    return (options.connection,)


def deliver(options: Options, parcel: Parcel, secrets: Secrets, progress: Progress) -> Receipt:
    """Bring the files there, in order (see `protocol.Target`)."""
    return objects.deliver(KIND, _store(options, secrets), options, _terms(options), parcel, progress)


def look(options: Options, parcel: Parcel, secrets: Secrets) -> Seen:
    """Say what is there (see `protocol.Target`)."""
    return objects.look(_store(options, secrets), options, parcel)


def test(options: Options, secrets: Secrets) -> list[Problem]:
    """Try it with a probe (see `protocol.Target`)."""
    return objects.test(_store(options, secrets), options, _terms(options))


def link(options: Options, parcel: Parcel, secrets: Secrets, expires: timedelta) -> dict[str, str]:
    """Return a signed address by file name (see `objects.link`)."""
    return objects.link(_store(options, secrets), options, parcel, expires)


def clean(options: Options, secrets: Secrets, older_than: timedelta) -> list[str]:
    """Remove what killed deliveries left (see `objects.clean`)."""
    return objects.clean(_store(options, secrets), options, older_than)


def _store(options: Options, secrets: Secrets) -> ObjectStore:
    from include.targets.object_stores.azure import Azure

    return Azure(options.container, objects.connection_of(options, secrets))


def _terms(options: Options) -> Terms:
    return Terms(
        **objects.common_terms(options),
        storage_class=options.storage_class or "",
        encryption=options.encryption_scope or "",
    )
