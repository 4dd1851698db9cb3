"""Fixtures for calls with foreign gateways."""

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.phone.desk import Address, Desk, NoErrors


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
