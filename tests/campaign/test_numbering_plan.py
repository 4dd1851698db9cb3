"""The regulator's files of the numbering plan, as they are published and as they arrive."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from autodialer.campaign.numbering_plan import read_plan
from autodialer.errors import Invalid
from autodialer.imports.table_file import open_table
from autodialer.store import NumberRange

OLD_HEADER = "АВС/ DEF;От;До;Емкость;Оператор;Регион"
NEW_HEADER = "АВС/ DEF;От;До;Емкость;Оператор;Регион;Территория ГАР;ИНН"
LINES = (
    '913;0000000;0019999;20000;ООО "Т2 Мобайл";Новосибирская обл.;обл. Новосибирская;7743895280',
    "916;0000000;9999999;10000000;ПАО МТС;г. Москва и Московская область;;7740000076",
    "800;1000000;1009999;10000;ПАО Ростелеком;Российская Федерация;;7707049388",
)


def rows(folder: Path, *lines: str, encoding: str = "utf-8") -> Iterator[list[str]]:
    path = folder / "DEF-9xx.csv"
    path.write_text("\n".join(lines) + "\n", encoding=encoding)
    return (row for _, row in open_table(path).rows())


def test_a_file_as_it_is_published_is_read(tmp_path: Path) -> None:
    plan = read_plan(rows(tmp_path, NEW_HEADER, *LINES))
    assert plan.ranges == [
        NumberRange(
            code=800,
            first=1000000,
            last=1009999,
            operator="ПАО Ростелеком",
            region="Российская Федерация",
            zone=None,
        ),
        NumberRange(
            code=913,
            first=0,
            last=19999,
            operator='ООО "Т2 Мобайл"',
            region="Новосибирская обл.",
            zone="Asia/Novosibirsk",
        ),
        NumberRange(
            code=916,
            first=0,
            last=9999999,
            operator="ПАО МТС",
            region="г. Москва и Московская область",
            zone="Europe/Moscow",
        ),
    ]
    assert (plan.codes, plan.without_zone, plan.faults, plan.unknown) == (3, 1, [], {})


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1251", "utf-16"])
@pytest.mark.parametrize("header", [OLD_HEADER, NEW_HEADER, " авс/def ;ОТ;До ;Емкость;Оператор;Регион"])
def test_encodings_and_headers_of_different_years_are_understood(tmp_path: Path, header: str, encoding: str) -> None:
    plan = read_plan(rows(tmp_path, header, *LINES, encoding=encoding))
    assert [part.zone for part in plan.ranges] == [None, "Asia/Novosibirsk", "Europe/Moscow"]


def test_columns_are_found_by_name_and_not_by_place(tmp_path: Path) -> None:
    plan = read_plan(rows(tmp_path, "Регион;Оператор;До;От;АВС/ DEF", "Омская обл.;Т2;0000099;0000000;950"))
    assert [(part.code, part.first, part.last, part.zone) for part in plan.ranges] == [(950, 0, 99, "Asia/Omsk")]


def test_numbers_that_a_spreadsheet_took_the_zeros_from_are_the_same(tmp_path: Path) -> None:
    plan = read_plan(rows(tmp_path, OLD_HEADER, "950;0;99;100;Т2;Омская обл."))
    assert [(part.first, part.last) for part in plan.ranges] == [(0, 99)]


def test_unknown_regions_are_told_by_name_and_line_and_their_ranges_stay_without_zone(tmp_path: Path) -> None:
    lines = ["950;0000000;0000099;100;Т2;Страна Оз", "950;0000100;0000199;100;Т2;Омская обл."]
    lines += ["950;0000200;0000299;100;Т2;Страна Оз", "950;0000300;0000399;100;Т2;г. Лондон"]
    plan = read_plan(rows(tmp_path, OLD_HEADER, *lines))
    assert {region: (found.line, found.ranges) for region, found in plan.unknown.items()} == {
        "Страна Оз": (2, 2),
        "г. Лондон": (5, 1),
    }
    assert [part.zone for part in plan.ranges] == [None, "Asia/Omsk", None, None]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("950;0000100;0000099;100;Т2;Омская обл.", "line 2: 0000100 to 0000099 is no range"),
        ("950;0000000;10000000;100;Т2;Омская обл.", "line 2: 0000000 to 10000000 is no range"),
        ("95;0000000;0000099;100;Т2;Омская обл.", "line 2: '95' is no code of three digits"),
        ("x;0000000;0000099;100;Т2;Омская обл.", "line 2: code is 'x', no number"),
        ("950;-5;0000099;100;Т2;Омская обл.", "line 2: от is '-5', no number"),
        ("950;0000000;0000099", "line 2: 3 columns, too few"),
    ],
)
def test_a_line_that_is_no_range_is_left_out_and_told(tmp_path: Path, line: str, reason: str) -> None:
    plan = read_plan(rows(tmp_path, OLD_HEADER, line, "", LINES[0]))
    assert len(plan.ranges) == 1
    assert len(plan.faults) == 1
    assert plan.faults[0].startswith(reason)


def test_of_ranges_that_share_numbers_the_first_stays(tmp_path: Path) -> None:
    lines = ["950;0000050;0000150;101;Т2;Томская обл.", "950;0000000;0000099;100;Т2;Омская обл."]
    plan = read_plan(rows(tmp_path, OLD_HEADER, *lines))
    assert [(part.first, part.zone) for part in plan.ranges] == [(0, "Asia/Omsk")]
    assert plan.faults == ["range 950 0000050 to 0000150 overlaps another"]


@pytest.mark.parametrize("lines", [("number;name", "79161234567;Anna"), (OLD_HEADER,), (OLD_HEADER, "a;b;c;d;e;f")])
def test_a_file_that_is_no_numbering_plan_is_refused(tmp_path: Path, lines: tuple[str, ...]) -> None:
    with pytest.raises(Invalid, match=r"numbering plan|no range of numbers") as refused:
        read_plan(rows(tmp_path, *lines))
    assert refused.value.field == "file"
