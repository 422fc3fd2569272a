"""Personal data in a file: which fields are dropped, masked, hashed or made pseudonyms, and what may leave in clear.

A field is personal where the catalog says so (`Column.pii`). An export that does not name its fields leaves
personal ones out; an export that sends some in clear to a target outside must be allowed to by its owner.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from include.connections import MISSING, NAME, Secrets
from include.definitions.base import Strict, refuse
from include.definitions.fields import column_of, known, resolve
from include.definitions.names import FieldName, Line
from include.errors import Problem
from include.ledger.columns import Column
from include.ledger.fields import FieldType

Action = Literal["drop", "mask", "hash", "pseudonym"]
Shown = Literal["nothing", "email", "initials", "last_3", "last_4", "year"]
# A secret that can be guessed protects nothing: the values behind it (ids, addresses) are few.
MIN_SECRET_CHARACTERS = 32
NOBODY = "loyalty"
_NUMBERS = (FieldType.POINTS, FieldType.MONEY, FieldType.RATE)
_BY_NAME: Mapping[str, Shown] = {"email": "email", "name": "initials", "phone": "last_3", "birthdate": "year"}


class Protection(Strict):
    """What happens to one field."""

    do: Action
    """`drop`: it is not in the file; `mask`: parts of it show; `hash`: SHA-256 with `salt`; `pseudonym`: HMAC-SHA-256
    with `pseudonym_key`."""
    show: Shown | None = None
    """What a mask shows: of an e-mail address `a***@example.com`, of a name its `initials`, of a number its last
    digits, of a date its `year`; left out, what suits the field's name, else `nothing`."""

    @model_validator(mode="after")
    def _only_masks_show(self) -> Protection:
        if self.show is not None and self.do != "mask":
            raise refuse("show_without_mask", "only a mask shows something: leave out show, or use do: mask")
        return self


def _action_alone(value: object) -> object:
    """`mask` is short for `{do: mask}`."""
    return {"do": value} if isinstance(value, str) else value


def _connection(value: str) -> str:
    if not re.fullmatch(NAME, value):
        raise refuse("bad_connection_name", "must be a connection's name: lower-case letters, digits and _")
    return value


ConnectionName = Annotated[
    str, AfterValidator(_connection), Field(json_schema_extra={"pattern": f"^{NAME}$"})
]
Protected = Annotated[Protection, BeforeValidator(_action_alone, json_schema_input_type=Action | Protection)]


# An account's holder is its customer, where it is not a card.
_SAME_PEOPLE = ("customer_id", "holder_id")


class Privacy(Strict):
    """How personal data is protected in the file."""

    fields: dict[FieldName, Protected] = Field(default_factory=dict)
    """What happens to a field, by its name: an action alone, or a mapping."""
    salt: ConnectionName | None = None
    """Connection whose password is the salt of `hash`."""
    pseudonym_key: ConnectionName | None = None
    """Connection whose password is the key of `pseudonym`: one for each recipient, so that a customer has the same
    pseudonym in all files for that recipient, and another one for the next."""
    allow_plain_pii: Line | None = None
    """The owner's name: personal data may leave in clear, unencrypted, to a target outside."""

    @model_validator(mode="after")
    def _secrets_are_named(self) -> Privacy:
        used = {protection.do for protection in self.fields.values()}
        if "hash" in used and self.salt is None:
            right = (
                "a plain hash of an address or id is undone by trying them all: name the connection of a salt "
                "as salt"
            )
            raise refuse("hash_without_salt", right)
        if "pseudonym" in used and self.pseudonym_key is None:
            right = "pseudonyms need a key: name the recipient's connection as pseudonym_key"
            raise refuse("pseudonym_without_key", right)
        return self

    @property
    def connections(self) -> tuple[str, ...]:
        """The names of the connections that it needs."""
        used = {protection.do for protection in self.fields.values()}
        wanted = ((self.salt, "hash"), (self.pseudonym_key, "pseudonym"))
        return tuple(name for name, action in wanted if name is not None and action in used)

    def protection(self, field: str) -> Protection | None:
        """Return what happens to a field, with what its mask shows."""
        found = self.fields.get(field)
        if found is None or found.do != "mask" or found.show is not None:
            return found
        last = field.replace(".", "_").rpartition("_")[2]
        return Protection(do="mask", show=_BY_NAME.get(last, "nothing"))


