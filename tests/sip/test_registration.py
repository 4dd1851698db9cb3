"""Registration (RFC 3261 section 10, RFC 3608): kept, refreshed, lost, won back and taken back."""

import itertools

import pytest

from autodialer.sip.events import RegistrationChanged, RegistrationStanding
from autodialer.sip.hop import TCP, Hop
from autodialer.sip.registration import TABLE, TIMERS, RegistrationState
from tests.sip.stepping import GATEWAY, Sent, Steps

OFF, REGISTERING, REGISTERED, FAILED = RegistrationStanding
CONTACT = "<sip:user@192.0.2.1:5060>"
CHALLENGE = 'WWW-Authenticate: Digest realm="r", nonce="n1", algorithm=MD5, qop="auth"'
STALE = 'WWW-Authenticate: Digest realm="r", nonce="n2", algorithm=MD5, qop="auth", stale=true'
PROXY_CHALLENGE = 'Proxy-Authenticate: Digest realm="p", nonce="n3", algorithm=SHA-256, qop="auth"'


@pytest.fixture
def steps() -> Steps:
    return Steps(chance=255)


def bound(request: Sent, expires: int = 600, *more: str) -> dict[str, object]:
    """Options of `Steps.reply` for a 200 that grants `expires` to the Contact asked for."""
    return {"contact": None, "headers": (f"Contact: {request.all('Contact')[0]};expires={expires}", *more)}


def accept(steps: Steps, request: Sent, expires: int = 600, *more: str) -> list[Sent]:
    return steps.reply(request, "200 OK", **bound(request, expires, *more))  # type: ignore[arg-type]


def refuse(steps: Steps, request: Sent, status: str, *headers: str) -> list[Sent]:
    return steps.reply(request, status, contact=None, headers=headers)


def standing(steps: Steps) -> RegistrationStanding:
    return told(steps).standing


def told(steps: Steps) -> RegistrationChanged:
    return [event for event in steps.events if isinstance(event, RegistrationChanged)][-1]


def next_register(steps: Steps, within_s: float = 4000.0) -> Sent:
    """Advance until the next request leaves."""
    end = steps.now + within_s
    while (when := steps.core.get_timer()) is not None and when <= end:
        sent = steps.advance(when - steps.now)
        if sent:
            assert len(sent) == 1
            return sent[0]
    raise AssertionError("no REGISTER left")


def test_the_first_register_asks_for_ten_minutes_at_the_registrar(steps: Steps) -> None:
    register = steps.register()
    assert register.start_line == "REGISTER sip:example.test SIP/2.0" and register.to == GATEWAY
    assert register["To"] == "<sip:user@example.test>"
    assert register["From"].startswith("<sip:user@example.test>;tag=")
    assert (register["Contact"], register["Expires"], register["CSeq"]) == (CONTACT, "600", "1 REGISTER")
    assert "Authorization" not in register.data.decode() and not register.body
    assert (standing(steps), told(steps).message) == (REGISTERING, None)
    assert accept(steps, register) == []
    assert (standing(steps), told(steps).message, told(steps).code) == (REGISTERED, None, None)


def test_every_register_has_the_same_call_id_and_from_and_the_next_cseq(steps: Steps) -> None:
    requests = [steps.register()]
    (authorised,) = refuse(steps, requests[0], "401 Unauthorized", CHALLENGE)
    requests.append(authorised)
    accept(steps, authorised, 60)
    for _ in range(3):
        requests.append(next_register(steps))
        accept(steps, requests[-1], 60)
    steps.core.unregister(steps.now)
    requests.append(steps.take_one())
    assert {(one["Call-ID"], one["From"]) for one in requests} == {(requests[0]["Call-ID"], requests[0]["From"])}
    assert [one["CSeq"] for one in requests] == [f"{number} REGISTER" for number in range(1, 7)]
    assert len({one.branch for one in requests}) == 6


# Digest.


