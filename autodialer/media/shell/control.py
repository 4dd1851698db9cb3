"""The threads of the media process beside the pacing one: commands in, with the sounds that they name; and what a
failed thread means."""

import json
import os
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import BinaryIO

from autodialer.media import g711
from autodialer.media.shell.events import Command, Events

SOUNDS_KEPT = 32
"""In memory, in one codec each; ten minutes take 4.8 MB."""


class Sounds:
    """Encoded sounds by path, the latest used kept in memory and shared by all calls."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, bytes] = OrderedDict()

    def load(self, stem: str, codec: str) -> bytes:
        """The codes of a sound. Raises OSError when its file cannot be read."""
        path = stem + g711.EXTENSION[codec]
        if path not in self._kept:
            with open(path, "rb") as file:
                self._kept[path] = file.read()
        self._kept.move_to_end(path)
        while len(self._kept) > SOUNDS_KEPT:
            self._kept.popitem(last=False)
        return self._kept[path]


def read_control(control: BinaryIO, post: Callable[[Command], None], events: Events) -> None:
    """The control thread: hand each command to the loop, end the process with the pipe."""
    sounds = Sounds()
    for text in control:
        command: Command = json.loads(text)
        if command["op"] in ("play", "move"):
            # A sound that cannot be read is one of no length: the loop finishes the call, and the log says why.
            command["codes"] = b""
            try:
                if command["sound"]:
                    command["codes"] = sounds.load(command["sound"], command["codec"])
            except OSError as exc:
                events.tell_problem(command["session"], f"the sound cannot be read: {exc}")
        post(command)
    # At once, from this thread: with the dialer gone nobody can end the calls, and no callee may hear them go on.
    os._exit(0)


def end_with_thread(failure: threading.ExceptHookArgs) -> None:
    """A thread failed: half a process is worse than no process, because the dialer restarts a missing process."""
    sys.excepthook(failure.exc_type, failure.exc_value or failure.exc_type(), failure.exc_traceback)
    sys.stderr.flush()
    os._exit(1)
