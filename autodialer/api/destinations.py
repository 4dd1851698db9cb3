"""Whether a number may be called: told to the client that names one, and counted before a campaign starts."""

from collections.abc import Iterable, Sequence

from autodialer.api.present import Json
from autodialer.campaign.destinations import explain_refusal, refusal, rules_of_trunk
from autodialer.campaign.numbers import destination_of
from autodialer.errors import Invalid
from autodialer.model import Trunk
from autodialer.model.destinations import DialRules
from autodialer.report import Refused


def check_destination(number: str, rules: Sequence[DialRules], field: str) -> None:
    """Raises Invalid that names the field when a single number may not be called."""
    where = destination_of(number)
    reason = refusal(where, rules, number)
    if reason is not None:
        raise Invalid(f"{field}: {explain_refusal(where, reason, rules, number)}.", field=field)


def rules_of(trunks: Iterable[Trunk], region: str | None = None) -> list[DialRules]:
    """Where these trunks may call for a callbase of that region."""
    return [rules_of_trunk(trunk, region) for trunk in trunks]


def present_refused(refused: Sequence[Refused]) -> list[Json]:
    """Subscribers who will not be called, by reason."""
    return [
        {
            "reason": each.reason,
            "destination": each.destination,
            "subscribers": each.subscribers,
            "message": each.message,
        }
        for each in refused
    ]
