"""Whole tables of a campaign to download: its calls, and its subscribers with their outcomes."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any
from uuid import UUID

from autodialer.api.calls import key_results_cell
from autodialer.api.context import Context
from autodialer.model import CONSENT, Campaign, SubscriberState
from autodialer.seats import Seats
from autodialer.store import AnyRow, Store, key_results_from
from autodialer.web.caller import Caller
from autodialer.web.downloads import Cell, Download, DownloadedTable

MOST_AT_ONCE = 3
"""Of the API's threads: a download keeps one until the client has taken it all."""
MOST_OF_A_USER = 2

CALL_COLUMNS = (
    "id",
    "subscriber_id",
    "number",
    "name",
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
)
PERSON_COLUMNS = (
    "id",
    "number",
    "second_number",
    "name",
    "comment",
    "timezone",
    *CONSENT,
    "state",
    "reason",
    "attempts",
)
_READ_JSON = json.JSONDecoder().raw_decode
KEY_RESULTS = CALL_COLUMNS.index("key_results")
LAST_CALL_COLUMNS = ("disposition", "cause", "sip_code", "invited_at", "ended_at", "billsec_s", "played_s", "digits")
"""Of the last call of a subscriber, with `last_` before."""
NO_CALL = (None,) * len(LAST_CALL_COLUMNS)


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

    def export_calls_csv(self, caller: Caller, campaign_id: UUID) -> Download:
        """The finished calls of a campaign."""
        return Download(self._table(caller, campaign_id, calls_table), "csv")

    def export_calls_xlsx(self, caller: Caller, campaign_id: UUID) -> Download:
        """The same as a workbook."""
        return Download(self._table(caller, campaign_id, calls_table), "xlsx")

    def export_subscribers_csv(self, caller: Caller, campaign_id: UUID) -> Download:
        """The subscribers of a campaign and their outcomes."""
        return Download(self._table(caller, campaign_id, subscribers_table), "csv")

    def export_subscribers_xlsx(self, caller: Caller, campaign_id: UUID) -> Download:
        """The same as a workbook."""
        return Download(self._table(caller, campaign_id, subscribers_table), "xlsx")

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
    return DownloadedTable(name="calls", header=header, rows=rows(), close=close)


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
    return DownloadedTable(name="subscribers", header=[*own, *_extra_header(extra, own)], rows=rows(), close=close)


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
