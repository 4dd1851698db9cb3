"""The diary of each campaign, written in the transaction of what it tells."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Table, bindparam, delete, insert, select, update

from autodialer.clock import Clock
from autodialer.model import CampaignState
from autodialer.model.diary import REOPENINGS, DiaryEvent, DiaryLine, DiaryNote
from autodialer.store.campaigns.tables import campaign_diary, campaigns
from autodialer.store.sql.engine import AnyRow, Database
from autodialer.store.sql.owned import not_deleted
from autodialer.store.sql.paging import DEFAULT_LIMIT, Page, fetch_page
from autodialer.store.sql.transitions import is_one_of

MOST_LINES = 2000
"""Of one campaign; the oldest go."""
MERGED_WITHIN = timedelta(hours=1)
"""An event of the same trunk or window goes into a line that began no longer ago."""


class Diary:
    """The diaries."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def page(self, campaign_key: int, *, limit: int = DEFAULT_LIMIT, after: str | None = None) -> Page[DiaryLine]:
        """The lines in the order in which they began."""
        query = select(campaign_diary).where(campaign_diary.c.campaign_key == campaign_key)
        with self._database.read() as connection:
            return fetch_page(connection, query, campaign_diary.c.key, _line_from, limit=limit, after=after)

    def note(self, notes: Sequence[DiaryNote]) -> None:
        """Write what the dialer has seen; what the diary tells already is not told again, also after a restart."""
        if not notes:
            return
        now = self._clock.utcnow()
        with self._database.write(durable=False) as connection:
            for note in notes:
                of_subject = {"campaign": note.campaign_key, "its_subject": note.subject}
                last = connection.execute(_LAST, of_subject).first()
                if last is None and note.event in REOPENINGS:
                    continue
                if last is not None and last.event == note.event:
                    continue
                merged = (
                    update(campaign_diary)
                    .where(_SAME, campaign_diary.c.event == note.event.value)
                    .where(campaign_diary.c.at > now - MERGED_WITHIN)
                    .values(times=campaign_diary.c.times + 1, last_at=now, details=dict(note.details))
                )
                if not connection.execute(merged, of_subject).rowcount:
                    _add(connection, note.campaign_key, note.event, now, subject=note.subject, details=note.details)


_SAME = (campaign_diary.c.campaign_key == bindparam("campaign")) & (
    campaign_diary.c.subject == bindparam("its_subject")
)
_LAST = (
    select(campaign_diary.c.event)
    .where(_SAME)
    .order_by(campaign_diary.c.last_at.desc(), campaign_diary.c.key.desc())
    .limit(1)
)


def write_line(
    connection: Connection, campaign_key: int, event: DiaryEvent, at: Any, *, by: str | None = None, **details: Any
) -> None:
    """Add a line in the transaction of what it tells; `by` is the login of who did it, None: a rule."""
    _add(connection, campaign_key, event, at, by_login=by, details=details)


def write_to_all_on(connection: Connection, callbase_key: int, event: DiaryEvent, at: Any, **details: Any) -> None:
    """The same for each campaign on a callbase that has not ended."""
    ended = is_one_of(campaigns.c.state, CampaignState.FINISHED, CampaignState.STOPPED)
    query = select(campaigns.c.key).where(campaigns.c.callbase_key == callbase_key, ~ended, not_deleted(campaigns))
    for key in connection.execute(query).scalars().all():
        write_line(connection, key, event, at, **details)


def _add(connection: Connection, campaign_key: int, event: DiaryEvent, at: Any, **more: Any) -> None:
    values: Mapping[str, Any] = {"campaign_key": campaign_key, "event": event.value, "at": at, "last_at": at, **more}
    connection.execute(insert(campaign_diary).values(values))
    connection.execute(_TRIM, {"campaign": campaign_key})


def _trim(table: Table, *, most: int = MOST_LINES) -> Any:
    of_campaign = table.c.campaign_key == bindparam("campaign")
    newest = select(table.c.key).where(of_campaign).order_by(table.c.key.desc())
    return delete(table).where(of_campaign, table.c.key <= newest.limit(1).offset(most).scalar_subquery())


_TRIM = _trim(campaign_diary)


def _line_from(row: AnyRow) -> DiaryLine:
    return DiaryLine(
        at=row.at,
        event=DiaryEvent(row.event),
        by=row.by_login,
        details=row.details,
        times=row.times,
        last_at=row.last_at,
    )
