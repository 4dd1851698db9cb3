"""What a user sends of a trunk or a campaign, as it is stored: spellings checked, ids turned into keys."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from uuid import UUID

from autodialer.errors import Invalid, NotFound
from autodialer.model import RetryRule
from autodialer.store import Store
from autodialer.web.caller import Caller
from autodialer.web.calling_window import HOURS, check_hours, hours
from autodialer.web.certificates import check_ca_file
from autodialer.web.hosts import check_endpoint, check_host

Json = dict[str, Any]
T = TypeVar("T")
_TRUNK_CHECKS: Mapping[str, Callable[[str], str]] = {
    "name": str.strip,
    "host": check_host,
    "outbound_proxy": lambda value: check_endpoint(value, "outbound_proxy"),
    "stun_server": lambda value: check_endpoint(value, "stun_server"),
    "ca_file": check_ca_file,
}
_IDS = ("trunk_ids", "sound_id", "callbase_id")


def owned(get: Callable[[UUID, int | None], T], object_id: UUID, caller: Caller, field: str) -> T:
    """An object that a field names. Raises Invalid, for the path of the request is there."""
    try:
        return get(object_id, caller.owner_key)
    except NotFound as exc:
        raise Invalid(f"{field}: there is no {object_id}, or it is not yours.", field=field) from exc


def trunk_fields(fields: Json) -> Json:
    """Fields of a trunk in their stored spelling. Raises Invalid; no name is looked up."""
    values = dict(fields)
    for name, check in _TRUNK_CHECKS.items():
        if values.get(name):
            values[name] = check(values[name])
    return values


def campaign_fields(store: Store, caller: Caller, fields: Json) -> Json:
    """Fields of a new campaign with the keys of what it names. Raises Invalid."""
    values = campaign_rules({name: value for name, value in fields.items() if name not in _IDS})
    trunks = [owned(store.trunks.get, trunk_id, caller, "trunk_ids") for trunk_id in fields["trunk_ids"]]
    callbase = owned(store.callbases.get, fields["callbase_id"], caller, "callbase_id")
    if callbase.state == "failed":
        raise Invalid(f"callbase_id: the import of {callbase.name} failed: {callbase.error}", field="callbase_id")
    values["trunk_keys"] = [trunk.key for trunk in trunks]
    values["sound_key"] = owned(store.sounds.get, fields["sound_id"], caller, "sound_id").key
    values["callbase_key"] = callbase.key
    check_hours(values, callbase.timezone)
    return {**values, "name": values["name"].strip()}


def campaign_rules(fields: Json) -> Json:
    """Rules of a campaign as they are stored."""
    values = {name: value for name, value in fields.items() if name not in HOURS} | hours(fields)
    if "retry" in fields:
        values["retry"] = {name: RetryRule(**rule) for name, rule in fields["retry"].items()}
    if "caps" in fields:
        values |= {f"cap_{span}": cap for span, cap in values.pop("caps").items()}
    return values
