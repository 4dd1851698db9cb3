"""Session timers (RFC 4028): which side has to refresh a session, how often, and when it counts as dead."""

from dataclasses import dataclass

from autodialer.sip.fields import parse_params
from autodialer.sip.message import Message, Request, Response

MIN_SE = 90
"""Seconds: the shortest interval there is (RFC 4028 section 5)."""
OPTION_TAG = "timer"


@dataclass(frozen=True, kw_only=True, slots=True)
class SessionTimer:
    """What both sides agreed to."""

    interval_s: int
    ours: bool
    """We refresh; else the peer does."""

    @property
    def refresh_after_s(self) -> float:
        """When we refresh (RFC 4028 section 7.4)."""
        return self.interval_s / 2

    @property
    def dead_after_s(self) -> float:
        """When to hang up without a refresh (RFC 4028 section 10)."""
        return self.interval_s - min(32.0, self.interval_s / 3)

    def line(self, *, refresher: str) -> str:
        """The Session-Expires header line."""
        return f"Session-Expires: {self.interval_s};refresher={refresher}"


def has_option(message: Message, header: str, option: str) -> bool:
    """Whether an option tag stands in Supported or Require."""
    return option in (value.lower() for value in message.get_all(header))


def min_se(message: Message) -> int | None:
    """Seconds of the Min-SE header, None without."""
    return _seconds(message.get("min-se"))


def agreed(response: Response) -> SessionTimer | None:
    """What a 2xx to a request of ours says; None when the session does not expire."""
    interval = _seconds(response.get("session-expires"))
    # Without a refresher nobody else would do it.
    return SessionTimer(interval_s=interval, ours=_refresher(response) != "uas") if interval else None


def too_short(request: Request) -> bool:
    """Whether to refuse a request with 422 (RFC 4028 section 9)."""
    interval = _seconds(request.get("session-expires"))
    return interval is not None and interval < MIN_SE and has_option(request, "supported", OPTION_TAG)


def accept(request: Request, current: SessionTimer | None) -> tuple[SessionTimer | None, tuple[str, ...]]:
    """The timer after a refresh of the peer, and the header lines of our 2xx (RFC 4028 section 9, table 2)."""
    interval = _seconds(request.get("session-expires")) or (current.interval_s if current else None)
    supported = has_option(request, "supported", OPTION_TAG) or has_option(request, "require", OPTION_TAG)
    if interval is None or (not supported and request.get("session-expires") is None):
        return None, ()
    # Where the peer names no side, the side that has refreshed so far goes on.
    refresher = _refresher(request) or ("uas" if current is not None and current.ours else "uac")
    # A peer that does not know the extension leaves the refreshing to us, the UAS.
    if not supported:
        refresher = "uas"
    timer = SessionTimer(interval_s=interval, ours=refresher == "uas")
    # RFC 4028 section 9: a 2xx that leaves the refreshing to the UAC has to require the extension.
    required = (f"Require: {OPTION_TAG}",) if refresher == "uac" else ()
    return timer, (timer.line(refresher=refresher), *required)


def _refresher(message: Message) -> str:
    value = (message.get("session-expires") or "").partition(";")[2]
    refresher = parse_params(value).get("refresher", "").lower()
    return refresher if refresher in ("uac", "uas") else ""


def _seconds(value: str | None) -> int | None:
    digits = (value or "").partition(";")[0].strip()
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 9 else None
