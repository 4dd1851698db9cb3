"""Where numbers lead, and which of them a trunk may call: the frauds that thieves commit are rows of a table."""

from typing import Any

import phonenumbers
import pytest

from autodialer.campaign.admission import CALL, admit
from autodialer.campaign.destinations import check_countries, explain_refusal, refusal, rules_of_trunk
from autodialer.campaign.numbers import destination_of, normalise
from autodialer.errors import Invalid
from autodialer.model import SubscriberState, TrunkSettings
from autodialer.model.admission import End, Exclude, OpenHours
from autodialer.model.destinations import DialRules, Special
from tests.campaign.factories import NOW
from tests.campaign.test_admission import candidate

RU = DialRules(trunk="line", countries=frozenset(("RU",)), by="allowed_countries")
ANYWHERE = DialRules(trunk="line", countries=None)


def trunk(**changes: Any) -> TrunkSettings:
    return TrunkSettings(**{"name": "line", "host": "sip.example", **changes})


@pytest.mark.parametrize(
    ("number", "where"),
    [
        ("+79161234567", "RU"),
        ("+77011234567", "KZ"),
        ("+78001234567", "RU"),
        ("+78095551234", "RU:premium"),
        ("+70000000001", "RU"),
        ("+12015550101", "US"),
        ("+14165550101", "CA"),
        ("+18765550101", "JM"),
        ("+19005550101", "US:premium"),
        ("+442079460000", "GB"),
        ("+447012345678", "GB:personal"),
        ("+4918012345678", "DE:shared_cost"),
        ("+447640123456", "GB:pager"),
        ("+870773111632", ":satellite"),
        ("+881612345678", ":satellite"),
        ("+882161234567", ":satellite"),
        ("+883510012345678", ":satellite"),
        ("+979123456789", ":premium"),
        ("+80012345678", "001"),
        ("79161234567", "RU"),
        ("70000000001", "RU"),
        ("81077011234567", "KZ"),
        ("00881612345678", ":satellite"),
        ("8101881612345678"[:16], ":as_written"),
        ("011870773111632", ":satellite"),
        ("78095551234", "RU:premium"),
        ("89161234567", ":as_written"),
        ("101", ":short"),
        ("112", ":short"),
        ("*21*79161234567#", ":service_code"),
        ("*100#", ":service_code"),
    ],
)
def test_a_number_leads_where_the_numbering_plans_say(number: str, where: str) -> None:
    assert destination_of(number) == where


@pytest.mark.parametrize(
    ("number", "rules", "reason"),
    [
        ("+79161234567", RU, None),
        ("+77011234567", RU, "country"),
        ("+77011234567", ANYWHERE, None),
        ("+80012345678", RU, None),
        ("+78095551234", RU, "premium"),
        ("+78095551234", ANYWHERE, "premium"),
        ("+881612345678", ANYWHERE, "satellite"),
        ("+19005550101", RU, "premium"),
        ("112", ANYWHERE, "emergency"),
        ("911", ANYWHERE, "emergency"),
        ("9115", ANYWHERE, "emergency"),
        ("103", RU, "emergency"),
        ("999", DialRules(trunk="line", countries=frozenset(("GB",))), "emergency"),
        ("205", RU, "short"),
        ("*21*79161234567#", ANYWHERE, "service_code"),
        ("89161234567", RU, "as_written"),
        ("0077011234567", RU, "country"),
    ],
)
def test_what_costs_much_or_calls_for_help_is_refused_until_an_admin_allows_it(
    number: str, rules: DialRules, reason: str | None
) -> None:
    where = destination_of(number)
    assert refusal(where, [rules], number) == reason
    if reason is not None:
        said = explain_refusal(where, reason, [rules], number)
        assert number in said
        assert ("allowed_countries" if reason == "country" else f"{reason} into its allowed_special") in said
    if reason in set(Special) and number != "+19005550101":
        allowed = DialRules(trunk="line", countries=rules.countries, special=frozenset((reason,)))
        assert refusal(where, [allowed], number) is None


def test_extensions_may_be_allowed_without_the_emergency_numbers_among_them() -> None:
    pbx = DialRules(trunk="pbx", countries=frozenset(("RU",)), special=frozenset(("short",)))
    assert refusal(destination_of("205"), [pbx], "205") is None
    assert refusal(destination_of("112"), [pbx], "112") == "emergency"


