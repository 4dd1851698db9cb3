"""When a campaign will be over: by its pace, by those who wait, by the hours in which it may call."""

from datetime import UTC, datetime, time, timedelta

from autodialer.campaign.estimate import estimate_eta_s
from autodialer.model import CallingWindow, CampaignState
from autodialer.store import CampaignProgress, Counts
from tests.campaign.factories import campaign

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
STARTED = {"started_at": NOW - timedelta(seconds=100)}


def progress(total: int, reached: int, *due_in_s: float, active_calls: int = 0) -> CampaignProgress:
    left = total - reached
    counts = Counts(total=total, pending=left, in_progress=0, reached=reached, exhausted=0, excluded=0)
    due = [NOW + timedelta(seconds=each) for each in due_in_s]
    return CampaignProgress(
        counts=counts,
        dispositions={},
        active_calls=active_calls,
        next_due=min(due, default=None),
        last_due=max(due, default=None),
    )


def test_the_estimate_goes_by_the_pace_so_far() -> None:
    running = campaign(**STARTED)
    assert estimate_eta_s(running, progress(10, 0), NOW) is None
    assert estimate_eta_s(running, progress(10, 5), NOW) == 100
    assert estimate_eta_s(running, progress(10, 10), NOW) == 0
    assert estimate_eta_s(campaign(**STARTED, state=CampaignState.PAUSED), progress(10, 5), NOW) is None
    assert estimate_eta_s(campaign(**STARTED, state=CampaignState.FINISHED), progress(10, 5), NOW) == 0


def test_the_last_of_those_who_wait_is_waited_for() -> None:
    assert estimate_eta_s(campaign(**STARTED), progress(10, 9, 0.0, 30.0, 1800.0), NOW) == 1800
    assert estimate_eta_s(campaign(**STARTED), progress(10, 5, 20.0), NOW) == 100


def test_the_time_before_a_campaigns_own_start_is_no_pace() -> None:
    late = campaign(started_at=NOW - timedelta(days=2), starts_at=NOW - timedelta(seconds=100))
    assert estimate_eta_s(late, progress(10, 5), NOW) == 100


def test_hours_in_which_the_window_is_closed_are_added_and_are_no_pace() -> None:
    # Open for 3 hours so far today, and for one more; the rest goes on at 9 tomorrow.
    window = CallingWindow(start=time(9), end=time(13), timezone="UTC")
    begun = campaign(started_at=NOW - timedelta(hours=15), window=window)
    assert estimate_eta_s(begun, progress(10, 6), NOW) == 21 * 3600 + 3600
    own_zones = CallingWindow(start=time(10), end=time(14), timezone="subscriber", fallback_timezone="Europe/Paris")
    assert estimate_eta_s(campaign(started_at=NOW - timedelta(hours=15), window=own_zones), progress(10, 6), NOW) == (
        21 * 3600 + 3600
    )


def test_a_window_that_does_not_open_again_gives_nothing_to_go_by() -> None:
    days = tuple(NOW.date() + timedelta(days=each) for each in range(400))
    window = CallingWindow(start=time(9), end=time(11), timezone="UTC")
    shut = campaign(started_at=NOW - timedelta(days=3), window=window, holidays=days)
    assert estimate_eta_s(shut, progress(10, 6), NOW) is None


def test_who_is_called_and_who_waits_are_told_apart() -> None:
    counts = Counts(total=10, pending=2, in_progress=7, reached=1, exhausted=0, excluded=0)
    found = CampaignProgress(counts=counts, dispositions={}, active_calls=3, next_due=None)
    assert (found.calling, found.waiting) == (3, 4)
