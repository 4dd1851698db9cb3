"""The keys that a callee presses: each press once, with its time, whichever way it was told."""

from dataclasses import dataclass

from autodialer.model import DigitTime, DigitVia

TWIN_S = 2.0
"""A gateway that tells a press both ways does so within this: its INFO may be lost twice before it gets through."""


@dataclass(kw_only=True)
class _Press:
    digit: str
    via: DigitVia
    started_at: float
    ended_at: float
    told_twice: bool = False


class PressedKeys:
    """What one callee has pressed.

    Gateways may send a press both as telephone-events and in INFO: the second to come is the twin of the first one of
    the other way that has none yet, so that "55" sent both ways stays "55".
    """

    def __init__(self) -> None:
        self._presses: list[_Press] = []

    def take(self, digit: str, at: float, via: DigitVia, *, duration_s: float = 0.0) -> bool:
        """Whether this is a new press. An INFO comes at the end of one that lasted `duration_s`, or at its start."""
        started_at = at - duration_s
        for press in self._presses:
            if press.via is via or press.told_twice or press.digit != digit:
                continue
            if started_at - TWIN_S <= press.ended_at and press.started_at <= at + TWIN_S:
                # A twin counts once: a third telling of the same key is another press.
                press.told_twice = True
                return False
        self._presses.append(_Press(digit=digit, via=via, started_at=started_at, ended_at=at))
        return True

    def latest(self, answered_at: float) -> DigitTime:
        """The press taken last, with its time after the answer."""
        return _timed(self._presses[-1], answered_at)

    def times(self, answered_at: float) -> tuple[DigitTime, ...]:
        """All presses, with their time after the answer."""
        return tuple(_timed(press, answered_at) for press in self._presses)


def _timed(press: _Press, answered_at: float) -> DigitTime:
    return DigitTime(digit=press.digit, at_s=round(max(0.0, press.ended_at - answered_at), 2), via=press.via)
