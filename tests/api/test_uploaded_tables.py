"""What the answer to an uploaded table says was taken, and how the user chooses instead."""

import io
import json
from typing import Any

import openpyxl
import pytest

from tests.web.client import Client

ACCOUNTS = "Номер;Абонент;Имя\n" + "".join(f"916{row:07d};8 916 000-{row:02d}-00;Имя {row}\n" for row in range(12))
PHONES = "Лицевой счёт;ФИО;Дом. тел.;Моб. тел.\n" + "".join(
    f"916{row:07d};Имя {row};8 495 123-{row:02d}-00;8 916 000-{row:02d}-00\n" for row in range(12)
)


def upload(client: Client, path: str, content: bytes | str, name: str = "base.csv", **form: Any) -> Any:
    data = content.encode() if isinstance(content, str) else content
    return client.post(f"/srv1/{path}", files={"file": (name, data)}, data={"region": "RU", **form})


def workbook(**sheets: list[list[object]]) -> bytes:
    book = openpyxl.Workbook()
    del book[book.sheetnames[0]]
    for name, rows in sheets.items():
        sheet = book.create_sheet(name.rstrip("_"))
        if name.endswith("_"):
            sheet.sheet_state = "hidden"
        for row in rows:
            sheet.append(row)
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


BOOK = workbook(
    Hidden_=[["Телефон"], ["89160000009"]],
    Notes=[["Сделать"], ["позвонить"]],
    People=[["Отчёт за май"], [], ["ФИО", "Тел."], ["Анна", 79160000001], ["Вера", 79160000002.0]],
    More=[["Телефон"], ["89160000003"]],
)


@pytest.mark.parametrize("path", ["callbases", "dnc/import"])
def test_a_choice_in_doubt_is_refused_with_both_columns_their_values_and_the_way_to_choose(
    anna: Client, path: str
) -> None:
    answer = upload(anna, path, ACCOUNTS)
    assert answer.status == 422
    said = answer.json()
    for part in ("Номер", "Абонент", "9160000000", "8 916 000-00-00", 'columns={"number": "Номер"}'):
        assert part in said["message"]
    described = [item for item in said["details"] if "column" in item]
    assert [(item["column"], item["header"], item["valid_share"]) for item in described] == [
        ("A", "Номер", 1.0),
        ("B", "Абонент", 1.0),
    ]
    assert described[1]["values"] == ["8 916 000-00-00", "8 916 000-01-00", "8 916 000-02-00"]
    assert anna.get("/srv1/callbases").json()["items"] == anna.get("/srv1/dnc/imports").json()["items"] == []


@pytest.mark.parametrize("path", ["callbases", "dnc/import"])
@pytest.mark.parametrize("said", ["Абонент", "B", "абонент "])
def test_the_choice_is_made_by_header_or_by_letter(anna: Client, path: str, said: str) -> None:
    made = upload(anna, path, ACCOUNTS, columns=json.dumps({"number": said}))
    assert (made.status, made.json()["columns"]["number"], made.json()["imported"]) == (201, "Абонент", 12)
    if path == "dnc/import":
        assert anna.get("/srv1/dnc/+79160001100").status == 200


def test_the_answer_and_the_callbase_say_what_was_taken(anna: Client) -> None:
    made = upload(anna, "callbases", PHONES.encode("cp1251")).json()
    assert made["columns"] == {"number": "Моб. тел.", "second_number": "Дом. тел.", "name": "ФИО"}
    assert made["table"] == {
        "kind": "csv",
        "encoding": "cp1251",
        "delimiter": ";",
        "broken_letters": 0,
        "sheet": None,
        "sheets_not_read": [],
        "header_row": 1,
    }
    read = anna.get(f"/srv1/callbases/{made['id']}").json()
    assert (read["columns"], read["table"]) == (made["columns"], made["table"])
    [first] = anna.get(f"/srv1/callbases/{made['id']}/subscribers?limit=1").json()["items"]
    assert (first["number"], first["second_number"]) == ("+79160000000", "+74951230000")
    assert first["extra"] == {"Лицевой счёт": "9160000000"}


@pytest.mark.parametrize("path", ["callbases", "dnc/import"])
def test_the_first_visible_sheet_with_phones_is_read_and_the_others_are_told(anna: Client, path: str) -> None:
    made = upload(anna, path, BOOK, "base.xlsx").json()
    assert (made["table"]["sheet"], made["table"]["header_row"], made["imported"]) == ("People", 3, 2)
    assert made["table"]["sheets_not_read"] == ["Hidden", "Notes", "More"]
    made = upload(anna, path, BOOK, "base.xlsx", sheet="Hidden", header_row=1).json()
    assert (made["table"]["sheet"], made["imported"]) == ("Hidden", 1)


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"columns": "number"}, "columns"),
        ({"columns": "[1]"}, "columns"),
        ({"columns": '{"numbr": "A"}'}, "columns"),
        ({"columns": '{"number": 1}'}, "columns"),
        ({"columns": '{"number": null}'}, "columns"),
        ({"columns": '{"number": "Z"}'}, "columns"),
        ({"sheet": "Sheet1"}, "sheet"),
        ({"header_row": "90"}, "header_row"),
    ],
)
@pytest.mark.parametrize("path", ["callbases", "dnc/import", "callbases/preview"])
@pytest.mark.slow
def test_what_is_said_wrongly_is_refused_by_its_field(anna: Client, path: str, form: Any, field: str) -> None:
    answer = upload(anna, path, PHONES, **form)
    assert (answer.status, answer.json()["details"][0]["field"]) == (422, field)


