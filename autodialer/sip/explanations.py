"""What a refusal says of its reason beside the code: headers of the RFCs, and the providers' own."""

import re

from autodialer.sip.fields import split_values, unquote
from autodialer.sip.message import Response

_EXPLAINING = frozenset(("reason", "call-info", "error-info", "warning"))
_OWN_CAUSE = re.compile(r"^(?:x|p)-.*(?:cause|reason|error|disconnect|reject)")
_REFUSES_MEDIA = (415, 488, 606)
_WARNING = re.compile(r'\s*\d{3} +\S+ +("(?:[^"\\]|\\.)*")\s*', re.ASCII)
"""RFC 3261 section 20.43."""
LONGEST_WARNING = 200
"""Characters of it that are kept."""
MOST_EXPLANATIONS = 10
"""Header lines that are kept of one refusal."""
LONGEST_EXPLANATION = 500
"""Characters: a provider may put a whole signed card into Call-Info."""


def explanations(response: Response) -> tuple[str, ...]:
    """Header lines of a refusal that say why: RFC 3326, RFC 8197 and RFC 8688 (Call-Info), and providers' own."""
    named = [name for name in response.headers if name in _EXPLAINING or _OWN_CAUSE.search(name)]
    lines = (
        f"{'-'.join(part.capitalize() for part in name.split('-'))}: {' '.join(value.split())}"
        for name in named
        for value in response.headers[name]
    )
    # A peer's words, for the record and for people: no control characters, and no more than fits.
    return tuple(line[:LONGEST_EXPLANATION] for line in lines if line.isprintable())[:MOST_EXPLANATIONS]


def warning_of(response: Response | None) -> str | None:
    """What a peer that refuses the offered media says of it in words; None: it says nothing, or refuses another thing.

    RFC 3261 section 21.4.26, section 21.6.4: the reason is in a Warning.
    """
    if response is None or response.code not in _REFUSES_MEDIA:
        return None
    found = (_WARNING.fullmatch(value) for value in split_values(response.headers.get("warning", [])))
    said = [text for match in found if match is not None and (text := unquote(match.group(1)).strip())]
    return f"The peer says: {'; '.join(said)[:LONGEST_WARNING]}" if said else None