def minimum(columns: Sequence[Column], privacy: Privacy | None) -> tuple[Column, ...]:
    """Return the columns of an export that names none: those not personal, and those that privacy protects."""
    protected = privacy.fields if privacy else {}
    return tuple(column for column in columns if not column.pii or column.name in protected)


def problems(
    privacy: Privacy, columns: Sequence[Column], fields: Sequence[str] | None, *, where: str
) -> list[Problem]:
    """Return what is wrong with the protected fields.

    columns: all that the model or layout has, by name; fields: the names that the definition's `fields` choose, None
    where it names none.
    """
    types = {column.name: column.type for column in columns}
    found = []
    for name, protection in privacy.fields.items():
        place, chosen = f"{where}.fields.{name}", fields is None or name in fields
        if column_of(columns, name) is None:
            found.append(Problem(place, name, known(columns), "unknown_field"))
        elif not chosen and protection.do != "drop":
            right = f"is not in the file; name it in fields, or leave its {protection.do} out"
            found.append(Problem(place, name, right, "protected_field_not_chosen"))
        elif fields is not None and chosen and protection.do == "drop":
            right = "is named in fields and dropped: leave out one of the two"
            found.append(Problem(place, name, right, "chosen_and_dropped"))
        if types.get(name) in _NUMBERS and (protection.do in ("hash", "pseudonym") or protection.show):
            right = "is a number: drop it, or mask it whole with do: mask alone"
            found.append(Problem(place, protection.do, right, "not_for_numbers"))
    here = fields if fields is not None else [column.name for column in minimum(columns, privacy)]
    bare = [name for name in _SAME_PEOPLE if name in here and name not in privacy.fields]
    known_by = [name for name in _SAME_PEOPLE if name in privacy.fields]
    if bare and known_by:
        right = (
            f"names the same customers as {known_by[0]}, which is protected: protect it too, or leave it out"
        )
        found.append(Problem(f"{where}.fields", bare[0], right, "same_id_in_clear"))
    return found


def plain(
    privacy: Privacy | None, columns: Sequence[Column], fields: Sequence[str] | None
) -> tuple[str, ...]:
    """Return the names of the personal fields that stand in the file in clear (arguments as of `problems`)."""
    protected = privacy.fields if privacy else {}
    chosen = [resolve(columns, name) for name in fields] if fields is not None else minimum(columns, privacy)
    return tuple(each.name for each in chosen if each and each.pii and each.name not in protected)


def plain_problems(
    privacy: Privacy | None,
    personal: Sequence[str],
    *,
    owner: str,
    encrypted: bool,
    outside: Sequence[str],
    where: str,
) -> list[Problem]:
    """Return a problem when personal data would leave in clear without its owner's word.

    personal: the fields that stand in the file in clear; outside: the labels of the targets that are outside.
    """
    allowed = privacy.allow_plain_pii if privacy else None
    place = f"{where}.allow_plain_pii"
    if allowed is not None and (owner == NOBODY or allowed != owner):
        right = f"must be the name of the export's owner, {owner}; nobody else can allow it"
        if owner == NOBODY:
            right = "say who answers for the export as owner, and write that name here"
        return [Problem(place, allowed, right, "not_the_owner")]
    if encrypted or not outside or not personal or allowed is not None:
        return []
    right = (
        f"personal data would leave unencrypted to {', '.join(outside)}: encrypt the file (file.encryption), "
        f"protect or leave out these fields (privacy.fields), or let the owner, {owner}, allow it by name "
        "(privacy.allow_plain_pii)"
    )
    return [Problem(where, ", ".join(personal), right, "plain_pii_outside")]


def secret_problems(privacy: Privacy, secrets: Secrets, *, where: str) -> list[Problem]:
    """Return a problem for each salt and key that is not there, or too short to protect anything."""
    right = f"the connection's password must have {MIN_SECRET_CHARACTERS} characters or more, made at random"
    found = []
    for key in ("salt", "pseudonym_key"):
        name = getattr(privacy, key)
        if name not in privacy.connections:
            continue
        if name not in secrets.connections:
            found.append(Problem(f"{where}.{key}", name, "there is no such connection", MISSING))
        elif len(secrets.connections[name].password) < MIN_SECRET_CHARACTERS:
            found.append(Problem(f"{where}.{key}", name, right, "short_secret"))
    return found
