"""Nonces belong to the trunk: no two requests carry the same count, and a known nonce saves the challenge."""

import re
import threading
from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autodialer.sip.digest import Challenge
from autodialer.sip.events import CallFailed, FailureKind
from autodialer.sip.hop import Hop
from autodialer.sip.nonces import Nonces
from autodialer.sip.probe import ProbeRequest
from tests.sip.stepping import GATEWAY, TARGET, Sent, Steps, in_dialog

SECRET = ("alice", "wonder land")
OTHER = ("192.0.2.10", 5060)


def challenge(nonce: str, *, stale: bool = False, name: str = "WWW-Authenticate", realm: str = "gw") -> str:
    return f'{name}: Digest realm="{realm}", nonce="{nonce}", qop="auth"{", stale=true" if stale else ""}'


def counted(request: Sent, header: str = "Authorization") -> list[tuple[str, int]]:
    """Nonce and count of each digest."""
    found = []
    for value in request.all(header):
        nonce, count = re.search(r'nonce="([^"]*)"', value), re.search(r"nc=([0-9a-f]{8})", value)
        assert nonce and count
        found.append((nonce[1], int(count[1], 16)))
    return found


def challenged(steps: Steps, request: Sent, line: str) -> Sent:
    """The request as it leaves again."""
    return steps.reply(request, "401 Unauthorized", headers=(line,))[-1]


@pytest.fixture
def phones() -> tuple[Steps, Steps]:
    """Two phones of one trunk."""
    nonces = Nonces()
    return Steps(nonces=nonces), Steps(nonces=nonces)


def test_the_next_call_begins_with_the_known_nonce_and_counts_on(phones: tuple[Steps, Steps]) -> None:
    one, two = phones
    again = challenged(one, one.invite(credentials=SECRET), challenge("n1"))
    one.answer(again)
    assert counted(again) == [("n1", 1)]
    invite = two.invite(credentials=SECRET, call_id="call-2")
    assert counted(invite) == [("n1", 2)]
    ack = two.answer(invite)
    assert counted(ack) == [("n1", 2)], "an ACK repeats the INVITE's own (RFC 3261 section 22.1)"
    one.core.bye("call-1", one.now)
    assert counted(one.take_one()) == [("n1", 3)]


def test_registration_probe_farewell_and_calls_share_one_count(phones: tuple[Steps, Steps]) -> None:
    one, two = phones
    register = challenged(one, one.register(credentials=SECRET), challenge("n1"))
    assert counted(register) == [("n1", 1)]
    two.core.probe(
        ProbeRequest(
            hop=Hop(*GATEWAY), method="REGISTER", target=TARGET, from_uri="sip:a@192.0.2.9", credentials=SECRET
        ),
        two.now,
    )
    assert counted(two.take_one()) == [("n1", 2)]
    call = Steps()
    call.answer(call.invite())
    two.core.say_farewell(call.events[0].dialog, SECRET, two.now)  # type: ignore[union-attr]
    assert counted(two.take_one()) == [], "the callee's own host did not ask for it"
    invite = one.invite(credentials=SECRET)
    assert counted(invite) == [("n1", 3)]


def test_a_stale_nonce_that_was_sent_ahead_is_replaced_and_the_new_one_starts_at_one(
    phones: tuple[Steps, Steps],
) -> None:
    one, two = phones
    one.answer(challenged(one, one.invite(credentials=SECRET), challenge("n1")))
    again = challenged(two, two.invite(credentials=SECRET), challenge("n2", stale=True))
    assert counted(again) == [("n2", 1)]
    assert counted(one.invite(credentials=SECRET, call_id="call-3")) == [("n2", 2)]


def test_a_nonce_that_the_server_sets_for_every_call_counts_on(phones: tuple[Steps, Steps]) -> None:
    one, two = phones
    one.answer(challenged(one, one.invite(credentials=SECRET), challenge("same")))
    again = challenged(two, two.invite(credentials=SECRET), challenge("same"))
    assert counted(again) == [("same", 3)]
    refused = two.reply(again, "401 Unauthorized", headers=(challenge("same"),))
    assert [message.method for message in refused] == ["ACK"]
    assert isinstance(two.last, CallFailed) and two.last.kind is FailureKind.AUTH


def test_another_server_of_the_trunk_gets_no_nonce_that_it_has_not_set(phones: tuple[Steps, Steps]) -> None:
    one, two = phones
    one.answer(challenged(one, one.invite(credentials=SECRET), challenge("n1")))
    invite = two.invite(credentials=SECRET, next_hop=OTHER)
    assert counted(invite) == []


def test_a_callee_that_is_reached_directly_gets_no_digest_that_was_meant_for_the_provider(
    phones: tuple[Steps, Steps],
) -> None:
    one, two = phones
    one.register(credentials=SECRET)
    challenged(one, one.invite(credentials=SECRET), challenge("n1"))
    two.answer(two.invite(credentials=SECRET))
    two.core.bye("call-1", two.now)
    bye = two.take_one()
    assert bye.to == ("192.0.2.77", 5070) and counted(bye) == []