@pytest.mark.parametrize(
    ("status", "challenge", "header"),
    [("401 No", CHALLENGE, "Authorization"), ("407 No", PROXY_CHALLENGE, "Proxy-Authorization")],
)
def test_a_challenge_is_answered_and_the_refresh_answers_it_beforehand(
    steps: Steps, status: str, challenge: str, header: str
) -> None:
    (second,) = refuse(steps, steps.register(), status, challenge)
    assert 'uri="sip:example.test"' in second[header] and "nc=00000001" in second[header]
    accept(steps, second, 60)
    refresh = next_register(steps)
    assert "nc=00000002" in refresh[header]
    accept(steps, refresh, 60)
    assert standing(steps) is REGISTERED


def test_a_stale_nonce_is_replaced_in_a_refresh_and_in_the_first_register(steps: Steps) -> None:
    (second,) = refuse(steps, steps.register(), "401 No", CHALLENGE)
    (third,) = refuse(steps, second, "401 No", STALE)
    assert 'nonce="n2"' in third["Authorization"] and "nc=00000001" in third["Authorization"]
    accept(steps, third, 60)
    refresh = next_register(steps)
    (again,) = refuse(steps, refresh, "401 No", STALE.replace("n2", "n4"))
    assert 'nonce="n4"' in again["Authorization"]
    accept(steps, again, 60)
    assert standing(steps) is REGISTERED


def test_a_wrong_password_is_tried_once_and_then_not_for_a_while(steps: Steps) -> None:
    (second,) = refuse(steps, steps.register(), "401 No", CHALLENGE)
    assert refuse(steps, second, "401 No", CHALLENGE) == []
    assert (standing(steps), told(steps).code) == (FAILED, 401)
    assert "login or password" in (told(steps).message or "") and "401 No" in (told(steps).message or "")
    assert steps.advance(29.9) == []
    (again,) = steps.advance(0.2)
    assert again["CSeq"] == "3 REGISTER"


def test_a_challenge_without_credentials_fails_with_a_sentence(steps: Steps) -> None:
    assert refuse(steps, steps.register(credentials=None), "401 No", CHALLENGE) == []
    assert (standing(steps), told(steps).code) == (FAILED, 401)


@pytest.mark.parametrize("header", [None, 'WWW-Authenticate: Basic realm="r"'])
def test_a_401_that_cannot_be_answered_is_a_refusal(steps: Steps, header: str | None) -> None:
    assert refuse(steps, steps.register(), "401 No", *([header] if header else [])) == []
    assert standing(steps) is FAILED


# 423.


def test_an_interval_that_is_too_brief_is_asked_for_longer_and_kept(steps: Steps) -> None:
    (second,) = refuse(steps, steps.register(), "423 Interval Too Brief", "Min-Expires: 1800")
    assert (second["Expires"], second["CSeq"]) == ("1800", "2 REGISTER")
    accept(steps, second, 1800)
    assert next_register(steps)["Expires"] == "1800"


@pytest.mark.parametrize("headers", [(), ("Min-Expires: 60",), ("Min-Expires: 600",), ("Min-Expires: soon",)])
def test_a_423_that_asks_for_nothing_longer_is_a_refusal(steps: Steps, headers: tuple[str, ...]) -> None:
    assert refuse(steps, steps.register(), "423 Interval Too Brief", *headers) == []
    assert (standing(steps), told(steps).code) == (FAILED, 423)


def test_a_registrar_that_always_wants_longer_is_given_up(steps: Steps) -> None:
    request, asked = steps.register(), []
    for number in range(1, 5):
        asked.append(request["Expires"])
        sent = refuse(steps, request, "423 Interval Too Brief", f"Min-Expires: {600 + number}")
        if not sent:
            break
        (request,) = sent
    assert asked == ["600", "601", "602", "603"]
    assert standing(steps) is FAILED


# Refresh.


@pytest.mark.parametrize(
    ("granted", "earliest", "latest"),
    [(20, 9.0, 10.0), (60, 27.0, 30.0), (120, 76.5, 85.0), (600, 459.0, 510.0), (3600, 2754.0, 3060.0)],
)
def test_the_refresh_leaves_at_a_safe_share_of_what_was_granted(granted: int, earliest: float, latest: float) -> None:
    for chance, expected in ((0, earliest), (255, latest)):
        steps = Steps(chance=chance)
        accept(steps, steps.register(), granted)
        began = steps.now
        refresh = next_register(steps)
        assert refresh.at - began == pytest.approx(expected)
        assert (refresh["Contact"], refresh["Expires"]) == (CONTACT, "600")
        # Long enough before the end for a copy of it, and for 64*T1 where that can be.
        assert refresh.at + min(35.0, granted / 2) <= began + granted + 0.01


