"""One number in two notations: E.164 has a plus, a `raw` callbase may hold the same digits without it."""

from typing import Any

from sqlalchemy import ColumnElement, case, func, literal


def notations(number: str) -> tuple[str, str]:
    """The number as it is given, and with or without the plus in front."""
    return number, number[1:] if number.startswith("+") else f"+{number}"


def notations_of(number: ColumnElement[Any]) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    """The same of a column."""
    has_plus = func.substr(number, 1, 1) == "+"
    return number, case((has_plus, func.substr(number, 2)), else_=literal("+").concat(number))
