"""What follows when a callee presses a key: to the campaign's rules, and on to the call and the DNC list."""

import logging
from dataclasses import dataclass
from uuid import UUID

from autodialer.campaign.keys import KeyPad
from autodialer.campaign.numbers import dial_string
from autodialer.dialing.destinations import Destinations
from autodialer.errors import Unavailable
from autodialer.model import Campaign, ClaimedJob, KeyAction, KeyEffect, Trunk
from autodialer.phone.hang_up import HangUp
from autodialer.phone.plan import CallEvent
from autodialer.phone.pool import PhonePool
from autodialer.store import Store

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class OptOut:
    """A number that wants no further call."""

    number: str
    owner_key: int
    """Owner of the campaign: the number goes on the list of that user."""
    call_id: UUID


class Keys:
    """What keys do in all calls under way: confirm, opt out, repeat, transfer."""

    def __init__(self, store: Store, phones: PhonePool, destinations: Destinations) -> None:
        self._store = store
        self._destinations = destinations
        self._phones = phones
        self._unlisted: list[OptOut] = []
        """What the database did not take yet, oldest first."""

    def take(self, event: CallEvent, pad: KeyPad, job: ClaimedJob, campaign: Campaign, trunk: Trunk | None) -> None:
        """A key was pressed in this call, or the transfer ended that one asked for."""
        if event.transferred is not None:
            how = event.transferred
            logger.info("call %s: the transfer ended: %s, status %s", job.call_id, how.how, how.code)
            pad.transfer_ended(KeyEffect(how.how.value), how.code)
        if event.pressed is None:
            return
        action = pad.press(event.pressed.digit, event.pressed.at_s)
        if action is None:
            return
        logger.info("call %s: key %s: %s", job.call_id, event.pressed.digit, action)
        call = self._phones.find(job.call_id)
        if action is KeyAction.OPT_OUT:
            self._opt_out(OptOut(number=job.number, owner_key=campaign.owner_key, call_id=job.call_id))
            self._phones.hang_up(job.call_id, HangUp.OPTED_OUT)
        elif action is KeyAction.REPEAT and call is not None:
            call.repeat()
        elif action is KeyAction.TRANSFER and call is not None and campaign.transfer_to and trunk is not None:
            why = self._destinations.refusal(campaign, trunk, campaign.transfer_to)
            if why is None:
                call.transfer(dial_string(campaign.transfer_to, trunk.number_format))
                return
            logger.warning("call %s is not transferred: %s", job.call_id, why)
            pad.transfer_ended(KeyEffect.REFUSED, None)
            if campaign.after_failed_transfer == "hang_up":
                self._phones.hang_up(job.call_id, HangUp.TRANSFER_FAILED)

    def _opt_out(self, opt_out: OptOut) -> None:
        """Written before the call ends, so that no crash loses it."""
        self._unlisted.append(opt_out)
        try:
            self.write_opt_outs()
        except Unavailable as exc:
            logger.error("call %s: %s will go on the DNC list later: %s", opt_out.call_id, opt_out.number, exc)

    def write_opt_outs(self) -> None:
        """Enter in the DNC list what the database did not take before. Raises Unavailable."""
        while self._unlisted:
            # Taken off once it is written, so that a database that refuses loses none.
            entry = self._unlisted[0]
            self._store.dnc.opt_out(entry.number, entry.owner_key, entry.call_id)
            self._unlisted.pop(0)
