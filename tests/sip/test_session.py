"""Changes of an answered session: re-INVITE, UPDATE, hold, and the session timer, with a clock that the test moves."""

import random

import pytest

from autodialer.sip.events import CallAnswered, CallEnded, EndedBy, MediaChanged
from autodialer.sip.sdp import MediaPlan, build_offer, negotiate
from tests.sip.stepping import Sent, Steps, early, in_dialog

OFFER = build_offer("192.0.2.1", 30_000, ["PCMA", "PCMU"], session_id=7)
AUDIO = "m=audio 40000 RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\n"


def sdp(*streams: str, host: str = "192.0.2.9", direction: str = "sendrecv") -> str:
    head = f"v=0\r\no=- 1 2 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
    return head + "".join(streams or (AUDIO,)) + f"a={direction}\r\n"


def ask(ack: Sent, method: str, cseq: int, body: str = "", *headers: str) -> str:
    typed = ("Content-Type: application/sdp",) if body else ()
    contact = () if any(header.startswith("Contact") for header in headers) else ("Contact: <sip:c@192.0.2.77:5070>",)
    text = in_dialog(ack, method, cseq, branch=f"z9hG4bK{method}{cseq}", headers=(*contact, *headers, *typed))
    return text.replace("Content-Length: 0", f"Content-Length: {len(body)}") + body


@pytest.fixture
def steps() -> Steps:
    return Steps()


@pytest.fixture
def ack(steps: Steps) -> Sent:
    return steps.answer(steps.invite(sdp=OFFER))


def changes(steps: Steps) -> list[MediaPlan]:
    return [event.media for event in steps.events if isinstance(event, MediaChanged)]


def lines(sent: Sent) -> list[str]:
    return sent.body.decode().split("\r\n")


HOLDS = [
    ("sendonly", "192.0.2.9", "recvonly"),
    ("inactive", "192.0.2.9", "inactive"),
    ("sendrecv", "0.0.0.0", "recvonly"),
]


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
@pytest.mark.parametrize(("direction", "host", "answered"), HOLDS)
def test_a_hold_is_answered_and_told_and_so_is_its_end(
    steps: Steps, ack: Sent, method: str, direction: str, host: str, answered: str
) -> None:
    (ok,) = steps.receive(ask(ack, method, 5, sdp(host=host, direction=direction)))
    assert ok.code == 200 and f"a={answered}" in lines(ok) and "o=- 7 8 IN IP4 192.0.2.1" in lines(ok)
    assert "m=audio 30000 RTP/AVP 8 101" in lines(ok) and ok["Contact"] == "<sip:192.0.2.1:5060>"
    assert [media.held for media in changes(steps)] == [True]
    steps.receive(ask(ack, "ACK", 5))
    (ok,) = steps.receive(ask(ack, method, 6, sdp()))
    assert "a=sendrecv" in lines(ok) and "o=- 7 9 IN IP4 192.0.2.1" in lines(ok)
    assert [media.held for media in changes(steps)] == [True, False]
    steps.receive(ask(ack, "ACK", 6))
    (ok,) = steps.receive(ask(ack, method, 7, sdp()))
    assert "o=- 7 9 IN IP4 192.0.2.1" in lines(ok) and len(changes(steps)) == 2


def test_a_moved_stream_is_told_with_its_new_address_and_the_other_streams_are_refused_in_order(
    steps: Steps, ack: Sent
) -> None:
    video = "m=video 50000 RTP/AVP 31 34\r\n"
    moved = AUDIO.replace("40000", "41000").replace("8 101", "0 8 96").replace(":101", ":96")
    (ok,) = steps.receive(ask(ack, "INVITE", 1, sdp(video, moved, "m=x-new 1 q/r z\r\n", host="192.0.2.50")))
    assert [line for line in lines(ok) if line.startswith("m=")] == [
        "m=video 0 RTP/AVP 31 34",
        "m=audio 30000 RTP/AVP 8 96",
        "m=x-new 0 q/r z",
    ]
    (media,) = changes(steps)
    assert (media.host, media.port, media.codec, media.telephone_event_pt) == ("192.0.2.50", 41000, "PCMA", 96)


@pytest.mark.parametrize("body", [sdp("m=audio 40000 RTP/AVP 18\r\n"), sdp("m=audio 0 RTP/AVP 8\r\n"), "v=0\r\nm=\r\n"])
def test_an_unusable_offer_gets_488_and_the_session_goes_on(steps: Steps, ack: Sent, body: str) -> None:
    (refusal,) = steps.receive(ask(ack, "UPDATE", 1, body))
    assert refusal.code == 488 and steps.names == ["CallAnswered"]
    assert steps.receive(ask(ack, "UPDATE", 2, sdp()))[0].code == 200


