"""Which keys a run uses, told to the audit chain before they are used: by name and fingerprint, never more."""

from __future__ import annotations

from collections.abc import Iterator

from include.acting import actor
from include.connections import Secrets
from include.definitions.model import ExportDefinition
from include.formats import signature
from include.formats.encryption.keys import Used
from include.formats.options import file_options
from include.pipeline.context import Context
from include.state.audit import Action
from include.state.runs import RunRecord, facts


def tell(context: Context, run: RunRecord, secrets: Secrets) -> None:
    """Write every key that rendering the run uses into the audit chain, each once."""
    definition = ExportDefinition.model_validate(run.definition)
    for purpose, name, fingerprint in dict.fromkeys(used(definition, secrets)):
        detail = {**facts(run), "purpose": purpose, "fingerprint": fingerprint}
        context.state.audit.write(actor(run.requested_by), Action.KEY_USED, name, detail)


def used(definition: ExportDefinition, secrets: Secrets) -> Iterator[Used]:
    """Yield the keys that a definition's files need; `secrets` were checked by `privacy.secrets_of`."""
    for part in definition.parts:
        if part.privacy is not None:
            doing = {protection.do for protection in part.privacy.fields.values()}
            if part.privacy.salt and "hash" in doing:
                yield Used("hash", part.privacy.salt, None)
            if part.privacy.pseudonym_key and "pseudonym" in doing:
                yield Used("pseudonym", part.privacy.pseudonym_key, None)
        if encryption := file_options(part.file.model_dump(exclude={"name"})).encryption:
            yield from encryption.used(secrets)
    if definition.sign is not None:
        yield signature.used(definition.sign, secrets)
