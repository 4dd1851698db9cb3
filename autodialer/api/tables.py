"""Whole tables of a campaign to download: its calls, and its subscribers with their outcomes."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from autodialer.api.by_hand import (
    BY_HAND_COLUMNS,
    LAST_CALL,
    Language,
    may_be_called_by_hand,
    outcome_in_words,
    when_to_try,
)
from autodialer.api.calls import key_results_cell
from autodialer.api.context import Context
from autodialer.model import CONSENT, Campaign, CampaignState, SubscriberState
from autodialer.model.window import SUBSCRIBER_ZONE
from autodialer.seats import Seats
from autodialer.store import AnyRow, Store, key_results_from
from autodialer.web.caller import Caller
from autodialer.web.downloads import Cell, Download, DownloadedTable
from autodialer.web.fields import Fields
from autodialer.web.spreadsheets import Dialect, as_text, as_workbook

MOST_AT_ONCE = 3
"""Of the API's threads: a download keeps one until the client has taken it all."""
MOST_OF_A_USER = 2

CALL_COLUMNS = (
    "name",
    "number",
    "comment",
    "attempt",
    "trunk",
    "disposition",
    "cause",
    "message",
    "sip_code",
    "sip_reason",
    "q850_cause",
    "refusal_headers",
    "invited_at",
    "ringing_at",
    "answered_at",
    "ended_at",
    "pdd_s",
    "duration_s",
    "billsec_s",
    "played_s",
    "played_share",
    "digits",
    "key_results",
    "ended_by",
    "next_at",
    "next_rule",
    "rtp_sent",
    "rtp_received",
    "rtp_lost",
    "rtp_jitter_ms",
    "rtp_one_way_audio",
    "rtp_remote_lost",
    "rtp_round_trip_ms",
    "rtp_reports",
    "rtp_strangers",
    "rtp_encryption",
    *CONSENT,
    "id",
    "subscriber_id",
)
_READ_JSON = json.JSONDecoder().raw_decode
KEY_RESULTS = CALL_COLUMNS.index("key_results")
PERSON_COLUMNS = (
    "name",
    "number",
    "second_number",
    "comment",
    "timezone",
    *CONSENT,
    "id",
    "state",
    "reason",
    "attempts",
)
LAST_CALL_COLUMNS = ("disposition", "cause", "sip_code", "invited_at", "ended_at", "billsec_s", "played_s", "digits")
"""Of the last call of a subscriber, with `last_` before."""
NO_CALL = (None,) * len(LAST_CALL_COLUMNS)


class TableWanted(Fields):
    """How a table is written."""

    dialect: Dialect = Dialect.PLAIN
    language: Language = Language.EN


class Tables:
    """The operations. Each raises NotFound, and TooManyRequests or Unavailable while too much is being downloaded."""

    def __init__(self, context: Context) -> None:
        self._store = context.store
        self._seats = Seats(
            most=MOST_AT_ONCE,
            most_a_user=MOST_OF_A_USER,
            yours=f"{MOST_OF_A_USER} of your tables are being downloaded; wait until one is through.",
            others=f"{MOST_AT_ONCE} tables are being downloaded; wait until one is through.",
        )

    def export_calls_csv(self, caller: Caller, campaign_id: UUID, wanted: TableWanted) -> Download:
        """The finished calls of a campaign."""
        return as_text(self._table(caller, campaign_id, calls_table), wanted.dialect)

    def export_calls_xlsx(self, caller: Caller, campaign_id: UUID) -> Download:
        """The same as a workbook."""
        return as_workbook(self._table(caller, campaign_id, calls_table))

    def export_subscribers_csv(self, caller: Caller, campaign_id: UUID, wanted: TableWanted) -> Download:
        """The subscribers of a campaign and their outcomes."""
        return as_text(self._table(caller, campaign_id, subscribers_table), wanted.dialect)

    def export_subscribers_xlsx(self, caller: Caller, campaign_id: UUID) -> Download:
        """The same as a workbook."""
        return as_workbook(self._table(caller, campaign_id, subscribers_table))

    def export_not_reached_csv(self, caller: Caller, campaign_id: UUID, wanted: TableWanted) -> Download:
        """The subscribers to call by hand."""
        return as_text(self._not_reached(caller, campaign_id, wanted), wanted.dialect)

    def export_not_reached_xlsx(self, caller: Caller, campaign_id: UUID, wanted: TableWanted) -> Download:
        """The same as a workbook."""
        return as_workbook(self._not_reached(caller, campaign_id, wanted))

    def _not_reached(self, caller: Caller, campaign_id: UUID, wanted: TableWanted) -> DownloadedTable:
        def make(store: Store, campaign: Campaign, close: Callable[[], None]) -> DownloadedTable:
            return not_reached_table(store, campaign, close, wanted.language)

        return self._table(caller, campaign_id, make)

    def _table(
        self, caller: Caller, campaign_id: UUID, make: Callable[[Store, Campaign, Callable[[], None]], DownloadedTable]
    ) -> DownloadedTable:
        campaign = self._store.campaigns.get(campaign_id, caller.owner_key)
        self._seats.take(caller.user.key)
        free = _once(lambda: self._seats.give_back(caller.user.key))
        try:
            return make(self._store, campaign, free)
        except BaseException:
            free()
            raise


def _once(deed: Callable[[], None]) -> Callable[[], None]:
    """Does it the first time only."""
    left = [deed]

    def do() -> None:
        if left:
            left.pop()()

    return do