def test_a_body_that_is_no_session_description_gets_415(steps: Steps, ack: Sent) -> None:
    text = ask(ack, "INVITE", 1, "hello").replace("application/sdp", "text/plain")
    (refusal,) = steps.receive(text)
    assert refusal.code == 415 and refusal["Accept"] == "application/sdp"


def test_our_200_is_sent_again_until_its_ack_comes(steps: Steps, ack: Sent) -> None:
    (ok,) = steps.receive(ask(ack, "INVITE", 1, sdp()))
    again = steps.advance(4.0)
    assert [round(sent.at - 100, 3) for sent in again] == [0.5, 1.5, 3.5] and {sent.data for sent in again} == {ok.data}
    steps.receive(ask(ack, "ACK", 1))
    assert steps.advance(100.0) == [] and steps.names == ["CallAnswered", "DialogMoved"]


def test_a_200_that_is_never_acknowledged_ends_the_call(steps: Steps, ack: Sent) -> None:
    steps.receive(ask(ack, "INVITE", 1, sdp()))
    assert steps.advance(32.0)[-1].method == "BYE"
    steps.finish()


def test_a_re_invite_without_an_offer_gets_ours_and_the_ack_brings_the_answer(steps: Steps, ack: Sent) -> None:
    (ok,) = steps.receive(ask(ack, "INVITE", 1))
    assert "m=audio 30000 RTP/AVP 8 0 101" in lines(ok) and "a=sendrecv" in lines(ok)
    assert steps.receive(ask(ack, "UPDATE", 2, sdp()))[0].code == 491
    steps.receive(ask(ack, "ACK", 1, sdp(host="192.0.2.51")))
    assert [media.host for media in changes(steps)] == ["192.0.2.51"]


def test_an_answer_in_the_ack_that_is_unusable_ends_the_call(steps: Steps, ack: Sent) -> None:
    steps.receive(ask(ack, "INVITE", 1))
    assert steps.receive(ask(ack, "ACK", 1))[0].method == "BYE"
    assert isinstance(steps.last, CallEnded) and steps.last.by is EndedBy.US


def test_the_target_is_refreshed_by_the_contact_of_a_re_invite(steps: Steps, ack: Sent) -> None:
    steps.receive(ask(ack, "INVITE", 1, sdp(), "Contact: <sip:new@192.0.2.88:5090>"))
    steps.receive(ask(ack, "ACK", 1))
    steps.core.bye("call-1", steps.now)
    bye = steps.take_one()
    assert bye.uri == "sip:new@192.0.2.88:5090" and bye.to == ("192.0.2.88", 5090)
    assert steps.receive(ask(ack, "INVITE", 2, sdp()))[0].code == 481


def test_a_change_before_the_answer_gets_491(steps: Steps) -> None:
    invite = steps.invite(sdp=OFFER)
    steps.reply(invite, "180 Ringing")
    for number, method in enumerate(("INVITE", "UPDATE"), 1):
        assert steps.receive(ask(early(invite, "callee"), method, number, sdp()))[0].code == 491


@pytest.mark.parametrize("contact", ["<sip:n\xe9@192.0.2.88>", "<sip:n\x01@192.0.2.88>", "<mailto:a@b>"])
def test_a_contact_that_is_no_sip_uri_changes_no_target(steps: Steps, ack: Sent, contact: str) -> None:
    steps.receive(ask(ack, "UPDATE", 1, "", f"Contact: {contact}"))
    steps.core.bye("call-1", steps.now)
    assert steps.take_one().uri == "sip:callee@192.0.2.77:5070"


# Session timers.

ANSWER = sdp()


def answered(steps: Steps, *headers: str) -> Sent:
    (ack,) = steps.reply(steps.invite(sdp=OFFER), "200 OK", body=ANSWER, headers=headers)
    return ack


def test_the_invite_says_what_we_support_and_asks_for_no_interval(steps: Steps) -> None:
    invite = steps.invite()
    assert invite["Supported"] == "timer, 100rel" and not invite.all("Session-Expires")
    assert "UPDATE" in invite["Allow"]


