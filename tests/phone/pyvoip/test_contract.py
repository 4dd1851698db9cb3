"""Pins the names and signatures of pyVoIP 1.6.8 that our phones override or rely on."""

import inspect
from typing import Any

import pytest
from pyVoIP import RTP, SIP
from pyVoIP.VoIP import CallState, VoIPCall, VoIPPhone
from pyVoIP.VoIP.status import PhoneStatus

from autodialer.errors import IncompatiblePyVoIP
from autodialer.phone.pyvoip import check_pyvoip
from autodialer.phone.pyvoip.call import Call
from autodialer.phone.pyvoip.phone import Phone
from autodialer.phone.pyvoip.rtp_client import RtpClient
from autodialer.phone.pyvoip.sip_client import SipClient
from autodialer.phone.pyvoip.sip_message import SipMessage, status_of

PHONE = ["server", "port", "username", "password", "myIP", "callCallback", "sipPort", "rtpPortLow", "rtpPortHigh"]
CLIENT = ["server", "port", "username", "password", "phone", "myIP", "myPort", "callCallback", "fatalCallback"]
CALL = ["phone", "callstate", "request", "session_id", "myIP", "ms", "sendmode"]
RTP_CLIENT = ["assoc", "inIP", "inPort", "outIP", "outPort", "sendrecv", "dtmf"]


def parameters(function: Any) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name != "self"]


@pytest.mark.parametrize(
    ("stock", "ours", "expected"),
    [
        (VoIPPhone, Phone, PHONE),
        (SIP.SIPClient, SipClient, CLIENT),
        (VoIPCall, Call, CALL),
        (RTP.RTPClient, RtpClient, RTP_CLIENT),
    ],
)
def test_constructors_take_pyvoips_parameters_in_its_order(stock: Any, ours: Any, expected: list[str]) -> None:
    assert issubclass(ours, stock)
    assert parameters(stock.__init__) == expected
    assert parameters(ours.__init__)[: len(expected)] == expected


@pytest.mark.parametrize(
    ("stock", "ours"), [(VoIPPhone, Phone), (SIP.SIPClient, SipClient), (VoIPCall, Call), (RTP.RTPClient, RtpClient)]
)
def test_every_overridden_method_exists_in_pyvoip_and_takes_what_it_takes(stock: Any, ours: Any) -> None:
    for name, method in vars(ours).items():
        if name.startswith("__") or not inspect.isfunction(method) or not hasattr(stock, name):
            continue
        wanted = parameters(getattr(stock, name))
        assert parameters(method)[: len(wanted)] == wanted, f"{ours.__name__}.{name}"


@pytest.mark.parametrize(
    ("stock", "names"),
    [
        (
            VoIPPhone,
            "start stop call callback fatal get_status request_port release_ports _create_Call _cleanup_dead_calls",
        ),
        (SIP.SIPClient, "start stop register deregister invite bye gen_urn_uuid"),
        (
            VoIPCall,
            "answered not_found unavailable hangup bye renegotiate create_rtp_clients gen_ms get_dtmf dtmf_callback",
        ),
        (RTP.RTPClient, "start stop write read recv trans encode_packet parse_telephone_event"),
        (SIP.SIPMessage, "parse summary"),
    ],
)
def test_what_we_build_on_is_there(stock: Any, names: str) -> None:
    assert [name for name in names.split() if not hasattr(stock, name)] == []


def test_the_states_have_pyvoips_names() -> None:
    assert {state.name for state in CallState} == {"DIALING", "RINGING", "ANSWERED", "ENDED"}
    assert {"INACTIVE", "REGISTERING", "REGISTERED", "DEREGISTERING", "FAILED"} == {
        status.name for status in PhoneStatus
    }


def test_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.version", lambda _name: "2.0.0a4")
    with pytest.raises(IncompatiblePyVoIP, match=r"2\.0\.0a4"):
        check_pyvoip()


def test_a_message_shows_pyvoips_documented_attributes() -> None:
    text = (
        b"SIP/2.0 599 Very Odd\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bKx;rport\r\n"
        b'From: "Dialer" <sip:100@example.org>;tag=a1\r\nTo: <sip:200@example.org>;tag=b2;x=y\r\n'
        b"Call-ID: c@d\r\nCSeq: 7 INVITE\r\nContent-Length: 0\r\n\r\n"
    )
    message = SipMessage(text)
    assert message.type == SIP.SIPMessageType.RESPONSE
    assert message.status == SIP.SIPStatus.INTERNAL_SERVER_ERROR
    assert message.headers["Via"][0]["address"] == ("127.0.0.1", "5060")
    assert message.headers["Via"][0]["branch"] == "z9hG4bKx"
    assert message.headers["From"]["caller"] == "Dialer"
    assert message.headers["From"]["number"] == "100"
    assert message.headers["To"]["tag"] == "b2"
    assert message.headers["CSeq"] == {"check": "7", "method": "INVITE"}
    assert "Status: 500" in message.summary()


@pytest.mark.parametrize(
    ("code", "status"), [("200", 200), ("486", 486), ("299", 200), ("499", 400), ("x", 500), ("199", 199)]
)
def test_an_unknown_code_counts_as_the_x00_of_its_class(code: str, status: int) -> None:
    assert status_of(code).value == status
