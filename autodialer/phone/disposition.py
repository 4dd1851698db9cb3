"""SIP result -> disposition, as one table. The disposition follows *why* a call ended; the record keeps the code."""

from autodialer.model import Cause, Disposition

_BY_CODE: dict[int, tuple[Disposition, Cause | None]] = {
    401: (Disposition.FAILED, Cause.AUTH_FAILED),
    402: (Disposition.FAILED, Cause.FORBIDDEN),
    403: (Disposition.FAILED, Cause.FORBIDDEN),
    404: (Disposition.INVALID_NUMBER, None),
    407: (Disposition.FAILED, Cause.AUTH_FAILED),
    408: (Disposition.NO_ANSWER, None),
    410: (Disposition.INVALID_NUMBER, None),
    480: (Disposition.NO_ANSWER, None),
    484: (Disposition.INVALID_NUMBER, None),
    486: (Disposition.BUSY, None),
    488: (Disposition.FAILED, Cause.MEDIA_FAILED),
    501: (Disposition.FAILED, Cause.PROTOCOL_ERROR),
    505: (Disposition.FAILED, Cause.PROTOCOL_ERROR),
    600: (Disposition.BUSY, None),
    603: (Disposition.REJECTED, None),
    604: (Disposition.INVALID_NUMBER, None),
    606: (Disposition.FAILED, Cause.MEDIA_FAILED),
    607: (Disposition.REJECTED, None),
    608: (Disposition.REJECTED, None),
}


def disposition_of(code: int) -> tuple[Disposition, Cause | None]:
    """Disposition and cause of a call whose INVITE got the final response `code` (300 to 699) that nobody asked for.

    A code that is not in the table counts as the x00 of its class (RFC 3261 section 8.1.3.2).
    """
    if code in _BY_CODE:
        return _BY_CODE[code]
    if 300 <= code < 400:
        return Disposition.FAILED, Cause.REDIRECTED
    if 500 <= code < 600:
        return Disposition.CONGESTION, None
    return Disposition.FAILED, None
