"""The database is away for a while: said once when it goes and once when it is back, whatever happens between."""

import logging

from autodialer.errors import Unavailable

logger = logging.getLogger(__name__)

BETWEEN_TRIES_S = 1.0
"""Between two tries. Calls go on by themselves meanwhile, and what they report is kept."""


class Outage:
    """Whether the database is away, and since when."""

    def __init__(self) -> None:
        self._since: float | None = None

    def goes_on(self, problem: Unavailable, now: float) -> None:
        """It refused; `now` is monotonic."""
        if self._since is None:
            self._since = now
            logger.error("no new calls for now, and what ended is kept until the database takes it: %s", problem)

    def is_over(self, now: float) -> None:
        """It works; nothing happens when it did before."""
        if self._since is not None:
            logger.warning("the database is back after %.0f s, dialing goes on", now - self._since)
            self._since = None
