"""S3: a bucket of AWS, or of any server that speaks its protocol and keeps `If-None-Match` (test says whether).

The connection is of type aws; include/targets/object_stores/aws_credentials.py says what of it is read.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from include.connections import Secrets
from include.targets import objects
from include.targets.object_stores.sending import ObjectStore, Terms
from include.targets.objects import CAPABILITIES as CAPABILITIES  # noqa: PLC0414

KIND = "s3"
OUTSIDE = True


class Options(objects.ObjectOptions):
    """Which bucket, and how it keeps what it gets."""

    bucket: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")] = Field(
        description="The bucket's name."
    )
    storage_class: objects.Word | None = Field(
        None, description="Storage class, such as STANDARD_IA; left out, the bucket's own."
    )
    encryption: Literal["AES256", "aws:kms", "aws:kms:dsse"] | None = Field(
        None, description="Server-side encryption; left out, the bucket's own."
    )
    kms_key: objects.Word | None = Field(
        None, description="Id or ARN of the KMS key, with encryption aws:kms or aws:kms:dsse."
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.storage_class in {"GLACIER", "DEEP_ARCHIVE"}:
            raise ValueError(
                "storage_class: what goes there cannot be read back; use GLACIER_IR, or a lifecycle rule of the bucket"
            )
        if self.kms_key and self.encryption not in {"aws:kms", "aws:kms:dsse"}:
            raise ValueError("kms_key needs encryption: aws:kms or aws:kms:dsse")
        return self


def _store(options: Options, secrets: Secrets) -> ObjectStore:
    from include.targets.object_stores.s3 import S3

    return S3(options.bucket, objects.connection_of(options, secrets))


def _terms(options: Options) -> Terms:
    return Terms(
        **objects.common_terms(options),
        storage_class=options.storage_class or "",
        encryption=options.encryption or "",
        kms_key=options.kms_key or "",
    )


_TARGET = objects.ObjectTarget(KIND, _store, _terms)
connections, deliver, look = _TARGET.connections, _TARGET.deliver, _TARGET.look
test, link, clean = _TARGET.test, _TARGET.link, _TARGET.clean
