"""Fixtures for calls with foreign gateways."""

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from autodialer.sip.shell import loop
from autodialer.sip.user_agent import UserAgentConfig
from tests.phone.desk import Address, Desk, NoErrors


@pytest.fixture
def short_t1(monkeypatch: pytest.MonkeyPatch) -> float:
    """T1 of the phones of this test, s: what takes 64*T1 is over after 13 s, not 32.

    The silent gateway of test_wire_calls.py and the silent registrar of test_wire_registration.py get the real one.
    """
    t1 = 0.2
    monkeypatch.setattr(loop, "UserAgentConfig", partial(UserAgentConfig, t1=t1))
    return t1


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Callable[..., Desk]]:
    """Makes phones: `desk(gateway.address, sound_s=...)`. No error may be logged meanwhile."""
    errors = NoErrors()
    logging.getLogger().addHandler(errors)
    with ExitStack() as stack:

        def make(gateway: Address, **options: Any) -> Desk:
            return stack.enter_context(Desk.make(gateway, tmp_path, **options))

        yield make
    logging.getLogger().removeHandler(errors)
    assert [record.getMessage() for record in errors.records] == []
