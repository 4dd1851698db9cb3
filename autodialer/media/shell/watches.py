"""Watches over callees that may be gone: whether anything of theirs still comes."""

from dataclasses import dataclass

from autodialer.media.shell.lines import Line

LOOK_S = 0.25
"""How often the counters are looked at: nothing is added to the work that a packet makes."""


@dataclass(kw_only=True)
class _Watch:
    span_s: float
    signs: int
    """RTP packets and reports that had come at the last look."""
    since: float
    """Monotonic time of the look that saw the last of them."""
    due_at: float


class Watches:
    """Sessions whose silence is to be told, each once."""

    def __init__(self) -> None:
        self._watched: dict[Line, _Watch] = {}

    def begin(self, line: Line, span_s: float, now: float) -> None:
        """Tell of a silence that lasts `span_s` from now on, or from the last sign of life."""
        self._watched[line] = _Watch(span_s=span_s, signs=line.signs_of_life, since=now, due_at=now + LOOK_S)

    def end(self, line: Line) -> None:
        """The session is over, or nobody asks any more."""
        self._watched.pop(line, None)

    @property
    def due_at(self) -> float | None:
        """When the next look is due; None: never."""
        return min((watch.due_at for watch in self._watched.values()), default=None)

    def silent(self, now: float) -> list[Line]:
        """Those that have been silent for as long as was said; they are no longer watched."""
        found = []
        for line, watch in self._watched.items():
            if now < watch.due_at:
                continue
            signs = line.signs_of_life
            if signs != watch.signs:
                watch.signs, watch.since = signs, now
            elif now - watch.since >= watch.span_s - 2 * LOOK_S:
                # The last sign may be older than the look that saw it, and the next look would come too late.
                found.append(line)
            watch.due_at = now + LOOK_S
        for line in found:
            del self._watched[line]
        return found
