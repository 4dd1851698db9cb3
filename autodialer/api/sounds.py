"""Sounds: uploaded recordings, their files, and how they are read back."""

import contextlib
import io
import os
import wave
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from pydantic import ConfigDict, Field

from autodialer.api.context import Context
from autodialer.api.filters import ObjectFilter
from autodialer.api.present import Json, page, time, values_of
from autodialer.api.upload_turns import UploadTurns
from autodialer.config import Settings
from autodialer.errors import NotFound
from autodialer.media import g711, waveform
from autodialer.media.shell.importing import import_apart
from autodialer.media.sound_info import SoundInfo
from autodialer.model import Sound
from autodialer.store import Recording, Store, new_id
from autodialer.web.caller import Caller
from autodialer.web.downloads import MadeFile, StoredFile
from autodialer.web.fields import Fields
from autodialer.web.request import PageWanted
from autodialer.web.uploads import Upload

ORIGINAL = ".original"
ENCODED, HEARD = "encoded", "heard"
WAV = "audio/wav"


class NewSound(Fields):
    """What is said of an uploaded recording."""

    name: str | None = None
    """None: the file's."""
    trim: bool = False
    """Whether silence at both ends is cut off."""


class SoundChange(Fields):
    """What is changed of a sound."""

    name: str | None = None


class NewAudio(Fields):
    """What is said of a recording that takes the place of another."""

    trim: bool = False
    """Whether silence at both ends is cut off."""


class WantedAudio(Fields):
    """Which audio of a sound is wanted."""

    model_config = ConfigDict(populate_by_name=True)
    stage: str = Field(alias="as", default=ENCODED)
    """encoded: what the encoder is given; heard: what the callee hears."""


class Sounds:
    """The operations on sounds."""

    def __init__(self, context: Context, files: "SoundFiles") -> None:
        self._context = context
        self._store = context.store
        self._files = files
        self._turns = UploadTurns()

    def list(self, caller: Caller, fields: ObjectFilter, wanted: PageWanted) -> Json:
        """The sounds of the caller."""
        return page(
            self._store.sounds.page(caller.owner_key, fields.narrowed(), limit=wanted.limit, after=wanted.after),
            present_sound,
        )

    def create(self, caller: Caller, upload: Upload, fields: NewSound, once: str | None) -> Json:
        """Import a recording: files first, then the row; all of it or nothing.

        Raises Invalid, TooLarge, UnsupportedContent, TooManyRequests, Unavailable.
        """
        asked = f"{fields.asked()} {upload.digest}"
        # The turn first: requests with one key wait for each other too, and each holds a thread.
        with (
            self._turns.take(caller.user.key),
            self._context.once.attempt(caller, "create_sound", once, asked) as attempt,
        ):
            if attempt.object_id is None:
                imported = self._files.import_upload(upload, trim=fields.trim)
                try:
                    with self._store.transaction():
                        sound = self._files.store(caller.user.key, imported, upload.named(fields.name))
                        self._context.record(caller, "sounds.create", sound.id, name=sound.name)
                        attempt.remember(sound.id)
                except BaseException:
                    imported.remove()
                    raise
            return self.read(caller, attempt.made)

    def read(self, caller: Caller, sound_id: UUID) -> Json:
        """One sound."""
        return present_sound(self._store.sounds.get(sound_id, caller.owner_key))

    def change(self, caller: Caller, sound_id: UUID, fields: SoundChange) -> Json:
        """Give it another name. Raises NotFound."""
        with self._store.transaction():
            if fields.name is not None:
                self._store.sounds.rename(sound_id, caller.owner_key, fields.name.strip())
            self._context.record(caller, "sounds.change", sound_id, name=fields.name)
            return self.read(caller, sound_id)

    def replace_audio(self, caller: Caller, sound_id: UUID, upload: Upload, fields: NewAudio) -> Json:
        """Another recording under the same id: calls that begin afterwards play it. A bad file changes nothing.

        Raises NotFound, Invalid, TooLarge, UnsupportedContent, TooManyRequests, Unavailable.
        """
        self._store.sounds.get(sound_id, caller.owner_key)
        with self._turns.take(caller.user.key):
            imported = self._files.import_upload(upload, trim=fields.trim)
            try:
                with self._store.transaction():
                    before, after = self._store.sounds.replace(
                        sound_id, caller.owner_key, **self._files.recording(imported)
                    )
                    self._context.record(caller, "sounds.replace", sound_id, file=upload.filename)
            except BaseException:
                imported.remove()
                raise
        self._files.leave(before)
        return present_sound(after)

    def read_audio(self, caller: Caller, sound_id: UUID, wanted: WantedAudio) -> StoredFile | MadeFile:
        """The WAV that is encoded, or what the callee hears of it. Raises NotFound."""
        sound = self._store.sounds.get(sound_id, caller.owner_key)
        if wanted.stage == HEARD:
            heard = g711.decode(self._files.codes(sound, "PCMA"), "PCMA")
            return MadeFile(data=_wav(heard), content_type=WAV)
        return StoredFile(path=self._files.audio(sound), content_type=WAV)

    def read_waveform(self, caller: Caller, sound_id: UUID) -> Json:
        """Its peaks over time, to be drawn. Raises NotFound."""
        sound = self._store.sounds.get(sound_id, caller.owner_key)
        peaks, stretch = waveform.peaks(self._files.codes(sound, "PCMA"))
        return {"duration_s": sound.duration_s, "peak_s": stretch / g711.SAMPLE_RATE, "peaks": peaks}

    def delete(self, caller: Caller, sound_id: UUID) -> None:
        """Raises Conflict while a campaign needs it."""
        with self._store.transaction():
            sound = self._store.sounds.delete(sound_id, caller.owner_key)
            self._context.record(caller, "sounds.delete", sound_id)
        # After the commit: a row without files would be a sound that cannot be played.
        self._files.remove(sound)


