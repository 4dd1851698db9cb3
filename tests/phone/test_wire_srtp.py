"""Encrypted sound over TLS, judged by baresip, which decrypts it, and by tshark, which finds nothing to read."""

import logging
import re
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
from pyVoIP.VoIP import CallState

from autodialer.model import Cause, Disposition
from autodialer.sip.hop import TLS
from autodialer.sip.sdes import SUITES
from autodialer.sip.shell import TlsSettings
from autodialer.sip.trace import unpack
from tests.peers import sox
from tests.peers.baresip import Baresip
from tests.peers.capture import Capture, before_silence
from tests.peers.certificates import issue
from tests.peers.kamailio import Kamailio
from tests.peers.linphone import Linphone
from tests.peers.ports import LOCALHOST, wait_until
from tests.peers.rtpengine import Rtpengine
from tests.phone.desk import Desk

pytestmark = [pytest.mark.loopback, pytest.mark.peer("kamailio", "kamailio-tls", "baresip", "baresip-srtp", "tshark")]

Desks = Callable[..., Desk]
Captures = Callable[..., Capture]
SAMPLE_S = 1 / 8000
PLAIN_REPORTS = 2
"""RTCP that baresip sends before it has its keys, and a BYE after it has let them go; both count as a stranger's."""


class Provider:
    """Kamailio behind TLS, and baresip behind that."""

    def __init__(self, kamailio: Callable[..., Kamailio], callee: Baresip, folder: Path) -> None:
        issued = issue(folder, LOCALHOST)
        self.callee = callee
        tls = (issued.certificate, issued.key)
        self.proxy = kamailio(callee.address, callee_user="callee", tls=tls)
        self.account = {"transport": TLS, "tls": TlsSettings(server_name=LOCALHOST, ca_pem=issued.ca_pem)}


@pytest.fixture
def provider(
    kamailio: Callable[..., Kamailio], baresip: Callable[..., Baresip], tmp_path: Path
) -> Callable[..., Provider]:
    return lambda encryption: Provider(kamailio, baresip(encryption=encryption, jitter_buffer="5-10"), tmp_path)


@pytest.mark.peer("sox")
@pytest.mark.parametrize("shared", [False, True], ids=["port_a_call", "shared_port"])
@pytest.mark.parametrize("sender", ["batch", "portable"])
@pytest.mark.parametrize("media_encryption", ["required", "preferred"])
def test_a_callee_that_takes_nothing_but_srtp_hears_the_whole_sound_and_nobody_else_does(
    provider: Callable[..., Provider],
    capture_wire: Captures,
    desk: Desks,
    monkeypatch: pytest.MonkeyPatch,
    shared: bool,
    sender: str,
    media_encryption: str,
) -> None:
    monkeypatch.setenv("DIALER_MEDIA_SENDER", sender)
    here = provider("srtp-mand")
    wire = capture_wire(rtp_ports=[(here.callee.rtp_ports[0], here.callee.rtp_ports[-1])])
    account = {"shared_media_port": shared, "media_encryption": media_encryption, **here.account}
    phone = desk(here.proxy.address, sound_s=2.0, **account)
    call = phone.call()
    here.callee.wait_established()
    here.callee.press("4")
    outcome = phone.outcome(call)
    here.callee.wait_closed()
    assert (outcome.disposition, outcome.played_share, outcome.digits) == (Disposition.ANSWERED, 1.0, "4")
    assert outcome.rtp is not None
    assert (outcome.rtp.lost, outcome.rtp.one_way_audio) == (0, False)
    assert outcome.rtp.strangers <= PLAIN_REPORTS
    assert outcome.rtp.encryption == "AES_CM_128_HMAC_SHA1_80"
    assert outcome.rtp.received > 90
    (recording,) = here.callee.recordings
    compared = sox.compare(phone.stem.with_suffix(".wav"), recording)
    assert compared.missing_s < SAMPLE_S and compared.snr_db > 25
    check_nothing_to_read(wire, phone, call.port)


