"""Running Alembic without an ini file: the state's URL is the only setting."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine

HERE = Path(__file__).resolve().parent


def configuration(engine: Engine) -> Config:
    """Return the configuration of this folder's migrations for an engine."""
    config = Config()
    config.set_main_option("script_location", str(HERE).replace("%", "%%"))
    config.attributes["engine"] = engine
    return config


def upgrade(engine: Engine) -> None:
    """Bring the schema to the newest revision; on SQLite, let readers and writers pass each other (WAL)."""
    if engine.dialect.name == "sqlite":
        raw = engine.raw_connection()
        try:
            raw.cursor().execute(
                "PRAGMA journal_mode=WAL"
            )  # kept in the file; cannot be set in a transaction
        finally:
            raw.close()
    command.upgrade(configuration(engine), "head")