def test_a_422_is_followed_by_an_invite_with_the_interval_it_asks_for(steps: Steps) -> None:
    invite = steps.invite(sdp=OFFER)
    ack, again = steps.reply(invite, "422 Session Interval Too Small", headers=("Min-SE: 600",))
    assert ack.method == "ACK" and ack.branch == invite.branch
    assert again["Session-Expires"] == "600" and again["Min-SE"] == "600" and again["CSeq"] == "2 INVITE"
    assert again["Call-ID"] == invite["Call-ID"] and again["From"] == invite["From"] and ";tag" not in again["To"]
    assert [sent.method for sent in steps.reply(again, "422 No", headers=("Min-SE: 600",))] == ["ACK"]
    assert steps.names == ["CallFailed"]


def test_an_answer_with_refresher_uac_is_refreshed_by_update_at_half_the_interval(steps: Steps) -> None:
    answered(steps, "Session-Expires: 90;refresher=uac", "Require: timer", "Allow: INVITE, UPDATE, BYE")
    assert steps.advance(44.9) == []
    (update,) = steps.advance(0.2)
    assert update.method == "UPDATE" and update["Session-Expires"] == "90;refresher=uac" and not update.body
    steps.reply(update, "200 OK", headers=("Session-Expires: 90;refresher=uac",))
    (update,) = steps.advance(45.0)
    assert update["CSeq"] == "3 UPDATE"
    assert steps.names == ["CallAnswered"]


def test_a_peer_without_update_is_refreshed_by_re_invite_with_the_same_description(steps: Steps) -> None:
    answered(steps, "Session-Expires: 90;refresher=uac")
    (again,) = steps.advance(45.0)
    assert again.method == "INVITE" and again.body == OFFER and again["To"].endswith(";tag=callee")
    steps.reply(again, "100 Trying", tag=None)
    (ack,) = steps.reply(again, "200 OK", body=ANSWER, headers=("Session-Expires: 90;refresher=uac",))
    assert ack.method == "ACK" and ack["CSeq"] == "2 ACK" and ack.branch != again.branch
    (repeated,) = steps.reply(again, "200 OK", body=ANSWER, headers=("Session-Expires: 90;refresher=uac",))
    assert repeated.data == ack.data
    assert steps.names == ["CallAnswered"]


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_while_our_re_invite_is_pending_theirs_gets_491(steps: Steps, method: str) -> None:
    ack = answered(steps, "Session-Expires: 90;refresher=uac")
    steps.advance(45.0)
    assert steps.receive(ask(ack, method, 1, sdp()))[0].code == 491


def test_our_re_invite_that_gets_491_is_tried_again_after_2_to_4_seconds(steps: Steps) -> None:
    answered(steps, "Session-Expires: 90;refresher=uac")
    (again,) = steps.advance(45.0)
    steps.reply(again, "491 Request Pending")
    assert steps.advance(2.0) == []
    assert steps.advance(2.1)[0].method == "INVITE"


@pytest.mark.parametrize("status", ["481 Gone", "408 Request Timeout"])
def test_a_refresh_that_finds_no_dialog_ends_the_call(steps: Steps, status: str) -> None:
    answered(steps, "Session-Expires: 90;refresher=uac", "Allow: UPDATE")
    (update,) = steps.advance(45.0)
    assert steps.reply(update, status)[0].method == "BYE"
    steps.finish()


def test_a_refresh_that_is_not_understood_becomes_a_re_invite(steps: Steps) -> None:
    answered(steps, "Session-Expires: 90;refresher=uac", "Allow: UPDATE")
    (update,) = steps.advance(45.0)
    assert [sent.method for sent in steps.reply(update, "501 Not Implemented")] == ["INVITE"]


def test_a_refresh_is_tried_again_with_credentials_and_with_a_longer_interval(steps: Steps) -> None:
    invite = steps.invite(sdp=OFFER, credentials=("u", "p"))
    steps.reply(invite, "200 OK", body=ANSWER, headers=("Session-Expires: 90;refresher=uac", "Allow: UPDATE"))
    (update,) = steps.advance(45.0)
    (again,) = steps.reply(update, "401 No", headers=('WWW-Authenticate: Digest realm="r", nonce="n"',))
    assert 'uri="sip:callee@192.0.2.77:5070"' in again["Authorization"]
    (longer,) = steps.reply(again, "422 No", headers=("Min-SE: 120",))
    assert longer["Session-Expires"] == "120;refresher=uac" and longer["Min-SE"] == "120"


