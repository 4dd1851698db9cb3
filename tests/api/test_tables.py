"""The tables of a campaign to download: their rows and columns, and the users who may have them."""

import csv
import io
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import openpyxl
import pytest

from autodialer.api.tables import MOST_AT_ONCE, MOST_OF_A_USER
from autodialer.api.trunks import WaitingChecks
from autodialer.errors import TooManyRequests, Unavailable
from autodialer.model import Disposition, Role
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
FILES = ["calls.csv", "calls.xlsx", "subscribers.csv", "subscribers.xlsx"]
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
        lines = [list(row) for row in sheet.iter_rows(values_only=True)]
    return [
        {name: cell for name, cell in zip(lines[0], line, strict=True) if cell not in (None, "")} for line in lines[1:]
    ]


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
    expected = [] if name.startswith("calls") else [("pending", 0)] * 3
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
