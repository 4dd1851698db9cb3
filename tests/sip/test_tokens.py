"""Header values taken apart by one tokenizer, judged by the generator that put them together (RFC 3261 section 25)."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from autodialer.sip.fields import NameAddr, parse_name_addr, parse_params, parse_tag, split_values
from autodialer.sip.message import Response, parse_message
from autodialer.sip.tokens import Kind, split, tokens

ANY_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=12)
TRAPS = st.lists(st.sampled_from(["<", ">", ",", ";", '"', "\\", "=", " ", ";tag=x", "<sip:x@y>", "a"]), max_size=8)
QUOTED = st.one_of(ANY_TEXT, TRAPS.map("".join))
TOKEN = st.text("abcxyzABC019-.!%*_+`'~", min_size=1, max_size=6)
URI = st.sampled_from(
    [
        "sip:callee@192.0.2.77:5070",
        "sip:+7916;phone-context=x@192.0.2.7;transport=udp;lr",
        "sips:h.example",
        "sip:a@[2001:db8::1]:5062;maddr=192.0.2.1",
        "sip:a,b;c@192.0.2.7?Subject=x",
    ]
)


def quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


@st.composite
def addresses(draw: st.DrawFn) -> tuple[str, NameAddr]:
    """A value as a peer may write it, and what it means."""
    uri = draw(URI)
    names = draw(st.lists(TOKEN.map(str.lower), unique=True, max_size=3))
    written, meant = [], {}
    for name in names:
        value = draw(st.one_of(st.none(), TOKEN, QUOTED.map(lambda text: (text,))))
        meant[name] = "" if value is None else value if isinstance(value, str) else value[0]
        text = "" if value is None else "=" + (value if isinstance(value, str) else quote(value[0]))
        written.append(f"{draw(st.sampled_from(['', ' ']))};{draw(st.sampled_from(['', ' ']))}{name}{text}")
    display = draw(st.one_of(st.just(""), st.just("A. B. "), QUOTED.map(lambda text: quote(text) + " ")))
    # Without brackets a comma or question mark, and every parameter, belongs to the header (section 20.10).
    bare = not display and draw(st.booleans()) and not set(uri) & set(",;?")
    return (uri if bare else f"{display}<{uri}>") + "".join(written), NameAddr(uri, meant)


@given(listed=st.lists(addresses(), min_size=1, max_size=4), lines=st.integers(1, 3))
def test_addresses_come_out_as_they_were_put_in(listed: list[tuple[str, NameAddr]], lines: int) -> None:
    written = [", ".join(text for text, _ in listed[start::lines]) for start in range(lines) if listed[start::lines]]
    meant = [address for start in range(lines) for _, address in listed[start::lines]]
    assert [parse_name_addr(value) for value in split_values(written)] == meant
    for text, address in listed:
        assert parse_tag(text) == (address.params.get("tag") or None)


@given(text=st.one_of(ANY_TEXT, TRAPS.map("".join)))
@example(text='"unclosed, <sip:a@b>;x="<"')
def test_tokens_lose_nothing_and_pieces_are_parted_by_separators_alone(text: str) -> None:
    assert "".join(token.text for token in tokens(text)) == text
    for separator in ",;":
        pieces = list(split(text, separator))
        assert separator.join(pieces) == text
        outside = [t for t in tokens(text) if t.kind is Kind.SEPARATOR and t.text == separator]
        assert len(pieces) == len(outside) + 1
    parse_params(text)
    parse_name_addr(text)


@pytest.mark.parametrize(
    ("contact", "uri"),
    [
        ('sip:a@192.0.2.77:5070;x="<sip:b@192.0.2.66>"', "sip:a@192.0.2.77:5070"),
        ('sip:a@192.0.2.77:5070;x="a\\"<b>,c"', "sip:a@192.0.2.77:5070"),
        ('"a \\" <sip:no@192.0.2.66>" <sip:a@192.0.2.77:5070>', "sip:a@192.0.2.77:5070"),
        ('<sip:a@192.0.2.77:5070>;x="<sip:b@192.0.2.66>, <"', "sip:a@192.0.2.77:5070"),
        ("sip:a@192.0.2.77:5070;x=<y>", "sip:a@192.0.2.77:5070"),
        ("Foo; Bar <sip:a@192.0.2.77:5070>", "sip:a@192.0.2.77:5070"),
        ('"no end <sip:a@192.0.2.77>', None),
        ("<sip:a@192.0.2.77", None),
        ("*", None),
        ("", None),
    ],
)
def test_the_uri_of_a_contact_is_the_one_outside_quotes(contact: str, uri: str | None) -> None:
    address = parse_name_addr(contact)
    assert (address.uri if address else None) == uri


VIA = "SIP/2.0/UDP 192.0.2.1:5060;rport=1;branch=z9hG4bKa"
HEADERS_WITH_QUOTES = {
    "Via": f'{VIA};x="a;rport=9;received=192.0.2.66,b"',
    "From": '"a;tag=no, <sip:no@192.0.2.66>" <sip:a@192.0.2.1>;x="<;tag=no>";tag=ours',
    "To": 'sip:b@192.0.2.9;x="<sip:no@192.0.2.66>;tag=no";tag=theirs',
    "Contact": 'sip:c@192.0.2.77;x="<sip:no@192.0.2.66>, sip:no"',
    "Record-Route": '"a, <sip:no@192.0.2.66>" <sip:r@192.0.2.5;lr>;x=",", <sip:s@192.0.2.6;lr>',
    "Reason": 'SIP;text="Q.850;cause=1, Q.850;cause=2", Q.850;cause=16;text="a, b"',
}


def test_every_header_with_quotes_is_read_past_what_stands_in_them() -> None:
    lines = [f"{name}: {value}" for name, value in HEADERS_WITH_QUOTES.items()]
    text = "\r\n".join(("SIP/2.0 200 OK", *lines, "Call-ID: 1", "CSeq: 1 INVITE", "", ""))
    response = parse_message(text.encode())
    assert isinstance(response, Response)
    assert (response.from_tag, response.to_tag) == ("ours", "theirs")
    assert [route.partition("<")[2] for route in response.get_all("record-route")][1] == "sip:s@192.0.2.6;lr>"
    routes = [parse_name_addr(value) for value in response.get_all("record-route")]
    assert [route.uri for route in routes if route] == ["sip:r@192.0.2.5;lr", "sip:s@192.0.2.6;lr"]
    assert response.top_via is not None and response.top_via.params["branch"] == "z9hG4bKa"
    assert len(response.get_all("via")) == 1
