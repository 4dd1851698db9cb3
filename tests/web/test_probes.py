"""/readyz says which part stands in the way, and what a request brings for the log."""

import json
import logging
import os
from typing import Any

import pytest

from autodialer.errors import Unavailable
from autodialer.logs import JsonFormatter
from autodialer.model import MediaState
from autodialer.store import Store
from autodialer.web import probes
from autodialer.web.observed import trace_of
from tests.web.client import Client

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def ready(client: Client) -> tuple[int, dict[str, str]]:
    answer = client.get("/readyz")
    return answer.status, answer.json()


def test_all_parts_together_are_ready(client: Client, store: Store) -> None:
    store.live.heartbeat("x", 1, {"media": {"state": "running"}})
    parts = {"database": "ok", "dialer": "ok", "media": "ok", "disk": "ok"}
    assert ready(client) == (200, {"status": "ready", **parts})


def test_a_dialer_that_needs_no_media_process_yet_is_ready(client: Client, store: Store) -> None:
    store.live.heartbeat("x", 1, {"media": {"state": MediaState.NOT_WANTED.value}})
    assert ready(client)[0] == 200


def without_dialer(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """No heartbeat."""


def with_dead_media(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.live.heartbeat("x", 1, {"media": {"state": "down"}})


def with_a_full_disk(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = probes.shutil.disk_usage("/")
    monkeypatch.setattr(probes.shutil, "disk_usage", lambda _path: usage._replace(free=10_000_000))


def with_a_read_only_folder(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda _path, mode: mode != os.W_OK)


def with_a_dead_database(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise Unavailable

    monkeypatch.setattr(store.live, "dialer", refuse)


@pytest.mark.parametrize(
    ("broken", "part", "word"),
    [
        (without_dialer, "dialer", "not running"),
        (with_dead_media, "media", "not running"),
        (with_a_full_disk, "disk", "full"),
        (with_a_read_only_folder, "disk", "read-only"),
        (with_a_dead_database, "database", "unavailable"),
    ],
)
def test_one_broken_part_is_not_ready_and_is_named(
    client: Client, store: Store, monkeypatch: pytest.MonkeyPatch, broken: Any, part: str, word: str
) -> None:
    if broken is not without_dialer:
        store.live.heartbeat("x", 1, {"media": {"state": "running"}})
    broken(store, monkeypatch)
    status, told = ready(client)
    assert (status, told["status"], told[part]) == (503, "not ready", word)


# -- the ids of requests


def test_a_sane_request_id_is_answered_and_any_other_is_replaced(client: Client) -> None:
    assert client.get("/healthz", headers={"X-Request-ID": "abc-1/2"}).headers["x-request-id"] == "abc-1/2"
    made = set()
    for found in ("", "a b", 'a"b', "x" * 129, "ключ".encode().decode("latin-1"), "-a"):
        made.add(client.get("/healthz", headers={"X-Request-ID": found}).headers["x-request-id"])
    assert len(made) == 6 and all(len(each) == 36 for each in made)


def test_errors_and_unknown_paths_have_one_too(client: Client) -> None:
    for path in ("/nothing", "/srv1/users/me", "/srv1/nothing"):
        assert client.get(path, headers={"X-Request-ID": "q"}).headers["x-request-id"] == "q"


@pytest.mark.parametrize(
    ("header", "is_taken"),
    [
        (f"00-{TRACE}-{SPAN}-01", True),
        (f"00-{TRACE}-{SPAN}-00", True),
        (f"01-{TRACE}-{SPAN}-01-what-comes", True),
        (f"00-{TRACE}-{SPAN}-01-more", False),
        (f"ff-{TRACE}-{SPAN}-01", False),
        (f"00-{'0' * 32}-{SPAN}-01", False),
        (f"00-{TRACE}-{'0' * 16}-01", False),
        (f"00-{TRACE.upper()}-{SPAN}-01", False),
        (f"00-{TRACE[:-1]}-{SPAN}-01", False),
        (f"00-{TRACE}-{SPAN}", False),
        ("", False),
        ("x" * 10_000, False),
    ],
)
def test_a_traceparent_is_taken_if_it_is_valid(header: str, is_taken: bool) -> None:
    """W3C Trace Context, section 3.2.2, and its test suite's cases."""
    assert trace_of(header) == ((TRACE, SPAN) if is_taken else None)


def test_the_log_of_a_request_names_its_id_and_trace(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    written: list[dict[str, Any]] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            written.append(json.loads(JsonFormatter("api").format(record)))

    kept = Keep()
    logging.getLogger("autodialer").addHandler(kept)
    try:
        with caplog.at_level(logging.DEBUG, "autodialer"):
            client.get("/srv1/dnc/+79160000001", headers={"X-Request-ID": "q1", "traceparent": f"00-{TRACE}-{SPAN}-01"})
    finally:
        logging.getLogger("autodialer").removeHandler(kept)
    [entry] = [each for each in written if "/srv1/dnc/<number>" in each["message"]]
    assert (entry["request"], entry["trace_id"], entry["parent_id"]) == ("q1", TRACE, SPAN)
    assert "7916" not in json.dumps(entry), "the path has a person's number"
