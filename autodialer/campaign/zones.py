"""The time zone that a number itself tells, or else the imported numbering plan.

A number tells its zone when phonenumbers knows exactly one for it, or several that keep the same UTC offset all year.
It is the geographical numbers that do, and the mobile ones of countries with one zone. A Russian mobile number tells
nothing; its range was allotted to one region of the country, which the numbering plan knows.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import phonenumbers
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata, PhoneNumber, PhoneNumberType
from phonenumbers.timezone import UNKNOWN_TIMEZONE, time_zones_for_geographical_number
from phonenumbers.tzdata import TIMEZONE_DATA

from autodialer.campaign.digit_classes import DigitClasses
from autodialer.clock import Clock
from autodialer.store import ZoneRange

BY_NUMBER, BY_PLAN = "number", "plan"
PLAN_COUNTRY = "7"
"""The country code whose national numbers the plan has."""
PLAN_DIGITS = 10
CORRECTED = {"7401": "Europe/Kaliningrad", "7845": "Europe/Saratov"}
"""Where phonenumbers is an hour off: it has Kaliningrad keep the time of Bucharest, with summer time, and Saratov that
of Moscow."""
LONGEST_COUNTRY_CODE = 3
YEAR = timedelta(days=366)
STEP = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class FoundZone:
    """Where a number is called, as far as the time of the day goes."""

    zone: str
    """IANA name; where several zones keep the same time, the most common of them in that country."""
    by: str
    """`number` or `plan`."""


@dataclass(kw_only=True)
class _Country:
    """What is known of the numbers of one country code."""

    code: int
    everywhere: FoundZone | None
    """The answer for all numbers, where there is only one."""
    classes: DigitClasses | None
    """None: `everywhere` is the answer."""
    known: dict[tuple[int, int], FoundZone | None] = field(default_factory=dict)
    """By class and number of digits."""


class ZoneFinder:
    """Finds zones in about 3 us a number. Not for several threads at once."""

    def __init__(self, plan: Sequence[ZoneRange] = (), *, today: date | None = None) -> None:
        """`plan` in rising order, without overlaps. Zones are the same if they are in the year from `today` on."""
        self._first = [part.first for part in plan]
        self._last = [part.last for part in plan]
        zones = {part.zone: FoundZone(zone=part.zone, by=BY_PLAN) for part in plan}
        self._planned = [zones[part.zone] for part in plan]
        self._since = today or Clock().utcnow().date()
        self._countries: dict[str, _Country | None] = {}
        self._told: dict[tuple[str, ...], FoundZone | None] = {}

    def find(self, number: str) -> FoundZone | None:
        """The zone of a number in E.164; None: neither tells one, as for a `raw` number."""
        if not number.startswith("+"):
            return None
        for length in range(1, LONGEST_COUNTRY_CODE + 1):
            code = number[1 : 1 + length]
            country = self._countries[code] if code in self._countries else self._country(code)
            if country is not None:
                national = number[1 + length :]
                found = self._by_number(country, national)
                return self._by_plan(national) if found is None and code == PLAN_COUNTRY else found
        return None

    def _by_number(self, country: _Country, national: str) -> FoundZone | None:
        if country.classes is None:
            return country.everywhere
        alike = (country.classes.class_of(national), len(national))
        if alike not in country.known:
            country.known[alike] = self._of_all(told_by(country.code, national))
        return country.known[alike]

    def _by_plan(self, national: str) -> FoundZone | None:
        if len(national) != PLAN_DIGITS:
            return None
        number = int(national)
        at = bisect_right(self._first, number) - 1
        return self._planned[at] if at >= 0 and number <= self._last[at] else None

    def _country(self, code: str) -> _Country | None:
        """None: there is no such country code."""
        country = None
        if code.isdecimal() and int(code) in COUNTRY_CODE_TO_REGION_CODE:
            answers = {zones for prefix, zones in TIMEZONE_DATA.items() if prefix.startswith(code)}
            single = len(answers) <= 1
            country = _Country(
                code=int(code),
                everywhere=self._of_all(answers.pop()) if single and answers else None,
                classes=None if single else _classes(code),
            )
        self._countries[code] = country
        return country

    def _of_all(self, zones: tuple[str, ...]) -> FoundZone | None:
        """The answer that some zones make together."""
        if zones not in self._told:
            same = keep_the_same_time(zones, self._since)
            self._told[zones] = FoundZone(zone=_commonest(zones), by=BY_NUMBER) if same else None
        return self._told[zones]


def told_by(code: int, national: str) -> tuple[str, ...]:
    """The zones in which a number may be called, as phonenumbers knows them; none: it knows nothing.

    phonenumbers asked directly says nothing of a number in no assigned range, and of a mobile one all zones of its
    country code. Here the first counts for its country code, and the second for its country where that is not the
    greatest one of its code: Kazakhstan beside Russia, Jamaica beside the United States.
    """
    zeros = len(national) - len(national.lstrip("0"))
    number = PhoneNumber(
        country_code=code,
        national_number=int(national or "0"),
        italian_leading_zero=zeros > 0,
        number_of_leading_zeros=zeros or None,
    )
    kind = phonenumbers.number_type(number)
    greatest = COUNTRY_CODE_TO_REGION_CODE[code][0]
    is_local = phonenumbers.is_number_type_geographical(kind, code) or (
        kind == PhoneNumberType.MOBILE and phonenumbers.region_code_for_number(number) != greatest
    )
    if not is_local:
        return TIMEZONE_DATA.get(str(code), ())
    for prefix, zone in CORRECTED.items():
        if f"{code}{national}".startswith(prefix):
            return (zone,)
    zones = time_zones_for_geographical_number(number)
    return () if zones == (UNKNOWN_TIMEZONE,) else zones


def keep_the_same_time(zones: Sequence[str], since: date) -> bool:
    """Whether some zones, at least one, have one UTC offset between them in every hour of the year from `since` on."""
    if len(zones) <= 1:
        return bool(zones)
    places = [ZoneInfo(zone) for zone in zones]
    return all(len({at.astimezone(place).utcoffset() for place in places}) == 1 for at in _hours(since))


def _hours(since: date) -> Iterator[datetime]:
    at = datetime(since.year, since.month, since.day, tzinfo=UTC)
    end = at + YEAR
    while at < end:
        yield at
        at += STEP


def _commonest(zones: tuple[str, ...]) -> str:
    return max(zones, key=lambda zone: _times_told()[zone])


@cache
def _times_told() -> Counter[str]:
    """For how many beginnings of numbers each zone is the only one."""
    return Counter(zones[0] for zones in TIMEZONE_DATA.values() if len(zones) == 1)


def _classes(code: str) -> DigitClasses:
    """By everything that phonenumbers compares a number of the country code with before it says a zone."""
    whole: set[str] = set()
    beginnings = {
        prefix.removeprefix(code)
        for prefix in (*TIMEZONE_DATA, *CORRECTED)
        if prefix.startswith(code) and prefix != code
    }
    regions = COUNTRY_CODE_TO_REGION_CODE[int(code)]
    for metadata in (PhoneMetadata.metadata_for_region_or_calling_code(int(code), region) for region in regions):
        kinds = [value for value in vars(metadata).values() if isinstance(value, phonenumbers.PhoneNumberDesc)]
        whole.update(kind.national_number_pattern for kind in kinds if kind.national_number_pattern)
        if metadata and metadata.leading_digits:
            beginnings.add(metadata.leading_digits)
    return DigitClasses(sorted(whole), sorted(beginnings))
