"""Which locks a function takes: a signal handler may take none that the thread it interrupts can hold."""

import sys
from collections.abc import Callable
from typing import Any

TAKING = ("acquire", "__enter__")


def locks_taken(function: Callable[[], object]) -> list[str]:
    """The calls by which `function` takes locks."""
    taken: list[str] = []

    def look(_frame: Any, kind: str, called: Any) -> None:
        if kind == "c_call" and called.__name__ in TAKING:
            taken.append(called.__qualname__)

    sys.setprofile(look)
    try:
        function()
    finally:
        sys.setprofile(None)
    return taken
