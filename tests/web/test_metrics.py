"""What /metrics says, who may read it, and that its names and labels are those that Prometheus asks for."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import event

import main
from autodialer.config import Settings
from autodialer.dialing.vitals import Vitals
from autodialer.errors import Unavailable
from autodialer.media.lateness import Lateness
from autodialer.model import CallOutcome, CampaignLimit, CampaignStatus, Disposition, MediaState, TrunkStatus
from autodialer.store import Busy, Store
from autodialer.web.app import App
from tests.web.client import Client
from tests.web.conftest import StandingClock


def from_here(client: Client, **headers: str) -> Any:
    """An answer to this machine itself."""
    return read(client, "127.0.0.1", **{"Host": "127.0.0.1:8080", **headers})


def read(client: Client, address: str, **headers: str) -> Any:
    """An answer to a client at that address."""
    app = client.app

    def asked(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        return app({**environ, "REMOTE_ADDR": address}, start_response)

    return Client(asked, client.token).get("/metrics", headers=headers)  # type: ignore[arg-type]


def families(client: Client) -> dict[str, Metric]:
    answer = from_here(client)
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    found = list(text_string_to_metric_families(answer.body.decode()))
    assert len({family.name for family in found}) == len(found), "no metric is told twice"
    return {family.name: family for family in found}


def value(found: dict[str, Metric], sample: str, **labels: str) -> float | None:
    matching = [
        each.value
        for family in found.values()
        for each in family.samples
        if each.name == sample and labels.items() <= each.labels.items()
    ]
    assert len(matching) <= 1
    return matching[0] if matching else None


@pytest.fixture
def dialer(store: Store, objects: dict[str, Any], anna: Client) -> Vitals:
    """A dialer that has made three calls over Anna's trunk, which ended in two ways."""
    vitals, trunk = Vitals(), store.trunks.page(None)[0][0]
    for disposition, code in ((Disposition.BUSY, 486), (Disposition.BUSY, 600), (Disposition.FAILED, 999)):
        vitals.started()
        now = datetime.now(UTC)
        vitals.ended(trunk, CallOutcome(disposition=disposition, sip_code=code, invited_at=now, ended_at=now))
    return vitals


def beat(store: Store, vitals: Vitals, *, media: MediaState = MediaState.RUNNING) -> None:
    lateness = Lateness()
    lateness.add(0.0002, 100)
    lateness.add(0.013, 50)
    busy = Busy(transactions=7, waited_s=0.5, refused=1)
    told = vitals.as_json(active_calls=3, media=media, pacing=lateness.as_json(), busy=busy)
    store.live.heartbeat("x", 1, told)


def test_what_the_dialer_counted_is_told_and_adds_up(
    client: Client, store: Store, dialer: Vitals, objects: dict[str, Any]
) -> None:
    dialer.ticks.add(0.003)
    dialer.ticks.add(0.03)
    key = store.trunks.page(None)[0][0].key
    store.live.write_trunks([TrunkStatus(trunk_key=key, breaker_state="resting", active_calls=3)])
    beat(store, dialer)
    found = families(client)
    trunk = objects["trunk"]["id"]
    assert value(found, "dialer_up") == value(found, "dialer_media_up") == value(found, "dialer_database_up") == 1
    assert value(found, "dialer_active_calls") == value(found, "dialer_trunk_active_calls", trunk=trunk) == 3
    assert value(found, "dialer_trunk_breaker", trunk=trunk, state="resting") == 1
    assert value(found, "dialer_trunk_breaker", trunk=trunk, state="closed") == 0
    assert value(found, "dialer_trunk_registered", trunk=trunk) is None, "it does not register"
    assert value(found, "dialer_trunk_info", trunk=trunk, name="trunk") == 1
    assert value(found, "dialer_calls_started_total") == 3
    assert value(found, "dialer_calls_total", trunk=trunk, disposition="busy") == 2
    assert value(found, "dialer_calls_total", trunk=trunk, disposition="failed") == 1
    assert value(found, "dialer_sip_responses_total", code="600") == 1
    assert value(found, "dialer_sip_responses_total", code="other") == 1
    assert value(found, "dialer_tick_seconds_count") == 2
    assert value(found, "dialer_tick_seconds_bucket", le="0.005") == 1
    assert value(found, "dialer_media_packets_total") == 150
    assert value(found, "dialer_media_packets_late_total") == 50
    assert value(found, "dialer_database_refused_total", process="dialer") == 1
    assert value(found, "dialer_database_transactions_total", process="api") > 0  # type: ignore[operator]
    assert value(found, "dialer_import_rows_total", into="callbase", result="imported") == 3
    assert value(found, "dialer_disk_free_bytes") > 0  # type: ignore[operator]


def test_a_dead_dialer_leaves_nothing_behind_that_looks_like_news(
    client: Client, store: Store, dialer: Vitals, clock: StandingClock
) -> None:
    beat(store, dialer)
    clock.move(6.0)
    found = families(client)
    assert value(found, "dialer_up") == 0
    assert "dialer_active_calls" not in found and "dialer_tick_seconds" not in found


@pytest.mark.parametrize("written", [{}, {"ticks": 1, "media": {"slots": {"bounds": [1]}}, "started": "x"}])
def test_figures_of_another_version_are_left_out(client: Client, store: Store, written: dict[str, Any]) -> None:
    store.live.heartbeat("x", 1, written)
    assert value(families(client), "dialer_up") == 1


