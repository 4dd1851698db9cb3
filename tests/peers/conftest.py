"""The toolkit's own tests: peers judge one another."""

from tests.peers.fixtures import baresip, capture_wire, kamailio, peers, sipp_caller, sipp_gateway

__all__ = ["baresip", "capture_wire", "kamailio", "peers", "sipp_caller", "sipp_gateway"]