@dataclass(frozen=True, kw_only=True)
class ImportedFiles:
    """The files of a sound that has no row yet."""

    sound_id: UUID
    stem: Path
    """Their path without its ending."""
    info: SoundInfo

    def remove(self) -> None:
        """The sound is not to be, after all."""
        _remove(self.stem)


class SoundFiles:
    """The sounds folder of a data folder: the recordings as they came, and what is made of them."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._data = settings.data
        self._folder = settings.sounds
        self._store = store
        self._lufs = settings.sound_lufs

    def import_upload(self, upload: Upload, *, trim: bool) -> ImportedFiles:
        """Make the files of a sound; all of them or none. Raises Invalid, TooLarge, UnsupportedContent."""
        sound_id = new_id()
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        stem = self._folder / str(sound_id)
        try:
            info = import_apart(upload.path, stem, lufs=self._lufs, trim=trim)
            os.replace(upload.path, stem.with_suffix(ORIGINAL))
        except BaseException:
            _remove(stem)
            raise
        return ImportedFiles(sound_id=sound_id, stem=stem, info=info)

    def store(self, owner_key: int, imported: ImportedFiles, name: str) -> Sound:
        """The row of a sound whose files are there."""
        return self._store.sounds.create(owner_key, name=name, sound_id=imported.sound_id, **self.recording(imported))

    def recording(self, imported: ImportedFiles) -> Recording:
        """What the row of a sound says of these files."""
        info = imported.info
        return Recording(
            duration_s=info.duration_s,
            peak_dbfs=info.peak_dbfs,
            loudness_lufs=info.loudness_lufs,
            gain_db=info.gain_db,
            sample_rate=info.sample_rate,
            channels=info.channels,
            warnings={warning.code: warning.message for warning in info.warnings},
            path=self._relative(imported.stem.with_suffix(".wav")),
            original_path=self._relative(imported.stem.with_suffix(ORIGINAL)),
        )

    def leave(self, replaced: Sound) -> None:
        """Count the age of the files of a replaced recording from now on: housekeeping removes them once no call can
        play them any more.
        """
        stem = (self._data / replaced.path).with_suffix("")
        for file in stem.parent.glob(f"{stem.name}.*"):
            with contextlib.suppress(OSError):
                os.utime(file)

    def are_there(self, sound_key: int) -> bool:
        """Whether a sound can be played."""
        stem = (self._data / self._store.sounds.by_key(sound_key).path).with_suffix("")
        return all(stem.with_suffix(suffix).exists() for suffix in g711.EXTENSION.values())

    def audio(self, sound: Sound) -> Path:
        """The WAV that is heard. Raises NotFound."""
        return self._there(self._data / sound.path)

    def codes(self, sound: Sound, codec: str) -> bytes:
        """What is sent of it, one byte a sample. Raises NotFound."""
        return self._there((self._data / sound.path).with_suffix(g711.EXTENSION[codec])).read_bytes()

    def remove(self, sound: Sound) -> None:
        """All files of a deleted sound."""
        _remove((self._data / sound.path).with_suffix(""))

    def _there(self, path: Path) -> Path:
        if not path.exists():
            raise NotFound("The audio of this sound is missing from the data folder; upload it again.")
        return path

    def _relative(self, path: Path) -> str:
        return path.relative_to(self._data).as_posix()


def _wav(samples: bytes) -> bytes:
    """16-bit samples at 8 kHz, mono, as a file."""
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(g711.SAMPLE_RATE)
        file.writeframes(samples)
    return target.getvalue()


def _remove(stem: Path) -> None:
    for file in stem.parent.glob(f"{stem.name}.*"):  # half-written ones of an import that was killed, too
        file.unlink(missing_ok=True)


def present_sound(value: Sound) -> Json:
    """A sound; its audio has a path of its own."""
    names = ("name", "duration_s", "peak_dbfs", "loudness_lufs", "gain_db", "sample_rate", "channels")
    warnings = [{"code": code, "message": message} for code, message in value.warnings.items()]
    return {
        "id": str(value.id),
        **values_of(value, names),
        "warnings": warnings,
        "created_at": time(value.created_at),
    }
