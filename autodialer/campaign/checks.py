"""Small checks of what a user writes, each naming its field."""

import zoneinfo
from functools import cache

from autodialer.campaign.numbers import RAW, normalise
from autodialer.errors import Invalid

NO_REGION = "ZZ"
"""phonenumbers' word for: only numbers with a country code."""


def check_timezone(timezone: str | None) -> str | None:
    """The IANA name itself; None for none. Raises Invalid."""
    if timezone and timezone not in _timezones():
        raise Invalid(f"timezone takes a name such as Europe/Moscow; {timezone!r} is none.", field="timezone")
    return timezone or None


def sample_number(text: str, *, raw: bool) -> str:
    """The number of a sample call: E.164, or with `raw` the text as written. Raises Invalid."""
    if not raw and not text.strip().startswith("+"):
        raise Invalid("number takes + and the country code; with raw it is dialled as written.", field="number")
    return normalise(text, RAW if raw else NO_REGION).number


@cache
def _timezones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())
