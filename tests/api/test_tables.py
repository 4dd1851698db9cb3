"""The tables of a campaign to download: their rows and columns, and the users who may have them."""

import csv
import io
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import openpyxl
import pytest

from autodialer.api.by_hand import Language, may_be_called_by_hand, outcome_in_words
from autodialer.api.tables import MOST_AT_ONCE, MOST_OF_A_USER
from autodialer.api.trunks import WaitingChecks
from autodialer.errors import TooManyRequests, Unavailable
from autodialer.model import Disposition, Role, SubscriberState
from autodialer.model.admission import EXCLUDED_CAP, EXCLUDED_DOUBTFUL, EXCLUDED_WINDOW
from autodialer.store import Store
from autodialer.store.calls import exports
from autodialer.web.app import App
from tests.web.client import Client
from tests.web.conftest import PASSWORD, StandingClock
from tests.web.dialing import DONE, EXHAUSTED, again, answered, claim, failed, record

BASE = """phone;name;street;comment;state;=danger
+79160000001;Анна;Ленина 1;flat 1;Moscow;
+79160000002;=HYPERLINK("x");;;;7
+79160000003;;"Mira; 5";;;
+79160000004;;;;;
"""
FILES = ["calls.csv", "calls.xlsx", "subscribers.csv", "subscribers.xlsx", "not-reached.csv", "not-reached.xlsx"]
EXCLUDED_REASONS = ("dnc", "erased", "deleted", EXCLUDED_WINDOW, EXCLUDED_CAP, EXCLUDED_DOUBTFUL)
Row = dict[str, Any]


@pytest.fixture
def campaign(anna: Client, objects: dict[str, Any], store: Store, clock: StandingClock) -> str:
    """The path of a running campaign of four: reached, exhausted by the second call, by the first, and dialing."""
    upload = {"file": ("base.csv", BASE.encode())}
    callbase = anna.post("/srv1/callbases", files=upload, data={"region": "RU"}).json()
    made = anna.post("/srv1/campaigns", json=objects["fields"] | {"callbase_id": callbase["id"]}).json()
    path = f"/srv1/campaigns/{made['id']}"
    anna.post(f"{path}/start")
    first, second, third = claim(store, clock.now, 3)
    record(store, clock.now, first, answered(clock.now, digits="19"), DONE)
    busy = failed(clock.now, Disposition.BUSY, 486)
    record(store, clock.now, second, busy, again(clock.now + timedelta(seconds=300)))
    record(store, clock.now, third, failed(clock.now, Disposition.NO_ANSWER, 480), EXHAUSTED)
    clock.move(301)
    [second_again] = [job for job in claim(store, clock.now) if job.attempt == 2]
    record(store, clock.now, second_again, failed(clock.now, Disposition.REJECTED, 603), EXHAUSTED)
    return path


def rows_of(client: Client, path: str) -> list[Row]:
    """The rows of a downloaded table as header -> text, empty ones left out."""
    answer = client.get(path)
    assert answer.status == 200, answer.body
    assert answer.headers["content-disposition"] == f'attachment; filename="{path.rpartition("/")[2]}"'
    if path.endswith(".csv"):
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        lines = list(csv.reader(io.StringIO(answer.body.decode("utf-8-sig"), newline="")))
    else:
        [sheet] = openpyxl.load_workbook(io.BytesIO(answer.body)).worksheets
        lines = [[_as_in_the_api(cell) for cell in row] for row in sheet.iter_rows(values_only=True)]
        lines[0] = [str(name).removesuffix(" (UTC)") for name in lines[0]]
    return [
        {name: cell for name, cell in zip(lines[0], line, strict=True) if cell not in (None, "")} for line in lines[1:]
    ]


