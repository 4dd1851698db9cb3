"""Random campaigns and what protects people: hours by their own clocks, caps, the DNC list, second numbers, erasing.

Whatever happens: no person is called outside their hours by their own clock, nor when they could only answer outside
them; nobody more often than the caps of the calling campaign allow, whichever campaigns called; nobody on the DNC list
or erased; a second number only once the first is used up, and never both at a time; nobody before a campaign's start or
after its end. And every subscriber ends.
"""

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, initialize, precondition, rule

from autodialer.errors import Conflict
from autodialer.model import (
    WEEKDAYS,
    CallingWindow,
    Campaign,
    DigitTime,
    DigitVia,
    Disposition,
    KeyAction,
    People,
    RetryRule,
    TrunkSettings,
)
from autodialer.phone.plan import CallEvent, Progress
from autodialer.store import NewSubscriber
from tests.dialer.machine import TIMEOUT_S, TRUNK_SIDE, Air, DialingMachine, how_many

STARTS = [
    datetime(2026, 3, 2, 9, 0, tzinfo=UTC),
    datetime(2026, 3, 29, 0, 20, tzinfo=UTC),  # the clocks of Europe go forward at 01:00
    datetime(2026, 10, 25, 0, 20, tzinfo=UTC),  # and back
    datetime(2026, 11, 1, 5, 30, tzinfo=UTC),  # those of New York go back at 06:00
    datetime(2026, 12, 31, 20, 0, tzinfo=UTC),
]
SET_UP = timedelta(seconds=10)
"""From an INVITE to the first ring; with the ring timeout, how late a call may be answered."""
CALLBASE_ZONES = [None, "Europe/Samara", "America/New_York"]
FALLBACK = "Asia/Vladivostok"
RETRY = {
    "busy": RetryRule(after_s=60, times=2),
    "no_answer": RetryRule(after_s=1800, times=2),
    "congestion": RetryRule(after_s=10, times=3),
    "failed": RetryRule(after_s=30, times=1),
    "interrupted": RetryRule(after_s=20, times=1),
}
WINDOWS = [
    None,
    CallingWindow(start=time(9), end=time(21), timezone="subscriber", fallback_timezone=FALLBACK),
    CallingWindow(
        start=time(22),
        end=time(3, 30),
        days=("fri", "sat", "sun"),
        timezone="subscriber",
        fallback_timezone=FALLBACK,
    ),
    CallingWindow(start=time(1, 30), end=time(4), timezone="Europe/Berlin"),
]
HOLIDAYS = [[], [date(2026, 3, 3), date(2026, 3, 30), date(2027, 1, 1)]]


@dataclass(frozen=True)
class Person:
    """What the callbases say about a person."""

    number: str
    second_number: str | None = None
    column: str | None = None
    by_number: str | None = None

    @property
    def numbers(self) -> set[str]:
        return {number for number in (self.number, self.second_number) if number}

    def row(self) -> NewSubscriber:
        return NewSubscriber(
            number=self.number,
            second_number=self.second_number,
            timezone=self.column,
            number_zone=self.by_number,
            number_zone_by="number" if self.by_number else None,
        )


PEOPLE = [
    Person("+442079460000", by_number="Europe/London"),
    Person("+442079460001", "+442079460101", by_number="Europe/London"),
    Person("+442079460002", "+442079460003", column="America/New_York", by_number="Europe/London"),
    Person("+442079460003", column="Pacific/Apia"),
    Person("+442079460004", "+442079460104", column="Australia/Lord_Howe"),
    Person("+79161234500"),
    Person("+79161234501", "+79161234601"),
    Person("+79161234502", column="Europe/Moscow"),
]
BY_NUMBER = {person.number: person for person in PEOPLE}


