"""A world with webhooks in it, and what sends their deliveries."""

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from autodialer.model import Campaign
from autodialer.model.webhooks import Delivery, EventKind, Webhook
from autodialer.store import Lane, WebhookSettings
from autodialer.webhooks.deliverer import Deliverer
from autodialer.webhooks.signing import new_secret, shown_secret
from tests.store.conftest import clock, migrated_sqlite, secrets, store, store_url, world  # noqa: F401 -- fixtures
from tests.store.world import World
from tests.webhooks.receiver import Receiver, receiver

HERE = (ipaddress.ip_network("127.0.0.0/8"),)
ALL = tuple(EventKind)


@dataclass
class Hooks:
    """Ways to make webhooks, and to send what waits without a thread."""

    world: World
    deliverer: Deliverer
    secrets: dict[int, str] = field(default_factory=dict)

    def make(self, url: str, *events: EventKind, campaign: Campaign | None = None, **settings: Any) -> Webhook:
        """A webhook of the world's user."""
        made = self.world.store.webhooks.create(
            self.world.user.key,
            WebhookSettings(url=url, events=events or ALL, **settings),
            secret=(secret := new_secret()),
            campaign_key=campaign.key if campaign else None,
        )
        self.secrets[made.key] = shown_secret(secret)
        return made

    def fan_out(self) -> int:
        """Events become deliveries; how many."""
        return self.deliverer._fan_out.run(self.world.clock.now)

    def send(self) -> int:
        """Send once over all lanes that are due; how many lanes."""
        self.fan_out()
        lanes = self.due()
        for lane in lanes:
            self.deliverer.deliver(lane)
        return len(lanes)

    def due(self) -> list[Lane]:
        return self.world.store.deliveries.due(self.world.clock.now, 100)

    def again(self, webhook: Webhook) -> Webhook:
        """As it is stored now."""
        return self.world.store.webhooks.get(webhook.id, None)

    def deliveries(self) -> list[Delivery]:
        """All, oldest first."""
        return self.world.store.deliveries.page(None, limit=1000)[0][::-1]


@pytest.fixture
def hooks(world: World) -> Iterator[Hooks]:  # noqa: F811
    deliverer = Deliverer(world.store, HERE, world.clock)
    yield Hooks(world, deliverer)
    deliverer.stop()


@pytest.fixture
def there() -> Iterator[Receiver]:
    with receiver() as made:
        yield made
