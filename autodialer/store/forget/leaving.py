"""Users who are deleted, and what they leave behind: it goes to another user, or with them.

The row of a deleted user stays, without password and name, because the audit refers to it. Its objects are nobody's
from that moment on: no list shows them, an admin's neither. What may be a million rows is given or cleared away
afterwards, 500 rows a commit.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Table, and_, delete, exists, func, or_, select, update

from autodialer.clock import Clock
from autodialer.errors import Conflict, Invalid, NotFound
from autodialer.model import OWNING, CampaignState, JobState, Role, Sound, User
from autodialer.store.accounts.api_keys import end_keys
from autodialer.store.accounts.tables import USER, token_families, users
from autodialer.store.accounts.tokens import user_from
from autodialer.store.accounts.users import is_last_admin
from autodialer.store.calls.tables import call_traces, calls
from autodialer.store.campaigns.tables import campaign_trunks, campaigns
from autodialer.store.live.tables import trunk_checks
from autodialer.store.queue.tables import call_jobs
from autodialer.store.setup.sounds import sound_from
from autodialer.store.setup.tables import callbases, dnc, dnc_imports, dnc_rejected_rows, sounds, trunks
from autodialer.store.sql.batches import BATCH_ROWS
from autodialer.store.sql.engine import AnyRow, Database
from autodialer.store.sql.owned import not_deleted
from autodialer.store.sql.shapes import metadata
from autodialer.store.sql.transitions import CallbaseState, is_one_of
from autodialer.store.webhooks.tables import notices, webhook_deliveries, webhooks

MOST_NAMES = 5
"""Campaigns that a refusal names."""


class Objects(StrEnum):
    """What becomes of the objects of a user who is deleted."""

    DELETE = "delete"
    GIVE = "give"


@dataclass(frozen=True, kw_only=True)
class Left:
    """A user who has been deleted."""

    user: User
    """As it was."""
    sounds: Sequence[Sound]
    """Their files are the caller's to remove."""


