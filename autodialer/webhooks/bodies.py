"""The body of a delivery: JSON, or a form whose fields the user names."""

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from autodialer.errors import Invalid
from autodialer.webhooks.payloads import NAMES

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
BESIDE = ("type", "timestamp", "webhook_id")
MOST_FIELDS = 50
LONGEST_TEMPLATE = 500
_PLACE = re.compile(r"\{([^{}]*)\}")
_KNOWN = frozenset(BESIDE).union(*NAMES.values())


def check_fields(fields: Mapping[str, str]) -> dict[str, str]:
    """The field map of a form, checked. Raises Invalid that names the field and the name it does not know."""
    if len(fields) > MOST_FIELDS:
        raise Invalid(f"fields takes at most {MOST_FIELDS} fields; these are {len(fields)}.", field="fields")
    for name, template in fields.items():
        if not name or len(template) > LONGEST_TEMPLATE:
            raise Invalid(
                f"fields: each has a name and a text of at most {LONGEST_TEMPLATE} characters, unlike {name!r}.",
                field="fields",
            )
        for place in _PLACE.findall(template):
            if place.partition(".")[0] not in _KNOWN:
                raise Invalid(
                    f"fields: {name!r} has {{{place}}}, which no event has; there are {', '.join(sorted(_KNOWN))}.",
                    field="fields",
                )
    return dict(fields)


def write_body(
    told: Mapping[str, Any], delivery_id: str, *, style: str, fields: Mapping[str, str]
) -> tuple[bytes, str]:
    """The bytes of a delivery and their content type. The same delivery always has the same bytes."""
    if style == "json":
        return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode(), JSON
    values = {**told["data"], "type": told["type"], "timestamp": told["timestamp"], "webhook_id": delivery_id}
    if fields:
        form = {name: _filled(template, values) for name, template in fields.items()}
    else:
        form = {name: _text(value) for name, value in values.items()}
    return urlencode(form).encode(), FORM


def _filled(template: str, values: Mapping[str, Any]) -> str:
    """No str.format: its fields reach into objects."""
    return _PLACE.sub(lambda place: _text(_find(values, place[1])), template)


def _find(values: Mapping[str, Any], path: str) -> Any:
    """`extra.id` is the value of `id` in `extra`: what is not there is empty."""
    name, _, rest = path.partition(".")
    value = values.get(name)
    return value.get(rest) if rest and isinstance(value, Mapping) else value


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool | Mapping | list | tuple):
        return json.dumps(value, ensure_ascii=False)
    return str(value)
