"""Codes of a second factor: those that an authenticator shows (RFC 6238), and those on paper. Pure."""

from datetime import datetime
from secrets import choice

from pyotp import TOTP, random_base32
from pyotp.utils import strings_equal

DIGITS = 6
STEP_S = 30
WINDOW = 1
"""Steps before and after the one of now whose code is taken, for clocks that differ (RFC 6238 section 5.2)."""
ISSUER = "Dialer"
RECOVERY_CODES = 10
_LETTERS = "23456789abcdefghjkmnpqrstvwxyz"
"""Without those that are mistaken for each other on paper."""
RECOVERY_LENGTH = 12
"""Letters, of 4.9 bits each; with a dash in the middle."""


def new_secret() -> str:
    """A new secret in Base32: 160 bits, the length of RFC 4226 section 4."""
    return random_base32()


def address_of(secret: str, login: str) -> str:
    """The otpauth:// address that an authenticator reads, as text or as a QR code."""
    return TOTP(secret).provisioning_uri(name=login, issuer_name=ISSUER)


def step_of(secret: str, code: str, now: datetime) -> int | None:
    """The time step whose code this is, the latest of those near now; None where the code is of no such step."""
    sent = plain(code)
    if len(sent) != DIGITS:
        return None
    totp, step = TOTP(secret), int(now.timestamp()) // STEP_S
    # All are compared, and in constant time: how long it takes tells nothing.
    found = [one for one in range(step - WINDOW, step + WINDOW + 1) if strings_equal(totp.at(one * STEP_S), sent)]
    return found[-1] if found else None


def new_recovery_codes() -> list[str]:
    """Codes for the day on which the authenticator is lost; nobody can guess 59 bits."""
    half = RECOVERY_LENGTH // 2
    letters = ["".join(choice(_LETTERS) for _ in range(RECOVERY_LENGTH)) for _ in range(RECOVERY_CODES)]
    return [f"{text[:half]}-{text[half:]}" for text in letters]


def plain(code: str) -> str:
    """A code without what people and programs put between its characters."""
    return "".join(code.split()).replace("-", "").lower()
