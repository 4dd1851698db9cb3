"""What users name outside of the service: looked up and judged before it is stored, by few requests at a time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from autodialer.api.context import Context
from autodialer.errors import AddressRefused, HostUnresolved, TooManyRequests
from autodialer.webhooks.addresses import resolve
from autodialer.webhooks.urls import check_url, host_of

AT_ONCE = 2
"""Requests that wait for something outside at the same time: the others of the API must not starve."""
LOOK_UP_S = 5.0

_free = threading.BoundedSemaphore(AT_ONCE)


@contextmanager
def turn() -> Iterator[None]:
    """Raises TooManyRequests when others are at it."""
    if not _free.acquire(blocking=False):
        raise TooManyRequests("Other addresses are being looked up just now; try again in a moment.")
    try:
        yield
    finally:
        _free.release()


def check_webhook_url(context: Context, url: str, field: str = "url") -> str:
    """The URL in its stored spelling, once it is known that its host may be sent to.

    Raises Invalid, AddressRefused, HostUnresolved, TooManyRequests.
    """
    checked = check_url(url, field)
    try:
        with turn():
            resolve(host_of(checked), context.settings.webhook_networks, timeout_s=LOOK_UP_S)
    except AddressRefused as exc:
        raise AddressRefused(str(exc), field=field) from exc
    except HostUnresolved as exc:
        raise HostUnresolved(str(exc), field=field) from exc
    return checked
