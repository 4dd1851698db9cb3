"""Request bodies that are read whole: JSON and urlencoded forms, within a limit, in UTF-8."""

import json
import math
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl

from bottle import request

from autodialer.errors import TooLarge, UserError


def read_body(most_bytes: int) -> bytes:
    """The request body. Raises TooLarge before more than `most_bytes` of it are read."""
    if request.content_length > most_bytes:
        raise TooLarge(f"The request body may have at most {most_bytes} bytes.")
    data: bytes = request.environ["wsgi.input"].read(max(0, request.content_length))
    return data


def parse_form(data: bytes) -> list[tuple[str, str]]:
    """The fields of an urlencoded form in UTF-8 (Bottle would take it for Latin-1). Raises UserError."""
    try:
        fields = parse_qsl(data.decode("utf-8"), keep_blank_values=True, errors="strict", max_num_fields=100)
    except ValueError as exc:
        raise UserError("The form is not urlencoded UTF-8.") from exc
    check_texts(fields)
    return fields


def parse_query(text: str) -> dict[str, str]:
    """The parameters of a query that have a value; of several with one name the last. Raises UserError.

    What is not UTF-8 comes out as U+FFFD, so that the parameter it stands in is named. An empty value is an absent one:
    a browser sends `limit=` for a field that was left alone.
    """
    try:
        given = parse_qsl(text, errors="replace", max_num_fields=100)
    except ValueError as exc:
        raise UserError("The query has over 100 parameters.") from exc
    check_texts(given)
    return dict(given)


def parse_json(data: bytes) -> Any:
    """The value of a JSON text. Raises UserError that says where it is malformed."""
    try:
        value = json.loads(data.decode("utf-8-sig"), parse_constant=_refuse_constant, parse_float=_finite)
    except UnicodeDecodeError as exc:
        raise UserError("The body is not UTF-8.") from exc
    except json.JSONDecodeError as exc:
        raise UserError(f"The body is not JSON: {exc.msg} in line {exc.lineno}, column {exc.colno}.") from exc
    except (RecursionError, ValueError) as exc:
        raise UserError("The body is not JSON that can be read: a number or its nesting is out of bounds.") from exc
    _check_json(value)
    return value


def _refuse_constant(_name: str) -> float:
    raise ValueError


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError
    return value


HAVE_LINES = frozenset({"ca_file"})
"""Fields whose text has lines. By name: what a text begins with is for its sender to choose."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def check_texts(fields: Iterable[tuple[str, str]]) -> None:
    """Control characters, line ends and halves of surrogate pairs belong in no value, least in a SIP header.

    Raises UserError that names the field.
    """
    for name, text in fields:
        found = _CONTROL.search(re.sub(r"[\r\n]", "", text) if name in HAVE_LINES else text)
        if found:
            raise UserError(f"{name or 'A name'} holds the control character {found[0]!r}; take it out.")


def _check_json(value: Any, field: str = "") -> None:
    if isinstance(value, str):
        check_texts([(field, value)])
    elif isinstance(value, dict):
        for name, item in value.items():
            check_texts([("", name)])
            _check_json(item, name)
    elif isinstance(value, list):
        for item in value:
            _check_json(item, field)
