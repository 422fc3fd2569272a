"""What happens around the ledger: events, changes of records, approvals, webhook calls."""

from include.ledger.fields import FieldType, Relation, may, need

ID, TEXT, INSTANT = FieldType.ID, FieldType.TEXT, FieldType.INSTANT

RELATIONS = (
    Relation(
        "events",
        ("event_id",),
        (
            need("event_id", ID, "The event."),
            may("customer_id", ID, "Who acted."),
            need("action", TEXT, "What the customer did: visit, checkout, review, share, opt_in."),
            need("occurred_at", INSTANT, "When."),
            may("points", FieldType.POINTS, "Points that it gave."),
            may("data", FieldType.JSON, "Further properties, a JSON object.", pii=True),
        ),
        "What customers did.",
        moment="occurred_at",
    ),
    Relation(
        "changes",
        ("change_id",),
        (
            need("change_id", ID, "The change."),
            need("entity", TEXT, "Relation of the record that changed."),
            need("entity_id", ID, "Key of the record."),
            may("field", TEXT, "The field."),
            may("old_value", TEXT, "What stood there.", pii=True),
            may("new_value", TEXT, "What stands there now.", pii=True),
            may("changed_by", TEXT, "Who changed it.", pii=True),
            need("changed_at", INSTANT, "When."),
        ),
        "Changes of records, field by field.",
        moment="changed_at",
    ),
    Relation(
        "content_approvals",
        ("approval_id",),
        (
            need("approval_id", ID, "The approval."),
            may("content_type", TEXT, "What was submitted: review, photo, video."),
            may("customer_id", ID, "Who submitted it."),
            may("status", FieldType.ENUM, "Where it stands.", "pending", "approved", "rejected"),
            need("submitted_at", INSTANT, "When it was submitted."),
            may("reviewed_by", TEXT, "Who decided.", pii=True),
            may("reviewed_at", INSTANT, "When it was decided; null: not yet."),
        ),
        "Content of customers that waits for, or got, a decision.",
        moment="submitted_at",
    ),
    Relation(
        "webhook_logs",
        ("webhook_log_id",),
        (
            need("webhook_log_id", ID, "The call."),
            need("event", TEXT, "What it told."),
            may("url", TEXT, "Where it went."),
            may("status_code", FieldType.INTEGER, "HTTP status of the last attempt; null: no answer."),
            may("attempts", FieldType.INTEGER, "How often it was tried."),
            need("sent_at", INSTANT, "When it was first tried."),
            may("duration_ms", FieldType.INTEGER, "How long the last attempt took, in milliseconds."),
        ),
        "Calls to other systems.",
        moment="sent_at",
    ),
)
