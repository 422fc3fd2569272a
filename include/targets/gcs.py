"""Google Cloud Storage.

The connection is of type google_cloud_platform: its extra has `keyfile_dict` (the JSON key of a service account),
`key_path` (its file on every worker), or `machine_role: true` for the account of the workers' machine.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field, StringConstraints

from include.connections import Secrets
from include.errors import Problem
from include.targets import objects
from include.targets.object_stores.sending import ObjectStore, Terms
from include.targets.objects import CAPABILITIES as CAPABILITIES  # noqa: PLC0414
from include.targets.protocol import Parcel, Progress, Receipt, Seen

KIND = "gcs"
OUTSIDE = True


class Options(objects.ObjectOptions):
    """Which bucket, and how it keeps what it gets."""

    bucket: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$")] = Field(
        description="The bucket's name."
    )
    storage_class: objects.Word | None = Field(
        None, description="Storage class, such as NEARLINE; left out, the bucket's own."
    )
    kms_key: objects.Word | None = Field(
        None, description="Resource name of the Cloud KMS key; left out, the bucket's own encryption."
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
    from include.targets.object_stores.gcs import Gcs

    return Gcs(options.bucket, objects.connection_of(options, secrets))


def _terms(options: Options) -> Terms:
    return Terms(
        **objects.common_terms(options),
        storage_class=options.storage_class or "",
        kms_key=options.kms_key or "",
    )
