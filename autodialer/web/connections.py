"""Which connections the API keeps: clients that send half a request, or nothing, never keep the others out."""

import time
from typing import Any, Protocol

MOST = 600
"""Connections at once; the process needs descriptors for the database, sounds and uploads too, of 1 024 by default."""
MOST_PER_ADDRESS = 100
"""Browsers open six; many clients may stand behind one router."""
HEADERS_S = 20.0
"""From the connection, or from the last answer on it, to the end of the next request's headers."""
IDLE_S = 75.0
"""The same for a connection that has had an answer and of whose next request nothing has come yet."""


class Channel(Protocol):
    """What is asked of a connection: waitress's HTTPChannel with the time since when it waits."""

    addr: Any
    requests: list[Any]
    request: Any
    waits_since: float
    """Monotonic time of the connection, or of the end of its last answer."""
    is_fresh: bool
    """Whether nothing has been answered on it yet."""

    total_outbufs_len: int

    def end(self) -> None:
        """Close it at once."""


class Connections:
    """The connections of one server. Used by the one thread that reads and writes them all."""

    def __init__(self, *, trusted_proxy: str | None) -> None:
        """All clients behind the proxy have its address, so that the limit by address is not for it."""
        self._trusted_proxy = trusted_proxy
        self._open: dict[Channel, None] = {}

    def opened(self, channel: Channel) -> None:
        """Take a new one in; the connection that has waited longest makes room for it."""
        self._open[channel] = None
        address = channel.addr[0]
        if address != self._trusted_proxy:
            self._make_room([each for each in self._open if each.addr[0] == address], MOST_PER_ADDRESS)
        self._make_room(list(self._open), MOST)

    def closed(self, channel: Channel) -> None:
        """Forget an ended connection."""
        self._open.pop(channel, None)

    def end_overdue(self) -> None:
        """End those whose headers do not come to an end."""
        now = time.monotonic()
        for channel in [each for each in self._open if is_waiting(each)]:
            is_idle = not channel.is_fresh and channel.request is None
            if now - channel.waits_since > (IDLE_S if is_idle else HEADERS_S):
                channel.end()

    def _make_room(self, channels: list[Channel], most: int) -> None:
        if len(channels) <= most:
            return
        # The new connection waits as well, and goes if all others are at work.
        waiting = sorted((each for each in channels if is_waiting(each)), key=lambda each: each.waits_since)
        for channel in waiting[: len(channels) - most]:
            channel.end()


def is_waiting(channel: Channel) -> bool:
    """Whether only its client can go on: no answer is under way, and the next headers are not complete."""
    is_answering = channel.requests or channel.total_outbufs_len
    return not is_answering and (channel.request is None or not channel.request.headers_finished)
