"""The embedded ledger for `make demo`, `make up` and the containers: the sample, made when there is none."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from include.errors import BadInput, LoyaltyError
from include.settings import Settings


def ensure(url: str) -> str:
    """Make the sample ledger at `url` unless it holds transactions; return a sentence on what is there."""
    from sqlalchemy.engine import make_url

    from include import sample

    file = make_url(url).database if url.startswith("sqlite") else None
    if file:
        Path(file).parent.mkdir(parents=True, exist_ok=True)
    try:
        rows = sample.load(url)
    except BadInput as error:
        if [problem.code for problem in error.problems] == ["ledger_not_empty"]:
            return "is there already"
        raise
    return f"made: {rows['customers']:,} customers, {rows['transactions']:,} transactions"


def main() -> int:
    """Make it at LOYALTY_LEDGER_URL, or at the embedded place."""
    try:
        typer.echo(ensure(Settings.from_environment().ledger_url))
    except LoyaltyError as error:
        typer.echo(f"ledger: {error}", err=True)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
