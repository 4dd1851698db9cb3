"""Where a number leads, and whether the trunks of a campaign may call there. Pure.

A destination is a region (`RU`), a region and a kind (`RU:premium`), or a kind alone (`:satellite`). It follows from
the number only, so that it is found once and counted; what a trunk may call is asked at every claim.
"""

import re
from collections.abc import Sequence

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumber, PhoneNumberType

from autodialer.errors import Invalid
from autodialer.model import TrunkSettings
from autodialer.model.destinations import COUNTRY, DialRules, Special

LONGEST_SHORT = 6
"""Digits of an extension or a service; a subscriber's number has more, even without its area code."""
KINDS = {
    PhoneNumberType.PREMIUM_RATE: Special.PREMIUM,
    PhoneNumberType.SHARED_COST: Special.SHARED_COST,
    PhoneNumberType.PERSONAL_NUMBER: Special.PERSONAL,
    PhoneNumberType.PAGER: Special.PAGER,
}
NETWORKS = {
    # ITU-T E.164: codes that no country has. Of all but freephone, a minute costs what a satellite costs.
    800: None,
    808: Special.SHARED_COST,
    870: Special.SATELLITE,
    878: Special.PERSONAL,
    881: Special.SATELLITE,
    882: Special.SATELLITE,
    883: Special.SATELLITE,
    888: Special.SATELLITE,
    979: Special.PREMIUM,
}
EVERYWHERE = frozenset(("112", "911"))
"""Emergency numbers that networks connect in any country (3GPP TS 22.101 section 10.1)."""
NO_COUNTRY = "001"
"""phonenumbers' word for the region of such codes."""
ABROAD = re.compile(r"^(?:00|011|810)(?=[1-9])")
"""What is dialled before a country code: most of the world, North America, Russia and its neighbours."""
SAID = {
    Special.PREMIUM: "is a premium-rate number",
    Special.SHARED_COST: "is a shared-cost number",
    Special.PERSONAL: "is a personal number, whose price nobody knows before",
    Special.PAGER: "is a pager's",
    Special.SATELLITE: "is a satellite or international network's",
    Special.EMERGENCY: "is an emergency number",
    Special.SHORT: "is a short number: a service of the provider, or an extension of a PBX",
    Special.SERVICE_CODE: "has * or #, which a provider may take for an order such as to forward calls",
    Special.AS_WRITTEN: "is dialled as written, and its digits tell no country",
}


def destination(number: PhoneNumber) -> str:
    """Where a number leads that is possible by its length."""
    if number.country_code in NETWORKS:
        network = NETWORKS[number.country_code]
        return f":{network}" if network else NO_COUNTRY
    # Of an unassigned number the code's main region: where the code is shared, the digits mostly tell even then.
    main = phonenumbers.region_code_for_country_code(number.country_code or 0)
    region = phonenumbers.region_code_for_number(number) or main
    kind = KINDS.get(phonenumbers.number_type(number))
    return f"{region}:{kind}" if kind else region


def raw_destination(text: str) -> str:
    """Where digits, * and # lead that are dialled as written."""
    if not text.isdigit():
        return f":{Special.SERVICE_CODE}"
    if len(text) <= LONGEST_SHORT:
        return f":{Special.SHORT}"
    try:
        number = phonenumbers.parse(f"+{ABROAD.sub('', text, count=1)}")
    except NumberParseException:
        return f":{Special.AS_WRITTEN}"
    return destination(number) if phonenumbers.is_possible_number(number) else f":{Special.AS_WRITTEN}"


def refusal(where: str, rules: Sequence[DialRules], number: str | None = None) -> str | None:
    """Why a number that leads there is not called: `country` or a word of `Special`; None: it may be called.

    Every trunk has to allow it: a campaign's trunks stand in for each other. Without the number itself, an emergency
    number passes for the short number that it is.
    """
    return next((why for rule in rules if (why := _refusal(where, rule, number)) is not None), None)


def _refusal(where: str, rule: DialRules, number: str | None) -> str | None:
    region, _, kind = where.partition(":")
    if kind == Special.SHORT and number is not None and _is_emergency(number, rule.countries):
        kind = Special.EMERGENCY
    if kind and kind not in rule.special:
        return kind
    if region and region != NO_COUNTRY and rule.countries is not None and region not in rule.countries:
        return COUNTRY
    return None


def _is_emergency(number: str, countries: frozenset[str] | None) -> bool:
    # Connected, not just equal: some networks ignore what is dialled after 911.
    return any(number.startswith(each) for each in EVERYWHERE) or any(
        phonenumbers.connects_to_emergency_number(number, region) for region in countries or ()
    )


def explain_refusal(where: str, reason: str, rules: Sequence[DialRules], number: str | None = None) -> str:
    """A sentence about a refused number that says what to do; `number` None: about numbers of that kind."""
    rule = next((each for each in rules if _refusal(where, each, number) == reason), None)
    trunk = f"trunk {rule.trunk}" if rule else "the trunk"
    subject = number or "the number"
    if reason != COUNTRY:
        said = SAID[Special(reason)]
        return f"{subject} {said}; {trunk} calls such numbers once an admin puts {reason} into its allowed_special"
    countries = ", ".join(sorted(rule.countries or ())) if rule else ""
    by = BECAUSE[rule.by] if rule else ""
    region = where.partition(":")[0]
    return f"{subject} is of {region}, and {trunk} calls {countries} only{by}; add {region} to its allowed_countries"


BECAUSE = {
    "allowed_countries": "",
    "caller_id": ", the country of its caller_id",
    "callbase": ", the region of the callbase",
    "nothing": "",
}


def rules_of_trunk(trunk: TrunkSettings, region: str | None = None) -> DialRules:
    """Where a trunk may call for a callbase of that region; None, or `raw`, tells no country."""
    special = frozenset(trunk.allowed_special)
    if trunk.allowed_countries is not None:
        listed = frozenset(trunk.allowed_countries)
        return DialRules(trunk=trunk.name, countries=listed, special=special, by="allowed_countries")
    country = region if region in phonenumbers.SUPPORTED_REGIONS else None
    own = _caller_country(trunk.caller_id, country)
    if own is not None:
        return DialRules(trunk=trunk.name, countries=frozenset((own,)), special=special, by="caller_id")
    if country is not None:
        return DialRules(trunk=trunk.name, countries=frozenset((country,)), special=special, by="callbase")
    return DialRules(trunk=trunk.name, countries=None, special=special)


def _caller_country(caller_id: str | None, region: str | None) -> str | None:
    """The country of a caller ID, with or without its plus; None: it is no number that tells one.

    Without the plus it may be written as in the callbase's country: 84951234567 is Moscow there, and Vietnam elsewhere.
    """
    if not caller_id:
        return None
    readings = [caller_id] if caller_id.startswith("+") else [caller_id, f"+{caller_id}"]
    for text in readings:
        try:
            number = phonenumbers.parse(text, region)
        except NumberParseException:
            continue
        if phonenumbers.is_valid_number(number):
            return phonenumbers.region_code_for_number(number)
    return None


def check_countries(regions: Sequence[str]) -> tuple[str, ...]:
    """ISO 3166 regions in capitals, each once. Raises Invalid."""
    found = tuple(dict.fromkeys(region.strip().upper() for region in regions))
    unknown = [region for region in found if region not in phonenumbers.SUPPORTED_REGIONS]
    if unknown:
        raise Invalid(
            "allowed_countries takes two-letter codes of countries such as RU (ISO 3166); there is no"
            f" {', '.join(map(repr, unknown))}.",
            field="allowed_countries",
        )
    return found