@pytest.mark.parametrize(
    ("headers", "granted"),
    [
        ((f"Contact: {CONTACT};expires=60", "Expires: 3600"), 60),
        ((f"Contact: {CONTACT}", "Expires: 60"), 60),
        ((f"Contact: {CONTACT}",), 600),
        (("Expires: 60",), 60),
        ((), 600),
        (("Contact: <sip:desk@192.0.2.50>;expires=7", f"Contact: {CONTACT};expires=60"), 60),
        ((f"Contact: <sip:desk@192.0.2.50>;expires=7, {CONTACT};expires=60;q=0.5",), 60),
        (("Contact: <sip:desk@192.0.2.50>;expires=7", f"Contact: {CONTACT}", "Expires: 60"), 60),
        # None is ours as we wrote it, so any may be: the first to end counts.
        (("Contact: <sip:desk@192.0.2.50>;expires=3600", "Contact: <sip:x@192.0.2.51>;expires=60", "Expires: 99"), 60),
        (("Contact: <sip:desk@192.0.2.50>;expires=3600, <sip:x@192.0.2.51>", "Expires: 60"), 60),
        (("Contact: <sip:gone@192.0.2.50>;expires=0, <sip:x@192.0.2.51>;expires=60",), 60),
        # A gateway on the way wrote its own address into our Contact.
        (("Contact: <sip:user@192.0.2.9:5060>;expires=60",), 60),
    ],
)
def test_what_is_granted_is_our_contacts_own(steps: Steps, headers: tuple[str, ...], granted: int) -> None:
    steps.reply(steps.register(), "200 OK", contact=None, headers=headers)
    began = steps.now
    assert next_register(steps).at - began == pytest.approx({60: 30.0, 600: 510.0}[granted])


def test_a_200_that_grants_nothing_is_a_refusal(steps: Steps) -> None:
    accept(steps, steps.register(), 0)
    assert standing(steps) is FAILED and "forgot" in (told(steps).message or "")


def test_a_refresh_without_an_answer_leaves_us_registered_until_the_binding_ends(steps: Steps) -> None:
    accept(steps, steps.register(), 600)
    expires_at = steps.now + 600
    next_register(steps)
    steps.advance(32.0)
    assert standing(steps) is REGISTERED and "does not answer" in (told(steps).message or "")
    steps.advance(expires_at - steps.now - 0.01)
    assert standing(steps) is REGISTERED
    steps.advance(0.02)
    assert standing(steps) is REGISTERING


def test_the_binding_may_end_while_a_refresh_is_under_way_and_its_answer_wins_it_back(steps: Steps) -> None:
    accept(steps, steps.register(), 20)
    refresh = next_register(steps)
    steps.advance(10.1)
    assert standing(steps) is REGISTERING
    accept(steps, refresh, 20)
    assert standing(steps) is REGISTERED


def test_a_refresh_that_is_refused_ends_the_registration_at_once(steps: Steps) -> None:
    accept(steps, steps.register(), 60)
    refuse(steps, next_register(steps), "403 Forbidden")
    assert (standing(steps), told(steps).code) == (FAILED, 403)


def test_a_registrar_in_trouble_is_asked_again_before_the_binding_ends(steps: Steps) -> None:
    accept(steps, steps.register(), 3600)
    refuse(steps, next_register(steps), "500 Trouble")
    assert standing(steps) is REGISTERED and "500 Trouble" in (told(steps).message or "")
    failed_at = steps.now
    again = next_register(steps)
    assert again.at - failed_at == pytest.approx(30.0)
    accept(steps, again)
    assert (standing(steps), told(steps).message) == (REGISTERED, None)


def test_retry_after_holds_a_refresh_off(steps: Steps) -> None:
    accept(steps, steps.register(), 3600)
    refuse(steps, next_register(steps), "503 Full", "Retry-After: 120")
    assert standing(steps) is REGISTERED
    assert steps.advance(119.9) == []
    assert len(steps.advance(0.2)) == 1