def test_a_premium_number_abroad_needs_both_its_country_and_its_kind() -> None:
    premium = DialRules(trunk="line", countries=frozenset(("RU",)), special=frozenset(("premium",)))
    assert refusal("GB:premium", [premium]) == "country"
    assert refusal("RU:premium", [premium]) is None


def test_every_trunk_of_a_campaign_has_to_allow_a_number() -> None:
    kz = DialRules(trunk="kz", countries=frozenset(("KZ",)))
    assert refusal("RU", [RU, kz]) == "country"
    assert "trunk kz calls KZ only" in explain_refusal("RU", "country", [RU, kz], "+79161234567")


@pytest.mark.parametrize("kind", list(phonenumbers.PhoneNumberType.values()))
def test_the_kinds_of_every_country_are_told_apart_as_the_library_does(kind: int) -> None:
    special = {
        phonenumbers.PhoneNumberType.PREMIUM_RATE: "premium",
        phonenumbers.PhoneNumberType.SHARED_COST: "shared_cost",
        phonenumbers.PhoneNumberType.PERSONAL_NUMBER: "personal",
        phonenumbers.PhoneNumberType.PAGER: "pager",
    }
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        example = phonenumbers.example_number_for_type(region, kind)
        if example is None or not phonenumbers.is_valid_number(example):
            continue
        written = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
        where = destination_of(written)
        if where == ":as_written":
            # Of no length that a call from abroad can have, so that no callbase takes it in.
            with pytest.raises(Invalid):
                normalise(written, "ZZ")
            continue
        name = phonenumbers.region_code_for_number(example)
        said = special.get(phonenumbers.number_type(example))
        assert where == (f"{name}:{said}" if said else name)


@pytest.mark.parametrize(
    ("settings", "region", "countries", "by"),
    [
        ({}, None, None, "nothing"),
        ({}, "raw", None, "nothing"),
        ({}, "RU", {"RU"}, "callbase"),
        ({"caller_id": "+77011234567"}, "RU", {"KZ"}, "caller_id"),
        ({"caller_id": "77011234567"}, None, {"KZ"}, "caller_id"),
        ({"caller_id": "84951234567"}, "RU", {"RU"}, "caller_id"),
        ({"caller_id": "4951234567"}, "RU", {"RU"}, "caller_id"),
        ({"caller_id": "office"}, "RU", {"RU"}, "callbase"),
        ({"caller_id": "101"}, None, None, "nothing"),
        ({"allowed_countries": ("DE", "AT"), "caller_id": "+77011234567"}, "RU", {"DE", "AT"}, "allowed_countries"),
        ({"allowed_countries": ()}, "RU", set(), "allowed_countries"),
    ],
)
def test_a_trunk_calls_its_countries_else_its_caller_ids_else_the_callbases(
    settings: dict[str, Any], region: str | None, countries: set[str] | None, by: str
) -> None:
    rules = rules_of_trunk(trunk(**settings), region)
    assert (rules.countries, rules.by) == (countries, by)


def test_countries_are_codes_that_exist() -> None:
    assert check_countries(["ru", "KZ", "RU"]) == ("RU", "KZ")
    with pytest.raises(Invalid, match="'XX'"):
        check_countries(["RU", "XX"])


@pytest.mark.parametrize("stored", ["KZ", None])
def test_admission_excludes_a_number_abroad_wherever_its_destination_comes_from(stored: str | None) -> None:
    known = candidate(number="+77011234567", destination=stored, dial_rules=(RU,))
    assert admit([known], OpenHours(), lambda _: {}, NOW) == [Exclude(reason="country")]
    reached = candidate(number="+77011234567", dial_rules=(RU,), retries_used={"short": 1})
    ended = End(reason="country", state=SubscriberState.REACHED)
    assert admit([reached], OpenHours(), lambda _: {}, NOW) == [ended]
    assert admit([candidate(dial_rules=(RU,))], OpenHours(), lambda _: {}, NOW) == [CALL]
    assert admit([candidate(number="+77011234567")], OpenHours(), lambda _: {}, NOW) == [CALL]
