"""Tables as clerks and their programs make them, drawn at random, with the right answer known by construction."""

import csv
import io
import random
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

import openpyxl
import xlsxwriter
import xlwt

MOBILE = (
    "Моб. тел.", "моб.тел", "Мобильный", "Мобильный телефон", "Сотовый", "Сот. тел.", "Мобільний телефон",
    "Мабільны тэлефон", "Ұялы телефон", "Mobile", "Cell phone", "MSISDN", "WhatsApp", "Телефон", "Тел.", "тел",
    "Номер телефона", "№ телефона", "Контактный телефон", "Телефон абонента", "Телефоны", "тлф", "Phone",
    "Phone number", "phone_number", "tel", "Telephone",
)  # fmt: skip
OTHER = ("Дом. тел.", "Домашний телефон", "Рабочий телефон", "Доп. телефон", "Телефон 2", "Home phone", "Раб. тел.")
ACCOUNTS = (
    "Лицевой счёт", "Л/с", "Паспорт", "Договор", "№ договора", "ИНН", "СНИЛС", "Полис", "Account number", "Contract no",
    "Invoice", "ID", "Код клиента", "Номер", "number", "Абонент", "Особовий рахунок",
)  # fmt: skip
NAMES = ("ФИО", "Имя", "Клиент", "Ф.И.О.", "Name", "ПІБ", "Аты-жөні", "Пациент")
COMMENTS = ("Комментарий", "Примечание", "Comment", "Прим.")
FILLERS = ("Адрес", "Сумма долга", "Дата рождения", "Город", "Участок")
PEOPLE = (
    "Иванова Анна Сергеевна",
    "Петров Иван",
    "Сидорова Вера Павловна",
    "Кузнецов Олег",
    "Смирнова Ольга",
    "Ким Ян",
)
TITLES = ("Список абонентов для обзвона", "Телефоны клиентов участка № 5", "Отчёт за май 2026 года", "ООО «Ромашка»")
FOOTERS = ("Итого:", "Директор ____________ Смирнов", "Исполнитель: Петрова", "Всего записей")

FORMS: Mapping[str, Callable[[str], object]] = {
    "eight": lambda n: f"8{n}",
    "plus": lambda n: f"+7{n}",
    "seven": lambda n: f"7{n}",
    "bare": lambda n: n,
    "brackets": lambda n: f"8 ({n[:3]}) {n[3:6]}-{n[6:8]}-{n[8:]}",
    "spaces": lambda n: f"+7 {n[:3]} {n[3:6]} {n[6:8]} {n[8:]}",
    "no-break spaces": lambda n: f"8\u00a0{n[:3]}\u202f{n[3:6]}\u2009{n[6:]}",
    "hyphens of all kinds": lambda n: f"8\u2011{n[:3]}\u2013{n[3:6]}\u2212{n[6:8]}\u2010{n[8:]}",
    "dots": lambda n: f"8.{n[:3]}.{n[3:6]}.{n[6:]}",
    "apostrophe": lambda n: f"'8{n}",
    "formula": lambda n: f'="8{n}"',
    "label": lambda n: f"тел. 8{n}",
    "remark": lambda n: f"8{n} (мама)",
    "full width": lambda n: "8" + "".join(chr(ord(digit) + 0xFEE0) for digit in n),
    "integer": lambda n: int(f"7{n}"),
    "float": lambda n: float(f"7{n}"),
    "float as text": lambda n: f"7{n}.0",
}


@dataclass(kw_only=True)
class Made:
    """One file and what a person would read in it."""

    content: bytes
    how: str
    """Of what it was made, for a failing test to say."""
    phone: str
    """Header of the column to call."""
    second: str | None
    numbers: Sequence[str]
    """E.164, in the order of the rows."""
    seconds: Sequence[str] = ()
    names: Sequence[str] = ()
    header_row: int = 1
    footers: int = 0
    """Rows that are no people."""
    sheet: str | None = None
    not_read: Sequence[str] = field(default_factory=list)