def test_when_the_peer_stops_to_refresh_we_hang_up_in_time(steps: Steps) -> None:
    ack = answered(steps, "Session-Expires: 120;refresher=uas")
    steps.advance(60.0)
    (ok,) = steps.receive(ask(ack, "UPDATE", 1, "", "Supported: timer", "Session-Expires: 120;refresher=uac"))
    assert ok.code == 200 and ok["Session-Expires"] == "120;refresher=uac" and ok["Require"] == "timer"
    assert not ok.body
    assert steps.advance(87.9) == []
    assert steps.advance(0.2)[0].method == "BYE"
    assert isinstance(steps.last, CallEnded) and steps.last.by is EndedBy.US


def test_a_peer_may_hand_the_refreshing_to_us(steps: Steps) -> None:
    ack = answered(steps, "Allow: UPDATE")
    (ok,) = steps.receive(ask(ack, "UPDATE", 1, "", "Supported: timer", "Session-Expires: 200;refresher=uas"))
    assert ok["Session-Expires"] == "200;refresher=uas" and not ok.all("Require")
    assert steps.advance(100.0)[0].method == "UPDATE"


def test_an_interval_that_is_too_short_gets_422(steps: Steps) -> None:
    ack = answered(steps)
    (refusal,) = steps.receive(ask(ack, "UPDATE", 1, "", "Supported: timer", "Session-Expires: 60"))
    assert refusal.code == 422 and refusal["Min-SE"] == "90"


def test_an_extension_that_we_know_may_be_required_of_us(steps: Steps) -> None:
    ack = answered(steps)
    required = ("Require: timer", "Session-Expires: 90;refresher=uac")
    assert steps.receive(ask(ack, "UPDATE", 1, "", *required))[0].code == 200
    (refusal,) = steps.receive(ask(ack, "UPDATE", 2, "", "Require: timer, foo"))
    assert refusal.code == 420 and refusal.all("Unsupported") == ["foo"]


# Reliable provisional responses.


def reliable(rseq: int) -> tuple[str, ...]:
    return ("Require: 100rel", f"RSeq: {rseq}")


def test_a_reliable_183_is_acknowledged_once_and_in_order_and_its_answer_counts(steps: Steps) -> None:
    invite = steps.invite(sdp=OFFER)
    (prack,) = steps.reply(invite, "183 Session Progress", body=sdp(host="192.0.2.60"), headers=reliable(10))
    assert prack.method == "PRACK" and prack["RAck"] == "10 1 INVITE" and prack["CSeq"] == "2 PRACK"
    assert prack.uri == "sip:callee@192.0.2.77:5070" and prack["To"].endswith(";tag=callee")
    assert steps.reply(invite, "183 Session Progress", body=sdp(), headers=reliable(10)) == []
    assert steps.reply(invite, "180 Ringing", headers=reliable(12)) == []
    steps.reply(prack, "200 OK")
    (second,) = steps.reply(invite, "180 Ringing", headers=reliable(11))
    assert second["RAck"] == "11 1 INVITE" and second["CSeq"] == "3 PRACK"
    steps.reply(second, "200 OK")
    (ok,) = steps.receive(ask(early(invite, "callee"), "UPDATE", 1, sdp(host="192.0.2.61")))
    assert ok.code == 200 and "a=sendrecv" in lines(ok)
    steps.answer(invite)
    media = negotiate(steps.last.sdp, ["PCMA"]) if isinstance(steps.last, CallAnswered) else None
    assert isinstance(media, MediaPlan) and media.host == "192.0.2.61"
    steps.core.bye("call-1", steps.now)
    bye = steps.take_one()
    assert bye["CSeq"] == "4 BYE"
    steps.reply(bye, "200 OK")
    steps.finish()


def test_a_prack_that_is_lost_or_challenged_is_sent_again(steps: Steps) -> None:
    invite = steps.invite(sdp=OFFER, credentials=("u", "p"))
    (prack,) = steps.reply(invite, "180 Ringing", headers=reliable(1))
    (lost,) = steps.advance(0.5)
    assert lost.data == prack.data
    (again,) = steps.reply(prack, "407 No", headers=('Proxy-Authenticate: Digest realm="r", nonce="n"',))
    assert again["RAck"] == "1 1 INVITE" and again["CSeq"] == "3 PRACK" and again["Proxy-Authorization"]


def test_each_fork_counts_its_reliable_responses_by_itself(steps: Steps) -> None:
    invite = steps.invite(sdp=OFFER)
    assert steps.reply(invite, "180 Ringing", tag="a", headers=reliable(1))[0]["RAck"] == "1 1 INVITE"
    assert steps.reply(invite, "180 Ringing", tag="b", headers=reliable(500))[0]["RAck"] == "500 1 INVITE"
    assert steps.reply(invite, "180 Ringing", tag="a", headers=reliable(2))[0]["RAck"] == "2 1 INVITE"