def test_retry_after_beyond_the_end_of_the_binding_ends_it(steps: Steps) -> None:
    accept(steps, steps.register(), 60)
    refuse(steps, next_register(steps), "503 Full", "Retry-After: 300")
    assert standing(steps) is FAILED
    assert steps.advance(299.9) == []
    assert len(steps.advance(0.2)) == 1


# Silence, failures and back-off.


def test_a_silent_registrar_is_given_up_after_64_t1_and_asked_again_later(steps: Steps) -> None:
    steps.register()
    copies = steps.advance(31.9)
    assert [round(copy.at - 100, 3) for copy in copies] == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    steps.advance(0.2)
    assert standing(steps) is FAILED and "does not answer" in (told(steps).message or "")
    assert next_register(steps).at == pytest.approx(100 + 32 + 30)


def test_the_wait_doubles_with_each_failure_up_to_its_cap_and_starts_anew_after_a_success() -> None:
    for chance, share in ((0, 0.5), (255, 1.0)):
        steps = Steps(chance=chance)
        request = steps.register(longest_wait_s=300.0)
        waits = []
        for _ in range(7):
            refuse(steps, request, "500 Trouble")
            failed_at = steps.now
            request = next_register(steps)
            waits.append((request.at - failed_at) / share)
        assert waits == pytest.approx([30, 60, 120, 240, 300, 300, 300])
        accept(steps, request, 600)
        refuse(steps, next_register(steps), "403 No")
        failed_at = steps.now
        assert next_register(steps).at - failed_at == pytest.approx(30.0 * share)


def test_retry_after_lengthens_the_wait_and_never_shortens_it(steps: Steps) -> None:
    refuse(steps, steps.register(), "503 Full", "Retry-After: 100")
    failed_at = steps.now
    again = next_register(steps)
    assert again.at - failed_at == pytest.approx(100.0)
    refuse(steps, again, "503 Full", "Retry-After: 1")
    failed_at = steps.now
    assert next_register(steps).at - failed_at == pytest.approx(60.0)


@pytest.mark.parametrize(
    "status", ["300 Many", "302 Moved", "400 Bad", "403 Forbidden", "404 Unknown", "500 No", "600 No"]
)
def test_every_other_final_is_told_with_its_code(steps: Steps, status: str) -> None:
    assert refuse(steps, steps.register(), status) == []
    assert (standing(steps), told(steps).code) == (FAILED, int(status[:3]))
    assert status in (told(steps).message or "")


def test_a_provisional_response_is_only_waited_for(steps: Steps) -> None:
    register = steps.register()
    refuse(steps, register, "100 Trying")
    assert standing(steps) is REGISTERING
    accept(steps, register)
    assert standing(steps) is REGISTERED


def test_an_unreachable_registrar_is_told_with_what_the_system_says(steps: Steps) -> None:
    hop = Hop(*GATEWAY, TCP)
    steps.register(hops=(hop,))
    steps.core.transport_error(hop, steps.now, "Nothing listens there.")
    steps.take()
    assert (standing(steps), told(steps).message) == (FAILED, "Nothing listens there.")


# Several servers.

FIRST, SECOND = Hop("192.0.2.9", 5060), Hop("192.0.2.10", 5060)


@pytest.mark.parametrize("how", ["silence", "503", "unreachable"])
def test_the_next_server_is_asked_when_one_fails(steps: Steps, how: str) -> None:
    first = steps.register(hops=(FIRST, SECOND))
    assert first.hop == FIRST
    if how == "503":
        (second,) = refuse(steps, first, "503 Full")
    elif how == "unreachable":
        steps.core.transport_error(FIRST, steps.now)
        second = steps.take_one()
    else:
        second = steps.advance(32.0)[-1]
    assert second.hop == SECOND and second["CSeq"] == "2 REGISTER"
    accept(steps, second, 60)
    assert standing(steps) is REGISTERED
    assert next_register(steps).hop == SECOND


