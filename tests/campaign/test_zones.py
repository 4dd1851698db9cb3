"""The zone of a number; phonenumbers itself, asked for each number, is the judge."""

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo, available_timezones

import phonenumbers
import pytest
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneNumberType
from phonenumbers.timezone import UNKNOWN_TIMEZONE, time_zones_for_number
from phonenumbers.tzdata import TIMEZONE_DATA

from autodialer.campaign import zones
from autodialer.campaign.zones import CORRECTED, FoundZone, ZoneFinder, keep_the_same_time, told_by
from autodialer.store import ZoneRange

TODAY = date(2026, 11, 23)
PLAN = [
    ZoneRange(9130000000, 9139999999, "Asia/Novosibirsk"),
    ZoneRange(9160000000, 9164999999, "Europe/Moscow"),
    ZoneRange(9165000010, 9165000010, "Asia/Anadyr"),
]


def found(number: str, plan: list[ZoneRange] | None = None) -> FoundZone | None:
    return ZoneFinder(plan or [], today=TODAY).find(number)


@pytest.mark.parametrize(
    ("number", "zone"),
    [
        ("+4930123456", "Europe/Berlin"),
        ("+491701234567", "Europe/Berlin"),
        ("+442079460101", "Europe/London"),
        ("+12125550100", "America/New_York"),
        ("+18085550100", "Pacific/Honolulu"),
        ("+73432123456", "Asia/Yekaterinburg"),
        ("+74232123456", "Asia/Vladivostok"),
        ("+982112345678", "Asia/Tehran"),
        ("+390212345678", "Europe/Rome"),
    ],
)
def test_a_number_of_one_place_tells_its_zone(number: str, zone: str) -> None:
    assert found(number) == FoundZone(zone=zone, by="number")


@pytest.mark.parametrize(
    ("number", "zone"), [("+74012123456", "Europe/Kaliningrad"), ("+78452123456", "Europe/Saratov")]
)
def test_kaliningrad_and_saratov_keep_their_own_time(number: str, zone: str) -> None:
    assert found(number) == FoundZone(zone=zone, by="number")


@pytest.mark.parametrize("number", ["+79131234567", "+78002000600", "+18005550100", "+80012345678", "+", "+999"])
def test_a_number_of_several_zones_or_of_none_tells_nothing(number: str) -> None:
    assert found(number) is None


@pytest.mark.parametrize("number", ["101", "*43#", "", "79131234567"])
def test_a_raw_number_tells_nothing_whatever_the_plan_says(number: str) -> None:
    assert found(number, PLAN) is None


@pytest.mark.parametrize(
    ("number", "zone"),
    [
        ("+79131234567", "Asia/Novosibirsk"),
        ("+79160000000", "Europe/Moscow"),
        ("+79164999999", "Europe/Moscow"),
        ("+79165000000", None),
        ("+79165000010", "Asia/Anadyr"),
        ("+79165000011", None),
        ("+79129999999", None),
        ("+79990000000", None),
        ("+7916123456", None),
    ],
)
def test_the_plan_tells_the_zone_of_the_numbers_in_its_ranges_only(number: str, zone: str | None) -> None:
    assert found(number, PLAN) == (FoundZone(zone=zone, by="plan") if zone else None)


def test_the_plan_is_of_one_country_and_asked_after_the_number() -> None:
    plan = [ZoneRange(3000000000, 9999999999, "Asia/Omsk")]
    assert found("+18005550100", plan) is None
    assert found("+73432123456", plan) == FoundZone(zone="Asia/Yekaterinburg", by="number")
    assert found("+79131234567", plan) == FoundZone(zone="Asia/Omsk", by="plan")


@pytest.mark.parametrize(
    ("number", "zone"),
    [("+77011234567", "Asia/Aqtobe"), ("+18762101234", "America/Jamaica"), ("+17872345678", "America/Puerto_Rico")],
)
def test_a_mobile_number_of_a_smaller_country_of_a_shared_code_is_called_by_that_countrys_time(
    number: str, zone: str
) -> None:
    assert found(number) == FoundZone(zone=zone, by="number")


def test_a_number_in_no_assigned_range_counts_for_its_country() -> None:
    assert not phonenumbers.is_valid_number(phonenumbers.parse("+49999999999"))
    assert found("+49999999999") == FoundZone(zone="Europe/Berlin", by="number")
    assert found("+79999999999999") is None


def test_zones_that_keep_the_same_time_all_year_are_one_answer() -> None:
    assert len(time_zones_for_number(phonenumbers.parse("+358457123456"))) == 2
    assert found("+358457123456") == FoundZone(zone="Europe/Helsinki", by="number")


@pytest.mark.parametrize(
    ("together", "same"),
    [
        (("Europe/Berlin",), True),
        ((), False),
        (("Europe/Berlin", "Europe/Paris"), True),
        (("Asia/Almaty", "Asia/Aqtobe"), True),
        (("Europe/Berlin", "Africa/Algiers"), False),
        (("America/Denver", "America/Phoenix"), False),
        (("Australia/Sydney", "Australia/Lord_Howe"), False),
        (("America/New_York", "America/Havana"), False),
    ],
)
def test_zones_are_the_same_only_if_they_are_in_every_hour_of_the_year(together: tuple[str, ...], same: bool) -> None:
    assert keep_the_same_time(together, TODAY) is same


