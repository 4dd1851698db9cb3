"""`python main.py trace ID`: the SIP messages of a call."""

import sys
from contextlib import closing
from uuid import UUID

from autodialer.api.traces import CallTraces
from autodialer.clock import Clock
from autodialer.config import Settings
from autodialer.errors import Invalid, NotFound
from autodialer.store import Secrets, Store, migrate


def show_trace(settings: Settings, call_id: str) -> int:
    """Print the SIP messages of a call; the exit status. Raises Invalid or NotFound."""
    try:
        wanted = UUID(call_id)
    except ValueError as exc:
        raise Invalid(f"{call_id!r} is not the id of a call; GET /srv1/campaigns/{{id}}/calls tells them.") from exc
    migrate(settings.url)
    with closing(Store(settings.url, secrets=Secrets(settings.keys))) as store:
        try:
            call = store.calls.get(wanted, None)
        except NotFound as exc:
            raise NotFound(f"There is no call with the id {wanted}.") from exc
        sys.stdout.write(f"{CallTraces(store, Clock()).read(call).rstrip()}\n")
    return 0
