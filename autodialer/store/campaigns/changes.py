"""What a change of a campaign's rules has changed, as its diary keeps it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from datetime import date, datetime, time
from typing import Any

from autodialer.model import Campaign


def changes_between(before: Campaign, after: Campaign, names: Sequence[str]) -> dict[str, list[Any]]:
    """Rule -> its value before and after, of those rules that have changed; values are as JSON has them."""
    pairs = {name: (getattr(before, name), getattr(after, name)) for name in sorted(names)}
    return {name: [_plain(old), _plain(new)] for name, (old, new) in pairs.items() if old != new}


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value.isoformat() if isinstance(value, datetime | date | time) else value
