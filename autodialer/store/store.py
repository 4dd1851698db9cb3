"""The Store: one object with a part for each kind of thing. The only way to the database."""

from collections.abc import Iterator
from contextlib import contextmanager

from autodialer.clock import Clock
from autodialer.store.accounts.api_keys import ApiKeys
from autodialer.store.accounts.audit import Audit
from autodialer.store.accounts.idempotency import Idempotency
from autodialer.store.accounts.second_factors import SecondFactors
from autodialer.store.accounts.sessions import Sessions
from autodialer.store.accounts.tokens import Tokens
from autodialer.store.accounts.users import Users
from autodialer.store.backup.restored import Restored
from autodialer.store.calls.calls import Calls
from autodialer.store.calls.exports import Exports
from autodialer.store.calls.traces import Traces
from autodialer.store.campaigns.campaigns import Campaigns
from autodialer.store.campaigns.diary import Diary
from autodialer.store.campaigns.slices import Slices
from autodialer.store.figures.tallies import Tallies
from autodialer.store.forget.clearing import Clearing
from autodialer.store.forget.erasing import Erasing
from autodialer.store.forget.leaving import Leaving
from autodialer.store.forget.retention import Retention
from autodialer.store.live.checks import Checks
from autodialer.store.live.commands import Commands
from autodialer.store.live.live import Live
from autodialer.store.live.load import Load
from autodialer.store.queue.ceilings import DayUses
from autodialer.store.queue.dialogs import Dialogs
from autodialer.store.queue.queue import Queue
from autodialer.store.queue.waiting import WaitingLists
from autodialer.store.setup.callbases import Callbases
from autodialer.store.setup.dnc import Dnc
from autodialer.store.setup.dnc_imports import DncImports
from autodialer.store.setup.numbering_plan import NumberingPlan
from autodialer.store.setup.sounds import Sounds
from autodialer.store.setup.subscribers import Subscribers
from autodialer.store.setup.trunks import Trunks
from autodialer.store.sql.engine import AUTOCHECKPOINT_PAGES, Busy, Database, ping
from autodialer.store.sql.secrets import Secrets
from autodialer.store.webhooks.deliveries import Deliveries
from autodialer.store.webhooks.events import Events
from autodialer.store.webhooks.notices import Notices
from autodialer.store.webhooks.subjects import Subjects
from autodialer.store.webhooks.webhooks import Webhooks

LONGEST_LOG_PAGES = 20_000
"""80 MB: where checkpoints are made apart, this long a log means that they do not keep up, so that commits help."""


class Store:
    """A database that `migrate` has prepared. All of it may be used from several threads; not across a fork.

    `synchronous` is FULL where a commit must survive a power loss (the dialer's claims), else NORMAL. With
    `checkpoints_apart` the owner calls `checkpoint` every second or so, and no commit has to.
    """

    def __init__(
        self,
        url: str,
        *,
        secrets: Secrets,
        synchronous: str = "NORMAL",
        clock: Clock | None = None,
        busy_timeout_s: float = 10.0,
        checkpoints_apart: bool = False,
    ) -> None:
        clock = clock or Clock()
        pages = LONGEST_LOG_PAGES if checkpoints_apart else AUTOCHECKPOINT_PAGES
        database = Database(url, synchronous=synchronous, busy_timeout_s=busy_timeout_s, autocheckpoint_pages=pages)
        self._database = database
        self.users = Users(database, secrets, clock)
        self.tokens = Tokens(database, clock)
        self.sessions = Sessions(database, clock)
        self.second_factors = SecondFactors(database, secrets, clock)
        self.api_keys = ApiKeys(database, clock)
        self.trunks = Trunks(database, secrets, clock)
        self.sounds = Sounds(database, clock)
        self.callbases = Callbases(database, clock)
        self.subscribers = Subscribers(database, clock)
        self.campaigns = Campaigns(database, clock)
        self.slices = Slices(database)
        self.diary = Diary(database, clock)
        self.queue = Queue(database, clock)
        self.waiting_lists = WaitingLists(database)
        self.dialogs = Dialogs(database)
        self.day_uses = DayUses(database)
        self.calls = Calls(database)
        self.exports = Exports(database)
        self.tallies = Tallies(database)
        self.dnc = Dnc(database, clock)
        self.dnc_imports = DncImports(database, clock)
        self.numbering_plan = NumberingPlan(database, clock)
        self.commands = Commands(database, clock)
        self.checks = Checks(database, clock)
        self.traces = Traces(database, clock)
        self.live = Live(database, clock)
        self.events = Events(database)
        self.subjects = Subjects(database)
        self.webhooks = Webhooks(database, secrets, clock)
        self.deliveries = Deliveries(database)
        self.notices = Notices(database, secrets, clock)
        self.load = Load(database, clock)
        self.idempotency = Idempotency(database, secrets, clock)
        self.erasing = Erasing(database, clock)
        self.clearing = Clearing(database, clock)
        self.audit = Audit(database, clock)
        self.retention = Retention(database, self.callbases)
        self.restored = Restored(database, self.audit, clock)
        self.leaving = Leaving(database, clock)

    @contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[None]:
        """What this thread writes within is committed together at the end, or, after an exception, not at all.

        Keep it short, for the dialer's claims wait meanwhile. `durable` False: see Database.write. Raises Unavailable.
        """
        with self._database.write(durable=durable):
            yield

    def checkpoint(self) -> None:
        """Bring the write-ahead log into the database file, for as long as the disk takes. Raises Unavailable."""
        self._database.checkpoint()

    def version(self) -> tuple[int, int]:
        """Another value after every commit of any process: see Database.version. Raises Unavailable."""
        return self._database.version()

    def ping(self) -> None:
        """Raises Unavailable when the database does not answer."""
        ping(self._database)

    @property
    def busy(self) -> Busy:
        """How busy the database has been for this process."""
        return self._database.busy

    def close(self) -> None:
        """Close all connections."""
        self._database.close()