@pytest.mark.parametrize("headers", [("Require: 100rel",), ("RSeq: 1",), ("Require: 100rel", "RSeq: x")])
def test_a_response_that_is_not_reliable_gets_no_prack(steps: Steps, headers: tuple[str, ...]) -> None:
    assert steps.reply(steps.invite(sdp=OFFER), "183 Session Progress", headers=headers) == []
    assert [type(event).__name__ for event in steps.events] == ["InviteHeard", "CallProgress"]


# Routes.

ROUTED = ("Record-Route: <sip:192.0.2.31;lr>, <sip:192.0.2.9;lr>",)


def test_a_prack_goes_along_the_route_set_of_its_early_dialog(steps: Steps) -> None:
    invite = steps.invite(sdp=OFFER)
    (prack,) = steps.reply(invite, "180 Ringing", headers=(*ROUTED, *reliable(1)))
    assert prack.all("Route") == ["<sip:192.0.2.9;lr>", "<sip:192.0.2.31;lr>"] and prack.to == ("192.0.2.9", 5060)
    assert prack.uri == "sip:callee@192.0.2.77:5070"


def test_a_re_invite_changes_the_target_and_never_the_route_set(steps: Steps) -> None:
    ack = answered(steps, *ROUTED, "Session-Expires: 90;refresher=uac", "Allow: UPDATE")
    moved = ("Contact: <sip:new@192.0.2.88>", "Record-Route: <sip:192.0.2.66;lr>")
    steps.receive(ask(ack, "INVITE", 1, sdp(), *moved, "Supported: timer"))
    steps.receive(ask(ack, "ACK", 1))
    (update,) = steps.advance(45.0)
    assert update.uri == "sip:new@192.0.2.88" and update.to == ("192.0.2.9", 5060)
    assert update.all("Route") == ["<sip:192.0.2.9;lr>", "<sip:192.0.2.31;lr>"]


def test_a_refresh_over_a_strict_router_has_its_uri_as_request_uri_and_the_target_last(steps: Steps) -> None:
    strict = ("Record-Route: <sip:192.0.2.31;lr>", "Record-Route: <sip:192.0.2.9:5066>")
    answered(steps, *strict, "Session-Expires: 90;refresher=uac", "Allow: UPDATE")
    (update,) = steps.advance(45.0)
    assert update.uri == "sip:192.0.2.9:5066" and update.to == ("192.0.2.9", 5066)
    assert update.all("Route") == ["<sip:192.0.2.31;lr>", "<sip:callee@192.0.2.77:5070>"]


def test_a_request_in_the_dialog_of_a_fork_that_lost_gets_481(steps: Steps) -> None:
    invite = steps.invite(sdp=OFFER)
    (first,) = steps.reply(invite, "200 OK", tag="a", body=ANSWER)
    second, _bye = steps.reply(invite, "200 OK", tag="b", body=ANSWER)
    assert steps.receive(ask(second, "INVITE", 1, sdp()))[0].code == 481
    assert steps.receive(ask(first, "UPDATE", 1, sdp()))[0].code == 200


def test_a_call_with_a_session_timer_is_freed_and_leaves_no_timer(steps: Steps) -> None:
    ack = answered(steps, "Session-Expires: 1800;refresher=uac", "Allow: UPDATE")
    steps.receive(ask(ack, "INVITE", 1, sdp()))
    steps.core.bye("call-1", steps.now)
    steps.reply(steps.take_one(), "200 OK")
    steps.finish()


def test_flipped_bits_in_re_invites_updates_and_their_acks_raise_nothing(steps: Steps) -> None:
    rng = random.Random(20_261_123)
    ack = answered(steps, "Session-Expires: 1800;refresher=uac", "Allow: UPDATE")
    timer = ("Supported: timer", "Session-Expires: 1800;refresher=uas")
    for number in range(3000):
        method = ("INVITE", "UPDATE", "ACK")[number % 3]
        data = bytearray(ask(ack, method, number // 3 + 1, sdp() if number % 31 else "", *timer).encode())
        # Call-ID, tags and CSeq stay, so that most get through to the session.
        start = data.find(b"Contact")
        for _ in range(rng.randrange(1, 6)):
            data[rng.randrange(start, len(data))] = rng.randrange(256)
        steps.receive(bytes(data))
        if "CallEnded" in steps.names:
            steps.events.clear()
            steps.advance(100.0)
            ack = answered(steps)
    steps.core.abandon(steps.now)
