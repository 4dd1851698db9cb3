"""What the dialer sees of the running campaigns that their diaries tell: hours and trunks, once a change."""

from collections.abc import Iterator, Mapping, Sequence

from autodialer.campaign.breaker import BreakerState
from autodialer.model import Campaign, CampaignLimit, CampaignStatus, Trunk, TrunkStatus
from autodialer.model.diary import DiaryEvent, DiaryNote
from autodialer.store import Store

REGISTERED = "registered"
SHUT = (CampaignLimit.WINDOW_CLOSED, CampaignLimit.BEFORE_START)


class Diaries:
    """Tells what has changed since it told last."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._told: dict[tuple[int, str], DiaryEvent] = {}
        """By campaign and subject. The store knows what was told before a restart."""

    def tell(
        self,
        campaigns: Mapping[int, Campaign],
        statuses: Sequence[CampaignStatus],
        trunks: Mapping[int, Trunk],
        trunk_statuses: Sequence[TrunkStatus],
    ) -> None:
        """Write what is new of the running campaigns; `trunks` has the names. Raises Unavailable: tell it again."""
        by_trunk = {status.trunk_key: status for status in trunk_statuses}
        seen = [note for status in statuses for note in _of_hours(campaigns.get(status.campaign_key), status)]
        for campaign in campaigns.values():
            for key in campaign.trunk_keys:
                if key in by_trunk and key in trunks and not campaign.hidden:
                    seen += _of_trunk(campaign, trunks[key], by_trunk[key])
        self._store.diary.note([note for note in seen if self._told.get(_topic(note)) is not note.event])
        kept = {topic: event for topic, event in self._told.items() if topic[0] in campaigns}
        self._told = kept | {_topic(note): note.event for note in seen}


def _topic(note: DiaryNote) -> tuple[int, str]:
    return note.campaign_key, note.subject


def _of_hours(campaign: Campaign | None, status: CampaignStatus) -> Iterator[DiaryNote]:
    if campaign is None or campaign.hidden:
        return
    is_shut = status.limited_by in SHUT
    details = {"limit": str(status.limited_by), "until": status.until.isoformat() if status.until else None}
    yield DiaryNote(
        campaign_key=campaign.key,
        event=DiaryEvent.WINDOW_CLOSED if is_shut else DiaryEvent.WINDOW_OPENED,
        subject="window",
        details=details if is_shut else {},
    )


def _of_trunk(campaign: Campaign, trunk: Trunk, status: TrunkStatus) -> Iterator[DiaryNote]:
    """A trunk that is being probed still rests, for all that is known."""
    named = {"trunk_id": str(trunk.id), "name": trunk.name}
    if status.breaker_state != BreakerState.PROBING.value:
        rests = status.breaker_state == BreakerState.RESTING.value
        yield DiaryNote(
            campaign_key=campaign.key,
            event=DiaryEvent.TRUNK_RESTED if rests else DiaryEvent.TRUNK_CAME_BACK,
            subject=f"trunk {trunk.key}",
            details={**named, "cause": status.breaker_cause} if rests else named,
        )
    if trunk.register and (status.registration_error is not None or status.registration_state == REGISTERED):
        is_registered = status.registration_state == REGISTERED
        yield DiaryNote(
            campaign_key=campaign.key,
            event=DiaryEvent.TRUNK_REGISTERED if is_registered else DiaryEvent.TRUNK_UNREGISTERED,
            subject=f"registration {trunk.key}",
            details=named if is_registered else {**named, "cause": status.registration_error},
        )
