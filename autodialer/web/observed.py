"""One request as the log and the metrics see it."""

import logging
import re
import time
from typing import Any

from autodialer.logs import Origin, origin
from autodialer.store import new_id
from autodialer.web.metrics import Requests

logger = logging.getLogger(__name__)

ID_HEADER = "X-Request-ID"
_SANE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+=-]{0,127}")
"""What proxies make, and nothing that would need quoting anywhere."""
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
SLOW_S = 1.0


class Observed:
    """Gives the request its id when it comes, and counts its answer when that begins."""

    def __init__(self, environ: dict[str, Any], requests: Requests) -> None:
        self._environ = environ
        self._requests = requests
        self._began = time.perf_counter()
        self._is_counted = False
        found = environ.get("HTTP_X_REQUEST_ID", "")
        # A client's own id is checked, because it is answered and stands in the log.
        request_id = found if _SANE_ID.fullmatch(found) else str(new_id())
        trace, span = trace_of(environ.get("HTTP_TRACEPARENT", "")) or (None, None)
        # It is never taken back: the body of a download is made after WSGI's call has returned, in the same thread, and
        # the thread's next request sets its own.
        origin.set(Origin(request=request_id, trace=trace, span=span))
        self.header = ID_HEADER, request_id
        """For the answer."""

    def answer_begins(self, status: str) -> None:
        """`status` is WSGI's, `200 OK`."""
        if self._is_counted:
            return
        self._is_counted = True
        took_s = time.perf_counter() - self._began
        route = getattr(self._environ.get("bottle.route"), "rule", None)
        method, code = self._environ["REQUEST_METHOD"], status[:3]
        self._requests.count(method, route, code, took_s)
        level = logging.INFO if took_s > SLOW_S or code[0] == "5" else logging.DEBUG
        # The route and not the path: numbers of people stand in paths.
        logger.log(level, "%s %s: %s after %.3f s", method, route or "an unknown path", code, took_s)


def trace_of(traceparent: str) -> tuple[str, str] | None:
    """Trace and span of a `traceparent` header; None for any that is not valid.

    W3C Trace Context section 3.2: version ff and ids of zeros are invalid, version 00 has nothing after the flags, and
    a later one may.
    """
    found = _TRACEPARENT.fullmatch(traceparent.strip(" \t"))
    if found is None:
        return None
    version, trace, span, _flags, more = found.groups()
    if version == "ff" or (version == "00" and more) or not trace.strip("0") or not span.strip("0"):
        return None
    return trace, span
