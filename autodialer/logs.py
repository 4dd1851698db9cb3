"""The log of every process: an entry a line on standard error, which nothing sent by a client or a peer can forge."""

import logging
import re

_ENTRY = "%(asctime)s %(levelname)-7s {process:6} %(name)s: %(message)s"
CONTINUED = "    | "
"""How a line begins that belongs to the entry above it: a traceback, a SIP message."""
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
"""Those that end a line somewhere or that a terminal obeys. Not the tab, which does neither."""


class OneEntryFormatter(logging.Formatter):
    """Escapes control characters, and marks the lines that continue an entry.

    Names, numbers and headers of strangers stand in messages and in the text of exceptions. Escaping them where they
    are logged would be forgotten at the next place.
    """

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record).replace("\r\n", "\n")
        return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text).replace("\n", f"\n{CONTINUED}")


def start_logging(level: str, process: str) -> None:
    """Log to standard error from `level` on, each line with the time and the name of the process."""
    handler = logging.StreamHandler()
    handler.setFormatter(OneEntryFormatter(_ENTRY.format(process=process)))
    logging.basicConfig(level=level, handlers=[handler])
    logging.getLogger("alembic").setLevel(logging.WARNING)
