"""The column of phone numbers is found in tables as clerks make them, or the user is asked; never guessed."""

import itertools
import random

import pytest

from autodialer.errors import Invalid
from autodialer.imports.judge import Speaks, judge, letters, speaks_of

PHONES = (
    "Моб. тел.", "моб.тел", "Мобильный", "Мобильный телефон", "Сотовый", "Сот. тел.", "Телефон", "Тел.", "тел",
    "Номер телефона", "№ телефона", "Контактный телефон", "Телефон абонента", "Телефоны", "тлф", "Мобільний телефон",
    "Мабільны тэлефон", "Ұялы телефон", "Phone", "Phone number", "phone_number", "Mobile", "Cell phone", "tel",
    "MSISDN", "Telephone", "WhatsApp",
)  # fmt: skip
ACCOUNTS = (
    "Лицевой счёт", "Лицевой счет", "Л/с", "Паспорт", "Договор", "№ договора", "Номер договора", "ИНН", "СНИЛС",
    "Полис", "Счёт на оплату", "Account", "Account number", "Contract no", "Invoice", "Passport", "ID", "Код клиента",
    "Дата рождения", "Сумма долга", "Особовий рахунок", "Номер", "number", "Абонент",
)  # fmt: skip


def numbers(count: int, seed: int = 1) -> list[str]:
    chance = random.Random(seed)
    return [
        f"8 916 {chance.randrange(100, 999)}-{chance.randrange(10, 99)}-{chance.randrange(10, 99)}"
        for _ in range(count)
    ]


def accounts(count: int) -> list[str]:
    """Ten digits each, which could be dialled: the worst that can stand beside a phone number."""
    return [f"916{1000000 + 7 * row}" for row in range(count)]


def table(*columns: tuple[str, list[str]], above: int = 0) -> list[tuple[int, list[str]]]:
    rows = [[header for header, _ in columns], *map(list, zip(*(values for _, values in columns), strict=True))]
    return list(enumerate(rows, 1 + above))


