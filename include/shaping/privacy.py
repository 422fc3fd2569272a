"""Privacy applied to rows: the last step of shaping, after which nothing sees the plain values.

What null was stays null. A mask never gives the value back: what is too short to hide something of it shows
nothing. Hashes and pseudonyms are those of the value as its file would show it, in UTF-8, as 64 hex digits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from include.connections import Secrets
from include.definitions.privacy import Privacy, Protection, Shown
from include.errors import BadInput, Problem
from include.ledger.columns import Column
from include.ledger.fields import FieldType

MASKED = "***"
_BLOCK_BYTES = 64
Step = Callable[[pa.Array], pa.Array]


class Protector:
    """Drops, masks, hashes and pseudonymises the columns of batches.

    columns: what the batches hold after it. Masked ones are text; hashed and pseudonymised ones stay ids where they
    were; none of them counts as personal data in clear any more.
    """

    def __init__(
        self,
        privacy: Privacy,
        columns: Sequence[Column],
        secrets: Secrets,
        fields: Sequence[str] | None = None,
    ) -> None:
        """Take what comes: `fields` are the names by which `privacy` knows the columns, by default their own.

        Raises BadInput for a salt or key that was not resolved.
        """
        names = [column.name for column in columns] if fields is None else list(fields)
        self._steps: list[tuple[int, Step | None]] = []
        for index, (column, name) in enumerate(zip(columns, names, strict=True)):
            protection = privacy.protection(name)
            if protection is None:
                self._steps.append((index, None))
            elif protection.do != "drop":
                self._steps.append((index, _step(protection, privacy, column, secrets)))
        self.columns = columns_after(privacy, columns, names)
        self._names = [column.name for column in self.columns]

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the batch, protected."""
        arrays = [
            batch.column(index) if step is None else step(batch.column(index)) for index, step in self._steps
        ]
        return pa.RecordBatch.from_arrays(arrays, names=self._names)


def columns_after(privacy: Privacy, columns: Sequence[Column], fields: Sequence[str]) -> tuple[Column, ...]:
    """Return what is left of columns; `fields` are the names by which `privacy` knows them."""
    found = []
    for column, name in zip(columns, fields, strict=True):
        protection = privacy.protection(name)
        if protection is None:
            found.append(column)
        elif protection.do != "drop":
            found.append(Column(column.name, _type_after(protection, column)))
    return tuple(found)


def _type_after(protection: Protection, column: Column) -> FieldType:
    keeps = protection.do != "mask" and column.type is FieldType.ID
    return FieldType.ID if keeps else FieldType.TEXT


def _step(protection: Protection, privacy: Privacy, column: Column, secrets: Secrets) -> Step:
    if protection.do == "mask":
        return _Mask(protection.show or "nothing")
    name = privacy.salt if protection.do == "hash" else privacy.pseudonym_key
    connection = secrets.connections.get(name or "")
    if connection is None or not connection.password:
        right = f"the connection that {column.name} needs holds no password"
        raise BadInput([Problem("privacy", name or "", right, "missing_secret")])
    secret = connection.password.encode()
    digest = _salted(secret) if protection.do == "hash" else _keyed(secret)
    return _Digest(digest)


class _Digest:
    """Each distinct text of a batch through a digest, once."""

    def __init__(self, digest: Callable[[bytes], str]) -> None:
        self._digest = digest

    def __call__(self, array: pa.Array) -> pa.Array:
        encoded = _text(array).dictionary_encode()
        made = [self._digest(value.encode()) for value in encoded.dictionary.to_pylist()]
        return pa.DictionaryArray.from_arrays(
            encoded.indices, pa.array(made, pa.string())
        ).dictionary_decode()


def _salted(salt: bytes) -> Callable[[bytes], str]:
    """Return SHA-256 of salt and value."""
    begun = hashlib.sha256(salt)

    def digest(value: bytes) -> str:
        whole = begun.copy()
        whole.update(value)
        return whole.hexdigest()

    return digest


def _keyed(key: bytes) -> Callable[[bytes], str]:
    """Return HMAC-SHA-256 (RFC 2104), with the two states that depend on the key alone made once."""
    block = (hashlib.sha256(key).digest() if len(key) > _BLOCK_BYTES else key).ljust(_BLOCK_BYTES, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
    outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))

    def digest(value: bytes) -> str:
        inside, outside = inner.copy(), outer.copy()
        inside.update(value)
        outside.update(inside.digest())
        return outside.hexdigest()

    return digest


class _Mask:
    """What shows of a value, as an array of texts."""

    def __init__(self, shown: Shown) -> None:
        self._show = _SHOWS[shown]

    def __call__(self, array: pa.Array) -> pa.Array:
        if isinstance(array, pa.DictionaryArray):
            masked = self(array.dictionary)
            return pa.DictionaryArray.from_arrays(array.indices, masked).dictionary_decode()
        hidden = pc.if_else(array.is_valid(), MASKED, pa.scalar(None, pa.string()))
        return pc.coalesce(self._show(_text(array)), hidden)


def _nothing(text: pa.Array) -> pa.Array:
    return pa.nulls(len(text), pa.string())


def _email(text: pa.Array) -> pa.Array:
    """Show `a***@example.com`, of a name of one letter only the domain; null for what is no address."""
    parts = pc.extract_regex(text, _ADDRESS)
    first, rest, domain = (pc.struct_field(parts, name) for name in ("first", "rest", "domain"))
    return pc.binary_join_element_wise(pc.if_else(pc.equal(rest, ""), "", first), MASKED, "@", domain, "")


def _initials(text: pa.Array) -> pa.Array:
    """Show `J. D.`: the first letter of each word, `*` for a word of one letter; null where there is no letter."""
    letters = pc.replace_substring_regex(text, r"[^\pL\pM\s]+", "")
    short = pc.replace_substring_regex(letters, r"(\pL)[\pL\pM]+", r"\1.")
    hidden = pc.replace_substring_regex(short, r"[\pL\pM](\s|$)", r"*\1")
    spaced = pc.utf8_trim_whitespace(pc.replace_substring_regex(hidden, r"\s+", " "))
    return pc.if_else(pc.equal(spaced, ""), None, spaced)


def _last(count: int) -> Step:
    """Return what shows the last letters or digits; null where fewer than four would be hidden."""

    def show(text: pa.Array) -> pa.Array:
        signs = pc.replace_substring_regex(text, r"[^\pL\pN]+", "")
        shown = pc.binary_join_element_wise(MASKED, pc.utf8_slice_codeunits(signs, -count), "")
        return pc.if_else(pc.less(pc.utf8_length(signs), count + _HIDDEN_CHARACTERS), None, shown)

    return show


def _year(text: pa.Array) -> pa.Array:
    """Show the year of a date or instant in ISO form; null for what is none."""
    return pc.struct_field(pc.extract_regex(text, r"^(?P<year>\d{4})-\d{2}-\d{2}"), "year")


def _text(array: pa.Array) -> pa.Array:
    """Return the values as texts."""
    if isinstance(array, pa.DictionaryArray):
        array = array.dictionary_decode()
    return array if array.type == pa.string() else array.cast(pa.string())


_ADDRESS = r"^(?P<first>[^@\s])(?P<rest>[^@\s]*)@(?P<domain>[^@\s]+\.[^@\s.]+)$"
_HIDDEN_CHARACTERS = 4
_SHOWS: dict[Shown, Step] = {
    "nothing": _nothing,
    "email": _email,
    "initials": _initials,
    "last_3": _last(3),
    "last_4": _last(4),
    "year": _year,
}
