"""Fixtures of all tests."""

import os
import zlib
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from autodialer.config import Settings
from autodialer.store import Store
from tests.databases import cheap_secrets, make_database
from tests.peers.requirements import require_peers
from tests.purity import purity
from tests.timing import FACTOR, at_most

# A deadline times the machine, not the code.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

os.environ["DIALER_DENY_NETWORKS"] = ""
"""The gateways of tests are on this machine; tests of closed networks name them."""

pytest_plugins = ["tests.peers.fixtures"]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give workers a mix of tests that wait and tests that compute, and stretch the limit of a test as those within."""
    if hasattr(config, "workerinput"):
        # Whole modules, for the fixtures they share. In the order of their folders, those that wait for the timers of
        # the wire come together, and the processors are idle for the last third of the run.
        items.sort(key=lambda item: zlib.crc32(item.nodeid.partition("::")[0].encode()))
    if FACTOR == 1:
        return
    for item in items:
        own = item.get_closest_marker("timeout")
        seconds = float(own.args[0] if own else config.getini("timeout"))
        item.add_marker(pytest.mark.timeout(at_most(seconds)), append=False)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test that needs a foreign program fails without it; it never skips."""
    require_peers(item)


@pytest.fixture(autouse=True)
def _pure_unless_marked(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test without a marker opens no socket, starts no process and does not sleep."""
    with purity(request.node):
        yield


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings with a data folder of their own."""
    data = tmp_path / "data"
    data.mkdir()
    return Settings(data=data)


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    """An empty store in that folder."""
    make_database(settings.url)
    opened = Store(settings.url, secrets=cheap_secrets(settings.keys))
    yield opened
    opened.close()
