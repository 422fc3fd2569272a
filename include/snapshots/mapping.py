"""A mapping file: one SQL query per relation, for a ledger whose tables look different.

    relations:
      transactions: |
        SELECT id AS transaction_id, 'main' AS program_id, member AS customer_id, ... FROM point_movements

    trust_updated_at: [customers, orders]

A query's column names are those of the catalog. Its columns are checked when a ledger is opened. `trust_updated_at`
names relations of which every change of a row sets its `updated_at` (`updates`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping as Dictionary
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from include.errors import BadInput, Problem
from include.ledger.catalog import RELATIONS
from include.snapshots.reading import UPDATED_AT

_TRUST = "trust_updated_at"


@dataclass(frozen=True)
class Mapping:
    """The queries, by relation, the file's name for messages, and relations whose `updated_at` can be trusted."""

    queries: Dictionary[str, str]
    name: str
    trusted: frozenset[str] = frozenset()

    @property
    def sha256(self) -> str:
        """The hash that identifies the queries; the file's layout and comments do not matter."""
        text = json.dumps(dict(self.queries), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()


class _Loader(yaml.SafeLoader):
    """YAML without aliases and tags, that refuses the same key twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.composer.ComposerError(None, None, "aliases are not allowed", None)
        return super().compose_node(parent, index)


def load(path: Path) -> Mapping:
    """Return the mapping in a file; BadInput lists everything that is wrong with the file itself."""
    try:
        document = yaml.load(path.read_text("utf-8"), _Loader)  # noqa: S506 (a SafeLoader)
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(
            [Problem(str(path), str(error), "give a readable UTF-8 file", "unreadable")]
        ) from error
    except yaml.YAMLError as error:
        right = "write YAML with each key once, without aliases and tags"
        raise BadInput([Problem(str(path), str(error), right, "bad_yaml")]) from error
    return parse(document, path.name)


def parse(document: Any, name: str) -> Mapping:
    """Return the mapping of a loaded document; BadInput lists everything that is wrong with it."""
    if not isinstance(document, dict) or {"relations"} != set(document) - {_TRUST}:
        shown = ", ".join(map(str, document)) if isinstance(document, dict) else type(document).__name__
        right = f"the file has a key `relations`, with one query for each relation, and may have `{_TRUST}`"
        raise BadInput([Problem(name, shown, right, "bad_mapping")])
    relations, problems = document["relations"], []
    if not isinstance(relations, dict):
        raise BadInput(
            [Problem(f"{name}: relations", str(relations), "write `relation: query`", "bad_mapping")]
        )
    for relation, query in relations.items():
        where = f"{name}: relations.{relation}"
        if relation not in RELATIONS:
            problems.append(
                Problem(where, str(relation), f"known are {', '.join(RELATIONS)}", "unknown_relation")
            )
        elif not isinstance(query, str) or not query.strip():
            problems.append(Problem(where, str(query), "write one SQL query", "bad_query"))
    trusted = document.get(_TRUST, [])
    problems += _trust_problems(trusted, relations, f"{name}: {_TRUST}")
    if problems:
        raise BadInput(problems)
    queries = {key: query.strip().rstrip(";") for key, query in relations.items()}
    return Mapping(queries, name, frozenset(trusted))


def _trust_problems(trusted: Any, relations: Dictionary[str, Any], where: str) -> list[Problem]:
    if not isinstance(trusted, list):
        return [Problem(where, str(trusted), "write a list of relations", "bad_mapping")]
    can = [name for name, relation in RELATIONS.items() if UPDATED_AT in relation.names]
    right = f"relations that have `{UPDATED_AT}` are {', '.join(can)}"
    wrong = [each for each in trusted if each not in can]
    missing = [each for each in trusted if each in can and each not in relations]
    return [
        *(Problem(where, str(each), right, "unknown_relation") for each in wrong),
        *(Problem(where, each, "give a query for it too", "missing_relation") for each in missing),
    ]
