"""An event when a ceiling of the day is reached."""

from alembic import op

revision = "0050"
down_revision = "0049"

TRIGGERS = {
    "sqlite": (
        """CREATE TRIGGER audit_told AFTER INSERT ON audit
WHEN NEW.action = 'ceilings.reached' AND (
    EXISTS (SELECT 1 FROM webhooks WHERE active AND instr(events, 'ceiling.reached'))
    OR EXISTS (SELECT 1 FROM notices WHERE active AND instr(events, 'ceiling.reached'))
)
BEGIN
    INSERT INTO events (kind, at, campaign_key, object_key)
    VALUES ('ceiling.reached', NEW.at, 0, NEW.key);
END""",
    ),
}


def upgrade() -> None:
    """To 0050."""
    for statement in TRIGGERS[op.get_bind().dialect.name]:
        op.execute(statement)