def test_a_preview_shows_the_table_and_stores_nothing(anna: Client) -> None:
    shown = upload(anna, "callbases/preview", PHONES)
    assert shown.status == 200
    said = shown.json()
    assert (said["header_row"], said["delimiter"], said["problem"]) == (1, ";", None)
    assert said["columns"] == {"number": "Моб. тел.", "second_number": "Дом. тел.", "name": "ФИО"}
    account, name, home, mobile = said["found"]
    assert (account["column"], account["speaks_of"], account["taken_for"]) == ("A", "against", None)
    assert (name["taken_for"], home["taken_for"], mobile["taken_for"]) == ("name", "second_number", "number")
    assert (mobile["filled"], mobile["valid"], len(mobile["values"])) == (12, 12, 5)
    assert said["numbers"][0] == {"row": 2, "value": "8 916 000-00-00", "number": "+79160000000", "reason": None}
    assert anna.get("/srv1/callbases").json()["items"] == []


def test_a_preview_tells_a_doubt_instead_of_refusing(anna: Client) -> None:
    said = upload(anna, "callbases/preview", ACCOUNTS).json()
    assert "several columns" in said["problem"]
    assert (said["columns"], said["numbers"]) == ({}, [])
    assert [column["header"] for column in said["found"]] == ["Номер", "Абонент", "Имя"]
    said = upload(anna, "callbases/preview", ACCOUNTS, columns='{"number": "B"}').json()
    assert (said["problem"], said["numbers"][0]["number"]) == (None, "+79160000000")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1251"])
@pytest.mark.parametrize("end", ["", "\n"])
def test_a_preview_counts_lines_and_not_the_end_of_the_last_one(anna: Client, encoding: str, end: str) -> None:
    text = f"Тел.\n8 916 123-45-67\n8 916 123-45-68{end}"
    assert upload(anna, "callbases/preview", text.encode(encoding)).json()["rows"] == 3


def test_a_preview_of_a_workbook_shows_its_sheets(anna: Client) -> None:
    said = upload(anna, "callbases/preview", BOOK, "base.xlsx").json()
    assert [(sheet["name"], sheet["visible"], sheet["has_phones"], sheet["read"]) for sheet in said["sheets"]] == [
        ("Hidden", False, True, False),
        ("Notes", True, False, False),
        ("People", True, True, True),
        ("More", True, True, False),
    ]


def test_a_row_is_called_at_its_second_phone_when_the_first_is_of_no_use(anna: Client) -> None:
    text = "Моб. тел.;Дом. тел.\n;8 495 123-00-01\nнет;8 495 123-00-02\n89160000003;нет\n;\nИтого: 4;\n"
    made = upload(anna, "callbases", text).json()
    people = anna.get(f"/srv1/callbases/{made['id']}/subscribers").json()["items"]
    assert [person["number"] for person in people] == ["+74951230001", "+74951230002", "+79160000003"]
    rejected = anna.get(f"/srv1/callbases/{made['id']}/rejected").json()["items"]
    assert [(row["row"], row["column"], row["value"]) for row in rejected] == [(6, "Моб. тел.", "Итого: 4")]
    assert made["rows"] == 4


@pytest.mark.parametrize("path", ["callbases", "dnc/import"])
def test_the_reasons_of_rejected_rows_are_counted(anna: Client, path: str) -> None:
    good = "".join(f"8916000{row:04d};Имя\n" for row in range(30))
    made = upload(anna, path, f"Телефон;Имя\n112;a\n{good}8 916 000-00-99 доб. 5;b\n113;c\n114;d\n;e\n").json()
    rows = f"/srv1/{'callbases' if path == 'callbases' else 'dnc/imports'}/{made['id']}/rejected"
    groups = anna.get(f"{rows}?group=reason").json()
    assert groups["next"] is None
    counted = [(item["rows"], item["row"], item["column"], item["value"]) for item in groups["items"]]
    # A stop list blocks the number before an extension.
    behind = [(1, 33, "Телефон", "8 916 000-00-99 доб. 5")] if path == "callbases" else []
    assert counted == [(3, 2, "Телефон", "112"), *behind, (1, 36, "Телефон", "")]
    assert "too short" in groups["items"][0]["reason"]
    assert sum(item["rows"] for item in groups["items"]) == made["rejected"]
    assert "rows" not in anna.get(rows).json()["items"][0]
