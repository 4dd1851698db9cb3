"""The files of sounds: the recording as it came, and what is made of it."""

import os
from pathlib import Path

from autodialer.config import Settings
from autodialer.errors import NotFound
from autodialer.media.g711 import EXTENSION
from autodialer.media.shell.importing import import_apart
from autodialer.model import Sound
from autodialer.store import Store, new_id
from autodialer.web.uploads import Upload

ORIGINAL = ".original"


class SoundFiles:
    """The sounds folder of a data folder."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._data = settings.data
        self._folder = settings.sounds
        self._store = store
        self._lufs = settings.sound_lufs

    def import_upload(self, owner_key: int, upload: Upload, name: str, *, trim: bool = False) -> Sound:
        """Files first, then the row; all of it or nothing. Raises Invalid, TooLarge, UnsupportedContent."""
        sound_id = new_id()
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        stem = self._folder / str(sound_id)
        try:
            info = import_apart(upload.path, stem, lufs=self._lufs, trim=trim)
            os.replace(upload.path, stem.with_suffix(ORIGINAL))
            return self._store.sounds.create(
                owner_key,
                name=name,
                duration_s=info.duration_s,
                peak_dbfs=info.peak_dbfs,
                loudness_lufs=info.loudness_lufs,
                gain_db=info.gain_db,
                sample_rate=info.sample_rate,
                channels=info.channels,
                path=self._relative(stem.with_suffix(".wav")),
                original_path=self._relative(stem.with_suffix(ORIGINAL)),
                sound_id=sound_id,
            )
        except BaseException:
            _remove(stem)
            raise

    def are_there(self, sound_key: int) -> bool:
        """Whether a sound can be played."""
        stem = (self._data / self._store.sounds.by_key(sound_key).path).with_suffix("")
        return all(stem.with_suffix(suffix).exists() for suffix in EXTENSION.values())

    def audio(self, sound: Sound) -> Path:
        """The WAV that is heard. Raises NotFound."""
        path = self._data / sound.path
        if not path.exists():
            raise NotFound("The audio of this sound is missing from the data folder; upload it again.")
        return path

    def remove(self, sound: Sound) -> None:
        """All files of a deleted sound."""
        _remove((self._data / sound.path).with_suffix(""))

    def _relative(self, path: Path) -> str:
        return path.relative_to(self._data).as_posix()


def _remove(stem: Path) -> None:
    for file in stem.parent.glob(f"{stem.name}.*"):  # half-written ones of an import that was killed, too
        file.unlink(missing_ok=True)
