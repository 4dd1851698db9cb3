"""Digits that the API asks for, into the call that they are meant for."""

from autodialer.errors import UserError
from autodialer.model import Command
from autodialer.phone.pool import PhonePool
from autodialer.store import Store

GONE = "The call is not under way."


def send_digits(store: Store, phones: PhonePool, command: Command) -> None:
    """Send them, and tell the API that they are on their way or why not."""
    call = phones.find(command.call_id)
    refusal = GONE
    if call is not None and command.digits is not None:
        try:
            call.send_digits(command.digits)
        except UserError as exc:
            refusal = str(exc)
        else:
            refusal = ""
    store.commands.reply(command.key, refusal)
