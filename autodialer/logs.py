"""The log of every process: an entry a line on standard error, which nothing sent by a client or a peer can forge."""

import json
import logging
import re
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

LOG_FORMATS = ("text", "json")
_ENTRY = "%(asctime)s %(levelname)-7s {process:6} %(name)s: %(message)s"
CONTINUED = "    | "
"""How a line begins that belongs to the entry above it: a traceback, a SIP message."""
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
"""Those that end a line somewhere or that a terminal obeys. Not the tab, which does neither."""
_ABOUT = re.compile(r"\b(call|campaign|trunk|callbase|sound) %s")
"""What an entry is about, in the template of its message: every line of a call begins with `call %s`."""
_PLACE = re.compile(r"%%|%[-+ #0]*\d*(?:\.\d+)?[a-zA-Z]")


@dataclass(frozen=True, kw_only=True)
class Origin:
    """The request that the present thread answers."""

    request: str
    """Its id, the client's own if it sent one."""
    trace: str | None = None
    """Of a W3C `traceparent`: 32 hexadecimal digits; None: the client sent none."""
    span: str | None = None
    """The caller's span: 16 hexadecimal digits."""


origin: ContextVar[Origin | None] = ContextVar("origin", default=None)
"""Set for each request; the entries that are written while it is answered name it."""


class OneEntryFormatter(logging.Formatter):
    """Escapes control characters, and marks the lines that continue an entry.

    Names, numbers and headers of strangers stand in messages and in the text of exceptions. Escaping them where they
    are logged would be forgotten at the next place.
    """

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record).replace("\r\n", "\n")
        return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text).replace("\n", f"\n{CONTINUED}")


class JsonFormatter(logging.Formatter):
    """One JSON object a line, for programs that collect logs. JSON escapes control characters itself."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "process": self._process,
            **what_it_is_about(record),
        }
        answered = origin.get()
        if answered is not None:
            entry["request"] = answered.request
            if answered.trace is not None:
                entry |= {"trace_id": answered.trace, "parent_id": answered.span}
        if record.exc_info:
            entry["error"] = self.formatException(record.exc_info)
        # ASCII alone: U+2028 and its like end a line to some readers, and JSON would let them stand.
        return json.dumps(entry, ensure_ascii=True)


def what_it_is_about(record: logging.LogRecord) -> dict[str, str]:
    """`{"call": id}` and the like, from the template of the message and its arguments.

    Not from the text: a stranger's name that reads `call 1234` is no call. And not from a field that each place gives,
    for the next place would forget it: that a line of a call begins with `call %s` is a rule of this project.
    """
    if not isinstance(record.msg, str) or not isinstance(record.args, tuple):
        return {}
    about: dict[str, str] = {}
    for found in _ABOUT.finditer(record.msg):
        before = _PLACE.findall(record.msg, 0, found.end() - 2)
        place = len(before) - before.count("%%")
        if place < len(record.args):
            about.setdefault(found[1], str(record.args[place]))
    return about


def start_logging(level: str, process: str, log_format: str = "text") -> None:
    """Log to standard error from `level` on, each line with the time and the name of the process.

    `log_format` is one of LOG_FORMATS.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(_formatter(process, log_format))
    logging.basicConfig(level=level, handlers=[handler])
    logging.getLogger("alembic").setLevel(logging.WARNING)


def _formatter(process: str, log_format: str) -> logging.Formatter:
    if log_format == "json":
        return JsonFormatter(process)
    return OneEntryFormatter(_ENTRY.format(process=process))