def test_a_server_that_takes_a_nonce_of_another_call_for_a_replay_is_asked_without_from_then_on(
    phones: tuple[Steps, Steps],
) -> None:
    one, two = phones
    one.answer(challenged(one, one.invite(credentials=SECRET), challenge("n1")))
    ahead = two.invite(credentials=SECRET)
    assert counted(ahead) == [("n1", 2)]
    bare = two.reply(ahead, "403 Replay")[-1]
    assert bare.method == "INVITE" and counted(bare) == []
    again = challenged(two, bare, challenge("n2"))
    assert counted(again) == [("n2", 1)]
    two.answer(again)
    assert counted(one.invite(credentials=SECRET, call_id="call-3")) == []
    two.core.bye("call-1", two.now)
    assert counted(two.take_one()) == [("n2", 2)], "what this very call was asked is sent on"


def test_a_403_of_a_server_that_takes_known_nonces_is_believed(phones: tuple[Steps, Steps]) -> None:
    one, two = phones
    one.answer(challenged(one, one.invite(credentials=SECRET), challenge("n1")))
    two.answer(two.invite(credentials=SECRET))
    ahead = one.invite(credentials=SECRET, call_id="call-3")
    assert [message.method for message in one.reply(ahead, "403 Forbidden")] == ["ACK"]
    assert isinstance(one.last, CallFailed) and one.last.code == 403


def test_a_403_after_the_call_met_a_challenge_is_believed(phones: tuple[Steps, Steps]) -> None:
    one, _ = phones
    again = challenged(one, one.invite(credentials=SECRET), challenge("n1"))
    assert [message.method for message in one.reply(again, "403 Forbidden")] == ["ACK"]
    assert isinstance(one.last, CallFailed) and one.last.code == 403


def test_threads_that_use_one_nonce_never_get_the_same_count() -> None:
    nonces = Nonces()
    taken: list[list[int]] = [[] for _ in range(8)]
    words = Challenge(realm="gw", nonce="n1", qop=("auth",))
    start = threading.Barrier(len(taken))

    def work(counts: list[int]) -> None:
        start.wait()
        for _ in range(2000):
            nonce = nonces.learn("192.0.2.9", ("Authorization", "gw"), words, "cnonce")
            counts.append(nonces.count(nonce))

    threads = [threading.Thread(target=work, args=(counts,)) for counts in taken]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(count for counts in taken for count in counts) == list(range(1, 16_001))


MOVES = st.tuples(
    st.integers(0, 1),  # the phone
    st.sampled_from(["call", "register", "bye"]),
    st.sampled_from(["n1", "n2", "n3"]),
    st.sampled_from(["takes it", "challenges", "stale", "both realms"]),
)


@given(moves=st.lists(MOVES, max_size=25))
@pytest.mark.slow
def test_no_count_of_a_nonce_is_ever_sent_twice(moves: list[tuple[int, str, str, str]]) -> None:
    nonces = Nonces()
    phones = (Steps(nonces=nonces), Steps(nonces=nonces))
    up: dict[int, list[tuple[str, Sent]]] = defaultdict(list)
    for number, (index, what, nonce, answer) in enumerate(moves):
        steps = phones[index]
        if what == "bye" and up[index]:
            call_id, _ = up[index].pop()
            steps.core.bye(call_id, steps.now)
            request = steps.take_one()
        elif what == "register" and number == 0:
            request = steps.register(credentials=SECRET)
        else:
            request = steps.invite(credentials=SECRET, call_id=f"call-{number}", next_hop=GATEWAY)
        if answer != "takes it":
            lines = [challenge(nonce, stale=answer == "stale")]
            if answer == "both realms":
                lines.append(challenge(nonce, name="Proxy-Authenticate", realm="proxy"))
            request = steps.reply(request, "401 Unauthorized", headers=tuple(lines))[-1]
        if request.method == "INVITE":
            contact = f"<sip:callee@{GATEWAY[0]}>"
            steps.answer(request, contact=contact)
            up[index].append((f"call-{number}", request))
        else:
            steps.reply(request, "200 OK", headers=("Expires: 600",))
    seen: set[tuple[str, str, int]] = set()
    for steps in phones:
        for sent in steps.everything:
            if sent.method in ("ACK", "SIP/2.0"):
                continue
            for header, realm in (("Authorization", "gw"), ("Proxy-Authorization", "proxy")):
                for nonce, count in counted(sent, header):
                    assert (realm, nonce, count) not in seen
                    seen.add((realm, nonce, count))


def test_a_request_within_a_dialog_carries_the_newest_nonce_of_the_trunk(phones: tuple[Steps, Steps]) -> None:
    one, two = phones
    first = challenged(one, one.invite(credentials=SECRET), challenge("n1"))
    ack = one.answer(first, contact=f"<sip:callee@{GATEWAY[0]}>")
    two.answer(challenged(two, two.invite(credentials=SECRET), challenge("n2", stale=True)))
    assert one.receive(in_dialog(ack, "OPTIONS"))[0].code == 200
    one.core.bye("call-1", one.now)
    assert counted(one.take_one()) == [("n2", 2)]
