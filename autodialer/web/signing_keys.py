"""The keys that access tokens are signed with: one signs, and the one before it is still believed for a while.

Both are files in the keys folder. A rotation, by age or by `python main.py rotate-key`, is seen by a running service at
the next token: the files are read again when the newer one has changed.
"""

import base64
import hashlib
import logging
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from autodialer.clock import Clock
from autodialer.errors import SettingsError
from autodialer.store import read_key_file, replace_key_file

logger = logging.getLogger(__name__)

KEY_FILE = "access-tokens.pem"
KEY_FILE_BEFORE = "access-tokens-before.pem"
ALGORITHM = "EdDSA"
LONGEST_AGE = timedelta(days=90)
BELIEVED_FOR = timedelta(seconds=660)
"""After its rotation: as long as the tokens that it signed last are valid, and a minute for clocks."""


@dataclass(frozen=True, kw_only=True)
class SigningKey:
    """A key pair of this service."""

    private: Ed25519PrivateKey = field(repr=False)
    kid: str

    @classmethod
    def load(cls, folder: Path) -> "SigningKey":
        """Read the key that signs now; the first start makes it, mode 0600. Raises SettingsError."""
        path = folder / KEY_FILE
        return cls._from_pem(read_key_file(path, _new_pem), path)

    @classmethod
    def load_before(cls, folder: Path) -> "SigningKey | None":
        """Read the key that signed before; None where there was none. Raises SettingsError."""
        path = folder / KEY_FILE_BEFORE
        try:
            pem = path.read_bytes()
        except FileNotFoundError:
            return None
        return cls._from_pem(pem, path)

    @classmethod
    def _from_pem(cls, pem: bytes, path: Path) -> "SigningKey":
        try:
            private = serialization.load_pem_private_key(pem, password=None)
        except ValueError as exc:
            raise SettingsError(
                f"{path} cannot be read as a private key; move it away to have a new one made."
            ) from exc
        if not isinstance(private, Ed25519PrivateKey):
            raise SettingsError(f"{path} is not an Ed25519 key; move it away to have a new one made.")
        raw = private.public_key().public_bytes_raw()
        kid = base64.urlsafe_b64encode(hashlib.sha256(raw).digest()[:12]).decode()
        return cls(private=private, kid=kid)

    @property
    def jwk(self) -> dict[str, Any]:
        """The public half, as RFC 8037 section 2 writes it."""
        x = base64.urlsafe_b64encode(self.private.public_key().public_bytes_raw()).decode().rstrip("=")
        return {"kty": "OKP", "crv": "Ed25519", "x": x, "kid": self.kid, "use": "sig", "alg": ALGORITHM}


class SigningKeys:
    """The keys of one service, as they stand in the folder just now."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock
        self._lock = threading.Lock()
        self._read()

    def current(self) -> SigningKey:
        """The key to sign with. A key that is too old is rotated first."""
        with self._lock:
            self._read_if_changed()
            if self._clock.utcnow() - self._rotated_at >= LONGEST_AGE:
                self._rotate()
            return self._current

    def known_as(self, kid: object) -> SigningKey | None:
        """The key to verify with that a token names; None for a stranger's and for an old key whose time is over."""
        with self._lock:
            # At every token, for one system call: a stolen key that was forgotten must not be believed a second more.
            self._read_if_changed()
            return next((key for key in self._believed() if key.kid == kid), None)

    def public(self) -> dict[str, Any]:
        """The keys that tokens may be verified with now, as a JWK set (RFC 7517 section 5)."""
        with self._lock:
            self._read_if_changed()
            return {"keys": [key.jwk for key in self._believed()]}

    def _believed(self) -> Iterator[SigningKey]:
        yield self._current
        if self._before is not None and self._clock.utcnow() < self._rotated_at + BELIEVED_FOR:
            yield self._before

    def _read_if_changed(self) -> None:
        try:
            changed = _mark(self._folder / KEY_FILE) != self._mark
        except OSError as exc:
            # A folder that cannot be read for a moment must not keep out the users that are in.
            logger.warning("the keys of the access tokens cannot be read again: %s", exc)
            return
        if changed:
            self._read()

    def _read(self) -> None:
        current = SigningKey.load(self._folder)
        path = self._folder / KEY_FILE
        self._mark = _mark(path)
        self._rotated_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        before = SigningKey.load_before(self._folder)
        self._current = current
        self._before = before if before is not None and before.kid != current.kid else None

    def _rotate(self) -> None:
        try:
            rotate(self._folder, self._clock.utcnow())
            self._read()
        except OSError as exc:
            # The next token tries it again; until then the old key is as good as it was.
            logger.warning("the key of the access tokens is old and cannot be rotated: %s", exc)
            return
        logger.info("the key of the access tokens has been rotated by its age; it is now %s", self._current.kid)


def rotate(folder: Path, now: datetime, *, forget: bool = False) -> SigningKey:
    """Make a new key to sign with. The one of now is believed for a while, or with `forget` no longer at all.

    Raises SettingsError where the key of now cannot be read, OSError where the new one cannot be written.
    """
    signing = folder / KEY_FILE
    pem = read_key_file(signing, _new_pem)
    # The old key first: whatever a crash in between leaves behind still verifies all tokens that are out.
    if forget:
        (folder / KEY_FILE_BEFORE).unlink(missing_ok=True)
    else:
        replace_key_file(folder / KEY_FILE_BEFORE, pem, now)
    replace_key_file(signing, _new_pem(), now)
    return SigningKey.load(folder)


def _new_pem() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _mark(path: Path) -> tuple[int, int]:
    status: os.stat_result = path.stat()
    return status.st_ino, status.st_mtime_ns
