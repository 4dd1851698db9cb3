"""Which of a subscriber's two numbers is dialled: the first, until a job was queued by the rule `second_number`."""

from typing import Any

from sqlalchemy import ColumnElement, Text, case, literal, type_coerce

from autodialer.model import SECOND_NUMBER
from autodialer.model.admission import EXCLUDED_DELETED, EXCLUDED_ERASED, NUMBER_REMOVED
from autodialer.store.campaigns.tables import campaign_subscribers
from autodialer.store.setup.tables import subscribers
from autodialer.store.sql.engine import AnyRow

ON_SECOND: ColumnElement[bool] = type_coerce(campaign_subscribers.c.retries_used, Text).contains(f'"{SECOND_NUMBER}"')
"""For a statement on `campaign_subscribers`. NULL, like false, when no retry was used."""

DIALLED: ColumnElement[Any] = case((ON_SECOND, subscribers.c.second_number), else_=subscribers.c.number)
"""The number that the next call goes to; for a statement on both tables."""

NO_NUMBER: ColumnElement[str] = case(
    (subscribers.c.deleted_at.is_not(None), literal(EXCLUDED_DELETED)),
    (subscribers.c.number.is_(None), literal(EXCLUDED_ERASED)),
    else_=literal(NUMBER_REMOVED),
)
"""Why `DIALLED` is NULL, where it is."""


def number_after(row: AnyRow) -> str | None:
    """The number to call once the attempts at the present number are used up; None: no number is left."""
    number: str | None = row.second_number
    return None if SECOND_NUMBER in row.retries_used else number
