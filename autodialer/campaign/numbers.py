"""Phone numbers: what a user wrote -> what is stored (E.164) -> what the provider wants dialled."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumber, ValidationResult

from autodialer.campaign.destinations import destination, raw_destination
from autodialer.campaign.number_rules import rules_of
from autodialer.campaign.written import clean, parts
from autodialer.errors import Invalid
from autodialer.model.destinations import Special

RAW = "raw"
"""Region that means: dial the text as written."""
NO_REGION = "ZZ"
"""phonenumbers' word for: only numbers with a country code."""
LONGEST_RAW = 32
LONGEST_NUMBER = 50
"""Characters of a number with the signs between its digits."""
FLAG_UNASSIGNED = "unassigned"
"""Possible by its length, but in no range that the numbering plan has assigned."""

DOUBT = "has the length of a phone number, but is in no range that the numbering plan has assigned"

MORE_BEHIND = (
    "has more behind the number: an extension cannot be dialled, and a second number needs a cell of its own; for "
    "extensions use a callbase with region raw"
)

_RAW_PATTERN = re.compile(rf"[0-9*#]{{1,{LONGEST_RAW}}}")
_SCIENTIFIC = re.compile(r"\d[.,]?\d*[eE]\+?\d+")
_INTEGRAL_FLOAT = re.compile(r"(\d+)[.,]0+")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_BETWEEN_NUMBERS = re.compile(r"[,;/|\n]+|\s(?:и|или|та|або|және|and|or)\s", re.IGNORECASE)
_FORMATTED = re.compile(r"\+?[0-9*#]{1,64}")
_ORDINARY = re.compile(r"\+?[0-9][0-9 ()-]*[0-9]")
_GAP = re.compile(r"(?<=[0-9])[^0-9]+(?=[0-9])")
_TOO_SHORT = (ValidationResult.TOO_SHORT, ValidationResult.IS_POSSIBLE_LOCAL_ONLY)


@dataclass(frozen=True, kw_only=True)
class Number:
    """A number that can be dialled."""

    number: str
    """E.164 with the plus, or the text as written for region `raw`."""
    flag: str | None
    """`unassigned`: possible by its length only; None: valid."""
    destination: str
    """Where it leads; see `autodialer.campaign.destinations`."""

    @property
    def doubt(self) -> str | None:
        """Why the number may be wrong, a sentence for a person; None: it is valid."""
        return None if self.flag is None else DOUBT


def check_region(region: str) -> str:
    """The region in its canonical spelling: by code or by name (`ru`, `Россия`), or `raw`. Raises Invalid."""
    said = " ".join(clean(region).split())
    if said.casefold() == RAW:
        return RAW
    if said.upper() in phonenumbers.SUPPORTED_REGIONS:
        return said.upper()
    found = regions_by_name().get(said.casefold())
    if found is None:
        raise Invalid(
            "region takes the name of a country or its two-letter code such as RU, or raw to dial numbers as written; "
            f"it is {region!r}",
            field="region",
        )
    return found


@cache
def regions_by_name() -> Mapping[str, str]:
    """Names of countries, in all languages and without capitals -> their codes; a name that two have is left out."""
    # Half a megabyte, which only a user who writes a name needs.
    from phonenumbers.geodata.locale import LOCALE_DATA

    codes: dict[str, set[str]] = {}
    for code, names in LOCALE_DATA.items():
        if code in phonenumbers.SUPPORTED_REGIONS:
            for name in names.values():
                codes.setdefault(name.casefold(), set()).add(code)
    return {name: next(iter(found)) for name, found in codes.items() if len(found) == 1 and not name.startswith("*")}


def normalise(text: str, region: str) -> Number:
    """The number that `text` means in `region`. Raises Invalid with the reason, which is kept with a rejected row."""
    if _ORDINARY.fullmatch(text) and region != RAW:
        return _whole_number(text, region)  # nine cells in ten
    text = clean(text)
    if not text:
        raise Invalid("empty", field="number")
    if integral := _INTEGRAL_FLOAT.fullmatch(text):
        text = integral[1]
    if _SCIENTIFIC.fullmatch(text):
        raise Invalid(
            "written in scientific notation by a spreadsheet, digits are lost; format the column as text or as a "
            "number without decimals and export it again",
            field="number",
        )
    if region == RAW:
        return _normalise_raw(text)
    return _whole_number(_without_remark(text), region)


