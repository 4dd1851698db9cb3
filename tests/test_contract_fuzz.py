"""A short run of schemathesis over the contract finds no 5xx, and no answer that the contract does not promise."""

import re

import pytest

from autodialer.model import Role
from autodialer.web.contract import operations
from tests.fuzz.contract import ROLES, SMALL, attack
from tests.timing import at_most

pytestmark = [pytest.mark.netns, pytest.mark.process]

SECONDS = 60
"""At most; it is done in half of it on a quiet machine."""
LEFT_OUT = 3
"""Operations: see tests/fuzz/schemathesis.toml."""


@pytest.mark.timeout(600)
@pytest.mark.parametrize("role", ROLES)
def test_the_api_keeps_to_its_contract_whatever_it_is_sent(role: Role) -> None:
    status, said = attack(role, *SMALL, seconds=at_most(SECONDS))
    assert status == 0, said[-8000:]
    tested = re.search(r"Tested: (\d+)", said)
    assert tested is not None, said[-2000:]
    assert int(tested[1]) == len(list(operations())) - LEFT_OUT