def test_when_all_servers_fail_once_it_waits(steps: Steps) -> None:
    (second,) = refuse(steps, steps.register(hops=(FIRST, SECOND)), "503 Full")
    assert refuse(steps, second, "503 Full") == []
    assert standing(steps) is FAILED
    assert next_register(steps).at - steps.began == pytest.approx(30.0)


def test_servers_that_move_keep_the_one_that_knows_us_while_it_is_among_them(steps: Steps) -> None:
    accept(steps, steps.register(hops=(FIRST, SECOND)), 60)
    steps.core.move_registration((SECOND, FIRST))
    refresh = next_register(steps)
    assert refresh.hop == FIRST
    accept(steps, refresh, 60)
    steps.core.move_registration((SECOND,))
    assert next_register(steps).hop == SECOND


# The address that the registrar sees.


def test_an_address_behind_a_nat_replaces_the_local_one_at_once(steps: Steps) -> None:
    first = steps.register()
    seen = natted(first, "198.51.100.7", 41000)
    (second,) = steps.receive(ok(first, seen, CONTACT, 600)) or steps.advance(0.0)
    assert second.all("Contact") == ["<sip:user@198.51.100.7:41000>", f"{CONTACT};expires=0"]
    steps.receive(ok(second, natted(second, "198.51.100.7", 41000), "<sip:user@198.51.100.7:41000>", 600))
    assert standing(steps) is REGISTERED
    refresh = next_register(steps)
    assert refresh.at - steps.began == pytest.approx(510.0)
    assert refresh.all("Contact") == ["<sip:user@198.51.100.7:41000>"]


def test_a_nat_that_changes_the_address_each_time_is_not_followed_for_ever(steps: Steps) -> None:
    request = steps.register()
    sent = []
    for number in range(5):
        contact = request.all("Contact")[0]
        steps.receive(ok(request, natted(request, "198.51.100.7", 41000 + number), contact, 600))
        request = next_register(steps)
        sent.append(request.at)
    assert sent[0] == steps.began and sent[1] - sent[0] == pytest.approx(510.0)
    assert all(later - earlier >= 500.0 for earlier, later in itertools.pairwise(sent[1:]))


def test_the_address_in_a_challenge_is_in_the_first_binding(steps: Steps) -> None:
    first = steps.register()
    text = response_text(first, natted(first, "198.51.100.7", 41000), "401 No", CHALLENGE)
    (second,) = steps.receive(text)
    assert second.all("Contact") == ["<sip:user@198.51.100.7:41000>"]


def natted(request: Sent, host: str, port: int) -> str:
    return request["Via"].replace(";rport", f";received={host};rport={port}")


def response_text(request: Sent, via: str, status: str, *headers: str) -> str:
    lines = [f"SIP/2.0 {status}", f"Via: {via}", f"From: {request['From']}", f"To: {request['To']};tag=r"]
    lines += [f"Call-ID: {request['Call-ID']}", f"CSeq: {request['CSeq']}", *headers, "Content-Length: 0"]
    return "\r\n".join(lines) + "\r\n\r\n"


def ok(request: Sent, via: str, contact: str, expires: int) -> str:
    return response_text(request, via, "200 OK", f"Contact: {contact};expires={expires}")


# Service-Route, outbound proxy.


def test_the_service_route_is_told_and_told_again_when_it_changes(steps: Steps) -> None:
    accept(steps, steps.register(), 60, "Service-Route: <sip:a.example;lr>, <sip:b.example;lr>")
    assert told(steps).service_route == ("sip:a.example;lr", "sip:b.example;lr")
    accept(steps, next_register(steps), 60, "Service-Route: <sip:c.example;lr>")
    assert told(steps).service_route == ("sip:c.example;lr",)
    accept(steps, next_register(steps), 60)
    assert told(steps).service_route == ()


def test_a_lost_registration_takes_its_service_route_with_it(steps: Steps) -> None:
    accept(steps, steps.register(), 60, "Service-Route: <sip:a.example;lr>")
    refuse(steps, next_register(steps), "403 No")
    assert told(steps).service_route == ()


