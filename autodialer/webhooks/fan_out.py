"""From events to what waits to be sent: a delivery for each webhook, a message for each notice."""

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from autodialer.errors import Unavailable
from autodialer.model.webhooks import Event, EventKind
from autodialer.store import NewDelivery, Store
from autodialer.webhooks import payloads
from autodialer.webhooks.sentences import OF_NOTICES, sentence

logger = logging.getLogger(__name__)

AT_ONCE = 200
"""Events a transaction, for which the dialer's claims may have to wait: some 10 ms."""
OPT_OUT_SOURCE = "opt_out:"


class _Told(NamedTuple):
    """What is told of an event, and whose it is."""

    owner_key: int
    campaign_key: int
    """Its lane; 0: of no campaign."""
    campaign_keys: Sequence[int]
    """Whose webhooks are told."""
    payload: Mapping[str, Any]
    """Empty where it is read when it is sent."""


class FanOut:
    """Takes the events that triggers have written down."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def run(self, now: datetime) -> int:
        """Deal with the first ones; how many. Raises Unavailable.

        An event that cannot be told, by a fault of ours, is logged and left out: it must not keep the others waiting.
        """
        events = self._store.events.oldest(AT_ONCE)
        if not events:
            return 0
        try:
            self._deal_with(events, now)
        except Unavailable:
            raise
        except Exception:
            logger.exception("one of %d events cannot be told; they are told one by one", len(events))
            for event in events:
                self._deal_with_one(event, now)
        return len(events)

    def _deal_with_one(self, event: Event, now: datetime) -> None:
        try:
            self._deal_with([event], now)
        except Unavailable:
            raise
        except Exception:
            logger.exception("event %d (%s) cannot be told and is left out", event.key, event.kind)
            self._store.events.remove([event.key])

    def _deal_with(self, events: Sequence[Event], now: datetime) -> None:
        # What is read is read before the transaction, which keeps the dialer from writing.
        told = self._told(events)
        made = [new for event in events if event.key in told for new in self._deliveries(event, told[event.key])]
        messages = [each for event in events if event.key in told for each in self._messages(event, told[event.key])]
        with self._store.transaction(durable=False):
            self._store.deliveries.add(made, now)
            for notice_key, title, body in messages:
                self._store.notices.send(notice_key, title, body)
            self._store.events.remove([event.key for event in events])

    def _told(self, events: Sequence[Event]) -> dict[int, _Told]:
        """By the event's key; one whose object is gone is not there."""
        owners = self._store.subjects.owners_of_campaigns([event.campaign_key for event in events])
        found: dict[int, _Told] = {}
        for event in events:
            if event.kind is EventKind.CALL_ENDED:
                if event.campaign_key in owners:
                    campaign = event.campaign_key
                    found[event.key] = _Told(owners[campaign], campaign, [campaign], {})
            elif (told := self._look_up(event)) is not None:
                found[event.key] = told
        return found

    def _look_up(self, event: Event) -> _Told | None:
        subjects = self._store.subjects
        if event.kind is EventKind.CAMPAIGN_STATE:
            if (campaign := subjects.campaign(event.object_key)) is None:
                return None
            row, progress = campaign
            return _Told(row.owner_key, row.key, [row.key], payloads.campaign_data(row, progress, event.details))
        if event.kind is EventKind.TRUNK_STATE:
            if (trunk := subjects.trunk(event.object_key)) is None:
                return None
            row, keys = trunk
            return _Told(row.owner_key, 0, keys, payloads.trunk_data(row, event.details))
        if event.kind is EventKind.IMPORT_ENDED:
            if (imported := subjects.imported(event.details["into"], event.object_key)) is None:
                return None
            row, keys = imported
            return _Told(row.owner_key, 0, keys, payloads.import_data(row, event.details))
        if event.kind is EventKind.CEILING_REACHED:
            if (reached := subjects.ceiling(event.object_key)) is None:
                return None
            row, owner_key, keys = reached
            return _Told(owner_key, 0, keys, payloads.ceiling_data(row))
        entry = subjects.opt_outs([event.object_key]).get(event.object_key)
        if entry is None:
            return None
        campaign_of = subjects.campaign_of_call(UUID(entry.source.removeprefix(OPT_OUT_SOURCE)))
        key = campaign_of.key if campaign_of is not None else 0
        return _Told(entry.owner_key, key, [key], {})

    def _deliveries(self, event: Event, told: _Told) -> list[NewDelivery]:
        return [
            NewDelivery(
                webhook_key=row.key,
                owner_key=row.owner_key,
                # What belongs to no campaign goes in the order of the webhook's own.
                campaign_key=told.campaign_key or row.campaign_key or 0,
                kind=event.kind.value,
                object_key=event.object_key,
                payload=told.payload,
                at=event.at,
            )
            for row in self._wanting(event.kind, told)
        ]

    def _wanting(self, kind: EventKind, told: _Told) -> Sequence[Any]:
        return self._store.webhooks.wanting(kind, told.owner_key, told.campaign_keys)

    def _messages(self, event: Event, told: _Told) -> list[tuple[int, str, str]]:
        if event.kind not in OF_NOTICES:
            return []
        made = []
        for notice in self._store.notices.wanting(event.kind, told.owner_key):
            said = sentence(event.kind, told.payload, notice.language)
            if said is not None:
                made.append((notice.key, *said))
        return made
