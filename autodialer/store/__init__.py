"""The store: the only place with SQL. SQLAlchemy Core on SQLite now, PostgreSQL later with the same code."""

from autodialer.store.accounts.audit import AuditEntry
from autodialer.store.accounts.tokens import Issued, Rotated
from autodialer.store.accounts.users import DEFAULT_ADMIN_LOGIN
from autodialer.store.backup.restored import Settled
from autodialer.store.backup.snapshot import check_whole, copy_database
from autodialer.store.calls.listing import CallsWanted
from autodialer.store.campaigns.campaigns import CampaignRules
from autodialer.store.campaigns.progress import CampaignProgress, Counts
from autodialer.store.figures.key_figures import KeyFigures
from autodialer.store.figures.report import CampaignReport, Figures, HourReport, TrunkReport
from autodialer.store.figures.tallies import CallbaseQuality, CallerIdQuarter, PeriodFigures, Quarter, Step, TallyScope
from autodialer.store.forget.erasing import Erasure
from autodialer.store.live.live import DialerSeen
from autodialer.store.migrations import migrate
from autodialer.store.queue.ceilings import DayStanding
from autodialer.store.queue.dialogs import CutOff, KeptDialog
from autodialer.store.queue.waiting import Waiting
from autodialer.store.setup.callbases import NewSubscriber, RejectedRow, ZoneCount
from autodialer.store.setup.dnc import DncEntry
from autodialer.store.setup.dnc_imports import DncImport
from autodialer.store.setup.numbering_plan import NumberRange, PlanFile, ZoneRange
from autodialer.store.setup.sounds import Recording
from autodialer.store.setup.trunks import trunk_of
from autodialer.store.sql.batches import BATCH_ROWS, PAUSE_S
from autodialer.store.sql.column_types import key_results_from, new_id
from autodialer.store.sql.engine import AnyRow, Busy
from autodialer.store.sql.filtering import Narrowed
from autodialer.store.sql.key_files import read_key_file, replace_key_file
from autodialer.store.sql.paging import Page
from autodialer.store.sql.secrets import Secrets
from autodialer.store.store import Store
from autodialer.store.webhooks.deliveries import Lane, NewDelivery, Tried
from autodialer.store.webhooks.notices import Notice, NoticeSettings, Unsent
from autodialer.store.webhooks.tables import TESTS
from autodialer.store.webhooks.webhooks import WebhookSettings

__all__ = [
    "BATCH_ROWS",
    "DEFAULT_ADMIN_LOGIN",
    "PAUSE_S",
    "TESTS",
    "AnyRow",
    "AuditEntry",
    "Busy",
    "CallbaseQuality",
    "CallerIdQuarter",
    "CallsWanted",
    "CampaignProgress",
    "CampaignReport",
    "CampaignRules",
    "Counts",
    "CutOff",
    "DayStanding",
    "DialerSeen",
    "DncEntry",
    "DncImport",
    "Erasure",
    "Figures",
    "HourReport",
    "Issued",
    "KeptDialog",
    "KeyFigures",
    "Lane",
    "Narrowed",
    "NewDelivery",
    "NewSubscriber",
    "Notice",
    "NoticeSettings",
    "NumberRange",
    "Page",
    "PeriodFigures",
    "PlanFile",
    "Quarter",
    "Recording",
    "RejectedRow",
    "Rotated",
    "Secrets",
    "Settled",
    "Step",
    "Store",
    "TallyScope",
    "Tried",
    "TrunkReport",
    "Unsent",
    "Waiting",
    "WebhookSettings",
    "ZoneCount",
    "ZoneRange",
    "check_whole",
    "copy_database",
    "key_results_from",
    "migrate",
    "new_id",
    "read_key_file",
    "replace_key_file",
    "trunk_of",
]
