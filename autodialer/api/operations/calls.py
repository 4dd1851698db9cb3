"""Calls: one by one, and the sample call."""

from uuid import UUID

from autodialer.api.operations.base import Json, Operations
from autodialer.campaign.checks import sample_number
from autodialer.clock import Clock
from autodialer.config import Settings
from autodialer.errors import Conflict
from autodialer.model import JobState
from autodialer.store import Store
from autodialer.web import present
from autodialer.web.call_digits import check_digits, send_digits
from autodialer.web.caller import Caller
from autodialer.web.fields import owned
from autodialer.web.traces import CallTraces


class CallOperations(Operations):
    """One method an operation."""

    def __init__(self, settings: Settings, store: Store, clock: Clock | None = None) -> None:
        super().__init__(settings, store, clock)
        self._traces = CallTraces(store, self._clock)

    def read_call(self, caller: Caller, call_id: UUID) -> Json:
        """One call."""
        return present.call(self._store.calls.get(call_id, caller.owner_key))

    def read_call_trace(self, caller: Caller, call_id: UUID) -> str:
        """The SIP messages of a call: a ladder, then the messages."""
        return self._traces.read(self._store.calls.get(call_id, caller.owner_key))

    def hang_up_call(self, caller: Caller, call_id: UUID) -> Json:
        """Ask the dialer to end a call. Raises Conflict when it is not under way."""
        call = self._store.calls.get(call_id, caller.owner_key)
        if call.state is not JobState.DIALING:
            raise Conflict(f"The call is {call.state}; only one that is dialing can be hung up.")
        self._store.commands.add("hangup_call", call_id=call_id)
        self._audit(caller, "calls.hangup", call_id)
        return present.call(call)

    def send_call_digits(self, caller: Caller, call_id: UUID, fields: Json) -> Json:
        """Press keys in an answered call. Raises Invalid, Conflict, Unavailable without a dialer."""
        call, digits = self._store.calls.get(call_id, caller.owner_key), check_digits(fields["digits"])
        if call.state is not JobState.DIALING:
            raise Conflict(f"The call is {call.state}; only one that is answered takes digits.")
        send_digits(self._store, call_id, digits)
        self._audit(caller, "calls.digits", call_id, count=len(digits))
        return present.call(call)

    def create_sample_call(self, caller: Caller, fields: Json, once: str | None) -> Json:
        """Queue one call to one number."""

        def create() -> UUID:
            trunk = owned(self._store.trunks.get, fields["trunk_id"], caller, "trunk_id")
            sound = owned(self._store.sounds.get, fields["sound_id"], caller, "sound_id")
            number = sample_number(fields["number"], raw=fields.get("raw", False))
            call_id = self._store.campaigns.create_sample_call(
                caller.user.key, trunk_key=trunk.key, sound_key=sound.key, number=number
            )
            self._audit(caller, "calls.sample", call_id, number=number)
            return call_id

        return {"id": str(self._once(caller, "create_sample_call", once, fields, create))}
