"""Reads the regulator's files of the Russian numbering plan: ranges of numbers, who holds them, and where."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from autodialer.campaign.regions import zones_of_region
from autodialer.errors import Invalid
from autodialer.store import NumberRange

CODE, FIRST, LAST, OPERATOR, REGION = "code", "first", "last", "operator", "region"
HEADERS = {FIRST: "от", LAST: "до", OPERATOR: "оператор", REGION: "регион"}
LOOKED_AT_ROWS = 10
"""The header stands in one of the first rows."""
NUMBERS_DIGITS = 7
EXPECTED = "АВС/ DEF;От;До;Емкость;Оператор;Регион"


@dataclass(kw_only=True)
class UnknownRegion:
    """A region that is not a subject of the federation, as far as this list knows."""

    line: int
    """Where the file names it first."""
    ranges: int = 0


@dataclass(kw_only=True)
class PlanTable:
    """What a file holds."""

    ranges: list[NumberRange] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    """Lines that are left out, a sentence each."""
    unknown: dict[str, UnknownRegion] = field(default_factory=dict)
    """By the region as the file spells it."""

    @property
    def codes(self) -> int:
        """Different codes."""
        return len({part.code for part in self.ranges})

    @property
    def without_zone(self) -> int:
        """Ranges whose region is unknown or keeps more than one time."""
        return sum(part.zone is None for part in self.ranges)


def read_plan(lines: Iterable[list[str]]) -> PlanTable:
    """What the rows of a file say, as it is published. Raises Invalid that names the field `file`."""
    rows = enumerate(lines, 1)
    columns = _find_columns(rows)
    plan = PlanTable()
    zones: dict[str, str | None] = {}
    for line, row in rows:
        if not any(row):
            continue
        try:
            plan.ranges.append(_range(row, columns, zones, plan, line))
        except ValueError as exc:
            plan.faults.append(f"line {line}: {exc}")
    _leave_out_overlaps(plan)
    if not plan.ranges:
        raise Invalid("file holds no range of numbers; import it as the regulator publishes it", field="file")
    return plan


def _find_columns(rows: Iterator[tuple[int, list[str]]]) -> dict[str, int]:
    """Where the columns are; `rows` stands behind the header afterwards."""
    for line, row in rows:
        header = [cell.lower().lstrip("\ufeff").strip() for cell in row]
        found = {name: header.index(text) for name, text in HEADERS.items() if text in header}
        code = next((index for index, cell in enumerate(header) if cell.endswith("def")), None)
        if code is not None and len(found) == len(HEADERS):
            return {CODE: code, **found}
        if line >= LOOKED_AT_ROWS:
            break
    raise Invalid(f"file is no numbering plan: no header like {EXPECTED}", field="file")


def _range(
    row: Sequence[str], columns: dict[str, int], zones: dict[str, str | None], plan: PlanTable, line: int
) -> NumberRange:
    """Raises ValueError with what is wrong with the line."""
    if len(row) <= max(columns.values()):
        raise ValueError(f"{len(row)} columns, too few")
    cells = {name: row[index] for name, index in columns.items()}
    code, first, last = (_digits(cells[name], name) for name in (CODE, FIRST, LAST))
    if not 100 <= code <= 999:
        raise ValueError(f"{cells[CODE]!r} is no code of three digits")
    if not first <= last < 10**NUMBERS_DIGITS:
        raise ValueError(f"{cells[FIRST]} to {cells[LAST]} is no range of numbers of {NUMBERS_DIGITS} digits")
    region = cells[REGION]
    zone = _zone(region, zones, plan, line)
    return NumberRange(code=code, first=first, last=last, operator=cells[OPERATOR], region=region, zone=zone)


def _digits(text: str, name: str) -> int:
    if not text.isdecimal():
        raise ValueError(f"{HEADERS.get(name, 'code')} is {text!r}, no number")
    return int(text)


def _zone(region: str, zones: dict[str, str | None], plan: PlanTable, line: int) -> str | None:
    """The one zone of a region. An unknown one is noted."""
    if region in plan.unknown:
        plan.unknown[region].ranges += 1
    elif region not in zones:
        found = zones_of_region(region)
        if found is None:
            plan.unknown[region] = UnknownRegion(line=line, ranges=1)
        zones[region] = next(iter(found)) if found and len(found) == 1 else None
    return zones[region]


def _leave_out_overlaps(plan: PlanTable) -> None:
    """Sort; of two ranges that share numbers the first one stays."""
    kept: list[NumberRange] = []
    for part in sorted(plan.ranges, key=lambda part: (part.code, part.first)):
        if kept and kept[-1].code == part.code and part.first <= kept[-1].last:
            plan.faults.append(f"range {part.code} {part.first:07} to {part.last:07} overlaps another")
        else:
            kept.append(part)
    plan.ranges = kept