def check_nothing_to_read(wire: Capture, phone: Desk, port: int) -> None:
    """Only the headers are readable, and every packet is longer by its tag of 10 octets."""
    codes = phone.stem.with_suffix(".alaw").read_bytes()
    known = {codes[at : at + 16] for at in range(0, len(codes), 16)} | {b"\xd5" * 16}
    audio = [one for one in wire.rtp() if one.source[1] == port]
    assert len(audio) >= 100
    assert {len(one.payload) for one in audio} == {170}
    assert not any(one.payload[at : at + 16] in known for one in audio for at in range(0, 160, 16))


def test_digits_of_ours_and_reports_both_ways_are_encrypted_too(
    provider: Callable[..., Provider], desk: Desks, media_port: bool
) -> None:
    here = provider("srtp-mand")
    account = {"shared_media_port": media_port, "media_encryption": "required", **here.account}
    phone = desk(here.proxy.address, sound_s=8.0, **account)
    call = phone.call()
    here.callee.wait_established()
    wait_until(lambda: call.state is CallState.ANSWERED, what="the answer")
    call.send_digits("19")
    outcome = phone.outcome(call)
    here.callee.wait_closed()
    assert here.callee.digits == "19"
    assert outcome.rtp is not None
    assert outcome.rtp.remote_lost == 0 and outcome.rtp.strangers <= PLAIN_REPORTS
    assert outcome.rtp.round_trip_ms is not None


