"""Keys of a campaign as JSON, and as a cell of a table."""

from collections.abc import Mapping, Sequence
from typing import Any

from autodialer.model import Campaign, KeyResult
from autodialer.store import KeyFigures

Json = dict[str, Any]


def present_keys(campaign: Campaign) -> Json:
    """What the keys of a campaign do."""
    return {
        "keys": {digit: action.value for digit, action in sorted(campaign.keys.items())},
        "transfer_to": campaign.transfer_to,
        "key_wait_s": campaign.waits_for_key_s,
    }


def present_key_results(results: Sequence[KeyResult]) -> list[Json]:
    """What keys did in a call."""
    return [
        {
            "digit": result.digit,
            "action": result.action.value,
            "at_s": result.at_s,
            "effect": result.effect.value,
            "code": result.code,
        }
        for result in results
    ]


def present_key_figures(figures: Mapping[str, KeyFigures]) -> Json:
    """What keys did in a campaign."""
    return {
        digit: {
            "action": key.action.value,
            "calls": key.calls,
            "effects": {effect.value: calls for effect, calls in key.effects.items()},
        }
        for digit, key in figures.items()
    }


def key_results_cell(results: Sequence[KeyResult]) -> str | None:
    """The same of a call in one cell of a table: `1 confirm done; 5 transfer refused 603`."""
    words = [
        f"{result.digit} {result.action} {result.effect}" + (f" {result.code}" if result.code is not None else "")
        for result in results
    ]
    return "; ".join(words) or None
