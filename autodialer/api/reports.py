"""Reports over the tallies of calls: what a campaign's report says beside its own figures, and periods of a user."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated
from zoneinfo import available_timezones

from pydantic import BeforeValidator, ConfigDict, Field

from autodialer.api.calling_hours import moment_of
from autodialer.api.context import Context
from autodialer.api.present import Json, time
from autodialer.campaign.answer_rates import HourCell, LocalHours, Proposal, by_local_hour, local_day, propose
from autodialer.campaign.caller_id_health import CallerIdDay, CallerIdHealth, health
from autodialer.campaign.calling_hours import fallback_zone
from autodialer.errors import Invalid
from autodialer.model import SUBSCRIBER_ZONE, Campaign
from autodialer.store import CallbaseQuality, PeriodFigures, Quarter, Step, Store, TallyScope
from autodialer.web.caller import Caller
from autodialer.web.fields import Fields

QUARTER_S = 900
USUAL_SPAN = timedelta(days=7)
LONGEST_SPAN = timedelta(days=366)
EARLIEST, LATEST = datetime(1980, 1, 1, tzinfo=UTC), datetime(3000, 1, 1, tzinfo=UTC)
AVERAGE_SPAN = timedelta(days=30)
"""Before a period, for the average that its days are compared with."""


def _moment(field: str) -> BeforeValidator:
    return BeforeValidator(lambda sent: moment_of(sent, field))


def _zone(name: str) -> str:
    if name not in available_timezones():
        raise Invalid(f"timezone takes a name such as Europe/Moscow, not {name!r}.", field="timezone")
    return name


class Period(Fields):
    """A span of time, by default the last seven days."""

    model_config = ConfigDict(populate_by_name=True)
    since: Annotated[datetime | None, _moment("from")] = Field(alias="from", default=None)
    until: Annotated[datetime | None, _moment("to")] = Field(alias="to", default=None)
    timezone: Annotated[str, BeforeValidator(_zone)] = "UTC"
    """Whose days are meant, and the hours of people whose zone is not known."""

    def span(self, now: datetime) -> tuple[datetime, datetime]:
        """From and to in full quarters of an hour, none of which is cut. Raises Invalid."""
        for field, moment in (("from", self.since), ("to", self.until)):
            if moment is not None and not EARLIEST <= moment < LATEST:
                raise Invalid(f"{field} takes a time of the years {EARLIEST.year} to {LATEST.year - 1}.", field=field)
        until = _quarter(self.until or now, up=True)
        since = _quarter(self.since or until - USUAL_SPAN, up=False)
        if since >= until:
            raise Invalid("to has to come after from.", field="to")
        if until - since > LONGEST_SPAN:
            raise Invalid(f"A period has at most {LONGEST_SPAN.days} days; ask for a shorter one.", field="from")
        return since, until


def _quarter(moment: datetime, *, up: bool) -> datetime:
    seconds = int(moment.timestamp()) // QUARTER_S * QUARTER_S
    start = datetime.fromtimestamp(seconds, UTC)
    return start + timedelta(seconds=QUARTER_S) if up and start < moment else start


class PeriodReports:
    """Reports over the campaigns of a user."""

    def __init__(self, context: Context) -> None:
        self._store = context.store
        self._clock = context.clock

    def read_period(self, caller: Caller, fields: Period) -> Json:
        """The calls of a period, and of the one before. Raises Invalid."""
        since, until = fields.span(self._clock.utcnow())
        earlier = since - (until - since)
        scope = TallyScope(owner_key=caller.owner_key, since=since, until=until)
        tallies = self._store.tallies
        now = tallies.figures(scope)
        before = tallies.figures(TallyScope(owner_key=caller.owner_key, since=earlier, until=since))
        with_average = TallyScope(owner_key=caller.owner_key, since=since - AVERAGE_SPAN, until=until)
        found = health(tallies.caller_ids(with_average), lambda at: local_day(at, fields.timezone), since=since)
        return {
            "from": time(since),
            "to": time(until),
            "timezone": fields.timezone,
            **_present_figures(now),
            "before": {"from": time(earlier), "to": time(since), **_present_figures(before)},
            "change": _change(now, before),
            "hours": present_hours(tallies.quarters(scope), fields.timezone),
            "callbases": [_present_quality(each) for each in tallies.callbases(scope)],
            "caller_ids": [_present_health(each) for each in found],
        }


def report_beside(store: Store, campaign: Campaign) -> Json:
    """What the report of a campaign says beside its own figures."""
    scope = TallyScope(campaign_key=campaign.key)
    zone = zone_of(store, campaign)
    found = health(store.tallies.caller_ids(scope), lambda at: local_day(at, zone))
    [quality] = store.tallies.callbases(scope)
    return {
        "timezone": zone,
        "funnel": _present_funnel(store.tallies.figures(scope).funnel),
        "hours": present_hours(store.tallies.quarters(scope), zone),
        "callbase": _present_quality(quality),
        "caller_ids": [_present_health(each) for each in found],
    }


def zone_of(store: Store, campaign: Campaign) -> str:
    """A campaign's own zone: its window's, else its callbase's, else UTC."""
    if campaign.window is None:
        return store.callbases.by_key(campaign.callbase_key).timezone or "UTC"
    if campaign.window.timezone != SUBSCRIBER_ZONE:
        return campaign.window.timezone
    return fallback_zone(store, campaign)