def destination_of(number: str) -> str:
    """Where a stored number leads."""
    try:
        return _by_rule(number, NO_REGION).destination if number.startswith("+") else raw_destination(number)
    except Invalid:
        # No notation of ours: stored by hand, or by another release of the library.
        return f":{Special.AS_WRITTEN}"


def numbers_to_block(text: str, region: str) -> list[str]:
    """Every number that a cell of a stop list may mean, in the notation of `normalise`.

    A list blocks too much rather than too little: each of several numbers, the number before an extension, and both
    readings of a doubtful number. Raises Invalid, as `normalise` does, when the cell holds no number.
    """
    try:
        return _readings(normalise(text, region), text, region)
    except Invalid:
        found = _raw_apart(clean(text)) if region == RAW else _numbers_apart(clean(text), region)
        if not found:
            raise
        return found


def _raw_apart(text: str) -> list[str]:
    return [part for part in re.split(r"[\s,;/|]+", text) if _RAW_PATTERN.fullmatch(part)]


def dial_string(number: str, number_format: str) -> str:
    """What is dialled for a stored number: a `raw` one as written, an E.164 one by the trunk's template."""
    if not number.startswith("+"):
        return number
    parsed = phonenumbers.parse(number)
    national = phonenumbers.national_significant_number(parsed)
    return number_format.replace("{e164}", number[1:]).replace("{national}", national)


def check_number_format(number_format: str) -> str:
    """The template itself when it makes a number that can be dialled. Raises Invalid that names the field."""
    unknown = set(_PLACEHOLDER.findall(number_format)) - {"e164", "national"}
    example = number_format.replace("{e164}", "70000000000").replace("{national}", "0000000000")
    if unknown or "{" not in number_format or not _FORMATTED.fullmatch(example):
        raise Invalid(
            "number_format takes digits around {e164} (digits without the plus) or {national}, for example {e164}, "
            f"+{{e164}} or 8{{national}}; it is {number_format!r}",
            field="number_format",
        )
    return number_format


def _normalise_raw(text: str) -> Number:
    # Nothing is taken out: `101 102` are two extensions, and `101102` would be a third.
    if not _RAW_PATTERN.fullmatch(text):
        raise Invalid(
            f"not dialable as written: only digits, * and #, at most {LONGEST_RAW}, without spaces and other signs",
            field="number",
        )
    return Number(number=text, flag=None, destination=raw_destination(text))


def _without_remark(text: str) -> str:
    """The number without the words around it. Raises Invalid when what follows it may belong to the number."""
    written = parts(text)
    if written is None:
        raise Invalid("not a phone number", field="number")
    # phonenumbers would take letters and stars for digits: `79160000001 ext.` would be dialled as +779160000001398.
    if any(character.isdigit() or character in "*#" for character in written.after):
        raise Invalid(MORE_BEHIND, field="number")
    return written.number


def _whole_number(text: str, region: str) -> Number:
    """The number that all digits of the text make together. Raises Invalid."""
    try:
        number = _by_rule(text, region)
    except Invalid:
        _refuse_two_in_one(text, region)
        raise
    if number.flag is None:
        return number
    # Possible by its length only, so perhaps something else: digits too many, or a call abroad.
    _refuse_two_in_one(text, region)
    return _abroad(text, region) or number


def _by_rule(text: str, region: str) -> Number:
    rules = rules_of(region)
    known = rules.look_up(text)
    if known is None:
        number = _normalise_e164(text, region)
        rules.learn(text, number.number, number.flag, number.destination)
        return number
    return Number(number=known[0], flag=known[1], destination=known[2])


def _refuse_two_in_one(text: str, region: str) -> None:
    """Raises Invalid when the text begins with a whole number, which what follows would turn into another."""
    begin = _whole_beginning(text, region)
    if begin is not None:
        raise Invalid(MORE_BEHIND, field="number")


