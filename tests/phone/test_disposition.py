"""Every final code that a gateway can send, alone and with a cause of Q.850, against the table of dispositions."""

from pathlib import Path

import pytest

from autodialer.model import Cause, Disposition
from autodialer.phone.disposition import disposition_of, explain

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


CODES = (403, 404, 408, 480, 486, 500, 503, 603)
F, W, N, B, X, J = D.FAILED, D.INVALID_NUMBER, D.NO_ANSWER, D.BUSY, D.CONGESTION, D.REJECTED
PAIRS = {
    #    403 404 408 480 486 500 503 603
    0: (F, W, N, N, B, X, X, N),
    1: (W, W, W, W, B, W, W, W),
    3: (F, N, N, N, B, X, X, N),
    16: (F, W, N, N, B, X, X, N),
    17: (B, B, B, B, B, B, B, B),
    18: (N, N, N, N, B, N, N, N),
    19: (N, N, N, N, B, N, N, N),
    20: (N, N, N, N, B, N, N, N),
    21: (J, W, N, J, J, X, X, J),
    27: (F, N, N, N, B, X, X, N),
    28: (W, W, W, W, B, W, W, W),
    31: (F, W, N, N, B, X, X, J),
    34: (X, X, X, X, B, X, X, X),
    38: (X, X, X, X, B, X, X, X),
    41: (X, X, X, X, B, X, X, X),
    42: (X, X, X, X, B, X, X, X),
    102: (F, X, N, N, B, X, X, N),
}
ROWS = [
    (code, cause, disposition) for cause, row in PAIRS.items() for code, disposition in zip(CODES, row, strict=True)
]


@pytest.mark.parametrize(("code", "cause", "disposition"), ROWS)
def test_a_code_with_a_cause_of_the_network_has_one_disposition(
    code: int, cause: int, disposition: Disposition
) -> None:
    by_code = expected(code)
    assert disposition_of(code, cause) == (by_code if by_code[0] is disposition else (disposition, None))
    assert (explain(code, cause) is None) is (by_code[0] is disposition)


def test_a_cause_changes_only_the_codes_that_pbxs_make_of_causes_and_an_unknown_cause_changes_none() -> None:
    for code in range(300, 700):
        for cause in (*range(128), 607):
            if cause not in PAIRS or (code not in CODES and expected(code)[0] is not X):
                assert disposition_of(code, cause) == expected(code), (code, cause)


def test_another_5xx_is_read_as_500() -> None:
    for cause in PAIRS:
        assert disposition_of(504, cause) == disposition_of(580, cause) == disposition_of(500, cause)
        assert disposition_of(501, cause) == expected(501)


def test_what_the_cause_changed_is_said_in_a_sentence() -> None:
    sentence = "The provider said 403 with the Q.850 cause 21 (call rejected): the callee declined."
    assert explain(403, 21) == sentence
    assert explain(486, 17) is None and explain(403, None) is None


def test_the_table_for_users_is_the_table_that_decides() -> None:
    """docs/refusals.md, in both directions."""
    text = (Path(__file__).parents[2] / "docs/refusals.md").read_text()
    rows = [[cell.strip(" `") for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    matrix = rows[: next(number for number, row in enumerate(rows) if row[0] == "none") + 1]
    header, *lines = (row for row in matrix if not row[0].startswith("---"))
    assert header[2:] == [str(code) for code in CODES]
    for cause, _, *cells in lines[:-1]:
        for code, cell in zip(CODES, cells, strict=True):
            by_code = expected(code)[0]
            assert (cell == "=") is (disposition_of(code, int(cause))[0] is by_code), (code, cause)
            assert cell in ("=", disposition_of(code, int(cause))[0].value), (code, cause)
    assert [row[0] for row in lines] == [*map(str, PAIRS), "none"]
    assert lines[-1][2:] == [expected(code)[0].value for code in CODES]
