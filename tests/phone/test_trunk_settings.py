"""The settings of a trunk that restart its phones."""

from dataclasses import replace
from typing import Any

import pytest

from autodialer.model import TrunkSettings
from autodialer.store import trunk_of

TRUNK = trunk_of(TrunkSettings(name="Provider", host="192.0.2.9", username="user"))


@pytest.mark.parametrize(
    ("changed", "serves"),
    [
        ({"name": "Other"}, True),
        ({"cps": 9.0}, True),
        ({"max_channels": 200}, True),
        ({"number_format": "+{e164}"}, True),
        ({"price_per_min": 1.5}, True),
        ({"host": "192.0.2.10"}, False),
        ({"port": 5080}, False),
        ({"transport": "tcp"}, False),
        ({"password": "new"}, False),
        ({"codecs": ("PCMU",)}, False),
        ({"register": True}, False),
        ({"media_ports": "shared"}, False),
        ({"media_encryption": "preferred"}, False),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_phones_go_on_under_settings_that_they_follow_and_only_those(changed: dict[str, Any], serves: bool) -> None:
    assert (TRUNK.as_phones_know_it() == replace(TRUNK, **changed).as_phones_know_it()) is serves


def test_what_is_shown_of_a_trunk_is_all_that_a_user_says_but_the_password() -> None:
    shown = TRUNK.shown()
    assert "password" not in shown
    assert (shown["codecs"], shown["host"], shown["max_channels"]) == (["PCMA", "PCMU"], "192.0.2.9", 10)
