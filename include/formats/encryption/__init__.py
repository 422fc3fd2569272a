"""Encryption of a finished file, the last step before it is stored: one file per kind, and what serves them.

Encrypted bytes differ every time; a run's file is therefore encrypted once and kept. No kind writes plaintext to
disk: what is to be encrypted flows through pipes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol, cast

from pydantic import BaseModel, ConfigDict, Field

from include import kinds
from include.connections import Secrets
from include.errors import Problem
from include.formats.encryption.keys import Used


class Encryption(Protocol):
    """What a kind's file offers; its name is what a definition says."""

    KIND: str
    EXTENSION: str
    MEDIA_TYPE: str
    Options: type[BaseModel]

    def connections(self, options: Any) -> tuple[str, ...]:
        """Return the names of the connections that hold its keys or passwords."""

    def problems(self, options: Any, secrets: Secrets, where: str) -> list[Problem]:
        """Return everything that is wrong with the keys now; encrypting with them would be refused or unsafe."""

    def used(self, options: Any, secrets: Secrets) -> list[Used]:
        """Return the keys that encrypting takes, none of them secret; all is well with them."""

    def encrypt(self, chunks: Iterable[bytes], name: str, options: Any, secrets: Secrets) -> Iterator[bytes]:
        """Yield the encrypted file; `name` is that of the plain file. Memory does not grow with the file.

        Raises BadInput for keys that `problems` tells of, Permanent when encrypting fails.
        """


class EncryptionOptions(BaseModel):
    """How a file is encrypted. `options` are those of the kind's own model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str
    options: Mapping[str, Any] = Field(default_factory=dict)

    def module(self) -> Encryption:
        """Return the module of the kind; BadInput lists the known ones."""
        return cast("Encryption", kinds.load(sys.modules[__name__], self.kind, where="file.encryption.kind"))

    def own(self) -> BaseModel:
        """Return the kind's options with their defaults filled in."""
        return self.module().Options.model_validate(dict(self.options))

    def connections(self) -> tuple[str, ...]:
        """Return the names of the connections that it needs."""
        return self.module().connections(self.own())

    def problems(self, secrets: Secrets, where: str = "file.encryption") -> list[Problem]:
        """Return everything that is wrong with the keys now."""
        return self.module().problems(self.own(), secrets, where)

    def used(self, secrets: Secrets) -> list[Used]:
        """Return the keys that encrypting takes (see `Encryption.used`)."""
        return self.module().used(self.own(), secrets)

    def encrypt(self, chunks: Iterable[bytes], name: str, secrets: Secrets) -> Iterator[bytes]:
        """Yield the encrypted file (see `Encryption.encrypt`)."""
        return self.module().encrypt(chunks, name, self.own(), secrets)
