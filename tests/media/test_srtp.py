"""Encryption of RTP and RTCP, by the RFCs' own vectors, over wraps of the sequence number and changes of the key."""

import pytest
from pylibsrtp import Policy
from pylibsrtp import Session as Library

from autodialer.media.srtp import PROFILES, TAG_OCTETS, Protection, Unprotection
from autodialer.media.srtp_keys import SrtpKeys

SUITES = sorted(PROFILES)


def key_of(suite: str, number: int = 1) -> bytes:
    return bytes((number + n * 7) % 256 for n in range(28 if "GCM" in suite else 30))


def packet(index: int, *, ssrc: int = 7) -> bytes:
    head = b"\x80\x08" + (index & 0xFFFF).to_bytes(2, "big") + (index * 160 & 0xFFFFFFFF).to_bytes(4, "big")
    return head + ssrc.to_bytes(4, "big") + bytes((index + n) % 256 for n in range(160))


def test_a_packet_is_what_rfc_3711_and_its_library_of_test_vectors_say() -> None:
    # libsrtp's own driver, srtp_validate(), for AES_CM_128_HMAC_SHA1_80.
    key = bytes.fromhex("e1f97a0d3e018be0d64fa32c06de4139" + "0ec675ad498afeebb6960b3aabe6")
    plain = bytes.fromhex("800f1234decafbadcafebabe" + "ab" * 16)
    cipher = bytes.fromhex("800f1234decafbadcafebabe4e55dc4ce79978d88ca4d215949d2402b78d6acc99ea179b8dbb")
    assert Protection("AES_CM_128_HMAC_SHA1_80", key).protect(plain) == cipher
    assert Unprotection("AES_CM_128_HMAC_SHA1_80", key).unprotect(cipher) == plain


@pytest.mark.parametrize("suite", SUITES)
def test_a_packet_grows_by_its_tag_and_hides_its_payload(suite: str) -> None:
    sent = Protection(suite, key_of(suite)).protect(packet(1))
    assert len(sent) == 172 + TAG_OCTETS[suite]
    assert sent[:12] == packet(1)[:12] and sent[12:172] != packet(1)[12:]
    assert Unprotection(suite, key_of(suite)).unprotect(sent) == packet(1)


@pytest.mark.parametrize("suite", SUITES)
def test_the_roll_over_counter_counts_every_wrap_on_both_sides(suite: str) -> None:
    """Judged by a context of the library's own that is led through the same packets."""
    ours, theirs = Protection(suite, key_of(suite)), Unprotection(suite, key_of(suite))
    kind = Policy.SSRC_ANY_INBOUND
    judge = Library(Policy(key=key_of(suite), ssrc_type=kind, srtp_profile=PROFILES[suite]))
    wrapped = {}
    for index in range(0x7F00, 0x30010, 16):
        sent = ours.protect(packet(index))
        assert theirs.unprotect(sent) == judge.unprotect(sent) == packet(index)
        if index & 0xFFFF == 0:
            wrapped[index >> 16] = sent
    assert sorted(wrapped) == [1, 2, 3]
    # The same numbers and words, encrypted under another counter.
    assert len({sent[12:] for sent in wrapped.values()}) == 3


@pytest.mark.parametrize("suite", SUITES)
def test_what_is_forged_repeated_or_plain_does_not_get_through(suite: str) -> None:
    sent, reception = Protection(suite, key_of(suite)).protect(packet(1)), Unprotection(suite, key_of(suite))
    for place in (1, 3, 11, 12, 100, len(sent) - 1):
        assert reception.unprotect(sent[:place] + bytes([sent[place] ^ 1]) + sent[place + 1 :]) is None
    assert reception.unprotect(packet(1)) is None
    assert reception.unprotect(Protection(suite, key_of(suite, 2)).protect(packet(1))) is None
    for length in (0, 1, 11, 12, 13, 5000):
        assert reception.unprotect(bytes(length)) is None
    assert reception.unprotect(sent) == packet(1)
    assert reception.unprotect(sent) is None


@pytest.mark.parametrize("suite", SUITES)
def test_reports_are_encrypted_too(suite: str) -> None:
    report = bytes.fromhex("80c9000100000007")
    sent = Protection(suite, key_of(suite)).protect_report(report + bytes(20))
    reception = Unprotection(suite, key_of(suite))
    assert reception.unprotect_report(report + bytes(20)) is None
    assert reception.unprotect_report(sent) == report + bytes(20)
    assert reception.unprotect_report(sent) is None


@pytest.mark.parametrize("goes_on", [False, True], ids=["begins at 0", "goes on"])
@pytest.mark.parametrize("suite", SUITES)
def test_after_a_new_key_at_the_same_address_the_roll_over_counter_may_go_on_or_begin_at_0(
    suite: str, goes_on: bool
) -> None:
    first, second = Protection(suite, key_of(suite)), Protection(suite, key_of(suite, 2))
    before = Unprotection(suite, key_of(suite))
    for index in range(0x100, 0x20100, 0x1000):
        assert before.unprotect(first.protect(packet(index))) is not None
    if goes_on:
        for index in range(0x100, 0x20100, 0x1000):
            second.protect(packet(index))
    after = Unprotection(suite, key_of(suite, 2), before=before, moved=False)
    assert after.unprotect(first.protect(packet(0x20101))) is None
    for index in range(0x20102, 0x40000, 0x1000):
        assert after.unprotect(second.protect(packet(index))) == packet(index)


@pytest.mark.parametrize("suite", SUITES)
def test_after_a_new_key_at_another_address_the_roll_over_counter_begins_at_0(suite: str) -> None:
    first, second = Protection(suite, key_of(suite)), Protection(suite, key_of(suite, 2))
    before = Unprotection(suite, key_of(suite))
    for index in range(0x100, 0x20100, 0x1000):
        before.unprotect(first.protect(packet(index)))
    after = Unprotection(suite, key_of(suite, 2), before=before, moved=True)
    assert after.unprotect(second.protect(packet(0x20102))) == packet(0x20102)


def test_keys_are_not_shown() -> None:
    assert "x" * 30 not in repr(SrtpKeys(suite=SUITES[0], ours=b"x" * 30, theirs=b"y" * 30))
