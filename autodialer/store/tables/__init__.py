"""The tables. What is here and what the migrations make is compared by a test.

Keys are the database's integers and stay inside; `id` is the public UUID. Times are milliseconds since the epoch, UTC.
The keys of what a user makes are never given to another object (AUTOINCREMENT), because live state is kept by key.
"""

from autodialer.store.tables.accounts import audit, idempotency_keys, refresh_tokens, token_families, users
from autodialer.store.tables.counters import call_counts, call_spreads, callbase_zones, key_counts, subscriber_counts
from autodialer.store.tables.dialing import (
    COMMAND_KINDS,
    LIVE_JOB_STATES,
    call_jobs,
    call_traces,
    calls,
    campaign_origins,
    campaign_status,
    campaign_subscribers,
    campaign_trunks,
    campaigns,
    commands,
    dialers,
    dialogs,
    trunk_checks,
    trunk_status,
)
from autodialer.store.tables.dnc import dnc, dnc_imports, dnc_rejected_rows
from autodialer.store.tables.numbering import numbering_codes, numbering_files, numbering_ranges
from autodialer.store.tables.objects import callbases, rejected_rows, sounds, subscribers, trunks
from autodialer.store.tables.shapes import metadata

__all__ = [
    "COMMAND_KINDS",
    "LIVE_JOB_STATES",
    "audit",
    "call_counts",
    "call_jobs",
    "call_spreads",
    "call_traces",
    "callbase_zones",
    "callbases",
    "calls",
    "campaign_origins",
    "campaign_status",
    "campaign_subscribers",
    "campaign_trunks",
    "campaigns",
    "commands",
    "dialers",
    "dialogs",
    "dnc",
    "dnc_imports",
    "dnc_rejected_rows",
    "idempotency_keys",
    "key_counts",
    "metadata",
    "numbering_codes",
    "numbering_files",
    "numbering_ranges",
    "refresh_tokens",
    "rejected_rows",
    "sounds",
    "subscriber_counts",
    "subscribers",
    "token_families",
    "trunk_checks",
    "trunk_status",
    "trunks",
    "users",
]
