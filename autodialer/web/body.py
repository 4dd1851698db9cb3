"""Request bodies that are read whole: JSON and urlencoded forms, within a limit, in UTF-8."""

import json
import math
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
        return parse_qsl(data.decode("utf-8"), keep_blank_values=True, errors="strict", max_num_fields=100)
    except ValueError as exc:
        raise UserError("The form is not urlencoded UTF-8.") from exc


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
    _check_strings(value)
    return value


def _refuse_constant(_name: str) -> float:
    raise ValueError


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError
    return value


PEM = "-----BEGIN CERTIFICATE-----"
"""What starts like this has lines."""


def _check_strings(value: Any) -> None:
    """Control characters and halves of surrogate pairs belong in no value of this API, least in a SIP header."""
    if isinstance(value, str):
        if value.startswith(PEM):
            value = value.replace("\r\n", "").replace("\n", "")
        if any(character < " " or character == "\x7f" or "\ud800" <= character <= "\udfff" for character in value):
            raise UserError(f"{value[:40]!r} holds a control character; take it out.")
    elif isinstance(value, dict):
        for name, item in value.items():
            _check_strings(name)
            _check_strings(item)
    elif isinstance(value, list):
        for item in value:
            _check_strings(item)
