"""A table as people read it: its times by the clock of the campaign, and a CSV as Excel in Russia opens it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from zoneinfo import ZoneInfo

from autodialer.web.downloads import Cell, Download, DownloadedTable, Moment

_EPOCH = datetime(1899, 12, 30)
"""Day 0 of spreadsheets: ECMA-376 Part 1 section 18.17.4.1."""


class Dialect(StrEnum):
    """Of a CSV."""

    PLAIN = "plain"
    """RFC 4180, times in UTC by RFC 3339: for programs."""
    EXCEL_RU = "excel-ru"
    """Semicolons, decimal commas, times by the campaign's clock."""


def as_workbook(table: DownloadedTable) -> Download:
    """An XLSX, with its times by the campaign's clock."""
    return Download(with_local_times(table), "xlsx")


def as_text(table: DownloadedTable, dialect: Dialect) -> Download:
    """A CSV."""
    if dialect is Dialect.PLAIN:
        return Download(table, "csv")
    local = with_local_times(table)
    return Download(replace(local, rows=map(in_russian, local.rows)), "csv", delimiter=";")


def with_local_times(table: DownloadedTable) -> DownloadedTable:
    """The same table with moments for its times; the zone stands in their headers."""
    zone = table.zone
    if zone is None or not table.times:
        return table
    places = [place for place, name in enumerate(table.header) if place in table.times]
    header = [f"{name} ({zone.key})" if place in table.times else name for place, name in enumerate(table.header)]

    def rows() -> Iterator[Sequence[Cell]]:
        for row in table.rows:
            cells = list(row)
            for place in places:
                text = cells[place]
                if isinstance(text, str):
                    cells[place] = _moment(text[:19], zone)
            yield cells

    return replace(table, header=header, rows=rows(), times=frozenset())


@lru_cache(maxsize=4096)
def _moment(text: str, zone: ZoneInfo) -> Moment:
    """A time in UTC to the second; the times of neighbouring calls lie close together."""
    local = datetime.fromisoformat(f"{text}+00:00").astimezone(zone).replace(tzinfo=None)
    return Moment((local - _EPOCH).total_seconds() / 86400, f"{local:%d.%m.%Y %H:%M:%S}")


def in_russian(row: Sequence[Cell]) -> Sequence[Cell]:
    """The cells of a row as Excel in Russia takes them for numbers, times and truth."""
    return [_SPELLED.get(type(cell), _as_it_is)(cell) for cell in row]


def _as_it_is(cell: Cell) -> Cell:
    return cell


_SPELLED: dict[type, Callable[[Cell], Cell]] = {
    Moment: lambda cell: cell.local if isinstance(cell, Moment) else cell,
    float: lambda cell: str(cell).replace(".", ","),
    bool: lambda cell: "да" if cell else "нет",
}