def calls_table(store: Store, campaign: Campaign, close: Callable[[], None]) -> DownloadedTable:
    """Every finished call of a campaign, with what the callbase says of the subscriber called."""
    extra = store.exports.extra_names(campaign.callbase_key)

    def rows() -> Iterator[Sequence[Cell]]:
        for page in store.exports.calls(campaign.key):
            own, extra_of = _picker(page, CALL_COLUMNS), _picker(page, ("extra",))
            for row in page:
                cells = own(row)
                if cells[KEY_RESULTS]:
                    cells = _with_key_results(cells)
                yield cells if not extra else (*cells, *_extra(extra_of(row)[0], extra))

    header = [*CALL_COLUMNS, *_extra_header(extra, CALL_COLUMNS)]
    times, zone = times_among(CALL_COLUMNS), clock_of(store, campaign)
    return DownloadedTable(name="calls", header=header, rows=rows(), close=close, times=times, zone=zone)


def subscribers_table(store: Store, campaign: Campaign, close: Callable[[], None]) -> DownloadedTable:
    """Every subscriber of a campaign: what the callbase says of the subscriber, and the outcome."""
    extra = store.exports.extra_names(campaign.callbase_key)

    def rows() -> Iterator[Sequence[Cell]]:
        for page, called in store.exports.subscribers(campaign):
            own, extra_of = _picker(page, PERSON_COLUMNS), _picker(page, ("key", "extra"))
            of_call = _picker(list(called.values()), LAST_CALL_COLUMNS)
            for row in page:
                *person, state, reason, attempts = own(row)
                key, more = extra_of(row)
                last = called.get(key)
                # A subscriber that the campaign has not come to yet has no row in it.
                became = (state or SubscriberState.PENDING.value, reason, attempts or 0)
                yield [*person, *became, *(of_call(last) if last else NO_CALL), *_extra(more, extra)]

    own = [*PERSON_COLUMNS, *(f"last_{name}" for name in LAST_CALL_COLUMNS)]
    header = [*own, *_extra_header(extra, own)]
    times, zone = times_among(own), clock_of(store, campaign)
    return DownloadedTable(name="subscribers", header=header, rows=rows(), close=close, times=times, zone=zone)


def not_reached_table(
    store: Store, campaign: Campaign, close: Callable[[], None], language: Language
) -> DownloadedTable:
    """The subscribers of a campaign that were not reached and may be called by hand, with what is known of each."""
    extra, zone = store.exports.extra_names(campaign.callbase_key), clock_of(store, campaign)
    has_ended = campaign.state in (CampaignState.FINISHED, CampaignState.STOPPED)

    def rows() -> Iterator[Sequence[Cell]]:
        for page, called in store.exports.subscribers(campaign, with_stop_list=True):
            for row in page:
                may = may_be_called_by_hand(row.state, row.reason, is_barred=row.is_barred, has_ended=has_ended)
                if not may or not row.number:
                    continue
                last = called.get(row.key)
                outcome = last.disposition if last else None
                yield [
                    *(row.name, row.number, row.second_number, row.attempts or 0),
                    outcome_in_words(outcome, row.reason, language),
                    last.ended_at if last else None,
                    when_to_try(outcome, last.ended_at if last else None, row.timezone, zone, language),
                    *(row.timezone, row.comment, *_extra(row.extra, extra), row.id),
                ]

    own, rest = BY_HAND_COLUMNS[language]
    header = [*own, *_extra_header(extra, (*own, *rest)), *rest]
    times = frozenset([LAST_CALL])
    return DownloadedTable(name="not-reached", header=header, rows=rows(), close=close, times=times, zone=zone)


def times_among(names: Sequence[str]) -> frozenset[int]:
    """Places of the columns that hold a time."""
    return frozenset(place for place, name in enumerate(names) if name.endswith("_at"))


def clock_of(store: Store, campaign: Campaign) -> ZoneInfo:
    """By whose clock people read a campaign's times: its window's, else its callbase's, else UTC."""
    window = campaign.window
    named = [window.timezone, window.fallback_timezone] if window else []
    zones = [each for each in named if each and each != SUBSCRIBER_ZONE]
    return ZoneInfo((*zones, store.callbases.by_key(campaign.callbase_key).timezone or "UTC")[0])


def _picker(page: Sequence[AnyRow], names: Sequence[str]) -> Callable[[AnyRow], Sequence[Any]]:
    """Takes the values of these columns out of the rows of a page; by position, which is quicker than by name."""
    if not page:
        return lambda row: ()
    places = [page[0]._fields.index(name) for name in names]
    return itemgetter(*places) if len(places) > 1 else lambda row: (row[places[0]],)


def _extra(extra: str | None, names: Sequence[str]) -> Sequence[Cell]:
    if not extra:
        return [None] * len(names)
    given: Mapping[str, str] = _READ_JSON(extra)[0]
    return [given.get(name) for name in names]


def _extra_header(extra: Sequence[str], taken: Sequence[str]) -> list[str]:
    """A column of the file that is called like one of ours says where it is from."""
    return [f"{name} (callbase)" if name in taken else name for name in extra]


def _with_key_results(cells: Sequence[Any]) -> Sequence[Cell]:
    said = key_results_cell(key_results_from(cells[KEY_RESULTS]))
    return [*cells[:KEY_RESULTS], said, *cells[KEY_RESULTS + 1 :]]
