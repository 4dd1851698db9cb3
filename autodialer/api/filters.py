"""What the query of a list says: a part of a name, a state, a span of time; and numbers as people write them there."""

from datetime import datetime
from typing import Annotated

from pydantic import BeforeValidator, ConfigDict, Field

from autodialer.api.calling_hours import moment_of
from autodialer.campaign.numbers import NO_REGION, RAW, check_region, normalise
from autodialer.campaign.written import clean
from autodialer.errors import Invalid
from autodialer.store import Narrowed
from autodialer.web.fields import Fields


def _moment(field: str) -> BeforeValidator:
    return BeforeValidator(lambda sent: moment_of(sent, field))


class TimeFilter(Fields):
    """Rows of a span of time."""

    model_config = ConfigDict(populate_by_name=True)
    since: Annotated[datetime | None, _moment("from")] = Field(alias="from", default=None)
    until: Annotated[datetime | None, _moment("to")] = Field(alias="to", default=None)
    """Not this moment itself."""

    def narrowed(self) -> Narrowed:
        """For the store. Raises Invalid for a span that ends before it begins."""
        if self.since is not None and self.until is not None and self.until < self.since:
            raise Invalid("to has to come after from.", field="to")
        return Narrowed(since=self.since, until=self.until, part=self._part(), states=self._states())

    def _part(self) -> str | None:
        return None

    def _states(self) -> tuple[str, ...]:
        return ()


class ObjectFilter(TimeFilter):
    """Objects by what all of them have."""

    q: str | None = None
    """Part of the name."""
    state: str | None = None

    def _part(self) -> str | None:
        return self.q

    def _states(self) -> tuple[str, ...]:
        return (self.state,) if self.state else ()


def number_wanted(text: str, region: str | None = None) -> str:
    """A number that is looked for: E.164, or as a raw callbase has it. Raises Invalid."""
    if region is not None:
        return normalise(text, check_region(region)).number
    return normalise(text, NO_REGION if clean(text).startswith("+") else RAW).number