def make_table(seed: int) -> Made:
    """A table; the same for the same seed."""
    chance = random.Random(seed)
    count = chance.choice((1, 3, 9, 10, 12, 40))
    form = chance.choice(list(FORMS))
    phones = _numbers(chance, "9", count)
    columns: list[tuple[str, Sequence[object]]] = [(chance.choice(MOBILE), [FORMS[form](phone) for phone in phones])]
    phone = columns[0][0]
    second, seconds = None, []
    if chance.random() < 0.4:
        second, seconds = chance.choice(OTHER), _numbers(chance, "495", count)
        columns.append((second, [FORMS[form](number) for number in seconds]))
    names = [chance.choice(PEOPLE) for _ in range(count)]
    columns.append((chance.choice(NAMES), names))
    for header in chance.sample(ACCOUNTS, chance.randrange(3)):
        # Ten digits that could be dialled: the worst that can stand beside a phone number.
        columns.append((header, [f"916{chance.randrange(10**7):07d}" for _ in range(count)]))
    if chance.random() < 0.5:
        columns.append(
            (chance.choice(COMMENTS), [chance.choice(("", "звонить вечером", "кв. 5")) for _ in range(count)])
        )
    if chance.random() < 0.5:
        columns.append(
            (chance.choice(FILLERS), [chance.choice(("Тверь", "1500,00", "01.02.1980")) for _ in range(count)])
        )
    chance.shuffle(columns)
    rows: list[list[object]] = [[title] for title in chance.sample(TITLES, chance.choice((0, 0, 1, 3)))]
    rows += [[] for _ in range(chance.choice((0, 0, 1, 2)) if rows else 0)]
    header_row = len(rows) + 1
    rows.append([header for header, _ in columns])
    rows += [list(row) for row in zip(*(values for _, values in columns), strict=True)]
    footers = chance.choice((0, 0, 1, 2))
    rows += [[footer] for footer in chance.sample(FOOTERS, footers)]
    writer = chance.choice(list(WRITERS))
    made = WRITERS[writer](rows, chance)
    return Made(
        content=made.content,
        how=f"{writer}, {form}, {made.how}, headers {[header for header, _ in columns]}",
        phone=phone,
        second=second,
        numbers=[f"+7{number}" for number in phones],
        seconds=[f"+7{number}" for number in seconds],
        names=names,
        header_row=header_row + made.above,
        footers=footers,
        sheet=made.sheet,
        not_read=made.not_read,
    )


def _numbers(chance: random.Random, begin: str, count: int) -> list[str]:
    return [begin + "".join(chance.choices("0123456789", k=10 - len(begin))) for _ in range(count)]


@dataclass(kw_only=True)
class _Written:
    content: bytes
    how: str = ""
    above: int = 0
    sheet: str | None = None
    not_read: Sequence[str] = ()


Rows = Sequence[Sequence[object]]
SHEET, DECOYS = "Абоненты", ("Памятка", "Скрытый")


def _csv(rows: Rows, chance: random.Random) -> _Written:
    delimiter = chance.choice(";,\t|")
    end = chance.choice(("\r\n", "\n", "\r"))
    quoting = chance.choice((csv.QUOTE_MINIMAL, csv.QUOTE_ALL))
    says_delimiter = chance.random() < 0.2
    text = io.StringIO(newline="")
    # Of one width, as spreadsheets write them.
    width = max(map(len, rows))
    csv.writer(text, delimiter=delimiter, lineterminator=end, quoting=quoting).writerows(
        [*row, *[""] * (width - len(row))] for row in rows
    )
    whole = (f"sep={delimiter}{end}" if says_delimiter else "") + text.getvalue()
    encoding = chance.choice(("utf-8", "utf-8-sig", "cp1251", "utf-16", "utf-16-le", "utf-16-be"))
    try:
        content = whole.encode(encoding)
    except UnicodeEncodeError:
        encoding, content = "utf-8", whole.encode()
    return _Written(content=content, how=f"{encoding} {delimiter!r} {end!r} {quoting}", above=int(says_delimiter))


def _decoys(chance: random.Random) -> list[tuple[str, bool, Rows]]:
    """Sheets (name, visible, rows) in front of the right one: a sheet without phones, a hidden sheet."""
    notes: Rows = [["Как звонить"], ["вежливо"]]
    hidden: Rows = [["Телефон"], ["89990000001"]]
    return [(DECOYS[0], True, notes), (DECOYS[1], False, hidden)] if chance.random() < 0.5 else []


def _openpyxl(rows: Rows, chance: random.Random) -> _Written:
    book = openpyxl.Workbook()
    assert book.active is not None
    book.remove(book.active)
    decoys = _decoys(chance)
    for name, visible, cells in [*decoys, (SHEET, True, rows)]:
        sheet = book.create_sheet(name)
        sheet.sheet_state = "visible" if visible else "hidden"
        for number, row in enumerate(cells, 1):
            for column, value in enumerate(row, 1):
                sheet.cell(number, column).value = value  # type: ignore[assignment]
                if isinstance(value, str) and value.startswith("="):
                    sheet.cell(number, column).data_type = "s"
    target = io.BytesIO()
    book.save(target)
    return _Written(content=target.getvalue(), sheet=SHEET, not_read=[name for name, *_ in decoys])