def present_hours(quarters: Sequence[Quarter], zone: str) -> Json:
    """When people answered, and when to call them."""
    hours = by_local_hour(quarters, zone)
    return {
        "zone": SUBSCRIBER_ZONE,
        "fallback_timezone": zone,
        **_present_zones(hours),
        "by_weekday_and_hour": [_present_cell(each) for each in hours.cells],
        "proposed": _present_proposal(propose(hours.cells)),
    }


def _present_zones(hours: LocalHours) -> Json:
    return {"calls_by_own_zone": hours.by_own_zone, "calls_by_fallback": hours.by_fallback}


def _present_cell(cell: HourCell) -> Json:
    return {**asdict(cell), "answer_rate": round(cell.rate, 4)}


def _present_proposal(proposal: Proposal) -> Json:
    return {
        "enough": proposal.enough,
        "calls": proposal.calls,
        "message": proposal.message,
        "hours": [
            {
                "weekday": each.weekday,
                "start": f"{each.start:02}:00",
                "end": f"{each.end:02}:00",
                "calls": each.calls,
                "answer_rate": round(each.rate, 4),
            }
            for each in proposal.hours
        ],
    }


def _present_figures(figures: PeriodFigures) -> Json:
    return {
        "calls": figures.calls,
        "answered": figures.answered,
        "asr": figures.asr,
        "acd_s": figures.acd_s,
        "billsec_s": figures.billsec_s,
        "dispositions": dict(figures.dispositions),
        "funnel": _present_funnel(figures.funnel),
    }


def _present_funnel(funnel: Sequence[Step]) -> list[Json]:
    return [{"step": step.name, "people": step.people, "calls": step.calls} for step in funnel]


def _change(now: PeriodFigures, before: PeriodFigures) -> Mapping[str, float | None]:
    """By how much each figure is above that of the period before; None: one of them is not known."""
    pairs = {name: (getattr(now, name), getattr(before, name)) for name in ("calls", "answered", "asr", "acd_s")}
    return {name: None if None in pair else round(pair[0] - pair[1], 6) for name, pair in pairs.items()}


def _present_quality(quality: CallbaseQuality) -> Json:
    return {**asdict(quality), "callbase_id": str(quality.callbase_id)}


def _present_health(found: CallerIdHealth) -> Json:
    calls, answered = (sum(getattr(day, name) for day in found.days) for name in ("calls", "answered"))
    return {
        "caller_id": found.caller_id or None,
        "calls": calls,
        "answered": answered,
        "answer_rate": round(answered / calls, 4) if calls else None,
        "days": [_present_day(day) for day in found.days],
    }


def _present_day(day: CallerIdDay) -> Json:
    return {**asdict(day), "answer_rate": None if day.rate is None else round(day.rate, 4)}
