"""Digest values against the RFCs' own examples, and the reading of challenges."""

import pytest

from autodialer.sip.digest import Challenge, authorize, choose, parse_challenges

RFC7616_NONCE = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
RFC7616_CNONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
RFC2617_NONCE = "dcd98b7102dd2f0e8b11d0f600bfb0c093"

VECTORS = [
    (
        "RFC 2617 section 3.5",
        f'Digest realm="testrealm@host.com", qop="auth,auth-int", nonce="{RFC2617_NONCE}", '
        'opaque="5ccc069c403ebaf9f0171e9517f40e41"',
        ("Mufasa", "Circle Of Life", "/dir/index.html", "0a4f113b"),
        "6629fae49393a05397450978507c4ef1",
    ),
    (
        "RFC 2069 section 2.4 with erratum 749",
        f'Digest realm="testrealm@host.com", nonce="{RFC2617_NONCE}"',
        ("Mufasa", "CircleOfLife", "/dir/index.html", "unused"),
        "1949323746fe6a43ef61f9606e7febea",
    ),
    (
        "RFC 7616 section 3.9.1, MD5",
        f'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=MD5, nonce="{RFC7616_NONCE}"',
        ("Mufasa", "Circle of Life", "/dir/index.html", RFC7616_CNONCE),
        "8ca523f5e9506fed4657c9700eebdbec",
    ),
    (
        "RFC 7616 section 3.9.1, SHA-256",
        f'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=SHA-256, nonce="{RFC7616_NONCE}"',
        ("Mufasa", "Circle of Life", "/dir/index.html", RFC7616_CNONCE),
        "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
    ),
    (
        "RFC 7616 section 3.9.2 with erratum 4897, SHA-512-256",
        'Digest realm="api@example.org", qop="auth", algorithm=SHA-512-256, '
        'nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK"',
        ("J\u00e4s\u00f8n Doe", "Secret, or not?", "/doe.json", "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v"),
        "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5",
    ),
]


@pytest.mark.parametrize(
    ("challenge", "what", "expected"), [vector[1:] for vector in VECTORS], ids=[v[0] for v in VECTORS]
)
def test_the_response_is_that_of_the_rfc(challenge: str, what: tuple[str, str, str, str], expected: str) -> None:
    username, password, uri, cnonce = what
    (parsed,) = choose(parse_challenges([challenge]))
    value = authorize(parsed, username=username, password=password, method="GET", uri=uri, nonce_count=1, cnonce=cnonce)
    assert f'response="{expected}"' in value
    assert f'username="{username}"' in value and f'uri="{uri}"' in value


def test_with_qop_the_count_is_eight_hexadecimal_digits_and_qop_is_not_quoted() -> None:
    challenge = Challenge(realm="r", nonce="n", qop=("auth-int", "auth"), opaque="", algorithm_text="md5")
    value = authorize(challenge, username="u", password="p", method="BYE", uri="sip:x", nonce_count=31, cnonce="c")
    assert "qop=auth, nc=0000001f" in value
    assert 'opaque=""' in value and "algorithm=md5" in value and 'cnonce="c"' in value


def test_without_qop_there_is_neither_count_nor_cnonce() -> None:
    value = authorize(
        Challenge(realm="r", nonce="n"), username="u", password="p", method="INVITE", uri="x", nonce_count=1, cnonce="c"
    )
    assert "qop" not in value and "nc=" not in value and "cnonce" not in value and "algorithm" not in value


def test_a_session_algorithm_hashes_nonce_and_cnonce_into_the_key() -> None:
    # H(H(H(u:r:p):n:c):n:00000001:c:auth:H(INVITE:x)), worked out with the md5sum program.
    (challenge,) = parse_challenges(['Digest realm="r", nonce="n", qop="auth", algorithm=MD5-sess'])
    value = authorize(challenge, username="u", password="p", method="INVITE", uri="x", nonce_count=1, cnonce="c")
    assert "algorithm=MD5-sess" in value
    assert 'response="28be406c4f94ae16558e8e0cb5e90db9"' in value


def test_quotes_in_realm_and_user_name_stay_escaped() -> None:
    (challenge,) = parse_challenges([r'Digest realm="a \"b\", c", nonce="n"'])
    value = authorize(challenge, username='x"y', password="p", method="INVITE", uri="u", nonce_count=1, cnonce="c")
    assert r'realm="a \"b\", c"' in value and r'username="x\"y"' in value


@pytest.mark.parametrize(
    ("values", "algorithms"),
    [
        (['Digest realm="r",nonce="n"'], ["MD5"]),
        (['digest  REALM="r" , Nonce = "n" , Algorithm = sha-256 , QOP=auth'], ["SHA-256"]),
        (['Digest realm="r", nonce="n", algorithm="MD5"'], ["MD5"]),
        (['Basic realm="r"'], []),
        (['Basic realm="r", Digest realm="r", nonce="n"'], ["MD5"]),
        (['Digest realm="r", nonce="n", Digest realm="r", nonce="m", algorithm=SHA-256'], ["SHA-256"]),
        (
            ['Digest realm="r", nonce="a"', 'Digest realm="r", nonce="b", algorithm=SHA-512-256', "NTLM"],
            ["SHA-512-256"],
        ),
        (['Digest realm="r", nonce="n", qop="auth-int"'], []),
        (['Digest realm="r", nonce="n", algorithm=AKAv1-MD5'], []),
        (['Digest realm="r", nonce="n", algorithm=AKAv1-MD5', 'Digest realm="r", nonce="n"'], ["MD5"]),
        (['Digest realm="r"'], []),
        (['Digest realm="a", nonce="n"', 'Digest realm="b", nonce="n", algorithm=SHA-256-sess'], ["MD5", "SHA-256"]),
        (["", "Digest", ",,,", '"', 'Digest realm="'], []),
        (
            ['Digest realm="r"<x="y", nonce="n"', 'Digest realm="s\\", nonce="m"', 'Digest realm="t", nonce="o"'],
            ["MD5"],
        ),
    ],
)
def test_the_strongest_usable_challenge_of_each_realm_is_chosen(values: list[str], algorithms: list[str]) -> None:
    assert [challenge.algorithm for challenge in choose(parse_challenges(values))] == algorithms