def test_an_outbound_proxy_stands_in_route_and_a_connection_in_contact(steps: Steps) -> None:
    register = steps.register(hops=(Hop(*GATEWAY, TCP),), route=("sip:192.0.2.9;transport=tcp;lr",))
    assert register["Route"] == "<sip:192.0.2.9;transport=tcp;lr>"
    assert register.uri == "sip:example.test"
    assert register["Contact"] == "<sip:user@192.0.2.1:5060;transport=tcp>"
    assert register["Via"].startswith("SIP/2.0/TCP ")


# Taken back.


def test_the_binding_is_taken_back_with_digest(steps: Steps) -> None:
    (second,) = refuse(steps, steps.register(), "401 No", CHALLENGE)
    accept(steps, second)
    steps.core.unregister(steps.now)
    removal = steps.take_one()
    assert (removal["Contact"], removal["Expires"], removal["CSeq"]) == (CONTACT, "0", "3 REGISTER")
    assert "nc=00000002" in removal["Authorization"]
    (again,) = refuse(steps, removal, "401 No", STALE)
    assert again["Expires"] == "0" and not steps.core.settled
    assert steps.reply(again, "200 OK", contact=None) == []
    assert standing(steps) is OFF and steps.core.settled
    assert steps.advance(4000.0) == []
    assert steps.core.remembered == 0


@pytest.mark.parametrize("end", ["403 Forbidden", "500 No", "423 Interval Too Brief", "silence"])
def test_whatever_the_registrar_says_to_that_it_is_the_end(steps: Steps, end: str) -> None:
    accept(steps, steps.register())
    steps.core.unregister(steps.now)
    removal = steps.take_one()
    if end == "silence":
        steps.advance(33.0)
    else:
        refuse(steps, removal, end)
    assert standing(steps) is OFF
    assert steps.advance(4000.0) == [] and steps.core.remembered == 0


def test_a_registration_can_be_taken_back_in_every_state(steps: Steps) -> None:
    # Registering: the answer may be on its way.
    steps.register()
    steps.core.unregister(steps.now)
    removal = steps.take_one()
    assert (removal["Contact"], removal["Expires"]) == (CONTACT, "0")
    steps.core.unregister(steps.now)
    assert steps.take() == []
    steps.reply(removal, "200 OK", contact=None)
    assert standing(steps) is OFF
    # Refreshing.
    steps = Steps()
    accept(steps, steps.register(), 60)
    refresh = next_register(steps)
    steps.core.unregister(steps.now)
    removal = steps.take_one()
    assert removal["Expires"] == "0"
    # The answer to the refresh comes late, and changes nothing.
    accept(steps, refresh, 60)
    assert standing(steps) is REGISTERED
    steps.reply(removal, "200 OK", contact=None)
    assert standing(steps) is OFF and steps.advance(4000.0) == []
    # Waiting: there is nothing to take back.
    steps = Steps()
    refuse(steps, steps.register(), "403 No")
    steps.core.unregister(steps.now)
    assert steps.take() == [] and standing(steps) is OFF
    assert steps.advance(4000.0) == []


def test_shutdown_takes_the_binding_back_and_waits_for_the_answer(steps: Steps) -> None:
    accept(steps, steps.register())
    steps.core.shutdown(steps.now)
    removal = steps.take_one()
    assert removal["Expires"] == "0" and not steps.core.settled
    steps.reply(removal, "200 OK", contact=None)
    assert steps.core.settled


# The table itself.


def test_every_state_can_be_reached_and_left() -> None:
    reached = {after for (state, _), (_, after) in TABLE.items() if after is not state}
    assert reached == set(RegistrationState)
    left = {state for (state, _), (_, after) in TABLE.items() if after is not state}
    assert left == set(RegistrationState) - {RegistrationState.TERMINATED}


def test_a_timer_has_an_arrow_where_it_runs_and_runs_where_it_has_one() -> None:
    running = {(state, f"Timer {name}") for state, names in TIMERS.items() for name in names}
    assert {row for row in TABLE if row[1].startswith("Timer")} == running


@pytest.mark.parametrize("state", [state for state in RegistrationState if state is not RegistrationState.TERMINATED])
def test_every_state_ends_when_it_is_told_to(state: RegistrationState) -> None:
    happenings = {happening for row, happening in TABLE if row is state}
    assert "stop" in happenings or {"2xx", "failure", "refusal", "again"} <= happenings
