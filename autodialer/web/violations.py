"""What a request that breaks the contract is told, in words of the contract."""

import json
from collections.abc import Callable
from typing import Any

from jsonschema import ValidationError


def describe_violation(error: Exception) -> tuple[str, list[dict[str, Any]]]:
    """What a request that breaks the contract is told: the message, and one object for the field at fault."""
    if isinstance(error, ValidationError):
        field = ".".join(str(part) for part in error.absolute_path)
        message = _EXPLAIN.get(error.validator, _explain_other)(error, field)
        return message, [{"field": _at_fault(error, field), "message": message}]
    return "The request is not what the contract at /api/doc/ asks for.", []


def _at_fault(error: ValidationError, field: str) -> str | None:
    """The field that the client has to mend; `field` is where the contract was broken, an object perhaps."""
    if error.validator in ("additionalProperties", "required") or not field:
        return ".".join(filter(None, (field, _named_in(error)))) or None
    return field


def _named_in(error: ValidationError) -> str | None:
    if error.validator == "additionalProperties":
        return _unknown_fields(error)[0]
    if error.validator == "required" and isinstance(error.instance, dict):
        return next((name for name in error.validator_value if name not in error.instance), None)
    name = error.schema.get("name") if isinstance(error.schema, dict) else None
    return name if isinstance(name, str) else None


def _unknown_fields(error: ValidationError) -> list[str]:
    return sorted(set(error.instance) - set(error.schema.get("properties", {})))


def _explain_unknown(error: ValidationError, field: str) -> str:
    where = f" in {field}" if field else ""
    takes = ", ".join(sorted(error.schema.get("properties", {})))
    return f"{', '.join(_unknown_fields(error))}{where}: no such field; taken are {takes}."


def _explain_required(error: ValidationError, field: str) -> str:
    if isinstance(error.instance, dict):
        return f"{field + '.' if field else ''}{_named_in(error)} is required."
    return f"{_named_in(error) or field or 'The body'} is required."


def _explain_type(error: ValidationError, field: str) -> str:
    name = field or _named_in(error) or "The body"
    return f"{name} takes {_article(str(error.validator_value))}, not {_shown(error.instance)}."


def _explain_enum(error: ValidationError, field: str) -> str:
    takes = ", ".join(str(value) for value in error.validator_value)
    return f"{field or _named_in(error)} takes one of {takes}; it is {_shown(error.instance)}."


def _explain_other(error: ValidationError, field: str) -> str:
    name = field or _named_in(error) or "The body"
    limit = error.validator_value
    sentences = {
        "minimum": f"{name} is at least {limit}.",
        "maximum": f"{name} is at most {limit}.",
        "minLength": f"{name} has at least {limit} characters.",
        "maxLength": f"{name} has at most {limit} characters.",
        "minItems": f"{name} has at least {limit} items.",
        "maxItems": f"{name} has at most {limit} items.",
        "minProperties": f"{name} has at least {limit} field.",
        "maxProperties": f"{name} has at most {limit} fields.",
        "uniqueItems": f"{name} names something twice.",
        "format": f"{name} takes {_article(str(limit))}, not {_shown(error.instance)}.",
    }
    return sentences.get(str(error.validator), f"{name} cannot be {_shown(error.instance)}; see /api/doc/.")


_EXPLAIN: dict[Any, Callable[[ValidationError, str], str]] = {
    "additionalProperties": _explain_unknown,
    "required": _explain_required,
    "type": _explain_type,
    "enum": _explain_enum,
}


def _article(kind: str) -> str:
    return f"{'an' if kind[0] in 'aeio' else 'a'} {kind}"


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)[:80]
