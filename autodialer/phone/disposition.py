"""SIP result -> disposition, as tables. The disposition follows *why* a call ended; the record keeps the code."""

from collections.abc import Iterable, Mapping

from autodialer.model import Cause, Disposition
from autodialer.q850 import Q850, UNREACHED, WRONG_NUMBER

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
    # RFC 8197, RFC 8688: the callee does not want the call, or a service that judges calls for it says no.
    607: (Disposition.REJECTED, None),
    608: (Disposition.REJECTED, None),
}
_ANY = (403, 404, 408, 480, 486, 500, 503, 603)
"""The codes that gateways and PBXs make of causes."""
_NOT_BUSY = tuple(code for code in _ANY if code != 486)
"""A 486 is the word of a phone or an exchange that reached one, against which few causes count."""
_NETWORK = (
    Q850.NO_CIRCUIT_AVAILABLE,
    Q850.NETWORK_OUT_OF_ORDER,
    Q850.TEMPORARY_FAILURE,
    Q850.SWITCH_CONGESTION,
)
"""No phone was tried."""


def _rows(codes: Iterable[int], causes: Iterable[Q850], disposition: Disposition) -> dict[tuple[int, int], Disposition]:
    causes = tuple(causes)
    return {(code, cause): disposition for code in codes for cause in causes}


_BY_PAIR: Mapping[tuple[int, int], Disposition] = {
    # Whatever code an exchange's word is wrapped in, it is about the number or its owner.
    **_rows(_ANY, [Q850.USER_BUSY], Disposition.BUSY),
    **_rows(_NOT_BUSY, UNREACHED, Disposition.NO_ANSWER),
    **_rows(_NOT_BUSY, WRONG_NUMBER, Disposition.INVALID_NUMBER),
    # Asterisk makes 403 of a callee who declines, FreeSWITCH 603. With 404, 408 and 5xx a carrier may have declined.
    **_rows((403, 480, 486, 603), [Q850.CALL_REJECTED], Disposition.REJECTED),
    # A PBX that gives up dialling sends 603 for want of a better code; a callee who declines brings 21 along.
    **_rows((603,), [Q850.NOT_DEFINED, Q850.NORMAL_CALL_CLEARING], Disposition.NO_ANSWER),
    **_rows((603,), [Q850.RECOVERY_ON_TIMER_EXPIRY], Disposition.NO_ANSWER),
    # A phone that is not registered, or a line that is down, today; the number may be right.
    **_rows((404, 603), [Q850.NO_ROUTE_TO_DESTINATION, Q850.DESTINATION_OUT_OF_ORDER], Disposition.NO_ANSWER),
    **_rows(_NOT_BUSY, _NETWORK, Disposition.CONGESTION),
    **_rows((404,), [Q850.RECOVERY_ON_TIMER_EXPIRY], Disposition.CONGESTION),
}
"""Final code and Q.850 cause -> disposition, where the two leave no doubt; docs/refusals.md says who sends them."""
_PLAIN: Mapping[Disposition, str] = {
    Disposition.BUSY: "the callee was busy",
    Disposition.NO_ANSWER: "nobody answered",
    Disposition.REJECTED: "the callee declined",
    Disposition.INVALID_NUMBER: "the number does not exist",
    Disposition.CONGESTION: "the network had no room for the call or was out of order",
}


def disposition_of(code: int, q850_cause: int | None = None) -> tuple[Disposition, Cause | None]:
    """Disposition and cause of a call whose INVITE got the final response `code` (300 to 699) that nobody asked for.

    `q850_cause` is that of its Reason header (RFC 3326). A code that is not in the table counts as the x00 of its
    class (RFC 3261 section 8.1.3.2).
    """
    by_code = _by_code(code)
    # Another 5xx is read as 500: gateways use them all for what they have no better code for.
    row = 500 if by_code[0] is Disposition.CONGESTION and code not in _ANY else code
    by_pair = by_code[0] if q850_cause is None else _BY_PAIR.get((row, q850_cause), by_code[0])
    return by_code if by_pair is by_code[0] else (by_pair, None)


def explain(code: int, q850_cause: int | None) -> str | None:
    """Why the disposition is another one than the code's own, a sentence for a person; None where it is the code's."""
    disposition, _ = disposition_of(code, q850_cause)
    if q850_cause is None or disposition is _by_code(code)[0]:
        return None
    cause = Q850(q850_cause)
    return f"The provider said {code} with the Q.850 cause {cause.value} ({cause.words}): {_PLAIN[disposition]}."


def _by_code(code: int) -> tuple[Disposition, Cause | None]:
    if code in _BY_CODE:
        return _BY_CODE[code]
    # Not followed, although RFC 3261 section 8.1.3.4 advises it: a Contact may name any number, at the trunk's cost.
    if 300 <= code < 400:
        return Disposition.FAILED, Cause.REDIRECTED
    if 500 <= code < 600:
        return Disposition.CONGESTION, None
    return Disposition.FAILED, None
