"""A short run of `make fuzz`, the same each time."""

from tests.fuzz import corpus, run


def test_damaged_messages_raise_nothing() -> None:
    assert len(corpus()) > 10
    assert run(20261123, rounds=2500) == 2500
