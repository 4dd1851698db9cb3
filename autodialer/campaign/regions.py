"""The subjects of the Russian Federation: how the numbering plan names them, and the time that they keep.

The regulator's files spell one subject in many ways ("Ханты - Мансийский - Югра АО", "Ханты-Мансийский автономный
округ - Югра"), put a town or district before it ("г. Сочи|Краснодарский край") and some ranges are of several subjects
("г. Москва и Московская область"). Hence a subject is known by the one or two words that only its own name has.
"""

import re

MOSCOW, SAMARA, YEKATERINBURG = "Europe/Moscow", "Europe/Samara", "Asia/Yekaterinburg"
KRASNOYARSK, BARNAUL, IRKUTSK = "Asia/Krasnoyarsk", "Asia/Barnaul", "Asia/Irkutsk"
YAKUTSK, VLADIVOSTOK, SIMFEROPOL = "Asia/Yakutsk", "Asia/Vladivostok", "Europe/Simferopol"

SUBJECTS: tuple[tuple[str, str], ...] = (
    # Republics.
    ("адыгея", MOSCOW),
    ("алтай", BARNAUL),
    ("башкортостан", YEKATERINBURG),
    ("бурятия", IRKUTSK),
    ("дагестан", MOSCOW),
    ("донецкая", MOSCOW),
    ("ингушетия", MOSCOW),
    ("кабардино балкарская/кабардино балкария", MOSCOW),
    ("калмыкия", MOSCOW),
    ("карачаево черкесская/карачаево черкесия", MOSCOW),
    ("карелия", MOSCOW),
    ("коми", MOSCOW),
    ("крым", SIMFEROPOL),
    ("луганская", MOSCOW),
    ("марий эл", MOSCOW),
    ("мордовия", MOSCOW),
    # Three zones; in this one live nine of ten of its people.
    ("саха/якутия", YAKUTSK),
    ("северная осетия", MOSCOW),
    ("татарстан", MOSCOW),
    ("тыва/тува", KRASNOYARSK),
    ("удмуртская/удмуртия", SAMARA),
    ("хакасия", KRASNOYARSK),
    ("чеченская/чечня", MOSCOW),
    ("чувашская/чувашия", MOSCOW),
    # Territories (край).
    ("алтайский", BARNAUL),
    ("забайкальский", "Asia/Chita"),
    ("камчатский", "Asia/Kamchatka"),
    ("краснодарский", MOSCOW),
    ("красноярский", KRASNOYARSK),
    ("пермский/пермская", YEKATERINBURG),
    ("приморский", VLADIVOSTOK),
    ("ставропольский", MOSCOW),
    ("хабаровский", VLADIVOSTOK),
    # Regions (область).
    ("амурская", YAKUTSK),
    ("архангельская", MOSCOW),
    ("астраханская", "Europe/Astrakhan"),
    ("белгородская", MOSCOW),
    ("брянская", MOSCOW),
    ("владимирская", MOSCOW),
    ("волгоградская", "Europe/Volgograd"),
    ("вологодская", MOSCOW),
    ("воронежская", MOSCOW),
    ("запорожская", MOSCOW),
    ("ивановская", MOSCOW),
    ("иркутская", IRKUTSK),
    ("калининградская", "Europe/Kaliningrad"),
    ("калужская", MOSCOW),
    ("кемеровская/кузбасс", "Asia/Novokuznetsk"),
    ("кировская", "Europe/Kirov"),
    ("костромская", MOSCOW),
    ("курганская", YEKATERINBURG),
    ("курская", MOSCOW),
    ("ленинградская", MOSCOW),
    ("липецкая", MOSCOW),
    ("магаданская", "Asia/Magadan"),
    ("московская", MOSCOW),
    ("мурманская", MOSCOW),
    ("нижегородская", MOSCOW),
    ("новгородская", MOSCOW),
    ("новосибирская", "Asia/Novosibirsk"),
    ("омская", "Asia/Omsk"),
    ("оренбургская", YEKATERINBURG),
    ("орловская", MOSCOW),
    ("пензенская", MOSCOW),
    ("псковская", MOSCOW),
    ("ростовская", MOSCOW),
    ("рязанская", MOSCOW),
    ("самарская", SAMARA),
    ("саратовская", "Europe/Saratov"),
    ("сахалинская", "Asia/Sakhalin"),
    ("свердловская", YEKATERINBURG),
    ("смоленская", MOSCOW),
    ("тамбовская", MOSCOW),
    ("тверская", MOSCOW),
    ("томская", "Asia/Tomsk"),
    ("тульская", MOSCOW),
    ("тюменская", YEKATERINBURG),
    ("ульяновская", "Europe/Ulyanovsk"),
    ("херсонская", MOSCOW),
    ("челябинская", YEKATERINBURG),
    ("ярославская", MOSCOW),
    # Towns.
    ("москва", MOSCOW),
    ("санкт петербург", MOSCOW),
    ("севастополь", SIMFEROPOL),
    # Autonomous region and areas.
    ("еврейская", VLADIVOSTOK),
    ("ненецкий", MOSCOW),
    ("ханты мансийский/югра", YEKATERINBURG),
    ("чукотский", "Asia/Anadyr"),
    ("ямало ненецкий", YEKATERINBURG),
)
"""Words that name a subject, other names after a slash, and its zone: all 89 that the regulator allots numbers to."""

_ZONES = {tuple(name.split()): zone for names, zone in SUBJECTS for name in names.split("/")}
_MANY = re.compile(r"российская федерация|федеральный округ")
_WORD = re.compile(r"[а-я]+")
_PARTS = "|"
"""Between a town or district and the subject that it is in."""


def zones_of_region(text: str) -> frozenset[str] | None:
    """The time zones of what the plan gives as a region; None: it names no subject of the federation.

    Empty for numbers of the whole country or of a federal district.
    """
    subject = text.lower().replace("ё", "е").rpartition(_PARTS)[2]
    if _MANY.search(subject):
        return frozenset()
    return _named(_WORD.findall(subject)) or None


def _named(words: list[str]) -> frozenset[str]:
    """Zones of all subjects named; two words go before one, because the Yamalo-Nenets are not the Nenets."""
    zones: set[str] = set()
    at = 0
    while at < len(words):
        length = next((length for length in (2, 1) if tuple(words[at : at + length]) in _ZONES), 0)
        if length:
            zones.add(_ZONES[tuple(words[at : at + length])])
        at += length or 1
    return frozenset(zones)
