"""What the dialer asks of the media process, from standard input."""

import json
import os
from collections.abc import Callable
from typing import BinaryIO

from autodialer.media.shell.events import Command, Events
from autodialer.media.shell.sounds import Sounds


def read_control(control: BinaryIO, post: Callable[[Command], None], events: Events) -> None:
    """The control thread: hand each command to the loop, its sound loaded; end the process with the pipe."""
    sounds = Sounds()
    for text in control:
        command: Command = json.loads(text)
        if command["op"] in ("play", "move"):
            command["codes"] = b""
            try:
                if command["sound"]:
                    command["codes"] = sounds.load(command["sound"], command["codec"])
            except OSError as exc:
                events.tell_problem(command["session"], f"the sound cannot be read: {exc}")
        post(command)
    os._exit(0)
