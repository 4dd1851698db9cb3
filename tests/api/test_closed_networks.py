"""A trunk's host, and what a check tells of others' machines, over the API."""

from collections.abc import Iterator
from typing import Any

import pytest

import main
from autodialer.config import CLOSED, Settings
from autodialer.store import Store
from tests.store.world import StandingClock
from tests.web.client import Client
from tests.web.conftest import PASSWORD


@pytest.fixture
def guarded(settings: Settings, store: Store, clock: StandingClock) -> Iterator[Client]:
    """A client of a service that keeps its networks closed."""
    guarding = Settings(data=settings.data, deny_networks=CLOSED)
    app = main.build_app(guarding, store, clock=clock, validate_responses=True)
    store.users.create(login="guarded", password=PASSWORD)
    client = Client(app)
    assert client.log_in("guarded", PASSWORD).status == 200
    yield client
    app.close()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"host": "127.0.0.1"}, "host"),
        ({"host": "localhost"}, "host"),
        ({"host": "169.254.169.254"}, "host"),
        ({"host": "::1"}, "host"),
        ({"host": "::ffff:127.0.0.1"}, "host"),
        ({"outbound_proxy": "127.0.0.1:22"}, "outbound_proxy"),
        ({"stun_server": "127.0.0.1"}, "stun_server"),
    ],
)
def test_a_trunk_into_a_closed_network_is_refused_when_it_is_made_and_when_it_is_changed(
    guarded: Client, changes: dict[str, Any], field: str
) -> None:
    sound = {"name": "ours", "host": "192.0.2.1", "port": 5060}
    refused = guarded.post("/srv1/trunks", json={**sound, **changes})
    assert (refused.status, refused.json()["details"][0]["field"]) == (422, field)
    assert "DIALER_DENY_NETWORKS" in refused.json()["message"]
    made = guarded.post("/srv1/trunks", json=sound).json()
    assert guarded.put(f"/srv1/trunks/{made['id']}", json=changes).status == 422


def test_ten_checks_a_minute_and_no_more(anna: Client, admin: Client, objects: dict[str, Any]) -> None:
    path = f"/srv1/trunks/{objects['trunk']['id']}/check"
    # Without a dialer each is 503: a check that fails counts too, or a dead dialer would let them all through.
    statuses = [anna.post(path).status for _ in range(11)]
    assert statuses == [503] * 10 + [429]
    assert admin.post(path).status == 503
