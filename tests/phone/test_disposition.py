"""Every final code that a gateway can send, against the table of dispositions."""

import pytest

from autodialer.model import Cause, Disposition
from autodialer.phone.disposition import disposition_of

D, C = Disposition, Cause

NAMED = {
    401: (D.FAILED, C.AUTH_FAILED),
    402: (D.FAILED, C.FORBIDDEN),
    403: (D.FAILED, C.FORBIDDEN),
    404: (D.INVALID_NUMBER, None),
    407: (D.FAILED, C.AUTH_FAILED),
    408: (D.NO_ANSWER, None),
    410: (D.INVALID_NUMBER, None),
    480: (D.NO_ANSWER, None),
    484: (D.INVALID_NUMBER, None),
    486: (D.BUSY, None),
    488: (D.FAILED, C.MEDIA_FAILED),
    501: (D.FAILED, C.PROTOCOL_ERROR),
    505: (D.FAILED, C.PROTOCOL_ERROR),
    600: (D.BUSY, None),
    603: (D.REJECTED, None),
    604: (D.INVALID_NUMBER, None),
    606: (D.FAILED, C.MEDIA_FAILED),
    607: (D.REJECTED, None),
    608: (D.REJECTED, None),
}


def expected(code: int) -> tuple[Disposition, Cause | None]:
    if code in NAMED:
        return NAMED[code]
    return {3: (D.FAILED, C.REDIRECTED), 4: (D.FAILED, None), 5: (D.CONGESTION, None), 6: (D.FAILED, None)}[code // 100]


@pytest.mark.parametrize("code", range(300, 700))
def test_a_final_code_has_one_disposition(code: int) -> None:
    assert disposition_of(code) == expected(code)
