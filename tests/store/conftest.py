"""One contract, every database: what takes `store` runs once for each entry of DATABASES."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from autodialer.store import Secrets, Store
from tests.databases import cheap_secrets, make_database
from tests.store.world import NOW, StandingClock, World

DATABASES = ["sqlite"]
"""A server's URL joins here: it needs a way to make an empty database for each test in `store_url`."""


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database, made once by the migrations and copied for each test."""
    path = tmp_path_factory.mktemp("migrated") / "db.sqlite3"
    make_database(f"sqlite:///{path}")
    return path


@pytest.fixture(params=DATABASES)
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    assert request.param == "sqlite"
    make_database(url := f"sqlite:///{tmp_path / 'db.sqlite3'}")
    return url


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock(NOW)


@pytest.fixture
def secrets(tmp_path: Path) -> Secrets:
    return cheap_secrets(tmp_path / "keys")


@pytest.fixture
def store(store_url: str, secrets: Secrets, clock: StandingClock) -> Iterator[Store]:
    opened = Store(store_url, secrets=secrets, clock=clock)
    yield opened
    opened.close()


@pytest.fixture
def world(store: Store, clock: StandingClock) -> World:
    """A user with a trunk, a sound, and ways to make the rest."""
    return World(store, clock)
