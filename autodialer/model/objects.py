"""What a user sets up: users, trunks, sounds, callbases, subscribers, campaigns."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import date, datetime
from typing import Any
from uuid import UUID

from autodialer.model.keys import KEY_WAIT_S, KeyAction
from autodialer.model.slices import Drawn
from autodialer.model.states import CampaignState, Disposition, Role
from autodialer.model.window import CallingWindow


@dataclass(frozen=True, kw_only=True)
class User:
    """Somebody who logs in."""

    key: int
    id: UUID
    login: str
    name: str
    role: Role
    comment: str | None
    can_log_in: bool
    """False until a password has been set (the sample users of sqlite/script.sql)."""
    created_at: datetime
    works_for_key: int | None = None
    """The user with whose objects an operator or a viewer works; None for the other roles."""
    works_for: str | None = None
    """Its login."""
    max_calls_day: int | None = None
    """Most calls of a day (UTC) in all the user's campaigns; None: no ceiling."""
    max_minutes_day: int | None = None
    """The same of minutes."""
    mfa_required: bool = False
    """Whether an admin wants the user to have a second factor."""
    mfa_enabled: bool = False
    """Whether the user has one in use."""


_LIVE: Mapping[str, bool] = {"live": True}
"""Marks a setting that running phones follow. Any other setting restarts the phones: never wrong, only slower."""
_ADMINS: Mapping[str, bool] = {"live": True, "admins": True}
"""Marks a live setting that only an admin may change."""
_WRITE_ONLY: Mapping[str, bool] = {"write_only": True}
"""Marks a setting that is never shown to anybody."""


@dataclass(frozen=True, kw_only=True)
class ShownNumber:
    """A number that a provider lets a trunk show."""

    number: str
    shown_as: str | None = None
    """What the callee's display says beside it, as agreed with the provider; None: not known."""


@dataclass(frozen=True, kw_only=True)
class TrunkSettings:
    """A provider's SIP settings as a user states them.

    A setting is named here and nowhere else: the store's row, the JSON of the API and the choice of what restarts
    phones follow from the fields. It needs a column of its name, and a place in swagger.yaml.
    """

    name: str = field(metadata=_LIVE)
    host: str
    """IP address, an IPv6 one without brackets, or name of the provider's SIP server."""
    port: int | None = None
    """None: SRV records are looked up, else the default port of the transport (RFC 3263)."""
    transport: str = "udp"
    """udp, tcp or tls."""
    username: str = ""
    """User part of From and Contact; empty where the provider knows us by our address."""
    password: str = field(default="", repr=False, metadata=_WRITE_ONLY)
    auth_username: str | None = None
    """User name for digest, None: `username`."""
    domain: str | None = None
    """Host part of From, To and Request-URI, None: `host`."""
    caller_id: str | None = None
    """Number shown to the callee, None: `username`."""
    caller_ids: tuple[ShownNumber, ...] = field(default=(), metadata=_LIVE)
    """Numbers that the provider lets it show; empty: not said. Kept for people: nothing is refused for it."""
    number_format: str = field(default="{e164}", metadata=_LIVE)
    """Template over {e164} and {national}; how the provider wants numbers."""
    max_channels: int = field(default=10, metadata=_LIVE)
    """Most simultaneous calls."""
    cps: float = field(default=1.0, metadata=_LIVE)
    """Most new calls a second."""
    codecs: tuple[str, ...] = ("PCMA", "PCMU")
    """Order in which codecs are offered: PCMA, PCMU."""
    ca_file: str | None = field(default=None, repr=False)
    """Certificates of the issuers to trust for TLS, PEM text; None: those that the system trusts."""
    outbound_proxy: str | None = None
    """host or host:port that everything goes through; None: straight to `host`."""
    backup_host: str | None = None
    """host or host:port of a second server of the provider, beside `outbound_proxy` or else `host`; None: there is no
    other."""
    extra_headers: tuple[str, ...] = ()
    """Lines `Name: value` that every INVITE has as well."""
    register: bool = False
    """The provider wants us to register; no call leaves before."""
    caller_id_header: str = "from"
    """Where the caller ID stands: from, p_asserted_identity, p_preferred_identity or remote_party_id."""
    media_ports: str = "per_call"
    """per_call: an RTP port for each call; shared: one for all calls of a phone."""
    media_encryption: str = "none"
    """none; preferred: encrypted, and plain where the provider refuses that; required: encrypted or not at all."""
    symmetric_rtp: bool = True
    """Send RTP to where the callee's comes from, if that is elsewhere than it says."""
    strict_source: bool = True
    """Obey SIP within a call only from the hosts that the call goes through, as far as they are known."""
    price_per_min: float | None = field(default=None, metadata=_LIVE)
    """What a minute of an answered call costs, for the report's estimate; None: not said."""
    allowed_countries: tuple[str, ...] | None = field(default=None, metadata=_LIVE)
    """ISO 3166 regions that are called; None: that of the caller ID, else that of the callbase."""
    allowed_special: tuple[str, ...] = field(default=(), metadata=_ADMINS)
    """Kinds of `autodialer.model.destinations.Special` that are called too."""
    max_calls_day: int | None = field(default=None, metadata=_ADMINS)
    """Most calls of a day (UTC) over this trunk; None: no ceiling."""
    max_minutes_day: int | None = field(default=None, metadata=_ADMINS)
    """The same of minutes."""
    stun_server: str | None = None
    """host or host:port asked under which addresses we are seen outside; None: the provider's word has to do."""

    def as_phones_know_it(self) -> tuple[object, ...]:
        """What a running phone cannot change: trunks that differ in it need phones of their own."""
        return tuple(getattr(self, name) for name in _STARTS_PHONES)

    def shown(self) -> dict[str, object]:
        """The settings that may be read back, by name, as JSON has them."""
        values = {name: getattr(self, name) for name in _SHOWN}
        values["caller_ids"] = [asdict(each) for each in self.caller_ids]
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


