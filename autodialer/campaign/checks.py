"""Small checks of what a user writes, each naming its field."""

import zoneinfo
from functools import cache

from autodialer.campaign.numbers import NO_REGION, RAW, normalise
from autodialer.campaign.written import clean
from autodialer.errors import Invalid


def check_timezone(timezone: str | None) -> str | None:
    """The IANA name itself; None for none. Raises Invalid."""
    if timezone and timezone not in _timezones():
        raise Invalid(f"timezone takes a name such as Europe/Moscow, not {timezone!r}.", field="timezone")
    return timezone or None


def sample_number(text: str, *, raw: bool, dial_doubtful: bool = True) -> str:
    """The number of a sample call: E.164, or with `raw` the text as written.

    Raises Invalid, without `dial_doubtful` also for a number that is possible, but not valid.
    """
    if not raw and not clean(text).startswith("+"):
        raise Invalid("number takes + and the country code; with raw it is dialled as written.", field="number")
    number = normalise(text, RAW if raw else NO_REGION)
    if number.doubt and not dial_doubtful:
        raise Invalid(
            f"number {number.number} {number.doubt}; check it, or send dial_doubtful to call it anyway", field="number"
        )
    return number.number


def check_second_number(text: str | None, region: str, first: str) -> str | None:
    """A subscriber's second number in the notation of the first; None for none, or the same. Raises Invalid."""
    if not text:
        return None
    try:
        number = normalise(text, region).number
    except Invalid as exc:
        raise Invalid(f"second_number: {exc}", field="second_number") from exc
    return None if number == first else number


def transfer_number(text: str) -> str:
    """A number to transfer to: E.164 with the plus, or digits, * and # that are dialled as written. Raises Invalid."""
    try:
        return normalise(text, NO_REGION if clean(text).startswith("+") else RAW).number
    except Invalid as exc:
        message = f"transfer_to takes + and the country code, or digits, * and # that are dialled as written: {exc}"
        raise Invalid(message, field="transfer_to") from exc


@cache
def _timezones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())
