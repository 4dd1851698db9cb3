"""How fast calls may start: a token bucket for new calls a second and a count of channels."""

from dataclasses import dataclass

UNLIMITED = 1_000_000
"""More calls than any machine makes: what is allowed where there is no limit."""


@dataclass(kw_only=True)
class TokenBucket:
    """New calls a second (CPS), spread evenly, without a burst after an idle time.

    The bucket holds one call and what `BURST_S` brings, so that a dialer that looks every few ms starts calls one by
    one and loses none.
    """

    BURST_S = 0.1

    cps: float
    tokens: float = 1.0
    filled_at: float | None = None
    """Monotonic time of the last fill, None before the first."""

    @property
    def depth(self) -> float:
        """Most tokens that can wait: one call, and what comes in while the dialer looks away for `BURST_S`."""
        return 1.0 + self.cps * self.BURST_S

    def available(self, now: float) -> int:
        """How many calls may start at the monotonic time `now`."""
        if self.filled_at is not None:
            self.tokens = min(self.depth, self.tokens + (now - self.filled_at) * self.cps)
        self.filled_at = now
        return int(self.tokens + 1e-9)

    def take(self, count: int) -> None:
        """Use up `count` calls that `available` allowed."""
        self.tokens -= count

    def set_rate(self, cps: float) -> None:
        """Change the rate; what has been saved up is kept within the new depth."""
        self.cps = cps
        self.tokens = min(self.tokens, self.depth)

    def is_as_new(self, now: float) -> bool:
        """Whether a new bucket would allow no more than this one."""
        return self.filled_at is None or self.tokens + (now - self.filled_at) * self.cps >= 1.0

    def wait_s(self) -> float:
        """Seconds from the last `available` until one call may start; 0 when it may already."""
        return max(0.0, (1.0 - self.tokens) / self.cps)


@dataclass(kw_only=True)
class Channels:
    """Simultaneous call slots of a trunk or a campaign, each held by a call, so that none is freed twice."""

    limit: int | None
    """None: none of its own."""

    def __post_init__(self) -> None:
        self._held: set[object] = set()

    @property
    def in_use(self) -> int:
        """Calls that hold a slot now."""
        return len(self._held)

    @property
    def free(self) -> int:
        """Slots left; 0 also when the limit was lowered below what is in use."""
        return UNLIMITED if self.limit is None else max(0, self.limit - len(self._held))

    def hold(self, call: object) -> None:
        """Give `call` a slot."""
        self._held.add(call)

    def release(self, call: object) -> None:
        """Take the slot of `call` back; harmless when it has no slot."""
        self._held.discard(call)
