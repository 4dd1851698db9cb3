"""Where a number leads: a country, or one of the kinds that cost much or call for help; and where a trunk may call."""

from dataclasses import dataclass
from enum import StrEnum

COUNTRY = "country"
"""Why a number is refused whose country the trunk may not call."""


class Special(StrEnum):
    """Numbers that only an admin may allow. The word is also why such a number is refused."""

    PREMIUM = "premium"
    SHARED_COST = "shared_cost"
    PERSONAL = "personal"
    """Follows its owner, at a price that nobody knows before."""
    PAGER = "pager"
    SATELLITE = "satellite"
    """Also the international networks beside it: +870, +881, +882, +883, +888."""
    EMERGENCY = "emergency"
    SHORT = "short"
    """At most six digits, dialled as written: an extension of a PBX, or a service of the provider."""
    SERVICE_CODE = "service_code"
    """Has * or #: the provider may take it for an order, such as to forward all calls."""
    AS_WRITTEN = "as_written"
    """Longer, and of no country that its digits tell."""


@dataclass(frozen=True, kw_only=True)
class DialRules:
    """Where one trunk may call."""

    trunk: str
    """Its name."""
    countries: frozenset[str] | None
    """ISO 3166 regions; None: neither the trunk nor the callbase names one, so that no country is refused."""
    special: frozenset[str] = frozenset()
    """Kinds of `Special` that an admin has allowed."""
    by: str = "nothing"
    """What the countries come from: allowed_countries, caller_id, callbase or nothing."""
