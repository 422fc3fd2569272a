"""The question to a second person: Airflow's human in the loop, asked only of an import that needs it.

Airflow knows who answers, and not who may import: that the page of the import knows, which writes an approval down and
then answers here for who approved. An answer in Airflow's own pages counts for those whom LOYALTY_IMPORT_APPROVERS
names; of who asked for the import it never approves. One that does not count is asked again.

Who decides by the command line or REST has no login of Airflow to answer with. So the question times out after
LOYALTY_IMPORT_LOOK_SECONDS, and is asked again only where nobody has decided.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Param
from airflow.sdk.exceptions import AirflowSkipException

from include.orchestration.tasks import open_context

if TYPE_CHECKING:
    from include.pipeline import Context
    from include.state.imports import ImportRecord

APPROVE, REFUSE, LATER = "Approve", "Refuse", "Later"
NOTE = "note"


class SecondPerson(HITLOperator):
    """Asks whether an import may be posted; `import_id` is a template."""

    template_fields = (*HITLOperator.template_fields, "import_id")

    def __init__(self, *, import_id: str, **how: Any) -> None:
        note = Param("", type="string", title="Note", description="Why, for whoever looks later.")
        super().__init__(
            subject="May this import be posted?",
            options=[APPROVE, REFUSE, LATER],
            defaults=LATER,
            params={NOTE: note},
            **how,
        )
        self.import_id = import_id

    def execute(self, context: Any) -> Any:
        """Ask where a second person is needed; else end at once."""
        from include.pipeline.imports.telling import place, question, tell
        from include.state.imports import ImportState

        ours = open_context(writing=True)
        record = _record(ours, self.import_id)
        if record.state is not ImportState.WAITING or record.decision is not None:
            return record.state.value
        who = ours.settings.import_approvers
        self.subject = f"May the import {record.import_id} of {record.file_name} be posted?"
        self.body = question(record, place(ours, record.import_id), who)
        tell(ours, record)
        self.response_timeout = ours.settings.import_look
        return super().execute(context)

    def execute_complete(self, context: Any, event: dict[str, Any]) -> Any:
        """Take the answer; ask again where it does not count."""
        from include.pipeline import imports
        from include.state.imports import ImportState

        ours = open_context(writing=True)
        record = _record(ours, self.import_id)
        if record.state is ImportState.REFUSED:
            raise AirflowSkipException(f"{record.decided_by} refused it")
        if record.state is not ImportState.WAITING or record.decision is not None:
            return record.state.value
        answer = super().execute_complete(context, event)
        if answer["chosen_options"] == [LATER]:
            return self.execute(context)
        name = str((answer["responded_by_user"] or {}).get("name") or "")
        if name not in ours.settings.import_approvers or name == record.requested_by:
            self.log.warning(
                "The answer of %s does not count: they asked for the import, or LOYALTY_IMPORT_APPROVERS does not "
                "name them. Whoever has the right to import can answer on its page.",
                name,
            )
            return self.execute(context)
        note = str(answer["params_input"].get(NOTE) or "")
        if answer["chosen_options"] == [APPROVE]:
            return imports.approve(ours, record.import_id, by=name, note=note).state.value
        imports.refuse(ours, record.import_id, by=name, reason=note)
        raise AirflowSkipException(f"{name} refused it")


def _record(context: Context, import_id: str) -> ImportRecord:
    from include.pipeline import imports

    return imports.get(context, import_id)
