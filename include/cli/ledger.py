"""`loyalty ledger`: make, fill, check and describe a ledger."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(help="Make, fill, check and describe a ledger.", no_args_is_help=True)
Url = Annotated[
    str | None, typer.Option(help="Database URL; by default LOYALTY_LEDGER_URL or the embedded ledger.")
]
