"""What the dialer counts from its start on: a few additions a call and a tick, written with its live state.

The API is another process and shows them at /metrics. They pass through the database, as all between the two: a dialer
that died leaves nothing behind that would be taken for news, and a dialer that starts again counts from 0, as
Prometheus expects of counters.
"""

from collections import Counter
from typing import Any

from autodialer.histogram import TICK_BOUNDS_S, Histogram
from autodialer.model import CallOutcome, MediaState, Trunk
from autodialer.store import Busy

MOST_TRUNKS = 200
"""Trunks told apart; the calls of all further ones are counted together."""
OTHER = "other"


class Vitals:
    """Used by the dialer's main thread alone."""

    def __init__(self) -> None:
        self.ticks = Histogram(TICK_BOUNDS_S)
        """Seconds that a tick took."""
        self._ended: Counter[tuple[str, str]] = Counter()
        self._trunks: set[str] = set()
        self._codes: Counter[str] = Counter()
        self._started = 0
        self._put_back = 0

    def started(self) -> None:
        """A call was handed to a phone."""
        self._started += 1

    def put_back(self) -> None:
        """It could not leave, and its job went back to the queue."""
        self._put_back += 1

    def ended(self, trunk: Trunk | None, outcome: CallOutcome) -> None:
        """A call has ended. None: its trunk is no longer known here."""
        name = str(trunk.id) if trunk is not None else OTHER
        if name not in self._trunks:
            if len(self._trunks) >= MOST_TRUNKS:
                name = OTHER
            self._trunks.add(name)
        self._ended[name, outcome.disposition.value] += 1
        if outcome.sip_code is not None:
            # What a peer sends is bounded here, so that no peer can make as many series as it likes.
            code = str(outcome.sip_code) if 100 <= outcome.sip_code <= 699 else OTHER
            self._codes[code] += 1

    def as_json(self, *, active_calls: int, media: MediaState, pacing: dict[str, Any], busy: Busy) -> dict[str, Any]:
        """What is written. `pacing` is the media process's, see `Lateness.as_json`."""
        return {
            "started": self._started,
            "put_back": self._put_back,
            "ended": [[*key, count] for key, count in self._ended.items()],
            "sip_codes": dict(self._codes),
            "active_calls": active_calls,
            "ticks": self.ticks.as_json(),
            "media": {"state": media.value, **pacing},
            "database": {"transactions": busy.transactions, "waited_s": busy.waited_s, "refused": busy.refused},
        }
