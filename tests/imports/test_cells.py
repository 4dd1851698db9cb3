"""Rows of a text: quotes as RFC 4180 has them, and quotes that are letters."""

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autodialer.imports.cells import read_rows

ROWS = [[f"8916000{row:04d}", f"Subscriber {row}", "flat 5"] for row in range(300)]


def lines_of(text: str) -> list[str]:
    return list(io.StringIO(text, newline=""))


def written(rows: list[list[str]], **how: object) -> str:
    target = io.StringIO(newline="")
    csv.writer(target, delimiter=";", **how).writerows(rows)  # type: ignore[arg-type]
    return target.getvalue()


@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
def test_quoted_cells_keep_delimiters_quotes_and_line_breaks(quoting: int) -> None:
    rows = [["1", 'OOO "Romashka"', "a;b"], ["2", "Lenina 5\r\nflat 7\nsecond floor", "x"], ["3", "", '"']]
    assert list(read_rows(lines_of(written(rows, quoting=quoting)), ";")) == rows


@pytest.mark.parametrize("place", [0, 51, 150, 299])
@pytest.mark.parametrize("cell", [0, 1, 2])
def test_one_quote_costs_no_other_row(place: int, cell: int) -> None:
    rows = [list(row) for row in ROWS]
    rows[place][cell] = '"' + rows[place][cell]
    text = "".join(";".join(row) + "\r\n" for row in rows)
    assert list(read_rows(lines_of(text), ";")) == rows


@pytest.mark.parametrize("second", [52, 60, 290])
def test_two_quotes_in_different_rows_cost_no_row_between_them(second: int) -> None:
    rows = [list(row) for row in ROWS]
    rows[51][1] = '"Romashka'
    rows[second][1] = '"Landysh'
    text = "".join(";".join(row) + "\n" for row in rows)
    assert list(read_rows(lines_of(text), ";")) == rows


def test_letters_behind_a_closing_quote_are_kept() -> None:
    assert list(read_rows(lines_of('1;"Romashka" OOO;x\n2;y;z\n'), ";")) == [
        ["1", '"Romashka" OOO', "x"],
        ["2", "y", "z"],
    ]


def test_a_text_of_one_column_has_rows_too() -> None:
    assert list(read_rows(["1\r", "2\r", "3"], None)) == [["1"], ["2"], ["3"]]


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(ROWS) - 1), st.integers(0, 30), st.sampled_from('"\0\r;\n'))
@pytest.mark.slow
def test_a_sign_put_in_anywhere_loses_no_other_row(place: int, at: int, sign: str) -> None:
    lines = [";".join(row) + "\n" for row in ROWS]
    line = lines[place].rstrip("\n")
    lines[place] = line[:at] + sign + line[at:] + "\n"
    found = list(read_rows(lines_of("".join(lines)), ";"))
    assert [row for number, row in enumerate(ROWS) if number != place and row not in found] == []
