"""An application on a small database, quick to make: cheap password hashes, a clock that stands still."""

import ipaddress
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bravado_core.spec import Spec

import main
from autodialer.api import notices
from autodialer.api import sounds as sound_files
from autodialer.api.brakes import Brake
from autodialer.clock import Clock
from autodialer.config import Settings
from autodialer.media.sound import import_sound
from autodialer.model import Role
from autodialer.store import Store
from autodialer.web.app import App
from autodialer.webhooks import addresses, stranger
from tests.databases import cheap_secrets, make_database
from tests.imports.here import import_here
from tests.web.client import Client, wav

PASSWORD = "correct horse battery staple"


class StandingClock(Clock):
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
        self.ticks = 1000.0

    def utcnow(self) -> datetime:
        """Where it stands."""
        return self.now

    def monotonic(self) -> float:
        """Where it stands."""
        return self.ticks

    def move(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)
        self.ticks += seconds


@pytest.fixture(scope="session", autouse=True)
def _the_contract_is_parsed_once() -> Iterator[None]:
    """An application of its own costs each test 40 ms otherwise."""
    parsed: dict[str, Spec] = {}
    parse = Spec.from_dict

    def parse_once(contract: dict[str, Any], *, config: dict[str, Any]) -> Spec:
        wanted = repr(sorted(config.items()))
        return parsed.get(wanted) or parsed.setdefault(wanted, parse(contract, config=config))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Spec, "from_dict", parse_once)
        yield


@pytest.fixture(autouse=True)
def _sounds_are_imported_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process of its own costs a second a sound; tests/web/test_server.py and tests/media have that."""
    monkeypatch.setattr(sound_files, "import_apart", import_sound)


@pytest.fixture(autouse=True)
def _tables_are_imported_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same of tables; tests/web/test_server.py and tests/imports have the process."""
    import_here(monkeypatch)


@pytest.fixture(autouse=True)
def _the_world_outside_is_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """No name server is asked for example.com, and what a notice's address means is found without a process."""
    look_up = addresses._look_up
    there = [ipaddress.ip_address("93.184.215.14")]
    monkeypatch.setattr(
        addresses, "_look_up", lambda host, timeout_s: there if host == "example.com" else look_up(host, timeout_s)
    )
    monkeypatch.setattr(notices, "apart", stranger.run)


@pytest.fixture
def clock() -> StandingClock:
    """The time in the store and in the API."""
    return StandingClock()


@pytest.fixture
def store(settings: Settings, clock: StandingClock) -> Iterator[Store]:
    """A store with an admin `admin` and the users `anna` and `boris`."""
    make_database(settings.url)
    opened = Store(settings.url, secrets=cheap_secrets(settings.keys), clock=clock)
    opened.users.create(login="admin", password=PASSWORD, role=Role.ADMIN)
    for login in ("anna", "boris"):
        opened.users.create(login=login, password=PASSWORD)
    yield opened
    opened.close()


@pytest.fixture
def app(settings: Settings, store: Store, clock: StandingClock) -> Iterator[App]:
    """The application, held to its contract in what it answers too."""
    made = main.build_app(settings, store, clock=clock, validate_responses=True)
    yield made
    made.close()


@pytest.fixture
def client(app: App) -> Client:
    """Nobody yet."""
    return Client(app)


@pytest.fixture
def log_in(app: App) -> Callable[[str], Client]:
    """Makes clients that are logged in."""

    def make(login: str) -> Client:
        made = Client(app)
        assert made.log_in(login, PASSWORD).status == 200
        return made

    return make


@pytest.fixture
def anna(log_in: Callable[[str], Client]) -> Client:
    """A user."""
    return log_in("anna")


@pytest.fixture
def boris(log_in: Callable[[str], Client]) -> Client:
    """Another user."""
    return log_in("boris")


@pytest.fixture
def admin(log_in: Callable[[str], Client]) -> Client:
    """An admin."""
    return log_in("admin")


@pytest.fixture
def unbraked(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a test that asks for more single calls or checks than a user may in a minute."""
    monkeypatch.setattr(Brake, "take", lambda *_: None)


@pytest.fixture
def objects(anna: Client) -> dict[str, Any]:
    """Anna's trunk, sound, callbase of three numbers, and a draft campaign of them."""
    trunk = anna.post("/srv1/trunks", json={"name": "trunk", "host": "127.0.0.1", "port": 5999}).json()
    sound = anna.post("/srv1/sounds", files={"file": ("hello.wav", wav())}).json()
    numbers = b"+79160000001\n+79160000002\n+79160000003\n"
    callbase = anna.post("/srv1/callbases", files={"file": ("base.csv", numbers)}, data={"region": "RU"}).json()
    fields = {"name": "campaign", "trunk_ids": [trunk["id"]], "sound_id": sound["id"], "callbase_id": callbase["id"]}
    campaign = anna.post("/srv1/campaigns", json=fields).json()
    return {"trunk": trunk, "sound": sound, "callbase": callbase, "campaign": campaign, "fields": fields}