def _as_in_the_api(cell: Any) -> Any:
    """A date of a workbook as the API writes it; the campaign here has no zone, so that it is in UTC."""
    return f"{cell:%Y-%m-%dT%H:%M:%S}.000Z" if isinstance(cell, datetime) else cell


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_every_call_is_in_the_table_with_its_cdr_and_what_the_callbase_says(
    anna: Client, campaign: str, kind: str
) -> None:
    rows = rows_of(anna, f"{campaign}/calls.{kind}")
    assert [row["disposition"] for row in rows] == ["answered", "busy", "no_answer", "rejected"]
    by_api = anna.get(f"{campaign}/calls").json()["items"]
    for row, call in zip(rows, by_api, strict=True):
        for name in ("id", "subscriber_id", "number", "invited_at", "ended_at", "answered_at", "sip_reason", "digits"):
            assert row.get(name) == (call[name] or None), name
        for name in ("attempt", "sip_code", "billsec_s", "played_s", "pdd_s"):
            assert float(row.get(name, 0)) == float(call[name] or 0), name
        assert row.get("next_at") == call["next_attempt"]["at"]
        assert row["next_rule"] == call["next_attempt"]["rule"]
    assert rows[0]["name"] == "Анна"
    assert (rows[0]["street"], rows[0]["state"], rows[0]["comment"]) == ("Ленина 1", "Moscow", "flat 1")
    assert rows[2]["street"] == "Mira; 5"
    assert rows[0]["trunk"] == "trunk"
    assert rows[0]["rtp_received"] in ("490", 490)


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_every_subscriber_is_in_the_table_with_what_became_of_him(anna: Client, campaign: str, kind: str) -> None:
    rows = rows_of(anna, f"{campaign}/subscribers.{kind}")
    assert [row["number"] for row in rows] == [f"+7916000000{index}" for index in (1, 2, 3, 4)]
    assert [row["state"] for row in rows] == ["reached", "exhausted", "exhausted", "in_progress"]
    assert [int(row["attempts"]) for row in rows] == [1, 2, 1, 0]
    assert [row.get("last_disposition") for row in rows] == ["answered", "rejected", "no_answer", None]
    assert rows[0]["last_digits"] in ("19", 19)
    assert rows[0]["state (callbase)"] == "Moscow"
    found = rows[1]["name"], [value for name, value in rows[1].items() if "danger" in name]
    csv_has = ('\'=HYPERLINK("x")', ["7"])
    assert found == (csv_has if kind == "csv" else ('=HYPERLINK("x")', ["7"]))
    assert any(name == ("'=danger" if kind == "csv" else "=danger") for name in rows[1])


def test_pages_join_without_a_gap_or_a_repetition(anna: Client, campaign: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = [anna.get(f"{campaign}/{name}").body for name in ("calls.csv", "subscribers.csv")]
    for size in (1, 2, 3, 4):
        monkeypatch.setattr(exports, "PAGE_ROWS", size)
        assert [anna.get(f"{campaign}/{name}").body for name in ("calls.csv", "subscribers.csv")] == whole


def test_who_was_added_after_the_end_does_not_belong_to_the_campaign(anna: Client, campaign: str) -> None:
    anna.post(f"{campaign}/stop")
    callbase = anna.get(campaign).json()["callbase_id"]
    assert anna.post(f"/srv1/callbases/{callbase}/subscribers", json={"number": "+79160000009"}).status == 201
    assert len(rows_of(anna, f"{campaign}/subscribers.csv")) == 4


def test_the_table_of_a_deleted_callbase_has_states_but_no_numbers(anna: Client, campaign: str) -> None:
    anna.post(f"{campaign}/stop")
    callbase = anna.get(campaign).json()["callbase_id"]
    assert anna.call("DELETE", f"/srv1/callbases/{callbase}").status == 204
    rows = rows_of(anna, f"{campaign}/subscribers.csv")
    assert [("number" in row, row["state"]) for row in rows][:2] == [(False, "reached"), (False, "exhausted")]
    assert all("name" not in row and "street" not in row for row in rows)


@pytest.mark.parametrize("name", FILES)
def test_a_table_of_an_empty_campaign_is_a_table(anna: Client, objects: dict[str, Any], name: str) -> None:
    rows = rows_of(anna, f"/srv1/campaigns/{objects['campaign']['id']}/{name}")
    expected = [] if not name.startswith("subscribers") else [("pending", 0)] * 3
    assert [(row["state"], int(row["attempts"])) for row in rows] == expected


@pytest.mark.parametrize("name", FILES)
def test_somebody_elses_table_is_not_there(boris: Client, client: Client, campaign: str, name: str) -> None:
    assert boris.get(f"{campaign}/{name}").status == 404
    assert client.get(f"{campaign}/{name}").status == 401


def test_a_user_downloads_some_tables_at_a_time_leaves_others_a_place_and_an_aborted_one_makes_room(
    anna: Client, admin: Client, log_in: Callable[[str], Client], store: Store, app: App, campaign: str
) -> None:
    open_ones = [_begin(anna, app, f"{campaign}/calls.csv") for _ in range(MOST_OF_A_USER)]
    refused = anna.get(f"{campaign}/calls.csv")
    assert (refused.status, refused.error) == (429, "too_many_requests")
    assert "retry-after" in refused.headers
    others = [_begin(admin, app, f"{campaign}/calls.csv") for _ in range(MOST_AT_ONCE - MOST_OF_A_USER)]
    store.users.create(login="third", password=PASSWORD, role=Role.ADMIN)
    third = log_in("third")
    assert third.get(f"{campaign}/calls.csv").status == 503
    open_ones.pop().close()
    assert third.get(f"{campaign}/calls.csv").status == 200
    assert anna.get(f"{campaign}/calls.csv").status == 200
    for body in (*open_ones, *others):
        body.close()
    assert admin.get(f"{campaign}/calls.csv").status == 200


def test_a_user_whose_check_is_under_way_keeps_no_other_from_a_check() -> None:
    room = WaitingChecks(store=None)._seats  # type: ignore[arg-type]
    with room.taken(1):
        with pytest.raises(TooManyRequests, match="A check of yours"), room.taken(1):
            pass
        with room.taken(2), pytest.raises(Unavailable), room.taken(3):
            pass


def _begin(client: Client, app: App, path: str) -> Any:
    """The body of an answer of which nobody has read anything yet."""
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": path,
        "SERVER_NAME": "dialer.test",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_AUTHORIZATION": f"Bearer {client.token}",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
    }
    return app(environ, lambda status, headers, exc_info=None: None)


