"""What monitoring asks of the service: is it alive, can it work, what does it count."""

import ipaddress
import os
import shutil
from typing import Any
from urllib.parse import urlsplit

import bottle
from bottle import request, response
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from autodialer.config import Settings
from autodialer.errors import Unavailable
from autodialer.model import MediaState
from autodialer.store import Store
from autodialer.web.access import Access, check_access
from autodialer.web.credentials import Credentials
from autodialer.web.metrics import Metrics
from autodialer.web.request import Request

LITTLE_ROOM = 50_000_000
"""Bytes. With less left a commit may fail at any moment: `doctor` calls it bad from here on, too."""
OK, NOT_RUNNING = "ok", "not running"
HERE = frozenset({"localhost", "127.0.0.1", "::1"})


def add_probes(
    app: bottle.Bottle, settings: Settings, store: Store, credentials: Credentials, metrics: Metrics
) -> None:
    """Give the application /healthz, /readyz and /metrics."""
    app.get("/healthz", callback=lambda: _health(store))
    app.get("/readyz", callback=lambda: _readiness(settings, store))
    app.get("/metrics", callback=lambda: _metrics(settings, credentials, metrics))


def _health(store: Store) -> dict[str, Any]:
    """503 when the database does not answer; a missing dialer is told, but the API works without it."""
    try:
        store.ping()
        dialer = store.live.dialer()
    except Unavailable:
        response.status = 503
        return {"status": "unavailable", "database": "unavailable", "dialer": "unknown"}
    return {
        "status": "ok" if dialer else "degraded",
        "database": "ok",
        "dialer": "running" if dialer else NOT_RUNNING,
    }


def _readiness(settings: Settings, store: Store) -> dict[str, Any]:
    """503 unless a campaign that is started now would be dialled, with which part stands in the way.

    Two look-ups by key and one question to the file system: a probe every second costs nothing, and waits for nobody.
    """
    parts = {"database": OK, "dialer": "unknown", "media": "unknown", "disk": _disk(settings)}
    try:
        dialer = store.live.dialer()
    except Unavailable:
        parts["database"] = "unavailable"
    else:
        parts["dialer"] = OK if dialer else NOT_RUNNING
        if dialer is not None:
            state = dialer.vitals.get("media", {}).get("state")
            parts["media"] = NOT_RUNNING if state == MediaState.DOWN else OK
    is_ready = all(part == OK for part in parts.values())
    if not is_ready:
        response.status = 503
    return {"status": "ready" if is_ready else "not ready", **parts}


def _disk(settings: Settings) -> str:
    try:
        if not os.access(settings.data, os.W_OK):
            return "read-only"
        return OK if shutil.disk_usage(settings.data).free >= LITTLE_ROOM else "full"
    except OSError:
        return "unavailable"


def _metrics(settings: Settings, credentials: Credentials, metrics: Metrics) -> bytes:
    """Raises Unauthorized, Forbidden or InsufficientScope for a client that is neither near nor an admin."""
    asked = Request()
    if not _may_scrape(settings, asked.address):
        check_access(Access.ADMIN, credentials.check(asked.authorization, address=asked.address))
    response.content_type = CONTENT_TYPE_PLAIN_0_0_4
    return metrics.text()


def _may_scrape(settings: Settings, address: str | None) -> bool:
    if address is None:
        return False
    client = ipaddress.ip_address(address)
    if client.is_loopback:
        # A web page in a browser on this machine comes from here too, by a name of its own that it lets point here.
        return _host() in HERE
    return any(client in network for network in settings.metrics_networks)


def _host() -> str | None:
    try:
        return urlsplit(f"//{request.get_header('Host', '')}").hostname
    except ValueError:
        return None