def _xlsxwriter(rows: Rows, chance: random.Random) -> _Written:
    target = io.BytesIO()
    book = xlsxwriter.Workbook(target, {"in_memory": True, "strings_to_formulas": False})
    decoys = _decoys(chance)
    for name, visible, cells in [*decoys, (SHEET, True, rows)]:
        sheet = book.add_worksheet(name)
        if not visible:
            sheet.hide()
        for number, row in enumerate(cells):
            sheet.write_row(number, 0, row)
    if decoys:
        # A workbook's first sheet is its active one, which cannot be hidden; the right one is it here.
        sheet.activate()
    book.close()
    return _Written(content=target.getvalue(), sheet=SHEET, not_read=[name for name, *_ in decoys])


def _xlwt(rows: Rows, chance: random.Random) -> _Written:
    book = xlwt.Workbook()
    decoys = _decoys(chance)
    for name, visible, cells in [*decoys, (SHEET, True, rows)]:
        sheet = book.add_sheet(name)
        sheet.visibility = 0 if visible else 1
        for number, row in enumerate(cells):
            for column, value in enumerate(row):
                sheet.write(number, column, value)
    target = io.BytesIO()
    book.save(target)
    return _Written(content=target.getvalue(), sheet=SHEET, not_read=[name for name, *_ in decoys])


def _by_hand(rows: Rows, chance: random.Random) -> _Written:
    """A workbook with the least that a reader needs, which lies about its size and names no cell."""
    strict = chance.random() < 0.3
    main = (
        "http://purl.oclc.org/ooxml/spreadsheetml/main"
        if strict
        else ("http://schemas.openxmlformats.org/spreadsheetml/2006/main")
    )
    relations = (
        "http://purl.oclc.org/ooxml/officeDocument/relationships"
        if strict
        else ("http://schemas.openxmlformats.org/officeDocument/2006/relationships")
    )
    package = "http://schemas.openxmlformats.org/package/2006"
    lie = chance.choice(('<dimension ref="A1"/>', '<dimension ref="A1:XFD1048576"/>', ""))
    cells = "".join(f"<row>{''.join(map(_cell, row))}</row>" for row in rows)
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/>'
        '<Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.'
        'spreadsheetml.sheet.main+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" '
        f'Type="{relations}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{relations}"><sheets>'
        f'<sheet name="{SHEET}" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" '
        f'Type="{relations}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{main}">{lie}<sheetData>{cells}</sheetData></worksheet>',
    }
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", chance.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
        for name, text in parts.items():
            archive.writestr(name, '<?xml version="1.0" encoding="UTF-8"?>' + text)
    return _Written(content=target.getvalue(), how=f"strict={strict} {lie}", sheet=SHEET)


def _cell(value: object) -> str:
    if isinstance(value, int | float):
        return f"<c><v>{value!r}</v></c>"
    return f'<c t="inlineStr"><is><t>{escape(str(value))}</t></is></c>'


def _ods(rows: Rows, chance: random.Random) -> _Written:
    """A text table of OpenDocument, its blank rows repeated as LibreOffice does."""
    del chance
    body = "".join(
        "<table:table-row>"
        + "".join(
            f'<table:table-cell office:value-type="float" office:value="{value!r}"/>'
            if isinstance(value, int | float)
            else '<table:table-cell office:value-type="string"><text:p>'
            + escape(str(value))
            + "</text:p></table:table-cell>"
            for value in row
        )
        + ("" if row else "<table:table-cell/>")
        + "</table:table-row>"
        for row in rows
    )
    names = "".join(
        f' xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"' for name in ("office", "table", "text")
    )
    content = (
        f"<office:document-content{names}><office:body><office:spreadsheet>"
        f'<table:table table:name="{SHEET}">{body}<table:table-row table:number-rows-repeated="1048000">'
        '<table:table-cell table:number-columns-repeated="1024"/></table:table-row></table:table>'
        "</office:spreadsheet></office:body></office:document-content>"
    )
    manifest = '<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"/>'
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        for name, text in (("content.xml", content), ("META-INF/manifest.xml", manifest)):
            archive.writestr(name, '<?xml version="1.0" encoding="UTF-8"?>' + text)
    return _Written(content=target.getvalue(), sheet=SHEET)


WRITERS: Mapping[str, Callable[[Rows, random.Random], _Written]] = {
    "csv": _csv,
    "csv again": _csv,
    "openpyxl": _openpyxl,
    "XlsxWriter": _xlsxwriter,
    "xlwt": _xlwt,
    "by hand": _by_hand,
    "ods": _ods,
}