@pytest.mark.parametrize(
    ("path", "imports"), [("/srv1/callbases", "/srv1/callbases"), ("/srv1/dnc/import", "/srv1/dnc/imports")]
)
@pytest.mark.parametrize("value", ["=1+1", "@SUM(A1)", "+abc", "-abc", '=HYPERLINK("http://x","y")'])
def test_no_rejected_row_is_a_formula_for_a_spreadsheet(anna: Client, path: str, imports: str, value: str) -> None:
    text = io.StringIO()
    csv.writer(text).writerows([["телефон"], ["8 916 000-00-01"], [value]])
    made = anna.post(path, files={"file": ("a.csv", text.getvalue().encode())}, data={"region": "RU"}).json()
    answer = anna.get(f"{imports}/{made['id']}/rejected", headers={"Accept": "text/csv"})
    cells = [row[2] for row in csv.reader(io.StringIO(answer.body.decode("utf-8-sig")))]
    assert cells[1:] == [f"'{value}"]


# -- for people


@pytest.fixture
def in_moscow(anna: Client, campaign: str) -> str:
    """The same campaign, with a window by the clock of Moscow, three hours ahead of UTC."""
    window = {"start": "09:00", "end": "20:00", "days": ["mon", "sun"], "timezone": "Europe/Moscow"}
    assert anna.call("PUT", campaign, json={"window": window}).status == 200
    return campaign


def test_a_workbook_has_dates_by_the_campaigns_clock_and_names_before_ids(anna: Client, in_moscow: str) -> None:
    [sheet] = openpyxl.load_workbook(io.BytesIO(anna.get(f"{in_moscow}/calls.xlsx").body)).worksheets
    header = [cell.value for cell in sheet[1]]
    assert header[:2] == ["name", "number"]
    assert header.index("id") > header.index("disposition")
    first = sheet.cell(2, header.index("ended_at (Europe/Moscow)") + 1)
    assert first.is_date
    by_api = datetime.fromisoformat(anna.get(f"{in_moscow}/calls").json()["items"][0]["ended_at"])
    assert first.value == by_api.astimezone(ZoneInfo("Europe/Moscow")).replace(tzinfo=None, microsecond=0)


@pytest.mark.parametrize("name", ["calls.xlsx", "subscribers.xlsx", "not-reached.xlsx"])
def test_a_workbook_opens_with_a_filter_a_header_that_stays_and_columns_of_their_width(
    anna: Client, in_moscow: str, name: str
) -> None:
    [sheet] = openpyxl.load_workbook(io.BytesIO(anna.get(f"{in_moscow}/{name}").body)).worksheets
    assert sheet.freeze_panes == "A2"
    assert sheet.auto_filter.ref == sheet.dimensions
    assert all(cell.font.b and cell.fill.fill_type == "solid" for cell in sheet[1])
    assert not any(cell.font.b for cell in sheet[2])
    for cell in sheet[1]:
        width = sheet.column_dimensions[cell.column_letter].width
        assert width >= min(len(str(cell.value)), 48), cell.value