CONSENTS = {
    Speaks.CONSENT_SOURCE: (
        "Источник согласия", "Откуда согласие", "Согласие: источник", "Способ получения согласия", "Канал согласия",
        "Джерело згоди", "Consent source", "consent_source", "Source of consent", "Opt-in source", "Opt-in channel",
        "Phone consent source",
    ),
    Speaks.CONSENT_AT: (
        "Дата согласия", "Согласие, дата", "Согласие дано (дата)", "Дата получения согласия на обзвон", "Дата згоди",
        "Когда дано согласие", "Consent date", "consent_at", "Date of consent", "Consent given on", "Opt-in date",
        "Opt-in time", "Mobile consent date",
    ),
    Speaks.CONSENT_TEXT: (
        "Согласие", "Текст согласия", "Согласие на обзвон", "Согласие на звонки на мобильный телефон",
        "Згода на дзвінки", "Consent", "Consent text", "consent_text", "Consent wording", "Opt in",
        "Permission to call", "Phone consent",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("kind", "header"), [(kind, header) for kind, each in CONSENTS.items() for header in each])
def test_a_header_of_consent_is_told_from_phones_and_dates(kind: Speaks, header: str) -> None:
    assert speaks_of(header) == kind, header


@pytest.mark.parametrize(
    "header", ["Телефон (согласие получено)", "Моб. тел., согласие есть", "Phone (with consent)", "Mobile, has consent"]
)
def test_a_phone_with_a_word_on_consent_is_a_phone(header: str) -> None:
    assert speaks_of(header) in (Speaks.MOBILE, Speaks.PHONE)


@pytest.mark.parametrize("header", PHONES)
def test_a_header_of_phones_speaks_of_phones(header: str) -> None:
    assert speaks_of(header) in (Speaks.MOBILE, Speaks.PHONE), header


@pytest.mark.parametrize("header", ACCOUNTS)
def test_a_header_of_something_else_does_not(header: str) -> None:
    assert speaks_of(header) not in (Speaks.MOBILE, Speaks.PHONE, Speaks.OTHER_PHONE), header


@pytest.mark.parametrize(("phone", "account"), list(itertools.product(PHONES, ACCOUNTS)))
def test_the_phones_are_taken_and_not_the_accounts_in_either_order(phone: str, account: str) -> None:
    columns = [(account, accounts(12)), ("ФИО", ["Иванов"] * 12), (phone, numbers(12))]
    assert judge(table(*columns), "RU").phones == (2,)
    assert judge(table(*reversed(columns)), "RU").phones == (0,)


@pytest.mark.parametrize(
    "first", ["Дом. тел.", "Домашний телефон", "Рабочий телефон", "Доп. телефон", "Телефон 2", "Home phone"]
)
def test_the_mobile_phone_is_called_before_the_other_one(first: str) -> None:
    verdict = judge(table((first, numbers(12)), ("Моб. тел.", numbers(12, seed=2))), "RU")
    assert verdict.phones == (1, 0)


def test_accounts_alone_are_not_called() -> None:
    with pytest.raises(Invalid, match="Лицевой счёт") as asked:
        judge(table(("Лицевой счёт", accounts(12)), ("ФИО", ["Иванов"] * 12)), "RU")
    assert asked.value.field == "file"
    assert "9161000000" in str(asked.value)


@pytest.mark.parametrize("headers", [("Номер", "Абонент"), ("A", "B")])
def test_two_columns_that_may_both_be_meant_are_asked_about_with_their_values(headers: tuple[str, str]) -> None:
    with pytest.raises(Invalid) as asked:
        judge(table((headers[0], accounts(12)), (headers[1], numbers(12))), "RU")
    for part in (*headers, accounts(1)[0], numbers(1)[0]):
        assert part in str(asked.value)


def test_two_columns_of_numbers_without_a_header_are_asked_about() -> None:
    rows = list(enumerate(map(list, zip(accounts(12), numbers(12), strict=True)), 1))
    with pytest.raises(Invalid, match=r"column A .* column B"):
        judge(rows, "RU")


def test_a_phone_column_with_few_numbers_is_asked_about() -> None:
    values = numbers(5) + ["нет"] * 15
    with pytest.raises(Invalid, match="25%"):
        judge(table(("Телефон", values), ("ФИО", ["x"] * 20)), "RU")


@pytest.mark.parametrize("above", range(19))
def test_the_header_is_found_below_titles_and_blank_rows(above: int) -> None:
    titles = [(number, ["Телефоны абонентов участка № 5", "", ""]) for number in range(1, above + 1, 2)]
    body = table(("№ п/п", [str(row) for row in range(12)]), ("ФИО", ["x"] * 12), ("Телефон", numbers(12)), above=above)
    verdict = judge(titles + body, "RU")
    assert (verdict.header_row, verdict.phones) == (above + 1, (2,))


def test_the_line_that_tells_excel_the_delimiter_is_no_header() -> None:
    verdict = judge([(1, ["sep=", ""]), *table(("Телефон", numbers(3)), ("ФИО", ["x"] * 3), above=1)], "RU")
    assert (verdict.header_row, verdict.phones) == (2, (0,))


def test_a_list_without_a_header_is_taken_whole() -> None:
    verdict = judge(list(enumerate(([number] for number in numbers(3)), 1)), "RU")
    assert (verdict.header_row, verdict.phones) == (None, (0,))


def test_an_empty_table_says_so() -> None:
    with pytest.raises(Invalid, match="empty"):
        judge([], "RU")


def test_columns_are_called_by_letters_as_spreadsheets_do() -> None:
    assert [letters(index) for index in (0, 25, 26, 51, 52, 701, 702)] == ["A", "Z", "AA", "AZ", "BA", "ZZ", "AAA"]
