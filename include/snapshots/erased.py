"""Everybody who was erased, taken out of rows as they are read: their names become pseudonyms, the rest is emptied.

Nobody's name is known here beforehand, only its keyed hash, so every name that is met is hashed once. Which names were
met is remembered by their 64-bit hashes (8 bytes each): reading costs little more than without erasures.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from include.connections import Secrets
from include.ledger.catalog import RELATIONS
from include.ledger.hashing import text_hashes
from include.ledger.people import RECORDS, Name, about, free, names
from include.snapshots.names import Hasher, hasher, is_mention
from include.state import State
from include.state.erasures import Erasure, digest

_WORD = re.compile(r"[^\s,;()<>\[\]{}\"'|=]+")
_STOPS = ".:!?"
# What ties a name to other things in one word: addresses (mailto:..., https://.../customers/...), marks, quotes, signs
# of no width. '-', '_', '.' and '+' are none of it, since they stand within names: mary-ann@x.org is not ann@x.org.
_PIECE = re.compile(r"[^/:#&?*~!\\`\u00ab\u00bb\u200b-\u200f\u2018-\u201f\u2026\u2039\u203a\u2060\ufeff]+")
_MOST_PIECES = 5
# Under these keys of free properties stands a name, however short it is.
_KEYS = {
    "customer_id": Name.CUSTOMER,
    "referrer_id": Name.CUSTOMER,
    "customer": Name.CUSTOMER,
    "card_id": Name.CARD,
    "card": Name.CARD,
}
_MAY_NAME = re.compile("|".join(f'"{key}"' for key in _KEYS))
_WORDS_KEPT = 500_000
Mask = Any  # a boolean pa.Array


def everybody(state: State, secrets: Secrets) -> Erased | None:
    """Return who was erased, None while nobody was; BadInput when the key is missing or another one."""
    erasures = state.erasures.list()
    return Erased(hasher(secrets, erasures), erasures) if erasures else None


class Erased:
    """The people of some erasures, under the key of their hashes."""

    def __init__(self, hashed: Hasher, erasures: Sequence[Erasure]) -> None:
        self._hashed = hashed
        self._names = {name: new for each in erasures for name, new in each.detail.names.items()}
        self._mentions = {name: new for each in erasures for name, new in each.detail.mentions.items()}
        self._met: dict[Name, NDArray[np.uint64]] = {kind: np.empty(0, np.uint64) for kind in Name}
        self._found: dict[Name, dict[str, str]] = {kind: {} for kind in Name}
        self._words: dict[str, str] = {}
        self.digest = digest(erasures)

    def apply(self, relation: str, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return rows of a relation without the people: same rows, same order, same types."""
        of = RELATIONS[relation]
        columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        theirs = self._rename(relation, columns)
        for field in free(of):
            if field in columns:
                columns[field] = self._texts(columns[field])
        own = _own(theirs, columns)
        if own is not None:
            for field in about(of):
                if field in columns:
                    columns[field] = pc.if_else(own, pa.scalar(None, columns[field].type), columns[field])
        return pa.RecordBatch.from_arrays([columns[name] for name in batch.schema.names], schema=batch.schema)

    def count(self, relation: str, batch: pa.RecordBatch) -> int:
        """Return how many rows name one of the people, in the fields that hold names."""
        columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        masks = [mask for mask in self._rename(relation, columns).values() if mask is not None]
        return int(pc.sum(functools.reduce(pc.or_, masks)).as_py()) if masks else 0

    def name(self, kind: Name, value: str) -> str | None:
        """Return the pseudonym of a name, None for anybody else's."""
        return self._names.get(self._hashed.name(kind, value))

    def among(self, kind: Name, names: pa.Array) -> Mask:
        """Return which names of a column are those of the people; a name that comes again is not hashed again."""
        mask = self._renamed(kind, names)[1]
        return pa.repeat(False, len(names)) if mask is None else mask

    def mentioned(self, texts: pa.Array) -> Mask:
        """Return which texts of a column mention one of the people."""
        return pc.fill_null(pc.not_equal(self._texts(texts), texts), False)

    def text(self, value: str) -> str:
        """Return a text, or a JSON document as text, with every mention of the people replaced."""
        whole = self._mention(value)
        if whole is not None:
            return whole
        if value[:1] in ("{", "["):
            return self._properties(value)
        return self._sentence(value)

    def document(self, value: Any, key: str | None = None) -> Any:
        """Return JSON values with every mention of the people replaced, in keys too."""
        if isinstance(value, dict):
            return {self.text(each): self.document(inner, each) for each, inner in value.items()}
        if isinstance(value, list):
            return [self.document(each, key) for each in value]
        if isinstance(value, bool) or not isinstance(value, str | int):
            return value
        kind = _KEYS.get(key or "")
        if kind is not None and (new := self.name(kind, str(value))) is not None:
            return new
        return self.text(value) if isinstance(value, str) else value

    def named(self, value: str) -> bool:
        """Say whether a text is a name of one of the people, of whatever kind."""
        return any(self.name(kind, value) is not None for kind in Name)

    def _rename(self, relation: str, columns: dict[str, pa.Array]) -> dict[str, Mask]:
        """Put pseudonyms in the place of names; return by field in which rows, None for none."""
        theirs: dict[str, Mask] = {}
        for field, kind in names(RELATIONS[relation]).items():
            if field in columns:
                columns[field], theirs[field] = self._renamed(kind, columns[field])
        if relation == "changes" and "entity_id" in columns:
            columns["entity_id"], theirs["entity_id"] = self._records(columns)
        return theirs

    def _renamed(self, kind: Name, array: pa.Array) -> tuple[pa.Array, Mask]:
        self._meet(kind, array)
        found = self._found[kind]
        if not found:
            return array, None
        place = pc.index_in(array, value_set=pa.array(list(found), array.type))
        mask = pc.is_valid(place)
        if not pc.any(mask).as_py():
            return array, None
        return pc.if_else(mask, pa.array(list(found.values()), array.type).take(place), array), mask

    def _meet(self, kind: Name, array: pa.Array) -> None:
        """Look at the names that were not met before."""
        met = self._met[kind]
        fresh, first = np.unique(text_hashes(array), return_index=True)
        place = np.searchsorted(met, fresh)
        if len(met):
            unknown = met[np.minimum(place, len(met) - 1)] != fresh
            fresh, first, place = fresh[unknown], first[unknown], place[unknown]
        for name in array.take(pa.array(first)).to_pylist():
            if name is not None and (new := self.name(kind, name)) is not None:
                self._found[kind][name] = new
        self._met[kind] = np.insert(met, place, fresh)

    def _records(self, columns: dict[str, pa.Array]) -> tuple[pa.Array, Mask]:
        """Replace the keys of changed records that are people's; all rows are looked at where none says of what."""
        ids, masks = columns["entity_id"], []
        for kind in (Name.CUSTOMER, Name.CARD):
            new, mask = self._renamed(kind, ids)
            if mask is None:
                continue
            if "entity" in columns:
                entities = pa.array([name for name, of in RECORDS.items() if of is kind])
                mask = pc.and_(mask, pc.is_in(pc.utf8_lower(columns["entity"]), value_set=entities))
            ids = pc.if_else(mask, new, ids)
            masks.append(mask)
        if not masks:
            return ids, None
        return ids, functools.reduce(pc.or_, masks)

    def _texts(self, array: pa.Array) -> pa.Array:
        if not self._mentions and not self._names:
            return array
        coded = array.dictionary_encode()
        before = coded.dictionary.to_pylist()
        after = [None if value is None else self.text(value) for value in before]
        if after == before:
            return array
        return pa.array(after, array.type).take(coded.indices)

    def _properties(self, value: str) -> str:
        """Return a JSON document as text; one that names nobody as it stands."""
        # Parsing costs most: without escapes the text shows whether anything in it could be a name.
        plain = "\\" not in value and not _MAY_NAME.search(value)
        if plain and self._sentence(value) == value:
            return value
        try:
            document = json.loads(value)
        except ValueError:
            return self._sentence(value)
        clean = self.document(document)
        return value if clean == document else json.dumps(clean, ensure_ascii=False, separators=(",", ":"))

    def _sentence(self, value: str) -> str:
        return _WORD.sub(lambda found: self._word(found[0]), value)

    def _word(self, word: str) -> str:
        """Return a word of a text with the names in it replaced; most words come again."""
        if word not in self._words:
            if len(self._words) >= _WORDS_KEPT:
                self._words.clear()
            self._words[word] = self._without_names(word)
        return self._words[word]

    def _without_names(self, word: str) -> str:
        for start, stop in _spans(word):
            new = self._mention(word[start:stop])
            if new is not None:
                return self._without_names(word[:start]) + new + self._without_names(word[stop:])
        return word

    def _mention(self, word: str) -> str | None:
        return self._mentions.get(self._hashed.mention(word)) if is_mention(word) else None


def _spans(word: str) -> Iterator[tuple[int, int]]:
    """Yield where in a word a name may stand: in all of it, then in its pieces, the longest runs of them first."""
    pieces = [found.span() for found in _PIECE.finditer(word)]
    runs = [
        (pieces[first][0], pieces[first + size - 1][1])
        for size in range(min(len(pieces), _MOST_PIECES), 0, -1)
        for first in range(len(pieces) - size + 1)
    ]
    for start, stop in dict.fromkeys([(0, len(word)), *runs]):
        bare = word[start:stop].strip(_STOPS)
        if bare:
            first = word.index(bare, start)
            yield first, first + len(bare)


def _own(theirs: dict[str, Mask], columns: dict[str, pa.Array]) -> Mask:
    """Return which rows are the people's own: by the customer, by the card where no customer stands, by the record."""
    own = [mask for name in ("customer_id", "entity_id") if (mask := theirs.get(name)) is not None]
    if (card := theirs.get("card_id")) is not None:
        alone = pc.is_null(columns["customer_id"]) if "customer_id" in columns else None
        own.append(card if alone is None else pc.and_(card, alone))
    return functools.reduce(pc.or_, own) if own else None
