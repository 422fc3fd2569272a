"""Where an export's files go is compared however it is written: the keys of their names are made anew"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from include.definitions.collisions import file_names
from include.definitions.load import from_document
from include.errors import BadInput


revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

NAMES = sa.table("loyalty_export_file_names", *map(sa.column, ("name_key", "definition_id", "target")))
NEWEST = sa.text("""
    SELECT e.definition_id, d.document FROM loyalty_exports AS e JOIN loyalty_export_edits AS d
    ON d.definition_id = e.definition_id AND d.number = e.number
    WHERE e.deleted_at IS NULL ORDER BY e.source DESC, e.definition_id
""").columns(document=sa.JSON())


def upgrade() -> None:
    connection = op.get_bind()
    found: dict[str, dict[str, str]] = {}
    for definition_id, document in connection.execute(NEWEST).all():
        try:
            names = file_names(from_document(document, where=definition_id))
        except BadInput:  # of another version; it gets its names when it is put right
            continue
        for key, target in names.items():
            row = {"name_key": key, "definition_id": definition_id, "target": target}
            found.setdefault(key, row)  # files, which come first, win
    connection.execute(sa.delete(NAMES))
    if found:
        connection.execute(sa.insert(NAMES), list(found.values()))
