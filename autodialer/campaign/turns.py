"""Fair turns: campaigns that want the same trunk get equally many calls of it, whatever each has waiting. Pure."""

from collections.abc import Mapping


class Turns:
    """The campaign whose turn is next on one trunk: the one with the fewest calls so far (start-time fair queueing).

    A campaign cannot claim later what it did not want before: when it comes, or comes back, it starts level with the
    others.
    """

    def __init__(self) -> None:
        self._had: dict[int, int] = {}
        """Campaign -> calls it has had, counted on from where the others were when it came."""
        self._level = 0
        """What the campaign that was served last had had before."""

    def share(self, wanted: Mapping[int, int], available: int) -> dict[int, int]:
        """Split `available` calls among campaigns (key -> calls wanted); who gets none is not in the answer."""
        left = {key: count for key, count in wanted.items() if count > 0}
        had = {key: self._position(key) for key in left}
        given: dict[int, int] = {}
        while available > 0 and left:
            key = min(left, key=lambda key: (had[key], key))
            available -= 1
            had[key] += 1
            given[key] = given.get(key, 0) + 1
            left[key] -= 1
            if not left[key]:
                del left[key]
        return given

    def started(self, key: int) -> None:
        """A campaign has had a call."""
        position = self._position(key)
        self._level = max(self._level, position)
        self._had[key] = position + 1

    def forget(self, key: int) -> None:
        """The campaign is over."""
        self._had.pop(key, None)

    def _position(self, key: int) -> int:
        return max(self._had.get(key, self._level), self._level - 1)
