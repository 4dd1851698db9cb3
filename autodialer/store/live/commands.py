"""Commands: what the API asks of the dialer, which looks here at least every 100 ms."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import delete, insert, select, update

from autodialer.clock import Clock
from autodialer.model import Command
from autodialer.store.live.tables import commands
from autodialer.store.sql.engine import AnyRow, Database

OBEYED_KEPT_FOR = timedelta(days=1)
"""How long taken commands are kept, for people who want to know why a call ended."""
_NEW = select(commands).where(commands.c.taken_at.is_(None)).order_by(commands.c.key)


class Commands:
    """The commands."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def add(
        self,
        kind: str,
        *,
        campaign_key: int | None = None,
        trunk_key: int | None = None,
        call_id: UUID | None = None,
        digits: str | None = None,
    ) -> int:
        """Ask the dialer for something; `call_id` is the id of the check for `check_trunk`. The command's key."""
        values = {
            "kind": kind,
            "campaign_key": campaign_key,
            "trunk_key": trunk_key,
            "call_id": call_id,
            "digits": digits,
            "created_at": self._clock.utcnow(),
        }
        statement = insert(commands).values(values).returning(commands.c.key)
        with self._database.write() as connection:
            return int(connection.execute(statement).scalar_one())

    def reply(self, key: int, reply: str) -> None:
        """What the dialer says to a command: empty when it is done, else why not. Digits, perhaps a PIN, go."""
        with self._database.write() as connection:
            connection.execute(update(commands).where(commands.c.key == key).values(reply=reply, digits=None))

    def reply_to(self, key: int) -> str | None:
        """What the dialer has said to a command, None when nothing yet."""
        with self._database.read() as connection:
            row = connection.execute(select(commands.c.reply).where(commands.c.key == key)).one_or_none()
        return None if row is None else row.reply

    def new(self) -> list[Command]:
        """The commands that the dialer has not obeyed yet, oldest first. One cheap read. Raises Unavailable."""
        with self._database.read() as connection:
            return [_command_from(row) for row in connection.execute(_NEW)]

    def take(self, keys: Sequence[int]) -> None:
        """These were obeyed. Raises Unavailable."""
        now = self._clock.utcnow()
        with self._database.write(durable=False) as connection:
            connection.execute(update(commands).where(commands.c.key.in_(keys)).values(taken_at=now))
            connection.execute(delete(commands).where(commands.c.taken_at < now - OBEYED_KEPT_FOR))


def _command_from(row: AnyRow) -> Command:
    return Command(
        key=row.key,
        kind=row.kind,
        campaign_key=row.campaign_key,
        trunk_key=row.trunk_key,
        call_id=row.call_id,
        digits=row.digits,
    )