class Leaving:
    """Deletes users."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def delete(self, user_id: UUID, *, objects: Objects, heir_id: UUID, by: str) -> Left:
        """Take a user away: no session, no API key and no password of it is good any more, and its login is free.

        The heir gets its objects, or, where they go with it, only the DNC entries that hold for everybody. `by` is the
        login of the admin. Raises NotFound, Invalid for an heir without objects of its own, and Conflict for the last
        admin and while calls or campaigns go on.
        """
        with self._database.write() as connection:
            row = _living(connection, user_id)
            if row is None:
                raise NotFound
            if is_last_admin(connection, row):
                raise Conflict("This is the only admin who can log in; make another one first.")
            heir = _living(connection, heir_id)
            if heir is None or heir.key == row.key or Role(heir.role) not in OWNING:
                raise Invalid("to takes the id of another user, with the role user or admin.", field="to")
            _refuse_while_at_work(connection, row.key, objects)
            self._leave(connection, row, objects, heir.key)
            gone = self._mark(connection, row.key, by) if objects is Objects.DELETE else []
        return Left(user=user_from(row), sounds=gone)

    def clear_some(self) -> bool:
        """Give, or clear away, up to 500 rows of a deleted user, as one transaction; whether more may be left.

        Finding nothing costs one cheap read. Raises Unavailable.
        """
        # What is to be done is looked for in a read transaction, which holds up nobody.
        with self._database.read() as connection:
            row = connection.execute(_LEAVING.limit(1)).first()
            if row is None:
                return False
            step = _next_step(connection, row, self._clock.utcnow())
        with self._database.write() as connection:
            step(connection)
        return True

    def _leave(self, connection: Connection, row: AnyRow, objects: Objects, heir_key: int) -> None:
        tombstone = {
            "former_login": row.login,
            "login": str(row.id),
            "name": "",
            "comment": None,
            "password_hash": None,
            "works_for_key": None,
            "deleted_at": self._clock.utcnow(),
            "leaves": objects.value,
            "heir_key": heir_key,
        }
        connection.execute(update(users).where(users.c.key == row.key).values(tombstone))
        end_keys(connection, row.key)
        _end_telling(connection, row.key, objects)
        # Operators and viewers see nothing until an admin says whose objects come next. To pass them on to the heir
        # would show them all that the heir has besides.
        connection.execute(update(users).where(users.c.works_for_key == row.key).values(works_for_key=None))

    def _mark(self, connection: Connection, user_key: int, by: str) -> list[Sound]:
        """What may be dialled over, registered or played ends at once; the rest, only hidden now, is marked later."""
        now = self._clock.utcnow()
        paused = (campaigns.c.owner_key == user_key) & is_one_of(campaigns.c.state, CampaignState.PAUSED)
        stopped = {"state": CampaignState.STOPPED.value, "finished_at": now, "moved_at": now, "moved_by": by}
        # What a stopped campaign has in the queue, the dialer cancels.
        connection.execute(update(campaigns).where(paused).values(stopped))
        of_user = and_(trunks.c.owner_key == user_key, not_deleted(trunks))
        connection.execute(update(trunks).where(of_user).values(deleted_at=now, password=None))
        of_user = and_(sounds.c.owner_key == user_key, not_deleted(sounds))
        gone = connection.execute(update(sounds).where(of_user).values(deleted_at=now).returning(*sounds.c)).all()
        return [sound_from(each) for each in gone]


def _end_telling(connection: Connection, user_key: int, objects: Objects) -> None:
    """What told this user of all its objects tells nothing any more.

    With its new owner it would tell a stranger of what that one has besides. A campaign's own webhook goes with the
    campaign.
    """
    ended = webhooks.c.owner_key == user_key
    if objects is Objects.GIVE:
        ended &= webhooks.c.campaign_key.is_(None)
    connection.execute(delete(webhooks).where(ended))
    connection.execute(delete(notices).where(notices.c.owner_key == user_key))


def _owned(*columns: str) -> list[Table]:
    """Every table of objects with an owner and these columns; so no new one is forgotten here."""
    wanted = {"key", "owner_key", *columns}
    return [table for table in metadata.sorted_tables if wanted <= set(table.c.keys()) and table is not dnc]


Step = Callable[[Connection], object]
_LEAVING = (
    select(users.c.key, users.c.leaves, users.c.heir_key).where(users.c.leaves.is_not(None)).order_by(users.c.key)
)


def _living(connection: Connection, user_id: UUID) -> AnyRow | None:
    return connection.execute(select(*USER).where(users.c.id == user_id, not_deleted(users))).one_or_none()


def _refuse_while_at_work(connection: Connection, user_key: int, objects: Objects) -> None:
    """Raises Conflict that says what goes on."""
    _refuse_campaigns(
        connection,
        (campaigns.c.owner_key == user_key) & is_one_of(campaigns.c.state, CampaignState.RUNNING),
        "The user has running campaigns ({}); stop them first.",
    )
    mine = campaigns.c.owner_key == user_key
    live = select(func.count()).join_from(call_jobs, campaigns, call_jobs.c.campaign_key == campaigns.c.key)
    count = connection.execute(live.where(mine, is_one_of(call_jobs.c.state, JobState.DIALING))).scalar_one()
    if count:
        raise Conflict(f"Calls of the user are under way ({count}); let them end, or hang them up.")
    importing = (dnc_imports.c.owner_key == user_key) & is_one_of(dnc_imports.c.state, CallbaseState.IMPORTING)
    file = connection.execute(select(dnc_imports.c.file).where(importing).limit(1)).scalar_one_or_none()
    if file is not None:
        # Its numbers would come to a list that has been given or cleared away.
        raise Conflict(f"The DNC import of {file!r} goes on; let it end, or delete it.")
    heirs = select(users.c.former_login).where(users.c.heir_key == user_key, users.c.leaves.is_not(None))
    login = connection.execute(heirs.limit(1)).scalar_one_or_none()
    if login is not None:
        raise Conflict(f"The user is still being given what {login!r} had; try again in a moment.")
    if objects is Objects.DELETE:
        under_way = is_one_of(campaigns.c.state, CampaignState.RUNNING, CampaignState.PAUSED)
        _refuse_campaigns(
            connection,
            and_(campaigns.c.owner_key != user_key, under_way, _uses_objects_of(user_key)),
            "Campaigns of other users ({}) need trunks, sounds or callbases of the user; stop them, or give the objects"
            " to another user.",
        )


def _refuse_campaigns(connection: Connection, condition: ColumnElement[bool], message: str) -> None:
    query = select(campaigns.c.id, campaigns.c.name).where(condition).order_by(campaigns.c.key)
    found = connection.execute(query.limit(MOST_NAMES + 1)).all()
    if found:
        names = [repr(row.name) for row in found[:MOST_NAMES]] + (["and more"] if len(found) > MOST_NAMES else [])
        details = [{"campaign_id": str(row.id), "name": row.name} for row in found[:MOST_NAMES]]
        raise Conflict(message.format(", ".join(names)), details=details)


def _uses_objects_of(user_key: int) -> ColumnElement[bool]:
    def of(table: Table) -> ColumnElement[bool]:
        return table.c.owner_key == user_key

    over = select(campaign_trunks.c.campaign_key).join(trunks, trunks.c.key == campaign_trunks.c.trunk_key)
    return or_(
        exists().where(sounds.c.key == campaigns.c.sound_key, of(sounds)),
        exists().where(callbases.c.key == campaigns.c.callbase_key, of(callbases)),
        campaigns.c.key.in_(over.where(of(trunks))),
    )


def _next_step(connection: Connection, row: AnyRow, now: datetime) -> Step:
    """What is to be done next, of up to 500 rows.

    The numbers of the DNC list go first and the campaigns last: there is no moment at which a campaign could call a
    person who asked not to be called.
    """
    is_given = row.leaves == Objects.GIVE
    if connection.execute(select(dnc.c.key).where(dnc.c.owner_key == row.key).limit(1)).first() is not None:
        return partial(_hand_over_numbers, user_key=row.key, heir_key=row.heir_key, all_of_them=is_given)
    step = _find_given(connection, row) if is_given else _find_cleared(connection, row.key, now)
    sessions = _some(connection, token_families, token_families.c.user_key == row.key)
    if step is None and sessions:
        step = partial(_delete, token_families, sessions)
    return step or _finish(row.key)


def _finish(user_key: int) -> Step:
    done = update(users).where(users.c.key == user_key).values(leaves=None)
    return lambda connection: connection.execute(done)


def _some(connection: Connection, table: Table, *conditions: ColumnElement[bool]) -> Sequence[int]:
    return connection.execute(select(table.c.key).where(*conditions).limit(BATCH_ROWS)).scalars().all()


def _change(table: Table, keys: Sequence[int], values: Mapping[str, Any], connection: Connection) -> None:
    connection.execute(update(table).where(table.c.key.in_(keys)).values(values))


def _delete(table: Table, keys: Sequence[int], connection: Connection) -> None:
    connection.execute(delete(table).where(table.c.key.in_(keys)))


def _find_given(connection: Connection, row: AnyRow) -> Step | None:
    for table in sorted(_owned(), key=lambda table: table is campaigns):
        if keys := _some(connection, table, table.c.owner_key == row.key):
            return partial(_change, table, keys, {"owner_key": row.heir_key})
    return None


def _hand_over_numbers(connection: Connection, *, user_key: int, heir_key: int, all_of_them: bool) -> None:
    """Take some entries off a DNC list and put them on the heir's: all, or those that hold for everybody, since people
    must not be called whatever becomes of the admin who said so.

    A number that is on both lists is kept once, and holds for as many as before. Found in the transaction that moves
    them: two that move the same rows would take one for the double of the other.
    """
    query = select(dnc.c.key, dnc.c.number, dnc.c.for_everybody).where(dnc.c.owner_key == user_key)
    rows = connection.execute(query.limit(BATCH_ROWS)).all()
    wanted = [row for row in rows if all_of_them or row.for_everybody]
    theirs = dnc.c.owner_key == heir_key
    same = select(dnc.c.number).where(theirs, dnc.c.number.in_([row.number for row in wanted]))
    there = set(connection.execute(same).scalars())
    for_all = [row.number for row in wanted if row.for_everybody and row.number in there]
    connection.execute(update(dnc).where(theirs, dnc.c.number.in_(for_all)).values(for_everybody=True))
    moved = [row.key for row in wanted if row.number not in there]
    _change(dnc, moved, {"owner_key": heir_key}, connection)
    _delete(dnc, [row.key for row in rows if row.key not in set(moved)], connection)


def _find_cleared(connection: Connection, user_key: int, now: datetime) -> Step | None:
    """What is left to mark or to delete. Subscribers go with their callbases (`Callbases.clear_some`)."""
    for table in _owned("deleted_at"):
        if keys := _some(connection, table, table.c.owner_key == user_key, not_deleted(table)):
            return partial(_change, table, keys, {"deleted_at": now})
    called = select(calls.c.key, calls.c.id).join(campaigns, campaigns.c.key == calls.c.campaign_key)
    if rows := connection.execute(called.where(campaigns.c.owner_key == user_key).limit(BATCH_ROWS)).all():
        return partial(_delete_calls, rows)
    of_imports = select(dnc_imports.c.key).where(dnc_imports.c.owner_key == user_key)
    of_trunks = select(trunks.c.key).where(trunks.c.owner_key == user_key)
    left: Mapping[Table, ColumnElement[bool]] = {
        dnc_rejected_rows: dnc_rejected_rows.c.import_key.in_(of_imports),
        dnc_imports: dnc_imports.c.owner_key == user_key,
        webhook_deliveries: webhook_deliveries.c.owner_key == user_key,
        trunk_checks: trunk_checks.c.trunk_key.in_(of_trunks),
    }
    for table, condition in left.items():
        if keys := _some(connection, table, condition):
            return partial(_delete, table, keys)
    return None


def _delete_calls(rows: Sequence[AnyRow], connection: Connection) -> None:
    connection.execute(delete(call_traces).where(call_traces.c.call_id.in_([row.id for row in rows])))
    _delete(calls, [row.key for row in rows], connection)
