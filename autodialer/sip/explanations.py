"""What a refusal says of its reason beside the code: headers of the RFCs, and the providers' own."""

import re

from autodialer.sip.message import Response

_EXPLAINING = frozenset(("reason", "call-info", "error-info", "warning"))
_OWN_CAUSE = re.compile(r"^(?:x|p)-.*(?:cause|reason|error|disconnect|reject)")
MOST_EXPLANATIONS = 10
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
    return tuple(line[:LONGEST_EXPLANATION] for line in lines if line.isprintable())[:MOST_EXPLANATIONS]
