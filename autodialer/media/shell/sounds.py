"""The encoded sounds that the media process has at hand."""

from collections import OrderedDict

from autodialer.media import g711

SOUNDS_KEPT = 32


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