def test_a_csv_for_excel_in_russia_has_its_separators_and_clock(anna: Client, in_moscow: str) -> None:
    body = anna.get(f"{in_moscow}/calls.csv?dialect=excel-ru").body
    assert body.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(body.decode("utf-8-sig"), newline=""), delimiter=";"))
    by_api = anna.get(f"{in_moscow}/calls").json()["items"]
    assert [row["number"] for row in rows] == [call["number"] for call in by_api]
    ended = datetime.fromisoformat(by_api[0]["ended_at"]).astimezone(ZoneInfo("Europe/Moscow"))
    assert rows[0]["ended_at (Europe/Moscow)"] == f"{ended:%d.%m.%Y %H:%M:%S}"
    assert rows[0]["played_share"] == str(float(by_api[0]["played_share"])).replace(".", ",")
    assert rows[0]["rtp_one_way_audio"] in ("да", "нет")
    assert rows[1]["name"] == '\'=HYPERLINK("x")'


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_who_was_not_reached_is_in_the_table_to_call_by_hand(anna: Client, campaign: str, kind: str) -> None:
    rows = rows_of(anna, f"{campaign}/not-reached.{kind}")
    told = [(row["number"], int(row["attempts"]), row["last_outcome"], row["when_to_try"]) for row in rows]
    assert told == [
        ("+79160000002", 2, "the callee declined", "once, another day"),
        ("+79160000003", 1, "rang and nobody answered", "from 18 to 20 o'clock there"),
    ]
    assert rows[1]["street"] == "Mira; 5"
    # The fourth is still the campaign's to call, until it has ended.
    anna.post(f"{campaign}/stop", json={"hangup": True})
    assert [row["number"] for row in rows_of(anna, f"{campaign}/not-reached.{kind}")][2:] == ["+79160000004"]


def test_nobody_on_a_stop_list_is_in_the_table_to_call_by_hand(anna: Client, campaign: str) -> None:
    assert anna.call("PUT", "/srv1/dnc/+79160000002", json={}).status in (200, 201)
    assert [row["number"] for row in rows_of(anna, f"{campaign}/not-reached.csv")] == ["+79160000003"]


def test_the_table_to_call_by_hand_speaks_russian(anna: Client, campaign: str) -> None:
    body = anna.get(f"{campaign}/not-reached.csv?language=ru&dialect=excel-ru").body.decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(body, newline=""), delimiter=";"))
    assert (rows[1]["Чем закончилось"], rows[1]["Когда звонить"]) == (
        "никто не ответил",
        "с 18 до 20 по местному времени",
    )


def test_every_outcome_has_words_in_every_language() -> None:
    reasons = (EXCLUDED_DOUBTFUL, EXCLUDED_WINDOW, EXCLUDED_CAP)
    for language in Language:
        said = [outcome_in_words(each, None, language) for each in Disposition]
        said += [outcome_in_words(None, reason, language) for reason in reasons]
        assert len(set(said)) == len(Disposition) + len(reasons)
        assert outcome_in_words(None, None, language) not in said


@pytest.mark.parametrize("query", ["dialect=excel", "language=de"])
def test_a_dialect_or_language_that_is_not_known_is_told(anna: Client, campaign: str, query: str) -> None:
    answer = anna.get(f"{campaign}/not-reached.csv?{query}")
    assert (answer.status, query.partition("=")[0] in answer.json()["message"]) == (400, True)


@pytest.mark.parametrize("state", [*SubscriberState, None])
@pytest.mark.parametrize("reason", [None, *EXCLUDED_REASONS])
def test_whom_people_may_call(state: str | None, reason: str | None) -> None:
    may = {ended: may_be_called_by_hand(state, reason, is_barred=False, has_ended=ended) for ended in (False, True)}
    if state == "reached" or reason in ("dnc", "erased", "deleted"):
        assert may == {False: False, True: False}
    else:
        assert may == {False: state in ("exhausted", "excluded"), True: True}
    assert not may_be_called_by_hand(state, reason, is_barred=True, has_ended=True)
