"""The catalog as text: one Markdown table per relation, for people and for docs/reference/ledger.md."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from include.ledger.catalog import RELATIONS, Field, FieldType, Relation

_HEAD = ("field", "type", "required", "personal", "meaning")
_TYPE_NOTES: dict[FieldType, str] = {
    FieldType.ID: "Text that names something. Ids compare as UTF-8 bytes.",
    FieldType.TEXT: "Any text.",
    FieldType.ENUM: "One of the values listed.",
    FieldType.JSON: "A JSON object, as text.",
    FieldType.POINTS: "Exact decimal, at most two places.",
    FieldType.MONEY: "Exact decimal, at most four places, in the currency named beside it.",
    FieldType.RATE: "Exact decimal, at most eight places.",
    FieldType.INSTANT: "UTC, whole microseconds.",
    FieldType.DATE: "A calendar day.",
    FieldType.INTEGER: "A 64-bit integer.",
    FieldType.BOOLEAN: "True or false.",
}


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    return lines


def _meaning(field: Field) -> str:
    values = f" One of {', '.join(f'`{value}`' for value in field.values)}." if field.values else ""
    return field.meaning + values


def relation_markdown(relation: Relation) -> str:
    """Return one relation as a heading, its meaning, its key, and a table of its fields."""
    rows = [
        (f"`{x.name}`", x.type.value, "yes" if x.required else "", "yes" if x.pii else "", _meaning(x))
        for x in relation.fields
    ]
    needed = "Every ledger has it." if relation.required else "A ledger may lack it."
    key = ", ".join(f"`{name}`" for name in relation.key)
    head = [f"## {relation.name}", "", f"{relation.meaning} {needed} Key: {key}.", ""]
    return "\n".join([*head, *_table(_HEAD, rows), ""])


def markdown(relations: Iterable[Relation] = tuple(RELATIONS.values())) -> str:
    """Return the whole reference page: the types, then every relation in the order of the catalog."""
    chosen = tuple(relations)
    types = [(kind.value, note) for kind, note in _TYPE_NOTES.items()]
    head = [
        "# The ledger's relations",
        "",
        "Made from the catalog: `loyalty ledger describe > docs/reference/ledger.md`.",
        "",
    ]
    return "\n".join([*head, *_table(("type", "holds"), types), "", *map(relation_markdown, chosen)])


def plain(relations: Iterable[Relation] = tuple(RELATIONS.values())) -> str:
    """Return the relations as aligned plain text for a terminal: field, type, marks, meaning."""
    lines: list[str] = []
    for relation in relations:
        width = max(len(name) for name in relation.names)
        lines.append(f"{relation.name}: {relation.meaning}")
        for field in relation.fields:
            marks = ("required " if field.required else "") + ("personal " if field.pii else "")
            kind = f"{field.name:<{width}}  {field.type.value:<8}"
            lines.append(f"  {kind} {marks:<18}{_meaning(field).replace('`', '')}")
        lines.append("")
    return "\n".join(lines)
