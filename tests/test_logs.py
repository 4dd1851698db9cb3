"""What strangers send stands in the log as what it is, and never as an entry of its own."""

import json
import logging
import re
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from autodialer.logs import CONTINUED, JsonFormatter, OneEntryFormatter, origin, start_logging

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


# -- as JSON


def as_json(message: str, *values: object, error: Exception | None = None) -> dict[str, object]:
    raised = (type(error), error, None) if error else None
    origin.set(None)
    record = logging.LogRecord("autodialer.x", logging.INFO, __file__, 1, message, values, raised)
    written = JsonFormatter("dialer").format(record)
    assert written.isascii() and len(written.splitlines()) == 1
    found: dict[str, object] = json.loads(written)
    return found


def test_an_entry_is_one_object_of_known_fields() -> None:
    entry = as_json("call %s to %s ended: %s", "c-1", "+7", "busy\nx\u2028y")
    assert datetime.fromisoformat(str(entry.pop("at"))).utcoffset() == timedelta(0)
    assert entry == {
        "level": "INFO",
        "logger": "autodialer.x",
        "message": "call c-1 to +7 ended: busy\nx\u2028y",
        "process": "dialer",
        "call": "c-1",
    }


def test_what_an_entry_is_about_comes_from_its_template_and_not_from_a_strangers_words() -> None:
    assert "call" not in as_json("%s", "call 1 to 2")
    assert as_json("%d of %-5.1f: campaign %s is finished", 1, 2.0, "k")["campaign"] == "k"
    assert as_json("100 %% of call %s", "c")["call"] == "c"
    assert as_json("call %s") == as_json("call %s") and "call" not in as_json("call %s")


def test_an_exception_is_in_the_object() -> None:
    assert as_json("failed", error=ValueError("a\nb"))["error"] == "ValueError: a\nb"


ROOT = Path(__file__).resolve().parents[1]
ENTRY = re.compile(r'logger\.(?:debug|info|warning|error|exception)\(\s*\n?\s*"([^"]*)"((?:[^()]|\([^()]*\))*)\)')


def test_every_line_that_has_the_id_of_a_call_or_a_campaign_says_so_in_its_template() -> None:
    """So that the JSON log finds them, and a person who searches for `call <id>` too."""
    found = 0
    for path in [*(ROOT / "autodialer").rglob("*.py"), ROOT / "dialer.py", ROOT / "main.py"]:
        for template, values in ENTRY.findall(path.read_text()):
            for kind in ("call", "campaign"):
                if re.search(rf"\b(self\.|job\.|_user\.)*{kind}_id\b|\b{kind}\.id\b", values):
                    found += 1
                    assert f"{kind} %s" in template, (path, template)
    assert found > 10