def test_due_jobs_are_counted_and_those_outside_their_hours_are_not_late(
    client: Client, store: Store, anna: Client, objects: dict[str, Any], clock: StandingClock
) -> None:
    campaign = objects["campaign"]["id"]
    assert anna.post(f"/srv1/campaigns/{campaign}/start").status == 200
    store.queue.enqueue_due(clock.now, 100)
    clock.move(90)
    found = families(client)
    assert value(found, "dialer_jobs_queued") == value(found, "dialer_jobs_due") == 3
    assert value(found, "dialer_oldest_due_job_seconds") == 90
    [running] = store.queue.running_campaigns()
    closed = CampaignStatus(campaign_key=running.key, limited_by=CampaignLimit.WINDOW_CLOSED)
    store.live.write_campaigns([closed])
    found = families(client)
    assert (value(found, "dialer_jobs_queued"), value(found, "dialer_jobs_due")) == (3, 0)
    assert value(found, "dialer_oldest_due_job_seconds") == 0


def test_requests_are_counted_by_route_and_a_stranger_makes_no_series(client: Client, anna: Client) -> None:
    for path in ("/srv1/campaigns/1", "/wp-admin", "/etc/passwd", "/srv1/x"):
        anna.get(path)
    client.call("BREW", "/pot")
    found = families(client)
    routes = {each.labels["route"] for each in found["dialer_http_requests"].samples}
    assert "none" in routes and "/srv1/auth/token" in routes
    known = {f"/srv1{line.path}" for line in main.ROUTES}
    assert {route for route in routes if route.startswith("/srv1")} <= known
    assert not any(word in route for route in routes for word in ("wp-admin", "passwd"))
    assert value(found, "dialer_http_requests_total", method="other", route="none") == 1
    assert value(found, "dialer_http_request_seconds_count", route="none") == 4


def test_no_number_login_or_password_is_told(client: Client, store: Store, dialer: Vitals, anna: Client) -> None:
    anna.put("/srv1/dnc/+79160000009", json={})
    anna.get("/srv1/dnc/+79160000009")
    beat(store, dialer)
    text = from_here(client).body.decode()
    assert "7916" not in text and "anna" not in text and anna.token not in text


def test_names_and_help_are_as_prometheus_asks_for(client: Client, store: Store, dialer: Vitals) -> None:
    """https://prometheus.io/docs/practices/naming: one prefix, base units, `_total` of counters alone, help for all."""
    beat(store, dialer)
    for name, family in families(client).items():
        if name.startswith("process_"):
            continue
        assert re.fullmatch(r"dialer(_[a-z]+)+", name), name
        assert family.documentation.endswith("."), name
        assert not re.search(r"_(ms|milliseconds|minutes|kb|mb|percent)(_|$)", name), name
        assert (family.type == "counter") == any(each.name.endswith("_total") for each in family.samples), name
        if family.type == "histogram":
            assert name.endswith("_seconds"), name


# -- the readers


def test_this_machine_reads_without_a_token_but_not_a_web_page_that_calls_itself_so(client: Client) -> None:
    assert from_here(client, Host="localhost:8080").status == 200
    assert from_here(client, Host="[::1]:8080").status == 200
    for host in ("evil.example", "127.0.0.1.evil.example", "[", ""):
        assert from_here(client, Host=host).status == 401, host


def test_from_elsewhere_it_takes_an_admin(client: Client, anna: Client, admin: Client) -> None:
    assert read(client, "192.0.2.1").status == 401
    assert read(anna, "192.0.2.1").status == 403
    assert read(admin, "192.0.2.1").status == 200


def test_networks_named_in_the_settings_need_no_token(settings: Settings, store: Store) -> None:
    near = settings.model_copy(update={"metrics_networks": (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))})
    app = main.build_app(near, store)
    found = [read(Client(app), each).status for each in ("10.9.8.7", "fd00::7", "11.0.0.1", "fe80::1", "nonsense")]
    app.close()
    assert found == [200, 200, 401, 401, 401]


@pytest.mark.parametrize("step", ["live.dialer", "load.queue", "load.trunks"])
def test_without_the_database_the_rest_is_told(
    client: Client, store: Store, dialer: Vitals, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def refuse(**_: object) -> None:
        raise Unavailable

    beat(store, dialer)
    room, name = step.split(".")
    monkeypatch.setattr(getattr(store, room), name, refuse)
    found = families(client)
    assert value(found, "dialer_database_up") == 0
    assert "dialer_http_requests" in found


def test_a_scrape_reads_no_big_table_row_by_row(store: Store, app: App) -> None:
    """A million people: what is read of jobs and campaigns is read by an index."""
    plans: list[str] = []
    engine = store._database._engine

    def explain(run: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        if statement.startswith("SELECT") and "EXPLAIN" not in statement:
            rows = run.connection.driver_connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()
            plans.extend(row[3] for row in rows)

    event.listen(engine, "before_cursor_execute", explain)
    store.load.queue()
    event.remove(engine, "before_cursor_execute", explain)
    assert plans
    assert not [plan for plan in plans if re.match(r"SCAN (call_jobs|campaigns|calls|subscribers)(?! USING)", plan)]