@pytest.fixture(params=[False, True], ids=["port_a_call", "shared_port"])
def media_port(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.mark.peer("rtpengine", "sox")
def test_rtpengine_decrypts_for_a_plain_callee_and_encrypts_what_it_says(
    baresip: Callable[..., Baresip],
    kamailio: Callable[..., Kamailio],
    rtpengine: Callable[..., Rtpengine],
    capture_wire: Captures,
    desk: Desks,
    tmp_path: Path,
    media_port: bool,
) -> None:
    callee, relay, issued = baresip(jitter_buffer="5-10"), rtpengine(), issue(tmp_path, LOCALHOST)
    tls = (issued.certificate, issued.key)
    proxy = kamailio(callee.address, callee_user="callee", tls=tls, relay=relay.control, relay_profile="RTP/AVP")
    wire = capture_wire(rtp_ports=[(relay.rtp_ports[0], relay.rtp_ports[-1])])
    account = {"transport": TLS, "tls": TlsSettings(server_name=LOCALHOST, ca_pem=issued.ca_pem)}
    phone = desk(proxy.address, sound_s=8.0, shared_media_port=media_port, media_encryption="required", **account)
    call = phone.call()
    callee.wait_established()
    callee.press("4")
    outcome = phone.outcome(call)
    callee.wait_closed()
    assert (outcome.disposition, outcome.played_share, outcome.digits) == (Disposition.ANSWERED, 1.0, "4")
    assert outcome.rtp is not None and outcome.rtp.encryption in SUITES
    assert (outcome.rtp.strangers, outcome.rtp.lost, outcome.rtp.one_way_audio) == (0, 0, False)
    assert outcome.rtp.remote_lost == 0
    (recording,) = callee.recordings
    compared = sox.compare(phone.stem.with_suffix(".wav"), recording)
    assert compared.missing_s < SAMPLE_S and compared.snr_db > 25
    check_nothing_to_read(wire, phone, call.port)


def test_a_callee_without_srtp_hears_a_trunk_that_prefers_it_plain_in_the_same_call(
    provider: Callable[..., Provider], capture_wire: Captures, desk: Desks
) -> None:
    here = provider("")
    wire = capture_wire(here.callee.address[1], rtp_ports=[(here.callee.rtp_ports[0], here.callee.rtp_ports[-1])])
    phone = desk(here.proxy.address, sound_s=1.0, media_encryption="preferred", **here.account)
    call = phone.call()
    outcome = phone.outcome(call)
    here.callee.wait_closed()
    assert (outcome.disposition, outcome.played_share, outcome.sip_code) == (Disposition.ANSWERED, 1.0, 200)
    assert outcome.rtp is not None and outcome.rtp.encryption is None
    codes = phone.stem.with_suffix(".alaw").read_bytes()
    packets = before_silence([one for one in wire.rtp() if one.source[1] == call.port])
    assert b"".join(one.payload for one in packets).startswith(codes[:-160])
    invites = [one for one in wire.sip() if one.method == "INVITE"]
    assert [b"RTP/SAVP" in one.body for one in invites] == [True, False]
    assert [one.cseq for one in invites] == [invites[0].cseq, invites[0].cseq + 1]
    assert len({(one.call_id, one.header("From")) for one in invites}) == 1


def test_a_callee_without_srtp_is_not_called_plain_by_a_trunk_that_requires_it(
    provider: Callable[..., Provider], capture_wire: Captures, desk: Desks
) -> None:
    here = provider("")
    wire = capture_wire(here.callee.address[1], rtp_ports=[(here.callee.rtp_ports[0], here.callee.rtp_ports[-1])])
    phone = desk(here.proxy.address, sound_s=1.0, media_encryption="required", **here.account)
    outcome = phone.outcome(phone.call())
    assert (outcome.disposition, outcome.cause, outcome.sip_code) == (Disposition.FAILED, Cause.MEDIA_FAILED, 488)
    assert len([one for one in wire.sip() if one.method == "INVITE"]) == 1
    assert wire.rtp() == []


def test_no_key_is_left_in_the_log_or_in_the_trace(
    provider: Callable[..., Provider], capture_wire: Captures, desk: Desks, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    here = provider("srtp-mand")
    wire = capture_wire(here.callee.address[1])
    phone = desk(here.proxy.address, sound_s=0.3, media_encryption="required", **here.account)
    call = phone.call(here.callee.user, reference=uuid4())
    phone.outcome(call)
    phone.phone.stop()
    keys = [key for one in wire.sip() for key in re.findall(rb"inline:([^|\s]+)", one.body)]
    assert len(set(keys)) >= len(SUITES) + 1
    (trace,) = phone.traces
    kept = b"".join(message.data for message in unpack(trace.packed).messages)
    assert kept.count(b"a=crypto:") >= len(SUITES) + 1
    everything = kept + caplog.text.encode() + repr(call.draft).encode()
    assert "a=crypto:" in caplog.text
    assert not any(key in everything for key in keys)


@pytest.mark.peer("linphonec", "sox")
@pytest.mark.parametrize("suite", ["AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32"])
def test_linphone_hears_the_sound_by_each_suite_that_it_knows(
    kamailio: Callable[..., Kamailio], desk: Desks, tmp_path: Path, suite: str
) -> None:
    issued = issue(tmp_path, LOCALHOST)
    account = {"transport": TLS, "tls": TlsSettings(server_name=LOCALHOST, ca_pem=issued.ca_pem)}
    with Linphone(folder=tmp_path, suites=suite) as callee:
        proxy = kamailio(callee.address, callee_user="callee", tls=(issued.certificate, issued.key))
        phone = desk(proxy.address, sound_s=3.0, media_encryption="required", **account)
        outcome = phone.outcome(phone.call())
        assert (outcome.disposition, outcome.played_share) == (Disposition.ANSWERED, 1.0)
        assert outcome.rtp is not None and outcome.rtp.encryption == suite
        wait_until(lambda: "CallReleased" in callee.log or "LinphoneCallReleased" in callee.log, what="the end")
        recording = sox.read(callee.recording, rate=sox.RATE)
    # Its jitter buffer stretches the sound by a few samples now and then, so that it is compared piece by piece.
    reference, step = sox.read(phone.stem.with_suffix(".wav"), rate=sox.RATE), sox.RATE // 5
    pieces = [reference[at : at + step] for at in range(0, len(reference), step)]
    clear = [sox.compare_samples(piece, recording).snr_db > 30 for piece in pieces]
    assert len(pieces) == 15 and sum(clear) >= 8
