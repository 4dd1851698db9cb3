"""Which people of a campaign are meant, as clients say it."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from autodialer.errors import Invalid
from autodialer.model import Disposition, Only, People, Slice
from autodialer.web.fields import Fields
from autodialer.web.request import typed

SMALL = 20_000
"""People that a request looks through in 0.2 s; a million take 3 to 7 s."""
LARGE_AT_ONCE = 1
BUSY = "Another large campaign is being looked through; try again in a few seconds."
Share = Annotated[float, Field(ge=0, le=1)]


class SliceFields(Fields):
    """The conditions; the meanings are those of autodialer.model.Slice."""

    dispositions: Sequence[Disposition] = ()
    keys: Sequence[Annotated[str, Field(pattern="^[0-9*#A-D]$")]] = ()
    heard_below: Share | None = None
    heard_above: Share | None = None
    never_called: bool = False


def only_of(sent: Any) -> Only:
    """Raises Invalid for what names no people."""
    if isinstance(sent, str):
        if sent not in list(People):
            raise Invalid(f"only takes all, unreached or an object of conditions, not {sent!r}.", field="only")
        return People(sent)
    if not isinstance(sent, dict):
        raise Invalid("only takes all, unreached or an object of conditions.", field="only")
    return _slice_of(typed(SliceFields, sent))


def _slice_of(fields: SliceFields) -> Slice:
    chosen = Slice(
        dispositions=tuple(dict.fromkeys(fields.dispositions)),
        keys=tuple(dict.fromkeys(fields.keys)),
        heard_below=fields.heard_below,
        heard_above=fields.heard_above,
        never_called=fields.never_called,
    )
    if not chosen.wants_called and not chosen.never_called:
        names = ", ".join(SliceFields.model_fields)
        raise Invalid(f"only has no condition: say at least one of {names}; for everybody say all.", field="only")
    if chosen.heard_below is not None and chosen.heard_above is not None and chosen.heard_above >= chosen.heard_below:
        raise Invalid("only: nobody hears heard_above or more and less than heard_below; swap them.", field="only")
    return chosen


class LargeSlices:
    """Bounds how many requests look through a large campaign at once, for each holds a thread for seconds."""

    def __init__(self) -> None:
        self._turns = threading.BoundedSemaphore(LARGE_AT_ONCE)

    @contextmanager
    def look(self, people: int) -> Iterator[bool]:
        """Whether there is a turn for a campaign of so many people; small ones need none."""
        if people <= SMALL:
            yield True
            return
        has_turn = self._turns.acquire(blocking=False)
        try:
            yield has_turn
        finally:
            if has_turn:
                self._turns.release()


AnyOnly = Annotated[Only, BeforeValidator(only_of)]
