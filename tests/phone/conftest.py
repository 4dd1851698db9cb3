"""Peers for the tests of phones."""

from tests.peers.fixtures import capture_wire, peers, sipp_gateway

__all__ = ["capture_wire", "peers", "sipp_gateway"]