TRUNK_SETTINGS: tuple[str, ...] = tuple(each.name for each in fields(TrunkSettings))
"""Names of what a user says of a trunk."""
ADMINS_SETTINGS: tuple[str, ...] = tuple(each.name for each in fields(TrunkSettings) if each.metadata.get("admins"))
"""Names of what only an admin may change of a trunk."""
_STARTS_PHONES = tuple(each.name for each in fields(TrunkSettings) if not each.metadata.get("live"))
_SHOWN = tuple(each.name for each in fields(TrunkSettings) if not each.metadata.get("write_only"))


@dataclass(frozen=True, kw_only=True)
class Trunk(TrunkSettings):
    """A provider's SIP settings, stored."""

    key: int
    id: UUID
    owner_key: int
    hidden: bool = False
    """True for a trunk made by the prototype's sample call, which no list shows."""
    problem: str | None = None
    """Why it cannot be used as it is stored, a sentence for a person; None: it can. Never written."""
    deleted: bool = False
    """It is kept for the calls that went through it, without its password, and is not registered. Never written."""
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class Sound:
    """An uploaded recording, stored as it came and as it will be heard."""

    key: int
    id: UUID
    owner_key: int
    name: str
    duration_s: float
    peak_dbfs: float
    """Of what is heard, its highest sample."""
    loudness_lufs: float | None
    """Of what is heard; None: shorter than 0.4 s, or imported before it was measured."""
    gain_db: float | None = None
    """By how much it was turned up, or down (below 0); None: imported before that was written down."""
    sample_rate: int
    """Of the file as it came, Hz."""
    channels: int
    """Of the file as it came."""
    path: str
    """Path, relative to the data folder, of the 16-bit 8 kHz mono WAV that is heard; .alaw and .ulaw beside it."""
    original_path: str
    """Path, relative to the data folder, of the file as it came."""
    warnings: Mapping[str, str] = field(default_factory=dict)
    """What may not be heard as it was meant, a sentence by its code."""
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class Callbase:
    """An uploaded list of subscribers."""

    key: int
    id: UUID
    owner_key: int
    name: str
    region: str
    """ISO 3166 country that gives short numbers their meaning, or `raw`."""
    timezone: str | None
    """IANA name, None: not said."""
    state: str
    """importing, ready or failed."""
    rows: int
    """Rows of the file that held anything, without its header."""
    rows_done: int
    imported: int
    duplicates: int
    rejected: int
    error: str | None
    """Why the import failed, for a person; None otherwise."""
    hidden: bool
    created_at: datetime
    doubtful: int
    """Of the imported: subscribers whose number is possible, but not valid."""
    reading: Mapping[str, Any]
    """How the file was read: kind, encoding, delimiter, sheet, header_row, columns ...; empty: no file, or before that
    was kept."""


CONSENT = ("consent_source", "consent_at", "consent_text")
"""Fields of a subscriber that tell of the consent to be called; a call keeps them as they were."""


