"""Secrets at rest: trunk passwords encrypted with a key file, user passwords hashed."""

import hmac
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_bytes

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from autodialer.errors import SettingsError, Unavailable
from autodialer.store.sql.key_files import read_key_file

KEY_FILE = "secrets.key"
KEY_BYTES = 32
NONCE_BYTES = 12
"""96 bits, the length that GCM is made for (NIST SP 800-38D section 5.2.1.1)."""
FORMAT = b"\x01"
"""First byte of what `encrypt` makes: AES-256-GCM, then the nonce, then the ciphertext with its tag."""
HASHED_AT_ONCE = 2
"""Each takes a processor."""
MOST_WAITING = 2
"""Threads that wait for their turn to hash, beside those that do; further ones are refused at once."""
LONGEST_TURN_S = 1.0
"""How long a thread of the API may wait for its turn."""
BUSY = "Too many passwords are being checked just now; try again in a moment."


class Secrets:
    """Encrypts and hashes. The key file is made on first use; anyone who has it and the database has the passwords."""

    def __init__(self, keys_folder: Path, *, hasher: PasswordHasher | None = None) -> None:
        self._path = keys_folder / KEY_FILE
        key = load_key(self._path)
        self._cipher = AESGCM(key)
        # Not the key itself: a key serves one purpose only.
        self._fingerprint_key = HKDF(SHA256(), KEY_BYTES, salt=None, info=b"fingerprints").derive(key)
        self._hasher = hasher or PasswordHasher()
        self._hashing = threading.BoundedSemaphore(HASHED_AT_ONCE)
        self._hashing_or_waiting = threading.BoundedSemaphore(HASHED_AT_ONCE + MOST_WAITING)
        # A login that nobody has must take as long as any other: the time of a refusal would tell which logins exist.
        self._hash_of_nobody = self._hasher.hash(token_bytes(16))

    def encrypt(self, plain: str, *, context: bytes) -> bytes | None:
        """None for an empty text. `context` names the place; a ciphertext moved elsewhere does not decrypt."""
        if not plain:
            return None
        nonce = token_bytes(NONCE_BYTES)
        return FORMAT + nonce + self._cipher.encrypt(nonce, plain.encode(), context)

    def decrypt(self, stored: bytes | None, *, context: bytes) -> str:
        """The text that `encrypt` was given. Raises SettingsError when the key file is not the one it was made with."""
        if not stored:
            return ""
        nonce, sealed = stored[1 : 1 + NONCE_BYTES], stored[1 + NONCE_BYTES :]
        try:
            return self._cipher.decrypt(nonce, sealed, context).decode()
        except InvalidTag as exc:
            message = f"the passwords of the trunks cannot be read: {self._path} is not the key of this database"
            raise SettingsError(message) from exc

    def fingerprint(self, text: str) -> str:
        """A digest that tells texts apart, and from which nobody without the key file can try out what the text was."""
        return hmac.digest(self._fingerprint_key, text.encode(), "sha256").hex()

    def hash_password(self, password: str) -> str:
        """argon2id with its parameters and salt (RFC 9106). Takes tens of milliseconds on purpose.

        Raises Unavailable while too many others are at it.
        """
        with self._turn():
            return self._hasher.hash(_spelled(password))

    def password_fits(self, password_hash: str | None, password: str) -> bool:
        """Whether the password is right. None, for a login that nobody has, takes as long as any other and is False.

        Raises Unavailable.
        """
        with self._turn():
            # The spelling as it came is for hashes from before there was one spelling.
            fits = any(self._verify(password_hash, text) for text in dict.fromkeys((_spelled(password), password)))
        return fits and password_hash is not None

    def _verify(self, password_hash: str | None, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash or self._hash_of_nobody, password)
        except (VerificationError, InvalidHashError):
            return False

    @contextmanager
    def _turn(self) -> Iterator[None]:
        # Hashing keeps a processor and 64 MB busy: most threads of the API must stay free of it and of waiting for it.
        if not self._hashing_or_waiting.acquire(blocking=False):
            raise Unavailable(BUSY)
        try:
            if not self._hashing.acquire(timeout=LONGEST_TURN_S):
                raise Unavailable(BUSY)
            try:
                yield
            finally:
                self._hashing.release()
        finally:
            self._hashing_or_waiting.release()

    def is_outdated(self, password_hash: str) -> bool:
        """Whether the hash was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(password_hash)


def _spelled(password: str) -> str:
    # NIST SP 800-63B revision 4 section 3.1.1.2: keyboards differ in how they compose an accented letter.
    return unicodedata.normalize("NFC", password)


def load_key(path: Path) -> bytes:
    """The key in a file, which is made if it is missing. Raises SettingsError for a file that holds none."""
    key = read_key_file(path, lambda: token_bytes(KEY_BYTES))
    if len(key) != KEY_BYTES:
        raise SettingsError(f"{path} is not a key: it has {len(key)} bytes, not {KEY_BYTES}")
    return key
