"""Keys: what the digits of one call do, by the meaning that its campaign gives them. Pure."""

from collections.abc import Mapping
from dataclasses import replace

from autodialer.errors import Conflict, Invalid
from autodialer.model import (
    KEYS,
    CampaignState,
    JobState,
    KeyAction,
    KeyEffect,
    KeyResult,
    NextStep,
    SubscriberState,
)

MOST_RESULTS = 100
"""Presses of one call that are written down; a gateway may stutter, and children like keys."""


class KeyPad:
    """The keys of one call."""

    def __init__(self, keys: Mapping[str, KeyAction]) -> None:
        self._keys = keys
        self._results: list[KeyResult] = []
        self._transfer: int | None = None
        """Which of the results is a transfer under way."""
        self.opted_out = False
        """The callee wants no further call."""
        self._transferred = False

    def press(self, digit: str, at_s: float) -> KeyAction | None:
        """The callee pressed a key. Returns what to do now; None: nothing.

        A digit without a meaning does nothing, but is listed in the call's `digits`.
        """
        action = self._keys.get(digit)
        if action is None or (len(self._results) >= MOST_RESULTS and action is not KeyAction.OPT_OUT):
            return None
        effect = self._effect(action)
        self._results.append(KeyResult(digit=digit, action=action, at_s=at_s, effect=effect))
        if effect is KeyEffect.UNKNOWN:
            self._transfer = len(self._results) - 1
        elif effect is not KeyEffect.DONE:
            return None
        self.opted_out = self.opted_out or action is KeyAction.OPT_OUT
        return action

    def _effect(self, action: KeyAction) -> KeyEffect:
        if self.opted_out:
            return KeyEffect.AGAIN if action is KeyAction.OPT_OUT else KeyEffect.IGNORED
        match action:
            case KeyAction.OPT_OUT:
                return KeyEffect.DONE
            case KeyAction.CONFIRM:
                return KeyEffect.AGAIN if self._has(action) else KeyEffect.DONE
        if self._transfer is not None or self._transferred:
            return KeyEffect.IGNORED
        # How a transfer ends shows later.
        return KeyEffect.DONE if action is KeyAction.REPEAT else KeyEffect.UNKNOWN

    def _has(self, action: KeyAction) -> bool:
        return any(result.action is action for result in self._results)

    def transfer_ended(self, effect: KeyEffect, code: int | None) -> None:
        """The transfer that was under way ended so; nothing happens without one."""
        if self._transfer is not None:
            self._results[self._transfer] = replace(self._results[self._transfer], effect=effect, code=code)
            self._transfer = None
            self._transferred = effect is KeyEffect.ACCEPTED

    @property
    def results(self) -> tuple[KeyResult, ...]:
        """What each press did; a transfer that has not ended is `unknown`."""
        return tuple(self._results)

    def step_after(self, step: NextStep) -> NextStep:
        """What follows the call: nobody who opted out is called again, whatever the retry policy says."""
        if not self.opted_out:
            return step
        return NextStep(job_state=JobState.DONE, subscriber_state=SubscriberState.REACHED, rule=KeyAction.OPT_OUT.value)


def check_keys(keys: Mapping[str, str], transfer_to: str | None) -> dict[str, KeyAction]:
    """The meanings themselves. Raises Invalid that names the field."""
    for digit, action in keys.items():
        if len(digit) != 1 or digit not in KEYS:
            raise Invalid(f"keys takes the keys {', '.join(KEYS)}; not {digit!r}.", field="keys")
        if action not in list(KeyAction):
            raise Invalid(f"keys: {digit} takes {', '.join(KeyAction)}; not {action!r}.", field="keys")
    meanings = {digit: KeyAction(action) for digit, action in keys.items()}
    if KeyAction.TRANSFER in meanings.values() and not transfer_to:
        raise Invalid("transfer_to: a key transfers, so say the number to transfer to.", field="transfer_to")
    return meanings


def check_change(state: CampaignState, present: Mapping[str, KeyAction], wanted: Mapping[str, KeyAction]) -> None:
    """Raises Conflict when a key of a campaign that has begun would change its meaning: its report tells by key."""
    changed = [digit for digit, action in present.items() if wanted.get(digit) is not action]
    if changed and state is not CampaignState.DRAFT:
        raise Conflict(
            f"The campaign has begun, and key {changed[0]} has meant {present[changed[0]]} in it;"
            " new keys can be added, or make a new campaign.",
            field="keys",
        )