def is_open(window: CallingWindow, holidays: Collection[date], wall: datetime) -> bool:
    """What the clock on the wall and the calendar say."""

    def starts_on(day: date) -> bool:
        return WEEKDAYS[day.weekday()] in window.days and day not in holidays

    now, today = wall.time(), wall.date()
    if window.start < window.end:
        return starts_on(today) and window.start <= now < window.end
    return (now >= window.start and starts_on(today)) or (now < window.end and starts_on(today - timedelta(days=1)))


class RandomPeople(DialingMachine):
    """One trunk, up to some campaigns with callbases that have people in common."""

    campaigns = Bundle("campaigns")

    @initialize(start=st.sampled_from(STARTS))
    def set_up(self, start: datetime) -> None:
        self.attempts: dict[str, list[float]] = {}
        """Number -> when the calls began that count."""
        self.ended: dict[tuple[int, UUID], list[tuple[str, Disposition]]] = {}
        """(campaign, subscriber) -> the number and the end of each call."""
        self.forbidden: set[str] = set()
        """Numbers on the DNC list."""
        self.erased: set[UUID] = set()
        self.people: dict[UUID, tuple[Person, str | None]] = {}
        """Subscriber -> who it is, and the zone of the callbase."""
        self.subscribers: dict[UUID, list[UUID]] = {}
        """Campaign -> its subscribers."""
        self.open(start)
        self.trunk = self.store.trunks.create(
            self.owner, TrunkSettings(name="t", host="127.0.0.1", cps=50.0, max_channels=6)
        ).key

    # -- what is checked at each call

    def judge(self, air: Air, campaign: Campaign) -> None:
        now = self.clock.utcnow()
        person, callbase_zone = self.people[air.subscriber_id]
        assert air.number in (person.number, person.second_number)
        assert air.number not in self.forbidden
        assert air.subscriber_id not in self.erased
        assert campaign.starts_at is None or now >= campaign.starts_at
        assert campaign.ends_at is None or now < campaign.ends_at
        self.judge_hours(person, callbase_zone, campaign, now)
        self.judge_caps(air.number, campaign)
        self.judge_numbers(air, person, campaign)

    def judge_hours(self, person: Person, callbase_zone: str | None, campaign: Campaign, now: datetime) -> None:
        """Open now, and until the phone may be picked up at the latest."""
        window = campaign.window
        if window is None:
            return
        zone = window.timezone
        if zone == "subscriber":
            zone = person.column or person.by_number or callbase_zone or FALLBACK
        ringing = timedelta(seconds=campaign.ring_timeout_s) + SET_UP
        moments = [now + timedelta(seconds=second) for second in range(int(ringing.total_seconds()))]
        for moment in [*moments, now + ringing - timedelta(milliseconds=2)]:
            wall = moment.astimezone(ZoneInfo(zone))
            assert is_open(window, campaign.holidays, wall), f"{person} at {wall}"

    def judge_caps(self, number: str, campaign: Campaign) -> None:
        now = self.clock.elapsed_s
        others = [other for other in self.air.values() if other.subscriber_id not in self.erased]
        in_air = sum(other.number == number for other in others)
        for cap, days in ((campaign.cap_day, 1), (campaign.cap_week, 7)):
            # The store keeps whole milliseconds.
            recent = [then for then in self.attempts.get(number, []) if then > now - days * 86400 + 0.01]
            assert cap is None or len(recent) + in_air < cap

    def judge_numbers(self, air: Air, person: Person, campaign: Campaign) -> None:
        history = self.ended.get((campaign.key, air.subscriber_id), [])
        counted = [(number, how) for number, how in history if how is not Disposition.CANCELLED]
        assert air.subscriber_id not in {o.subscriber_id for o in self.air.values() if o.campaign_key == campaign.key}
        assert sum(how not in TRUNK_SIDE for _, how in counted) < campaign.max_attempts
        assert Disposition.ANSWERED not in {how for _, how in counted}
        firsts = [how for number, how in counted if number == person.number]
        if air.number == person.second_number:
            assert firsts, "the first number goes first"
        else:
            assert person.second_number not in {number for number, _ in counted}, "there is no way back"
            assert Disposition.INVALID_NUMBER not in firsts
        for how in set(firsts) - set(TRUNK_SIDE):
            times = RETRY[how.value].times if how.value in RETRY else 0
            used_up = air.number == person.second_number
            assert sum(each is how for each in firsts) <= times + used_up

    def note_end(self, air: Air, disposition: Disposition, *, heard: bool) -> None:
        self.ended.setdefault((air.campaign_key, air.subscriber_id), []).append((air.number, disposition))
        counts = disposition is not Disposition.CANCELLED and disposition not in TRUNK_SIDE
        if counts and air.subscriber_id not in self.erased:
            self.attempts.setdefault(air.number, []).append(air.began_s)

    # -- what may happen

    @rule(
        target=campaigns,
        people=st.sets(st.sampled_from(PEOPLE), min_size=1),
        callbase_zone=st.sampled_from(CALLBASE_ZONES),
        max_attempts=st.integers(1, 5),
        window=st.sampled_from(WINDOWS),
        holidays=st.sampled_from(HOLIDAYS),
        caps=st.tuples(st.sampled_from([None, 1, 2]), st.sampled_from([None, 2, 3])),
        starts_in_s=st.sampled_from([None, 0.5, 3000.0]),
        lasts_s=st.sampled_from([None, 2.0, 40000.0]),
        max_channels=st.integers(1, 8),
    )
    def start_campaign(
        self,
        people: set[Person],
        callbase_zone: str | None,
        *,
        window: CallingWindow | None,
        holidays: list[date],
        caps: tuple[int | None, int | None],
        starts_in_s: float | None,
        lasts_s: float | None,
        **rules: Any,
    ) -> UUID:
        now = self.clock.utcnow()
        starts_at = None if starts_in_s is None else now + timedelta(seconds=starts_in_s)
        made = self.start_callbase(
            [person.row() for person in sorted(people, key=lambda person: person.number)],
            [self.trunk],
            timezone=callbase_zone,
            retry=RETRY,
            cps=20.0,
            keys={"9": KeyAction.OPT_OUT},
            window=window,
            holidays=tuple(holidays) if window else (),
            cap_day=caps[0],
            cap_week=caps[1],
            starts_at=starts_at,
            ends_at=None if lasts_s is None else (starts_at or now) + timedelta(seconds=lasts_s),
            **rules,
        )
        self.learn(made.id, made.callbase_id, callbase_zone)
        return made.id

    def learn(self, campaign_id: UUID, callbase_id: UUID, callbase_zone: str | None) -> None:
        """Who the subscribers of a campaign are."""
        found, _ = self.store.subscribers.page(callbase_id, None, limit=1000)
        self.subscribers[campaign_id] = [subscriber.id for subscriber in found]
        for subscriber in found:
            if subscriber.number:
                self.people[subscriber.id] = (BY_NUMBER[subscriber.number], callbase_zone)

    @rule(span_s=st.sampled_from([0.3, 12.0, 70.0, 1900.0, 3600.0, 6 * 3600.0, 86400.0]))
    def sleep(self, span_s: float) -> None:
        """The machine slept, or had better things to do."""
        self.clock.elapsed_s += span_s
        self.dialer.step()

    @rule(number=st.sampled_from(sorted(BY_NUMBER)))
    def forbid(self, number: str) -> None:
        self.store.dnc.add(self.owner, number)
        self.forbidden.add(number)

    @precondition(lambda self: self.air)
    @rule(data=st.data())
    def opt_out(self, data: st.DataObject) -> None:
        """The callee answers and wants no further call."""
        air = data.draw(st.sampled_from(self.calls_up()))
        self.phones.on_event(CallEvent(reference=air.call_id, progress=Progress.RANG))
        self.phones.on_event(CallEvent(reference=air.call_id, pressed=DigitTime(digit="9", at_s=1.0, via=DigitVia.RTP)))
        self.dialer.step()
        assert air.call_id in self.phones.hung_up
        self.forbidden.add(air.number)
        self.end(air, Disposition.ANSWERED, 1.0)

    @rule(campaign_id=campaigns, data=st.data())
    def erase(self, campaign_id: UUID, data: st.DataObject) -> None:
        """Somebody, from all callbases."""
        subscriber_id = data.draw(st.sampled_from(self.subscribers[campaign_id]))
        if subscriber_id in self.erased:
            return
        numbers = self.people[subscriber_id][0].numbers
        self.store.erasing.erase(subscriber_id, None)
        self.erased |= {one for one, (person, _) in self.people.items() if numbers & person.numbers}
        for number in numbers:
            self.attempts.pop(number, None)

    @rule(campaign_id=campaigns, person=st.sampled_from(PEOPLE))
    def add_to_callbase(self, campaign_id: UUID, person: Person) -> None:
        campaign = self.store.campaigns.get(campaign_id, None)
        callbase = self.store.callbases.by_key(campaign.callbase_key)
        with suppress(Conflict):
            self.store.subscribers.add(campaign.callbase_id, None, person.row())
        self.learn(campaign_id, campaign.callbase_id, callbase.timezone)

    @rule(campaign_id=campaigns, deed=st.sampled_from(["pause", "resume", "stop"]))
    def interfere(self, campaign_id: UUID, deed: str) -> None:
        with suppress(Conflict):
            if deed == "stop":
                self.store.campaigns.stop(campaign_id, None, hangup=True)
            else:
                getattr(self.store.campaigns, deed)(campaign_id, None)
        self.look()

    @rule(
        campaign_id=campaigns,
        change=st.one_of(
            st.fixed_dictionaries({"window": st.sampled_from(WINDOWS), "holidays": st.just(())}),
            st.fixed_dictionaries({"cap_day": st.sampled_from([None, 1, 2])}),
            st.fixed_dictionaries({"cap_week": st.sampled_from([None, 2, 3])}),
            st.fixed_dictionaries({"max_attempts": st.integers(1, 5)}),
            st.fixed_dictionaries({"cps": st.sampled_from([0.1, 20.0])}),
            st.fixed_dictionaries({"starts_at": st.none(), "ends_at": st.none()}),
        ),
    )
    def change_rules(self, campaign_id: UUID, change: Mapping[str, Any]) -> None:
        with suppress(Conflict):
            self.store.campaigns.update(campaign_id, None, **change)  # type: ignore[typeddict-item]
        self.look()

    @rule(target=campaigns, campaign_id=campaigns)
    def call_the_unreached_again(self, campaign_id: UUID) -> UUID:
        """By a copy, once the campaign has ended; the copy leaves alone those that the campaign reached."""
        try:
            copy = self.store.campaigns.clone(campaign_id, None, only=People.UNREACHED)
            self.store.campaigns.update(copy.id, None, starts_at=None, ends_at=None)
            self.store.campaigns.start(copy.id, None)
        except Conflict:
            return campaign_id
        self.learn(copy.id, copy.callbase_id, self.store.callbases.by_key(copy.callbase_key).timezone)
        original = self.store.campaigns.get(campaign_id, None)
        for (key, subscriber_id), ends in list(self.ended.items()):
            if key == original.key and Disposition.ANSWERED in {how for _, how in ends}:
                self.ended.setdefault((copy.key, subscriber_id), []).append(("", Disposition.ANSWERED))
        return copy.id

    def check_end(self, campaign: Campaign) -> None:
        super().check_end(campaign)
        own = [ends for (key, _), ends in self.ended.items() if key == campaign.key]
        answered = [ends for ends in own if any(number and how is Disposition.ANSWERED for number, how in ends)]
        assert self.store.campaigns.progress(campaign.key).counts.reached == len(answered)


@pytest.mark.timeout(TIMEOUT_S)
@pytest.mark.slow
class TestRandomPeople(RandomPeople.TestCase):
    """As pytest sees it."""

    settings = how_many(15)
