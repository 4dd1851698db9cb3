"""Which call has which port, and what follows when another program has it."""

import pytest

from autodialer.errors import PortsExhausted
from autodialer.phone.ports import TRIES, Ports


def ports(first: int = 10000, last: int = 20000, *, shared: bool = False) -> tuple[Ports, list[int]]:
    taken: list[int] = []
    return Ports(first, last, taken, shared=shared), taken


def test_each_call_has_an_even_port_of_its_own_until_it_is_over() -> None:
    own, taken = ports(10001, 10009)
    leases = [own.lease() for _ in range(3)]
    assert {lease.port for lease in leases} <= {10002, 10004, 10006, 10008} and len(set(taken)) == 3
    for lease in leases:
        lease.give_back()
        lease.give_back()
    assert taken == []


def test_a_full_range_is_told() -> None:
    own, _ = ports(10000, 10004)
    own.lease()
    own.lease()
    with pytest.raises(PortsExhausted):
        own.lease()


def test_a_port_of_another_program_is_given_up_for_the_next() -> None:
    own, taken = ports()
    lease = own.lease()
    first = lease.port
    lease.take_next("in use")
    assert lease.port != first and taken == [lease.port]


def test_the_hundredth_port_of_another_program_ends_the_search_with_its_complaint() -> None:
    own, _ = ports()
    lease = own.lease()
    for _ in range(TRIES - 1):
        lease.take_next("in use")
    with pytest.raises(PortsExhausted, match="in use"):
        lease.take_next("in use")


def test_calls_that_share_a_port_leave_it_together_when_another_program_has_it() -> None:
    common, taken = ports(shared=True)
    first, second = common.lease(), common.lease()
    assert first.port == second.port
    before = first.port
    first.take_next("in use")
    second.take_next("in use")
    assert first.port == second.port != before and taken == [first.port]
    first.give_back()
    assert taken == [second.port]  # for the next call


def test_a_call_that_the_common_port_cannot_serve_goes_on_at_its_own() -> None:
    common, taken = ports(shared=True)
    first, second = common.lease(), common.lease()
    second.take_own()
    assert not second.common and sorted(taken) == sorted({first.port, second.port})
    second.give_back()
    assert taken == [first.port]
