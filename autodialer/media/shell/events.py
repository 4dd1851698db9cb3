"""What the media process tells the dialer, on its way to standard output."""

import contextlib
import json
import os
import queue
from typing import Any, BinaryIO

BACKLOG = 10_000
"""Events that a dialer which does not listen may have waiting before it is spared the progress."""

Command = dict[str, Any]


class Events:
    """Answers and events on their way to the dialer."""

    def __init__(self, output: BinaryIO) -> None:
        self._output = output
        self._waiting: queue.SimpleQueue[Command] = queue.SimpleQueue()

    def tell(self, message: Command) -> None:
        """Send a message, without waiting."""
        self._waiting.put(message)

    def tell_progress(self, played: dict[str, int]) -> None:
        """Say how many packets of their sounds have left sessions. Dropped when the dialer lags far behind."""
        # A second later the same sessions are told again; every other event is told once and has to get through.
        if self._waiting.qsize() < BACKLOG:
            self._waiting.put({"event": "progress", "played": played})

    def tell_pacing(self, figures: dict[str, Any]) -> None:
        """Say how late packets have left since the start. Dropped when the dialer lags far behind."""
        if self._waiting.qsize() < BACKLOG:
            self._waiting.put({"event": "pacing", "figures": figures})

    def tell_problem(self, session: str, message: str) -> None:
        """Have the dialer log what went wrong with one session."""
        self._waiting.put({"event": "problem", "session": session, "message": message})

    def write(self) -> None:
        """The writing thread: write what is told until the dialer is gone."""
        with contextlib.suppress(OSError):
            while True:
                self._output.write(json.dumps(self._waiting.get()).encode() + b"\n")
                if self._waiting.empty():
                    self._output.flush()
        os._exit(0)
