"""Random tables are read as a person would read them, and their stop lists block everyone in them."""

from itertools import pairwise
from pathlib import Path

import pytest

from autodialer.campaign.numbers import numbers_to_block
from autodialer.campaign.two_numbers import TwoNumbers, numbers_of
from autodialer.errors import Invalid
from autodialer.imports.columns import SECOND, Wanted
from autodialer.imports.reading import ImportPlan, cell_of, inspect
from tests.imports.made_tables import Made, make_table

TABLES = 400
TABLES_A_TEST = 20
SEEDS = [range(start, start + TABLES_A_TEST) for start in range(0, TABLES, TABLES_A_TEST)]


def read(plan: ImportPlan) -> tuple[list[TwoNumbers], list[str | None], int]:
    """The people, their names, and how many rows were rejected."""
    people, names, rejected = [], [], 0
    for _, row in plan.numbered_rows():
        try:
            people.append(numbers_of(cell_of(row, plan.columns.number), cell_of(row, plan.columns.second_number), "RU"))
        except Invalid:
            rejected += 1
        else:
            names.append(cell_of(row, plan.columns.name))
    return people, names, rejected


def blocked(plan: ImportPlan) -> set[str]:
    found: set[str] = set()
    for _, row in plan.numbered_rows():
        for place in plan.columns.phones:
            try:
                found.update(numbers_to_block(row[place] if place < len(row) else "", "RU"))
            except Invalid:
                pass
    return found


def check(made: Made, file: Path) -> None:
    file.write_bytes(made.content)
    try:
        plan = inspect(file, "RU")
    except Invalid as exc:
        pytest.fail(f"{made.how}: {exc}")
    taken = plan.columns.taken()
    assert (taken["number"], taken.get(SECOND)) == (made.phone, made.second), made.how
    assert plan.columns.header_row == made.header_row, made.how
    assert (plan.table.sheet, plan.taken()["sheets_not_read"]) == (made.sheet, list(made.not_read)), made.how
    people, names, rejected = read(plan)
    assert [one.number.number for one in people] == list(made.numbers), made.how
    assert [one.second for one in people if one.second] == list(made.seconds), made.how
    assert (names, rejected) == (list(made.names), made.footers), made.how
    assert blocked(plan) == {*made.numbers, *made.seconds}, made.how


@pytest.mark.slow
@pytest.mark.parametrize("seeds", SEEDS, ids=str)
def test_a_table_is_read_as_a_person_would_read_it(seeds: range, tmp_path: Path) -> None:
    for seed in seeds:
        check(make_table(seed), tmp_path / "upload")


ROWS = [(f"8916000{row:04d}", f"Имя {row}", "кв. 5") for row in range(6)]
FILE = ("Телефон;Имя;Прим.\r\n" + "".join(";".join(row) + "\r\n" for row in ROWS)).encode()


@pytest.mark.slow
@pytest.mark.parametrize("sign", [b'"', b"\0", b"\r", b"\n", b";", b"\xff", b"\xd0", b"'", b"\x1a", b"="], ids=repr)
def test_one_byte_put_in_anywhere_loses_no_row_but_its_own(sign: bytes, tmp_path: Path) -> None:
    starts = [FILE.index(row[0].encode()) for row in ROWS] + [len(FILE)]
    file = tmp_path / "upload"
    for at in range(len(FILE) + 1):
        file.write_bytes(FILE[:at] + sign + FILE[at:])
        plan = inspect(file, "RU", Wanted(columns={"number": "A", "name": "B"}))
        people, _, rejected = read(plan)
        numbers = {one.number.number for one in people}
        for row, (start, end) in zip(ROWS, pairwise(starts), strict=True):
            if not start <= at < end:
                assert "+7" + row[0][1:] in numbers, (at, row)
        assert len(people) + rejected >= len(ROWS), (at, "a row is gone without a reject")