def _whole_beginning(text: str, region: str) -> tuple[int, Number] | None:
    """Where the longest valid number ends that is a part of the text, up to a sign between digits; the number."""
    for gap in reversed(list(_GAP.finditer(text[:LONGEST_NUMBER]))):
        try:
            number = _by_rule(text[: gap.start()], region)
        except Invalid:
            continue
        if number.flag is None:
            return gap.start(), number
    return None


def _abroad(text: str, region: str) -> Number | None:
    """A number that begins with 00: most of the world dials that before a country code, and writes it everywhere."""
    digits = phonenumbers.normalize_digits_only(text)
    if text.startswith("+") or not digits.startswith("00"):
        return None
    try:
        return _normalise_e164(f"+{digits[2:]}", region)
    except Invalid:
        return None


def _readings(number: Number, text: str, region: str) -> list[str]:
    found = [number.number]
    if number.flag is not None:
        digits = phonenumbers.normalize_digits_only(clean(text))
        for other in (f"+{digits}", digits):
            try:
                found.append(_normalise_e164(other, region).number)
            except Invalid:
                continue
    return list(dict.fromkeys(found))


def _numbers_apart(text: str, region: str) -> list[str]:
    """The numbers of a text that is not one number, without what follows each."""
    found: list[str] = []
    for part in _BETWEEN_NUMBERS.split(text):
        written = parts(part)
        while written is not None:
            begin = _whole_beginning(written.number, region)
            left = f"{written.number[begin[0] :]} {written.after}" if begin else written.after
            try:
                number = begin[1] if begin else _whole_number(written.number, region)
                found += _readings(number, number.number if begin else written.number, region)
            except Invalid:
                pass  # an extension, a house number
            written = parts(left)
    return list(dict.fromkeys(found))


def _normalise_e164(text: str, region: str) -> Number:
    try:
        parsed = phonenumbers.parse(text, region)
    except NumberParseException as exc:
        raise Invalid(_parse_reason(exc), field="number") from exc
    if parsed.extension:
        raise Invalid("has an extension, which cannot be dialled; use a callbase with region raw", field="number")
    possible = phonenumbers.is_possible_number_with_reason(parsed)
    if possible != ValidationResult.IS_POSSIBLE:
        parsed = _international_without_plus(text, region) or parsed
        possible = phonenumbers.is_possible_number_with_reason(parsed)
    if possible != ValidationResult.IS_POSSIBLE:
        raise Invalid(_length_reason(possible, parsed, region), field="number")
    e164 = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    flag = None if phonenumbers.is_valid_number(parsed) else FLAG_UNASSIGNED
    return Number(number=e164, flag=flag, destination=destination(parsed))


def _international_without_plus(text: str, region: str) -> PhoneNumber | None:
    """A number with the region's country code but no plus, which the library understands in assigned ranges only."""
    digits = phonenumbers.normalize_digits_only(text)
    if not digits.startswith(str(phonenumbers.country_code_for_region(region))):
        return None
    try:
        return phonenumbers.parse(f"+{digits}", region)
    except NumberParseException:
        return None


def _parse_reason(exc: NumberParseException) -> str:
    if exc.error_type == NumberParseException.INVALID_COUNTRY_CODE:
        return "the country code does not exist"
    if exc.error_type == NumberParseException.TOO_LONG:
        return "too long for a phone number"
    if exc.error_type in (NumberParseException.TOO_SHORT_NSN, NumberParseException.TOO_SHORT_AFTER_IDD):
        return "too short for a phone number"
    return "not a phone number"


def _length_reason(possible: int, parsed: PhoneNumber, region: str) -> str:
    if possible in _TOO_SHORT:
        return f"too short for a phone number of {region}"
    if possible == ValidationResult.TOO_LONG:
        return f"too long for a phone number of {region}"
    if possible == ValidationResult.INVALID_COUNTRY_CODE:
        return f"the country code {parsed.country_code} does not exist"
    return f"no phone number of {region} has this length"
