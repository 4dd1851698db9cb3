"""What a row of the prototype becomes: a user, a subscriber, or a reason why it does not. Pure."""

import re
from dataclasses import dataclass, field

from autodialer.campaign.numbers import NO_REGION, RAW, Number, normalise
from autodialer.campaign.written import clean, parts
from autodialer.campaign.zones import ZoneFinder
from autodialer.errors import Invalid
from autodialer.store import NewSubscriber
from autodialer.store.accounts.users import fold_login
from autodialer.takeover.old_database import Values

LONGEST_LOGIN, LONGEST_PASSWORD, LONGEST_NAME, LONGEST_COMMENT = 64, 256, 200, 1000
"""Characters that the API takes; swagger.yaml says the same."""
LONGEST_TEXT = 500
"""Of a subscriber, as of an imported table."""
LEAST_PASSWORD = 15
WHOLE_NUMBER = range(7, 16)
"""Digits that written with spaces or brackets make one number: fewer may be two extensions, more two numbers."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_DIGEST = re.compile(
    r"(?:[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{56}|[0-9a-f]{64}|[0-9a-f]{96}|[0-9a-f]{128})", re.IGNORECASE
)
_SCHEMES = ("$1$", "$2", "$5$", "$6$", "$argon2", "pbkdf2", "scrypt", "sha256$", "bcrypt")


@dataclass(frozen=True, kw_only=True)
class OldUser:
    """A user of the prototype who becomes one of ours."""

    login: str
    name: str
    comment: str | None
    password: str | None = field(repr=False)
    """None: the user has no password that the API would take."""

    @property
    def is_weak(self) -> bool:
        """Whether the password is shorter than those that are taken today."""
        return self.password is not None and len(self.password) < LEAST_PASSWORD

    @property
    def looks_digested(self) -> bool:
        """Whether the password looks like a digest, of which nobody knows the password."""
        text = self.password or ""
        return bool(_DIGEST.fullmatch(text)) or text.startswith(_SCHEMES)


def judge_user(row: Values, taken: set[str]) -> OldUser:
    """The user of a row; `taken` are the logins of the rows before. Raises Invalid."""
    login = fold_login(row["login"] or "")
    if not login:
        raise Invalid("it has no login")
    if len(login) > LONGEST_LOGIN:
        raise Invalid(f"its login has {len(login)} characters, at most {LONGEST_LOGIN} are taken")
    if _CONTROL.search(login) or any(character.isspace() for character in login):
        raise Invalid("its login has a space or a control character")
    if login in taken:
        raise Invalid("another user before it has the same login")
    password = row["password"] or None
    if password is not None and (len(password) > LONGEST_PASSWORD or _CONTROL.search(password)):
        password = None
    name = (_line(row["name"]) or login)[:LONGEST_NAME]
    comment = _line(row["comment"])
    return OldUser(login=login, name=name, comment=comment[:LONGEST_COMMENT] if comment else None, password=password)


def judge_subscriber(row: Values, zones: ZoneFinder) -> NewSubscriber:
    """The subscriber of a row. Raises Invalid."""
    number = as_dialled(row["number"] or "")
    found = zones.find(number.number)
    return NewSubscriber(
        number=number.number,
        number_zone=found.zone if found else None,
        number_zone_by=found.by if found else None,
        name=(row["name"] or "").strip()[:LONGEST_TEXT] or None,
        comment=(row["comment"] or "").strip()[:LONGEST_TEXT] or None,
        destination=number.destination,
        extra={"flag": number.flag} if number.flag else {},
    )


def as_dialled(text: str) -> Number:
    """The number as the prototype dialled it, digit for digit; with a plus in front it is E.164. Raises Invalid.

    No country is guessed for a number without one: a wrong guess calls strangers.
    """
    cleaned = clean(text)
    if cleaned.startswith("+"):
        return normalise(text, NO_REGION)
    try:
        return normalise(text, RAW)
    except Invalid:
        written = parts(cleaned)
        digits = "".join(character for character in cleaned if character.isdigit())
        if written is None or written.number != cleaned or "/" in cleaned or len(digits) not in WHOLE_NUMBER:
            raise
        return normalise(digits, RAW)


def _line(text: str | None) -> str | None:
    return _CONTROL.sub(" ", text or "").strip() or None
