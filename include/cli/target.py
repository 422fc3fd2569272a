"""`loyalty target`: the kinds of target, and whether files could be delivered now."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from include.cli.shown import Json, document, table
from include.errors import Permanent

app = typer.Typer(help="Kinds of target, and whether files could be delivered now.", no_args_is_help=True)


@app.command("test")
def probe_(
    name: Annotated[str, typer.Argument(metavar="NAME|FILE", help="Id of a definition, or a YAML file.")],
    target: Annotated[
        list[str] | None, typer.Option(help="Only the target of this name. Repeatable.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Log in to each target of an export, try its rights with a probe, say what is missing. Nothing is sent."""
    from include.cli.export import find
    from include.pipeline import Context
    from include.pipeline.probing import probe

    tried = probe(Context.from_settings(), find(name), target)
    problems = [problem for each in tried for problem in each.problems]
    if as_json:
        document([
            {"target": each.target, "kind": each.kind, "problems": [vars(x) for x in each.problems]}
            for each in tried
        ])  # fmt: skip
    else:
        rows = [
            [each.target, each.kind, "\n".join(str(problem) for problem in each.problems) or "can deliver"]
            for each in tried
        ]
        table(["target", "kind", ""], rows)
    if problems:
        raise Permanent("\n".join(str(problem) for problem in problems))


@app.command("list")
def list_(as_json: Json = False) -> None:
    """List the kinds of target that a definition can name, with their options (those it must give come first)."""
    from include import kinds, targets

    found = [kinds.load(targets, kind, where="target") for kind in kinds.names(targets)]
    if as_json:
        document([{"kind": each.KIND, "options": each.Options.model_json_schema()} for each in found])
        return
    rows = [
        [
            each.KIND,
            "outside" if each.OUTSIDE else "inside",
            ", ".join(sorted(each.Options.model_fields, key=lambda option: not _needed(each, option))),
            str(each.__doc__).splitlines()[0],
        ]
        for each in found
    ]
    table(["kind", "files go", "options", "what it is"], rows)


@app.command()
def show(
    kind: Annotated[str, typer.Argument(help="A kind of target, such as sftp.")], as_json: Json = False
) -> None:
    """Tell the options of a kind of target."""
    from include import kinds, targets

    module = kinds.load(targets, kind, where="target")
    if as_json:
        document(module.Options.model_json_schema())
        return
    rows = [
        [name, "must be given" if _needed(module, name) else repr(field.get_default(call_default_factory=True)),
         field.description or ""]
        for name, field in module.Options.model_fields.items()
    ]  # fmt: skip
    table(["option", "default", "what it does"], rows, str(module.__doc__).splitlines()[0])


def _needed(module: Any, option: str) -> bool:
    return bool(module.Options.model_fields[option].is_required())
