"""`loyalty ledger`: make, fill, check and describe a ledger."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from include.cli.shown import Json, document, progress_bar, table
from include.errors import BadInput, LedgerViolation, Problem

app = typer.Typer(help="Make, fill, check and describe a ledger.", no_args_is_help=True)
Url = Annotated[
    str | None, typer.Option("--url", help="Database; by default LOYALTY_LEDGER_URL or the embedded ledger.")
]


@app.command()
def init(url: Url = None) -> None:
    """Create the canonical tables that are missing."""
    from include.snapshots import canonical
    from include.snapshots.source import engine, parse_url, public_url

    where = _prepared(url)
    made = engine(parse_url(where))
    canonical.create(made)
    made.dispose()
    typer.echo(f"the canonical tables are in {public_url(where)}")


@app.command()
def sample(
    url: Url = None,
    customers: Annotated[int, typer.Option(help="How many customers.")] = 20_000,
    transactions: Annotated[int, typer.Option(help="How many transactions.")] = 500_000,
    years: Annotated[int, typer.Option(help="How many years of history.")] = 3,
    seed: Annotated[int, typer.Option(help="The same seed gives the same ledger.")] = 1,
    as_json: Json = False,
) -> None:
    """Fill an empty ledger with a believable program."""
    from include.sample import Plan, load

    plan = Plan(customers=customers, transactions=transactions, years=years, seed=seed)
    with progress_bar(quiet=as_json) as progress:
        counts = load(_prepared(url), plan, progress=lambda relation, rows: progress(relation, rows, None))
    if as_json:
        document(counts)
    else:
        table(["relation", "rows"], counts.items(), "Sample ledger")


@app.command()
def check(
    url: Url = None,
    limit: Annotated[int, typer.Option(min=1, help="Row ids to name for each rule.")] = 20,
    as_json: Json = False,
) -> None:
    """List every violation of the ledger's rules with row ids; exit code 1 when one of them stops exports."""
    from dataclasses import asdict, replace

    from include.settings import Settings
    from include.snapshots.check import check as find
    from include.snapshots.source import Source

    source = Source.from_settings(Settings.from_environment())
    found = find(source if url is None else replace(source, url=url), limit_per_rule=limit)
    if as_json:
        document([asdict(each) for each in found])
    else:
        rows = [
            ["stops exports" if each.blocking else "booked", each.rule, each.relation, each.count, each.sentence,
             " ".join(each.row_ids)]
            for each in found
        ]  # fmt: skip
        table(
            ["", "rule", "relation", "rows", "what", "for example"], rows, f"{len(found)} kinds of violation"
        )
    if any(each.blocking for each in found):
        raise LedgerViolation("violations that stop exports were found")


@app.command()
def describe(
    relation: Annotated[str | None, typer.Argument(help="One relation; all when left out.")] = None,
) -> None:
    """Print the catalog: relations, fields, types, possible values, meaning."""
    from include.ledger.catalog import RELATIONS
    from include.ledger.describe import markdown, relation_markdown

    if relation is None:
        typer.echo(markdown())
        return
    if relation not in RELATIONS:
        right = f"known relations are {', '.join(RELATIONS)}"
        raise BadInput([Problem("relation", relation, right, "unknown_relation")])
    typer.echo(relation_markdown(RELATIONS[relation]))


def _prepared(url: str | None) -> str:
    """Return the URL to write to; the folder of an embedded ledger is made."""
    from include.settings import Settings
    from include.snapshots.source import parse_url

    where = url or Settings.from_environment().ledger_url
    parsed = parse_url(where)
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    return where
