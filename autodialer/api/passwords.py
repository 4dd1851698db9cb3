"""Which passwords are taken: long ones that nobody guesses soon (NIST SP 800-63B revision 4, section 3.1.1.2).

No rule asks for digits or signs: they make passwords that people forget and programs guess. What is asked for is
length, and that a guesser does not come upon the password early. zxcvbn judges that, by its lists of common and
breached passwords, names and words, and by repetitions, sequences and rows of keys.
"""

import threading
import unicodedata
from collections.abc import Iterable

from zxcvbn import zxcvbn

from autodialer.errors import Invalid

LEAST_LENGTH = 15
"""Characters, for a password that stands alone. NIST lets those beside a second factor have 8, but a second factor may
be taken away, and a hash does not tell how long its password was.
"""
LONGEST_LENGTH = 256
LEAST_GUESSES = 1e8
"""As many as somebody tries who is not in a hurry and is braked little; zxcvbn's score 3 begins here."""
JUDGED = 24
"""Characters that are judged at once: the time to judge grows steeply, to seconds where many stand for letters."""
LEAST_BESIDE_NAMES = 8
"""Characters that must be left of a password without the login and the names of the product."""
LEAST_NAME = 3
"""Characters of a name that is looked for; a shorter one is in many passwords by chance."""
OF_PRODUCT = ("autodialer", "dialer")
RUSSIAN_KEYS = str.maketrans("йцукенгшщзхъфывапролджэячсмитьбюё", "qwertyuiop[]asdfghjkl;'zxcvbnm,.`")
REMEDY = "take four or five words that have nothing to do with each other, or let a password manager make it"
_judging = threading.Lock()
"""zxcvbn keeps the names of the one who is judged in a place of its module."""


def spelled(password: str) -> str:
    """The one spelling that is counted and judged: keyboards differ in how they compose an accented letter."""
    return unicodedata.normalize("NFC", password)


def check_password(password: str, *, login: str, name: str = "", field: str = "password") -> None:
    """Raises Invalid, with the reason and the remedy, for a password that a user of this login may not take."""
    text = spelled(password)
    if len(text) < LEAST_LENGTH:
        raise Invalid(
            f"{field} takes at least {LEAST_LENGTH} characters, this one has {len(text)}: {REMEDY}.", field=field
        )
    if len(text) > LONGEST_LENGTH:
        raise Invalid(f"{field} takes at most {LONGEST_LENGTH} characters.", field=field)
    names = [part for part in (login, *login.replace("@", " ").split(), *name.split(), *OF_PRODUCT) if part]
    if len(_without(text, names)) < LEAST_BESIDE_NAMES:
        raise Invalid(
            f"{field} is little more than your login, your name or the name of this program: {REMEDY}.", field=field
        )
    warning = _easy_because(text, names)
    if warning is not None:
        raise Invalid(f"{field} is easy to guess. {warning} Better: {REMEDY}.", field=field)


def _without(text: str, names: Iterable[str]) -> str:
    left = text.casefold()
    for name in sorted({name.casefold() for name in names if len(name) >= LEAST_NAME}, key=len, reverse=True):
        left = left.replace(name, "")
    return left


def _easy_because(text: str, names: Iterable[str]) -> str | None:
    """Why a guesser comes upon the password early; None where it does not."""
    # Lists and rows of keys know what a Russian keyboard writes by the keys of QWERTY.
    as_keys = text.lower().translate(RUSSIAN_KEYS)
    for spelling in (text, as_keys) if as_keys != text.lower() else (text,):
        # Of a long password both ends must be easy for the whole to be.
        judged = [_judge(part, names) for part in {spelling[:JUDGED], spelling[-JUDGED:]}]
        if max(guesses for guesses, _ in judged) < LEAST_GUESSES:
            return judged[0][1] or "It is like passwords that many people have."
    return None


def _judge(text: str, names: Iterable[str]) -> tuple[float, str]:
    with _judging:
        found = zxcvbn(text, user_inputs=list(names))
    return float(found["guesses"]), found["feedback"]["warning"]
