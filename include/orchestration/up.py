"""`make up`: Airflow in the foreground on loopback, with every export as a DAG, until it is interrupted."""

from __future__ import annotations

import os
import signal
import sys
import time

import typer

from include.errors import LoyaltyError
from include.orchestration.environment import USER, password
from include.orchestration.sample_ledger import ensure
from include.orchestration.services import airflow
from include.settings import ROOT, Settings, home_folder


def main() -> int:
    """Start, print address and login, wait for Ctrl-C, stop everything."""
    home = ROOT / "var" / "airflow"
    port = int(os.environ.get("LOYALTY_AIRFLOW_PORT", "8080"))
    for ending in (signal.SIGTERM, signal.SIGINT):  # a shell that starts us in the background ignores SIGINT
        signal.signal(ending, signal.default_int_handler)
    try:
        if "LOYALTY_LEDGER_URL" not in os.environ:
            ensure(Settings.from_environment().ledger_url)
        typer.echo("up: starting Airflow")
        with airflow(home, port=port) as running:
            typer.echo(f"up: {running.url}  user {USER}  password {password(home)}")
            delivered = home_folder() / "delivered"
            typer.echo(
                f"up: the exports that ship deliver into {delivered}; start one with its Trigger button"
            )
            typer.echo(f"up: logs are in {home / 'logs'}; Ctrl-C stops all")
            while True:
                time.sleep(3600)
    except KeyboardInterrupt:
        return 0
    except LoyaltyError as error:
        typer.echo(f"up: {error}", err=True)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
