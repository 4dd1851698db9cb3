"""What a user says of the keys of a campaign, as it is stored."""

from autodialer.api.operations.base import Json
from autodialer.campaign.checks import transfer_number
from autodialer.campaign.keys import check_change, check_keys
from autodialer.model import Campaign


def key_fields(fields: Json, present: Campaign | None = None) -> Json:
    """Fields of a campaign with what they say of keys as it is stored; `present` is the campaign that is changed.

    Raises Invalid, and Conflict for another meaning of a key once the campaign has begun.
    """
    values = dict(fields)
    if values.get("transfer_to"):
        values["transfer_to"] = transfer_number(values["transfer_to"])
    if "keys" not in values and "transfer_to" not in values:
        return values
    wanted = values.get("keys", present.keys if present else {})
    keys = check_keys(wanted, values.get("transfer_to", present.transfer_to if present else None))
    if present is not None:
        check_change(present.state, present.keys, keys)
    return {**values, "keys": keys}
