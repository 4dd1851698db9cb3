"""One cleaning step for what people and programs write where a phone number is meant; what stands around the number."""

import re
import unicodedata
from dataclasses import dataclass

_PLAIN = re.compile(r"[+0-9 ()*#-]+")
_DASHES = dict.fromkeys(map(ord, "\u2212\u2043\u02d7"), "-")
"""Written for a hyphen, although Unicode does not have them among the dashes (Pd)."""
_FORMULA = re.compile(r'=\s*"(.*)"', re.DOTALL)
"""How programs keep a spreadsheet from changing a number: ="79161234567"."""
_QUOTES = "'\"`\u2018\u2019\u201c\u201d\u00ab\u00bb"
_DIGITS = re.compile(r"[0-9](?:[0-9\s().\-/~]*[0-9])?\)?")


@dataclass(frozen=True, kw_only=True)
class Written:
    """A cell in its parts."""

    before: str
    """A label such as `моб.:`, which holds no digit."""
    number: str
    """From the first digit, or the plus before it, as far as digits and the signs between them go."""
    after: str
    """What follows: a remark, an extension, another number."""


def clean(text: str) -> str:
    """The text in plain characters: no invisible ones, one kind of space, of hyphen and of digit, no quotes around.

    NFKC makes full-width digits and narrow spaces plain. Format characters (Cf: zero-width spaces, byte order and
    direction marks) and variation selectors go; every dash is a hyphen.
    """
    if _PLAIN.fullmatch(text):
        return text.strip()
    found = []
    for character in unicodedata.normalize("NFKC", text.translate(_DASHES)):
        kind = unicodedata.category(character)
        if kind == "Nd":
            found.append(str(unicodedata.digit(character)))
        elif kind in ("Zs", "Zl", "Zp", "Cc"):
            found.append(" ")
        elif kind == "Pd":
            found.append("-")
        # NFKC has joined letters with their marks (й): a mark that is left is an ornament.
        elif kind not in ("Cf", "Cn", "Mn", "Me"):
            found.append(character)
    plain = "".join(found).strip()
    if formula := _FORMULA.fullmatch(plain):
        plain = formula[1]
    return plain.strip(_QUOTES).strip()


def parts(text: str) -> Written | None:
    """The parts of a text that has been cleaned; None: it holds no digit."""
    found = _DIGITS.search(text)
    if found is None:
        return None
    start = found.start()
    while start and text[start - 1] in "+( ":
        start -= 1
    return Written(
        before=text[:start].strip(), number=text[start : found.end()].strip(), after=text[found.end() :].strip()
    )
