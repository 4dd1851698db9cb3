"""Webhooks and their deliveries."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from pydantic import Field

from autodialer.api.context import Context, owned
from autodialer.api.outside import check_webhook_url
from autodialer.api.present import Json, identifier, page, time
from autodialer.errors import Invalid
from autodialer.model import Campaign
from autodialer.model.webhooks import Delivery, DeliveryState, EventKind, Webhook
from autodialer.store import Store, WebhookSettings
from autodialer.web.caller import Caller
from autodialer.web.fields import Fields
from autodialer.web.request import PageWanted
from autodialer.webhooks.bodies import check_fields
from autodialer.webhooks.payloads import SAMPLE_DATA
from autodialer.webhooks.signing import new_secret, shown_secret
from autodialer.webhooks.urls import host_of

SHORT_EVENTS = (EventKind.CALL_ENDED, EventKind.CAMPAIGN_STATE)
"""What the `webhook_url` of a campaign is told of."""


class WebhookChange(Fields):
    """What is changed of a webhook; the meanings are those of autodialer.model.webhooks.Webhook."""

    url: str = ""
    events: Sequence[EventKind] = ()
    format: str = "json"
    fields: Mapping[str, str] = Field(default_factory=dict)
    active: bool = True


class NewWebhook(WebhookChange):
    """A webhook to be made."""

    campaign_id: UUID | None = None


class WebhookFilter(Fields):
    """Which webhooks are listed."""

    campaign_id: UUID | None = None


class DeliveryFilter(Fields):
    """Which deliveries are listed."""

    webhook_id: UUID | None = None
    state: DeliveryState | None = None


class Webhooks:
    """The operations on webhooks."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._store = context.store

    def list(self, caller: Caller, fields: WebhookFilter, wanted: PageWanted) -> Json:
        """The webhooks of the caller, or of these the ones of a campaign."""
        campaign = self._campaign_of(caller, fields.campaign_id)
        found = self._store.webhooks.page(
            caller.owner_key,
            campaign_key=campaign.key if campaign else None,
            limit=wanted.limit,
            after=wanted.after,
        )
        return page(found, present_webhook)

    def create(self, caller: Caller, fields: NewWebhook, once: str | None) -> Json:
        """A webhook with its secret, which is shown here and never again.

        Raises Invalid, AddressRefused, HostUnresolved; Conflict when there are too many.
        """
        with self._context.once.attempt(caller, "create_webhook", once, fields.asked()) as attempt:
            if attempt.object_id is None:
                campaign = self._campaign_of(caller, fields.campaign_id)
                settings = _settings(
                    check_webhook_url(self._context, fields.url),
                    fields.events,
                    style=fields.format,
                    fields=fields.fields,
                    active=fields.active,
                )
                with self._store.transaction():
                    made = self._store.webhooks.create(
                        campaign.owner_key if campaign else caller.user.key,
                        settings,
                        secret=new_secret(),
                        campaign_key=campaign.key if campaign else None,
                    )
                    self._context.record(caller, "webhooks.create", made.id, host=host_of(made.url))
                    attempt.remember(made.id)
            # Also for a request that is repeated: its first answer was lost, and the secret in it.
            webhook = self._store.webhooks.get(attempt.made, caller.owner_key)
            return present_webhook(webhook, secret=webhook.secret)

    def read(self, caller: Caller, webhook_id: UUID) -> Json:
        """One webhook."""
        return present_webhook(self._store.webhooks.get(webhook_id, caller.owner_key))

    def change(self, caller: Caller, webhook_id: UUID, fields: WebhookChange) -> Json:
        """Change what is given. Raises as `create`."""
        before = self._store.webhooks.get(webhook_id, caller.owner_key)
        given = fields.given
        url = check_webhook_url(self._context, fields.url) if "url" in given else before.url
        style = given.get("format", before.format)
        settings = _settings(
            url,
            given.get("events", before.events),
            style=style,
            # A change to JSON takes the field map away, which has no meaning there.
            fields=given.get("fields", before.fields if style == "form" else {}),
            active=given.get("active", before.active),
        )
        with self._store.transaction():
            self._store.webhooks.update(webhook_id, caller.owner_key, settings)
            self._context.record(caller, "webhooks.change", webhook_id, fields=sorted(given))
        return self.read(caller, webhook_id)

    def delete(self, caller: Caller, webhook_id: UUID) -> None:
        """It is told nothing more."""
        with self._store.transaction():
            self._store.webhooks.delete(webhook_id, caller.owner_key)
            self._context.record(caller, "webhooks.delete", webhook_id)

    def test(self, caller: Caller, webhook_id: UUID) -> Json:
        """Send a sample event; the delivery says what comes of it."""
        webhook = self._store.webhooks.get(webhook_id, caller.owner_key)
        with self._store.transaction():
            delivery_id = self._store.deliveries.add_test(webhook, SAMPLE_DATA, self._context.clock.utcnow())
            self._context.record(caller, "webhooks.test", webhook_id)
        return self.read_delivery(caller, delivery_id)

    def list_deliveries(self, caller: Caller, fields: DeliveryFilter, wanted: PageWanted) -> Json:
        """The deliveries of the caller's webhooks, newest first."""
        webhook_key = None
        if fields.webhook_id is not None:
            webhook_key = owned(self._store.webhooks.get, fields.webhook_id, caller, "webhook_id").key
        found = self._store.deliveries.page(
            caller.owner_key,
            webhook_key=webhook_key,
            state=fields.state,
            limit=wanted.limit,
            after=wanted.after,
        )
        return page(found, present_delivery)

    def read_delivery(self, caller: Caller, delivery_id: UUID) -> Json:
        """One delivery."""
        return present_delivery(self._store.deliveries.get(delivery_id, caller.owner_key))

    def redeliver(self, caller: Caller, delivery_id: UUID) -> Json:
        """Send it once more. Raises Conflict while its webhook is off."""
        with self._store.transaction():
            delivery = self._store.deliveries.redeliver(delivery_id, caller.owner_key, self._context.clock.utcnow())
            self._context.record(caller, "webhooks.redeliver", delivery.webhook_id, delivery=str(delivery_id))
        return self.read_delivery(caller, delivery_id)

    def _campaign_of(self, caller: Caller, campaign_id: UUID | None) -> Campaign | None:
        if campaign_id is None:
            return None
        return owned(self._store.campaigns.get, campaign_id, caller, "campaign_id")