@dataclass(frozen=True, kw_only=True)
class Subscriber:
    """One person's number in a callbase."""

    key: int
    id: UUID
    callbase_key: int
    number: str
    """E.164 with the plus, or the text as written in a `raw` callbase."""
    name: str | None
    comment: str | None
    timezone: str | None
    second_number: str | None = None
    """Called once the attempts at `number` are used up, in the same notation; None: there is only one number."""
    doubt: str | None = None
    """Why the number may be wrong, a sentence for a person; None: it is valid."""
    consent_source: str | None = None
    """Where the person agreed to be called, as the file or the user says it; the two below are the same."""
    consent_at: str | None = None
    """When; as it was written, because a date read wrongly would be no evidence."""
    consent_text: str | None = None
    """To what."""
    extra: Mapping[str, str]
    """Columns of the file that have no field of their own; `flag` tells of a second cell that holds no number."""


@dataclass(frozen=True, kw_only=True)
class RetryRule:
    """How often and how late a number is tried again after one disposition."""

    after_s: float
    times: int


SECOND_NUMBER = "second_number"
"""The rule of the attempt that goes to a subscriber's second number, because those at the first are used up."""

DEFAULT_RETRY: Mapping[str, RetryRule] = {
    Disposition.BUSY.value: RetryRule(after_s=300, times=3),
    Disposition.NO_ANSWER.value: RetryRule(after_s=1800, times=2),
    Disposition.CONGESTION.value: RetryRule(after_s=60, times=5),
    Disposition.FAILED.value: RetryRule(after_s=300, times=0),
    Disposition.REJECTED.value: RetryRule(after_s=300, times=0),
    Disposition.MACHINE.value: RetryRule(after_s=300, times=0),
    Disposition.INTERRUPTED.value: RetryRule(after_s=300, times=0),
    "short": RetryRule(after_s=300, times=0),
}


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """One calling task: trunk, sound, callbase and rules."""

    key: int
    id: UUID
    owner_key: int
    name: str
    state: CampaignState
    trunk_keys: tuple[int, ...]
    """In order of preference."""
    trunk_ids: tuple[UUID, ...]
    sound_key: int
    sound_id: UUID
    sound_path: str = ""
    """Of the recording that calls begin with now: another one once the sound is replaced."""
    callbase_key: int
    callbase_id: UUID
    caller_id: str | None
    """Overrides the trunk's."""
    max_channels: int | None
    """Most simultaneous calls; None: as many as its trunks allow."""
    cps: float | None
    """Most new calls a second; None: as many as its trunks allow."""
    ring_timeout_s: float
    max_call_s: float
    lead_in_ms: int | None
    """Silence between the answer and the sound; None: 100 behind a NAT, else 0."""
    max_attempts: int
    min_played_s: float | None
    """An answered call that heard less is tried again by the rule `short`; None: never."""
    retry: Mapping[str, RetryRule]
    hidden: bool
    """True for the campaign behind a sample call, which no list shows."""
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    cap_day: int | None = None
    """Most attempts of a number in 24 hours, over all campaigns of the owner; None: no cap."""
    cap_week: int | None = None
    """The same in 7 days."""
    dial_doubtful: bool = False
    """Whether numbers are dialled that are possible, but in no range that the numbering plan has assigned."""
    keys: Mapping[str, KeyAction] = field(default_factory=dict)
    """What a key that the callee presses does; keys that are not here do nothing."""
    transfer_to: str | None = None
    """Number to which a key transfers: E.164 with the plus, or digits, * and # that are dialled as written."""
    after_failed_transfer: str = "continue"
    """continue: the sound goes on where it stopped; hang_up."""
    key_wait_s: float | None = None
    """How long the callee may press a key after the sound; None: 5 s with keys, else not at all."""
    window: CallingWindow | None = None
    """When subscribers may be called; None: always."""
    holidays: tuple[date, ...] = ()
    """Days on which the window does not start."""
    starts_at: datetime | None = None
    """Nothing is dialled before; None: from its start on."""
    ends_at: datetime | None = None
    """Nothing is dialled after; None: until everybody has ended."""
    moved_at: datetime | None = None
    """When a user started, paused, resumed or stopped it last; None: never."""
    moved_by: str | None = None
    """Login of that user."""
    archived_at: datetime | None = None
    """Since when lists leave it out unless they are asked for it; None: they show it."""
    pause_after: int | None = None
    """It pauses once so many of its people have been called; None: not by itself."""
    people_called: int = 0
    """People whose first call has been claimed."""
    drawn: Drawn | None = None
    """The people it is for; None: its whole callbase."""
    webhook_url: str | None = None
    """The URL of its webhook that was made together with it; None: it has no such webhook."""

    @property
    def has_come_to_pause(self) -> bool:
        """Whether so many people have been called that it was to pause."""
        return self.pause_after is not None and self.people_called >= self.pause_after

    @property
    def waits_for_key_s(self) -> float:
        """How long it waits for a key after the sound."""
        return self.key_wait_s if self.key_wait_s is not None else KEY_WAIT_S if self.keys else 0.0
