"""What is told outside: events, the webhooks that want them, and their deliveries."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID


class EventKind(StrEnum):
    """What happened, as receivers know it."""

    CALL_ENDED = "call.ended"
    CAMPAIGN_STATE = "campaign.state"
    TRUNK_STATE = "trunk.state"
    IMPORT_ENDED = "import.ended"
    OPT_OUT = "opt_out"
    CEILING_REACHED = "ceiling.reached"


WEBHOOK_TEST = "webhook.test"
"""The event of a delivery that a user asked for: nothing happened."""


class DeliveryState(StrEnum):
    """How far a delivery is."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened, not yet told."""

    key: int
    kind: EventKind
    at: datetime
    campaign_key: int
    """0: no campaign's."""
    object_key: int
    """Of the call, trunk, callbase, entry or import of a stop list, or entry of the audit; of the campaign itself."""
    details: Mapping[str, Any]
    """What is not in the object's row, or will not be there for long."""


@dataclass(frozen=True, kw_only=True)
class Webhook:
    """A URL that is told of events."""

    key: int
    id: UUID
    owner_key: int
    campaign_key: int | None
    """None: the events of all that the owner has."""
    campaign_id: UUID | None
    url: str
    events: tuple[EventKind, ...]
    secret: bytes | None = field(repr=False)
    """The key of the signatures; None: it cannot be read, because the key file is not the one it was stored with."""
    format: str
    """json or form."""
    fields: Mapping[str, str]
    """Of a form: name -> template over the names of an event's data; empty: all of them under their own names."""
    active: bool
    short: bool
    """It is the `webhook_url` of its campaign."""
    note: str | None
    """Why it fails or was switched off, a sentence for a person."""
    failing_since: datetime | None
    """When the first delivery failed after the last that arrived; None: the last one arrived."""
    created_at: datetime

    @property
    def state(self) -> str:
        """off, failing or working."""
        if not self.active:
            return "off"
        return "failing" if self.failing_since else "working"


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """An event for one webhook."""

    key: int
    id: UUID
    """The receiver's `webhook-id`: the same however often it is sent."""
    webhook_key: int
    webhook_id: UUID
    kind: str
    campaign_key: int
    """Deliveries of one webhook and one campaign go in their order; 0: of no campaign, -1: tests."""
    object_key: int
    payload: Mapping[str, Any]
    """What is told; empty where it is read when it is sent, because it is about a person."""
    at: datetime
    """When it happened."""
    state: DeliveryState
    attempts: int
    first_at: datetime | None
    """When it was first tried, since it was last asked for."""
    last_at: datetime | None
    retry_at: datetime | None
    """When it is tried next; None: it is not, or it waits for those before it."""
    status_code: int | None
    """What the receiver answered last; None: nothing."""
    error: str | None
    """Why the last attempt failed."""
