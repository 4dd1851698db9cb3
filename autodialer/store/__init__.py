"""The store: the only place with SQL. SQLAlchemy Core on SQLite now, PostgreSQL later with the same code."""

from autodialer.store.audit import AuditEntry
from autodialer.store.callbases import BATCH_ROWS, NewSubscriber, RejectedRow, ZoneCount
from autodialer.store.campaigns import CampaignRules
from autodialer.store.columns import new_id
from autodialer.store.dialogs import KeptDialog
from autodialer.store.dnc import DncEntry
from autodialer.store.dnc_imports import DncImport
from autodialer.store.engine import AnyRow
from autodialer.store.erasing import Erasure
from autodialer.store.key_figures import KeyFigures
from autodialer.store.live import DialerSeen
from autodialer.store.migrations import migrate
from autodialer.store.numbering_plan import NumberRange, PlanFile, ZoneRange
from autodialer.store.paging import Page
from autodialer.store.progress import CampaignProgress, Counts
from autodialer.store.report import CampaignReport, Figures, HourReport, TrunkReport
from autodialer.store.secrets import Secrets
from autodialer.store.store import Store
from autodialer.store.tokens import Issued, Rotated
from autodialer.store.trunks import TrunkFields, trunk_of
from autodialer.store.users import DEFAULT_ADMIN_LOGIN
from autodialer.store.waiting import Waiting

__all__ = [
    "BATCH_ROWS",
    "DEFAULT_ADMIN_LOGIN",
    "AnyRow",
    "AuditEntry",
    "CampaignProgress",
    "CampaignReport",
    "CampaignRules",
    "Counts",
    "DialerSeen",
    "DncEntry",
    "DncImport",
    "Erasure",
    "Figures",
    "HourReport",
    "Issued",
    "KeptDialog",
    "KeyFigures",
    "NewSubscriber",
    "NumberRange",
    "Page",
    "PlanFile",
    "RejectedRow",
    "Rotated",
    "Secrets",
    "Store",
    "TrunkFields",
    "TrunkReport",
    "Waiting",
    "ZoneCount",
    "ZoneRange",
    "migrate",
    "new_id",
    "trunk_of",
]