def put_short(store: Store, campaign: Campaign, url: str | None) -> bytes | None:
    """Make the `webhook_url` of a campaign, change it or take it away (None), in the transaction of the campaign.

    Returns the key of its signatures where one was made; a changed URL keeps the key it has.
    """
    present = store.webhooks.short_of(campaign.key)
    if url is None:
        if present is not None:
            store.webhooks.delete(present.id, None)
        return None
    if present is not None:
        settings = _settings(url, present.events, style=present.format, fields=present.fields, active=True)
        store.webhooks.update(present.id, None, settings)
        return None
    secret = new_secret()
    settings = _settings(url, SHORT_EVENTS, style="json", fields={}, active=True)
    store.webhooks.create(campaign.owner_key, settings, secret=secret, campaign_key=campaign.key, short=True)
    return secret


def _settings(
    url: str, events: Sequence[EventKind], *, style: str, fields: Mapping[str, str], active: bool
) -> WebhookSettings:
    """Raises Invalid for a field map that goes with no form."""
    if fields and style != "form":
        raise Invalid("fields goes with format form; JSON always has the names of docs/webhooks.md.", field="fields")
    in_order = [kind for kind in EventKind if kind in events]
    return WebhookSettings(url=url, events=in_order, format=style, fields=check_fields(fields), active=active)


def present_webhook(value: Webhook, *, secret: bytes | None = None) -> Json:
    """A webhook; `secret` where its user sees it for the first time."""
    return {
        "id": str(value.id),
        "url": value.url,
        "events": [kind.value for kind in value.events],
        "campaign_id": identifier(value.campaign_id),
        "format": value.format,
        "fields": dict(value.fields),
        "active": value.active,
        "state": value.state,
        "note": value.note,
        "failing_since": time(value.failing_since),
        "created_at": time(value.created_at),
        "secret": shown_secret(secret) if secret else None,
    }


def present_delivery(value: Delivery) -> Json:
    """A delivery, without what it tells: that may be about a person."""
    return {
        "id": str(value.id),
        "webhook_id": str(value.webhook_id),
        "event": value.kind,
        "at": time(value.at),
        "state": value.state.value,
        "attempts": value.attempts,
        "last_at": time(value.last_at),
        "retry_at": time(value.retry_at),
        "status_code": value.status_code,
        "error": value.error,
    }
