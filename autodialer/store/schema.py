"""The tables. What is here and what the migrations make is compared by a test.

Keys are the database's integers and stay inside; `id` is the public UUID. Times are milliseconds since the epoch, UTC.
The keys of what a user makes are never given to another object (AUTOINCREMENT), because live state is kept by key.
"""

from autodialer.store.accounts.tables import (
    api_keys,
    audit,
    idempotency_keys,
    recovery_codes,
    refresh_tokens,
    second_factors,
    token_families,
    users,
)
from autodialer.store.calls.tables import call_traces, calls
from autodialer.store.campaigns.tables import (
    campaign_diary,
    campaign_origins,
    campaign_slices,
    campaign_subscribers,
    campaign_trunks,
    campaigns,
)
from autodialer.store.figures.tables import (
    call_counts,
    call_spreads,
    call_tallies,
    callbase_destinations,
    callbase_zones,
    key_counts,
    key_tallies,
    subscriber_counts,
)
from autodialer.store.live.tables import campaign_status, commands, dialers, trunk_checks, trunk_status
from autodialer.store.queue.tables import call_jobs, day_use, dialogs
from autodialer.store.setup.tables import (
    callbases,
    dnc,
    dnc_imports,
    dnc_rejected_rows,
    numbering_codes,
    numbering_files,
    numbering_ranges,
    rejected_rows,
    sounds,
    subscribers,
    trunks,
)
from autodialer.store.sql.shapes import metadata
from autodialer.store.webhooks.tables import (
    events,
    notice_messages,
    notices,
    trunk_told,
    webhook_deliveries,
    webhook_lanes,
    webhooks,
)

__all__ = [
    "api_keys",
    "audit",
    "call_counts",
    "call_jobs",
    "call_spreads",
    "call_tallies",
    "call_traces",
    "callbase_destinations",
    "callbase_zones",
    "callbases",
    "calls",
    "campaign_diary",
    "campaign_origins",
    "campaign_slices",
    "campaign_status",
    "campaign_subscribers",
    "campaign_trunks",
    "campaigns",
    "commands",
    "day_use",
    "dialers",
    "dialogs",
    "dnc",
    "dnc_imports",
    "dnc_rejected_rows",
    "events",
    "idempotency_keys",
    "key_counts",
    "key_tallies",
    "metadata",
    "notice_messages",
    "notices",
    "numbering_codes",
    "numbering_files",
    "numbering_ranges",
    "recovery_codes",
    "refresh_tokens",
    "rejected_rows",
    "second_factors",
    "sounds",
    "subscriber_counts",
    "subscribers",
    "token_families",
    "trunk_checks",
    "trunk_status",
    "trunk_told",
    "trunks",
    "users",
    "webhook_deliveries",
    "webhook_lanes",
    "webhooks",
]