def test_whether_zones_are_the_same_is_judged_for_the_year_to_come() -> None:
    together = ("Asia/Almaty", "Asia/Aqtobe")
    assert not keep_the_same_time(together, date(2023, 6, 1))
    assert ZoneFinder(today=date(2023, 6, 1)).find("+77011234567") is None


def test_every_zone_that_phonenumbers_names_is_in_the_time_zone_database() -> None:
    assert {zone for told in TIMEZONE_DATA.values() for zone in told} <= available_timezones()
    assert set(CORRECTED.values()) <= available_timezones()


# -- against phonenumbers


def some_numbers(seed: int) -> Iterator[str]:
    """Examples of every kind of number of every country, and the same with some digits changed."""
    chance = random.Random(seed)
    for code, regions in COUNTRY_CODE_TO_REGION_CODE.items():
        for region in regions:
            for kind in PhoneNumberType.values():
                example = phonenumbers.example_number_for_type(region, kind)
                if example is None and region == "001":
                    example = phonenumbers.example_number_for_non_geo_entity(code)
                if example is None:
                    continue
                national = phonenumbers.national_significant_number(example)
                yield f"+{code}{national}"
                for _ in range(20):
                    at = chance.randrange(len(national))
                    rest = "".join(chance.choices("0123456789", k=chance.choice((1, 2, len(national) - at))))
                    yield f"+{code}{national[:at]}{rest}{national[at + len(rest) :]}"


def parsed_as_written(number: str) -> phonenumbers.PhoneNumber | None:
    """None: no number, or one that phonenumbers would write in another way."""
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return None
    return parsed if phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164) == number else None


@pytest.mark.slow
def test_what_a_number_tells_is_what_phonenumbers_says_of_it() -> None:
    compared = 0
    for number in some_numbers(seed=1):
        parsed = parsed_as_written(number)
        if parsed is None:
            continue
        said = time_zones_for_number(parsed)
        told = told_by(parsed.country_code, phonenumbers.national_significant_number(parsed))
        country = TIMEZONE_DATA.get(str(parsed.country_code), ())
        if number[1:].startswith(tuple(CORRECTED)) and told != country:
            assert len(told) == 1
        elif said == (UNKNOWN_TIMEZONE,):
            assert told == country, number
        elif told != said:
            # A mobile number of a smaller country: a part of what phonenumbers says.
            assert phonenumbers.number_type(parsed) == PhoneNumberType.MOBILE, number
            assert phonenumbers.region_code_for_number(parsed) != COUNTRY_CODE_TO_REGION_CODE[parsed.country_code][0]
            assert said == country, number
        else:
            compared += 1
    assert compared > 5000


@pytest.mark.slow
def test_an_answer_kept_for_a_class_of_numbers_is_the_answer_for_each_of_them() -> None:
    finder = ZoneFinder(today=TODAY)
    same: dict[tuple[str, ...], bool] = {}
    tried = [number for number in some_numbers(seed=2) if parsed_as_written(number)]
    for number in tried:
        parsed = phonenumbers.parse(number)
        told = told_by(parsed.country_code, phonenumbers.national_significant_number(parsed))
        if told not in same:
            same[told] = keep_the_same_time(told, TODAY)
        answer = finder.find(number)
        assert (answer is not None) is same[told], number
        assert answer is None or (answer.by == "number" and answer.zone in told), number
    assert len(tried) > 5000


@pytest.mark.parametrize(("code", "digits"), [("7", 10), ("1", 10), ("55", 11), ("61", 9), ("62", 10)])
def test_random_numbers_of_countries_with_many_zones_get_the_answer_of_each_number(code: str, digits: int) -> None:
    chance = random.Random(int(code))
    finder = ZoneFinder(today=TODAY)
    for _ in range(2000):
        national = str(chance.randrange(10 ** (digits - 1), 10**digits))
        told = told_by(int(code), national)
        answer = finder.find(f"+{code}{national}")
        assert (answer.zone in told) if answer else len(told) != 1, national


def test_phonenumbers_is_asked_for_a_few_of_many_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def counted(code: int, national: str) -> tuple[str, ...]:
        asked.append(national)
        return told_by(code, national)

    monkeypatch.setattr(zones, "told_by", counted)
    finder = ZoneFinder(PLAN, today=TODAY)
    for number in range(9_130_000_000, 9_140_000_000, 1000):
        assert finder.find(f"+7{number}") == FoundZone(zone="Asia/Novosibirsk", by="plan")
    assert len(asked) <= 2


def test_the_zone_of_a_place_is_the_one_its_people_live_by() -> None:
    at = datetime(2026, 7, 1, 12, tzinfo=UTC)
    answer = found("+74012123456")
    assert answer is not None and at.astimezone(ZoneInfo(answer.zone)).hour == 14
