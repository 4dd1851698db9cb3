"""Caller IDs that a provider lets a trunk show: what is said of them, and the warning where another is shown."""

from collections.abc import Sequence

from autodialer.api.present import Json
from autodialer.errors import Invalid
from autodialer.model import Campaign, ShownNumber, Trunk
from autodialer.store import Store

NOT_LISTED = "caller_id_not_listed"
MOST_NAMED = 5
"""Numbers that a warning lists."""


def check_caller_ids(caller_ids: Sequence[ShownNumber]) -> tuple[ShownNumber, ...]:
    """The list itself. Raises Invalid for a number that stands twice in it."""
    seen: set[str] = set()
    for each in caller_ids:
        if _digits(each.number) in seen:
            raise Invalid(f"caller_ids has {each.number} twice; keep one of them.", field="caller_ids")
        seen.add(_digits(each.number))
    return tuple(caller_ids)


def warnings_of_trunk(trunk: Trunk) -> list[Json]:
    """Of its own caller ID."""
    return _warnings(trunk.caller_id, trunk.name, trunk.caller_ids)


def warnings_of_campaigns(store: Store, campaigns: Sequence[Campaign]) -> dict[int, list[Json]]:
    """Campaign key -> the warnings on its caller ID, one for each trunk that has not listed it."""
    named = [campaign for campaign in campaigns if campaign.caller_id]
    # Most campaigns leave the caller ID to their trunks, and cost no look at them.
    known = store.trunks.shown_numbers({key for campaign in named for key in campaign.trunk_keys}) if named else {}
    return {
        campaign.key: [
            warning
            for key in campaign.trunk_keys
            if key in known
            for warning in _warnings(campaign.caller_id, *known[key])
        ]
        for campaign in named
    }


def _warnings(caller_id: str | None, trunk: str, listed: Sequence[ShownNumber]) -> list[Json]:
    if not caller_id or not listed or _digits(caller_id) in {_digits(each.number) for each in listed}:
        return []
    numbers = ", ".join(each.number for each in listed[:MOST_NAMED])
    more = f" and {len(listed) - MOST_NAMED} more" if len(listed) > MOST_NAMED else ""
    message = (
        f"caller_id {caller_id} is not among the numbers that trunk {trunk} may show ({numbers}{more}): its provider"
        " may refuse the calls or show another number. Set one of these as caller_id, or add it to the trunk's"
        " caller_ids."
    )
    return [{"code": NOT_LISTED, "message": message}]


def _digits(number: str) -> str:
    return number.removeprefix("+")
