"""The regions of the Russian numbering plan and the time they keep."""

from datetime import date
from zoneinfo import available_timezones

import phonenumbers
import pytest
from phonenumbers import geocoder

from autodialer.campaign.regions import SUBJECTS, zones_of_region
from autodialer.campaign.zones import CORRECTED, keep_the_same_time, told_by


@pytest.mark.parametrize(
    ("region", "zone"),
    [
        ("г. Москва", "Europe/Moscow"),
        ("г. Москва и Московская область", "Europe/Moscow"),
        ("Московская область * Москва|Московская область * Москва", "Europe/Moscow"),
        ("г. Санкт-Петербург и Ленинградская область", "Europe/Moscow"),
        ("г. Санкт - Петербург", "Europe/Moscow"),
        ("Калининградская обл.", "Europe/Kaliningrad"),
        ("г. Сочи|Краснодарский край", "Europe/Moscow"),
        ("г. Улан - Удэ|Республика Бурятия", "Asia/Irkutsk"),
        ("г. Норильск|Красноярский край", "Asia/Krasnoyarsk"),
        ("Корякский округ|Камчатский край", "Asia/Kamchatka"),
        ("Ханты - Мансийский - Югра АО", "Asia/Yekaterinburg"),
        ("Ханты-Мансийский автономный округ - Югра", "Asia/Yekaterinburg"),
        ("Ямало-Ненецкий АО", "Asia/Yekaterinburg"),
        ("Ненецкий АО", "Europe/Moscow"),
        ("Архангельская обл. и Ненецкий АО", "Europe/Moscow"),
        ("Чукотский автономный округ", "Asia/Anadyr"),
        ("Еврейская автономная обл.", "Asia/Vladivostok"),
        ("Республика Саха /Якутия/", "Asia/Yakutsk"),
        ("Сахалинская обл.", "Asia/Sakhalin"),
        ("Республика Удмуртская", "Europe/Samara"),
        ("Удмуртская республика", "Europe/Samara"),
        ("Чувашская Республика - Чувашия", "Europe/Moscow"),
        ("Республика Северная Осетия - Алания", "Europe/Moscow"),
        ("Кемеровская область - Кузбасс", "Asia/Novokuznetsk"),
        ("Алтайский край", "Asia/Barnaul"),
        ("Республика Алтай", "Asia/Barnaul"),
        ("Республика Крым и г. Севастополь", "Europe/Simferopol"),
        ("ОРЁЛ|ОРЛОВСКАЯ ОБЛ.", "Europe/Moscow"),
    ],
)
def test_a_region_is_known_however_the_plan_spells_it(region: str, zone: str) -> None:
    assert zones_of_region(region) == {zone}


@pytest.mark.parametrize(
    "region",
    ["", "Страна Оз", "Сургутский район и г. Сургут", "Красноярский край|г. Лондон", "р-н Московский"],
)
def test_a_region_that_names_no_subject_of_the_federation_is_unknown(region: str) -> None:
    assert zones_of_region(region) is None


@pytest.mark.parametrize(
    "region",
    [
        "Российская Федерация",
        "Российская Федерация, кроме Чукотского автономного округа",
        "Российская Федерация, за исключением Чеченской Республики, Республики Крым и города Севастополь",
        "Уральский федеральный округ, Приволжский федеральный округ",
    ],
)
def test_numbers_of_the_whole_country_have_no_zone_and_are_not_unknown(region: str) -> None:
    assert zones_of_region(region) == frozenset()


def test_a_range_of_regions_with_different_times_has_several_zones() -> None:
    assert zones_of_region("Омская область, Самарская область") == {"Asia/Omsk", "Europe/Samara"}


def test_all_subjects_of_the_federation_have_a_zone_that_exists() -> None:
    assert len(SUBJECTS) == len({names for names, _ in SUBJECTS}) == 89
    assert {zone for _, zone in SUBJECTS} <= available_timezones()


@pytest.mark.slow
def test_the_regions_keep_the_time_that_phonenumbers_knows_of_their_area_codes() -> None:
    """phonenumbers names the region of a fixed line in Russian, and its zone: two sources that are not ours."""
    compared, apart = set(), set()
    for code in range(300, 900):
        national = f"{code}2000000"
        number = phonenumbers.PhoneNumber(country_code=7, national_number=int(national))
        zones = zones_of_region(geocoder.description_for_number(number, "ru").rpartition(",")[2])
        told = told_by(7, national)
        if not zones or len(told) != 1:
            continue
        compared |= zones
        if not keep_the_same_time((*zones, *told), date(2026, 11, 23)):
            apart.add(f"7{code}")
    assert len(compared) >= 20
    assert apart == set(), CORRECTED
