"""The sounds that can be played now: those whose files are in the data folder."""

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass

from autodialer.media.g711 import EXTENSION
from autodialer.model import Sound
from autodialer.store import Store

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Playable:
    """A sound with its encoded files."""

    stem: str
    """Path of the files without their extensions."""
    duration_s: float


class PlayableSounds:
    """Learns sounds as campaigns need them, and remembers each until another recording has its place."""

    def __init__(self, store: Store, folder: os.PathLike[str]) -> None:
        self._store = store
        self._folder = os.fspath(folder)
        self._found: dict[int, Playable] = {}
        self._paths: dict[int, str] = {}
        self._missed: set[str] = set()

    def learn(self, paths: Mapping[int, str]) -> None:
        """Look at the sounds of which this is not the known path; one without its files is logged once.

        Calls that have begun with the earlier recording end with it: its files stay for them.
        """
        # A sound whose files were missing is looked for again each time: they may be back.
        unknown = sorted(key for key, path in paths.items() if self._paths.get(key) != path)
        for sound in self._store.sounds.by_keys(unknown).values() if unknown else ():
            stem = os.path.join(self._folder, sound.path.removesuffix(".wav"))
            if all(os.path.exists(stem + extension) for extension in EXTENSION.values()):
                self._found[sound.key] = Playable(stem=stem, duration_s=sound.duration_s)
                self._paths[sound.key] = sound.path
            else:
                self._found.pop(sound.key, None)
                self._miss(sound, stem)

    def _miss(self, sound: Sound, stem: str) -> None:
        if sound.path not in self._missed:
            self._missed.add(sound.path)
            logger.error("the files of sound %s are missing (%s.*), its campaigns are not dialled", sound.id, stem)

    def __contains__(self, key: int) -> bool:
        """Whether the sound can be played. Campaigns of another are not dialled: nobody is called to hear silence."""
        return key in self._found

    def __getitem__(self, key: int) -> Playable:
        return self._found[key]
