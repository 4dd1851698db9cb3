"""What strangers send stands in the log as what it is, and never as an entry of its own."""

import logging
import sys

import pytest

from autodialer.logs import CONTINUED, OneEntryFormatter, start_logging

FORGED = "2026-11-29 09:00:00,000 INFO    api    autodialer: logged in as root"


def entry(message: str, *values: object, error: Exception | None = None) -> str:
    raised = (type(error), error, None) if error else None
    record = logging.LogRecord("x", logging.INFO, __file__, 1, message, values, raised)
    return OneEntryFormatter("%(levelname)s %(message)s").format(record)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\v", "\f", "\x1c", "\x85", "\u2028", "\u2029"])
def test_no_value_begins_a_line_of_the_log(end: str) -> None:
    for written in (entry("name %s", f"x{end}{FORGED}"), entry("failed", error=ValueError(f"x{end}{FORGED}"))):
        first, *others = written.splitlines()
        assert first.startswith("INFO ")
        assert all(line.startswith(CONTINUED) for line in others)


def test_a_terminal_gets_no_orders() -> None:
    assert entry("name %s", "\x1b[2J\x9b2J\0") == "INFO name \\x1b[2J\\x9b2J\\x00"


def test_every_process_logs_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.RootLogger(logging.WARNING)
    monkeypatch.setattr(logging, "root", root)
    start_logging("INFO", "import")
    root.info("a\nb")
    assert sys.stderr and capsys.readouterr().err.endswith(f" INFO    import root: a\n{CONTINUED}b\n")
