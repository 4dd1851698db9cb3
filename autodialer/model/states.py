"""The fixed words: dispositions, causes, roles, and the states with their allowed transitions."""

from collections.abc import Mapping
from enum import StrEnum


class Disposition(StrEnum):
    """How a call ended, in one word."""

    ANSWERED = "answered"
    MACHINE = "machine"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    REJECTED = "rejected"
    INVALID_NUMBER = "invalid_number"
    CONGESTION = "congestion"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"


class Cause(StrEnum):
    """Says more where the SIP code alone does not."""

    AUTH_FAILED = "auth_failed"
    FORBIDDEN = "forbidden"
    MEDIA_FAILED = "media_failed"
    NO_RESPONSE = "no_response"
    REDIRECTED = "redirected"
    TRANSPORT_ERROR = "transport_error"
    PROTOCOL_ERROR = "protocol_error"
    TRUNK_LIMIT = "trunk_limit"
    INTERNAL_ERROR = "internal_error"


class EndedBy(StrEnum):
    """Who ended a call that had been answered."""

    CALLEE = "callee"
    US = "us"


class CampaignState(StrEnum):
    """Life of a campaign; the allowed transitions are in CAMPAIGN_TRANSITIONS."""

    DRAFT = "draft"
    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    STOPPED = "stopped"


class JobState(StrEnum):
    """Life of a call job; the allowed transitions are in JOB_TRANSITIONS."""

    QUEUED = "queued"
    DIALING = "dialing"
    INTERRUPTED = "interrupted"
    DONE = "done"
    CANCELLED = "cancelled"


class MediaState(StrEnum):
    """Whether the media process is there."""

    RUNNING = "running"
    NOT_WANTED = "not_wanted"
    """No trunk has been used since the dialer started, so that nothing needs it."""
    DOWN = "down"
    """It died or could not start; the dialer starts it again."""


class CampaignLimit(StrEnum):
    """What keeps a running campaign from starting more calls at the moment."""

    CAMPAIGN_CHANNELS = "campaign_channels"
    CAMPAIGN_CPS = "campaign_cps"
    TRUNK_CHANNELS = "trunk_channels"
    TRUNK_CPS = "trunk_cps"
    TRUNK_IN_DOUBT = "trunk_in_doubt"
    """The trunk has not proved itself, fell silent, or is tried with one call."""
    WINDOW_CLOSED = "window_closed"
    """It is not the time of day, or not the day, to call anybody of it."""
    BEFORE_START = "before_start"
    AFTER_END = "after_end"
    NO_TRUNK = "no_trunk"
    """No trunk of it can be used: the phones have no way out, or are not registered."""
    MACHINE_SHARE = "machine_share"
    """Its user's share of the calls that the machine can have up is in use, and other users have calls to make."""


class SubscriberState(StrEnum):
    """A subscriber within one campaign; the allowed transitions are in SUBSCRIBER_TRANSITIONS."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    REACHED = "reached"
    EXHAUSTED = "exhausted"
    EXCLUDED = "excluded"


CAMPAIGN_TRANSITIONS: Mapping[CampaignState, frozenset[CampaignState]] = {
    CampaignState.DRAFT: frozenset({CampaignState.RUNNING}),
    CampaignState.RUNNING: frozenset({CampaignState.PAUSED, CampaignState.FINISHED, CampaignState.STOPPED}),
    CampaignState.PAUSED: frozenset({CampaignState.RUNNING, CampaignState.STOPPED}),
    CampaignState.FINISHED: frozenset(),
    CampaignState.STOPPED: frozenset(),
}
JOB_TRANSITIONS: Mapping[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.DIALING, JobState.CANCELLED}),
    JobState.DIALING: frozenset({JobState.DONE, JobState.QUEUED, JobState.INTERRUPTED}),
    JobState.INTERRUPTED: frozenset({JobState.QUEUED, JobState.DONE}),
    JobState.DONE: frozenset(),
    JobState.CANCELLED: frozenset(),
}
SUBSCRIBER_TRANSITIONS: Mapping[SubscriberState, frozenset[SubscriberState]] = {
    SubscriberState.PENDING: frozenset({SubscriberState.IN_PROGRESS, SubscriberState.EXCLUDED}),
    SubscriberState.IN_PROGRESS: frozenset(
        # Back to pending where the call was claimed and its INVITE never left.
        {SubscriberState.PENDING, SubscriberState.REACHED, SubscriberState.EXHAUSTED, SubscriberState.EXCLUDED}
    ),
    SubscriberState.REACHED: frozenset(),
    SubscriberState.EXHAUSTED: frozenset(),
    SubscriberState.EXCLUDED: frozenset(),
}


class Role(StrEnum):
    """What a user may do."""

    USER = "user"
    """Makes objects and works with them; sees no other user's."""
    ADMIN = "admin"
    """All that a user may, with everybody's objects; and the users."""
    OPERATOR = "operator"
    """Starts, pauses, resumes and stops the campaigns of one user and hangs up their calls; else only reads."""
    VIEWER = "viewer"
    """Only reads the objects of one user."""
