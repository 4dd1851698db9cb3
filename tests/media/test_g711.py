"""The codes are audioop's, for every sample there is."""

import audioop  # type: ignore[import-not-found,unused-ignore]

import numpy as np
import pytest

from autodialer.media import g711

EVERY_SAMPLE = np.arange(65536, dtype=np.uint16).view(np.int16)
ORACLES = {"PCMA": audioop.lin2alaw, "PCMU": audioop.lin2ulaw}
DECODERS = {"PCMA": audioop.alaw2lin, "PCMU": audioop.ulaw2lin}


@pytest.mark.parametrize("codec", g711.CODECS)
def test_the_codes_of_all_65536_samples_are_those_of_audioop(codec: str) -> None:
    assert g711.encode(EVERY_SAMPLE, codec) == ORACLES[codec](EVERY_SAMPLE.tobytes(), 2)


@pytest.mark.parametrize("codec", g711.CODECS)
def test_the_silence_code_is_the_code_of_sample_zero(codec: str) -> None:
    assert g711.encode(np.zeros(3, np.int16), codec) == bytes([g711.SILENCE[codec]]) * 3


@pytest.mark.parametrize("codec", g711.CODECS)
def test_decoded_codes_encode_to_themselves(codec: str) -> None:
    codes = bytes(range(256))
    again = g711.encode(np.frombuffer(DECODERS[codec](codes, 2), np.int16), codec)
    # mu-law has two zeros, 0x7F and 0xFF; the encoder knows one.
    assert [code for code in range(256) if again[code] != code] == ([0x7F] if codec == "PCMU" else [])


@pytest.mark.parametrize("codec", g711.CODECS)
def test_no_samples_give_no_codes(codec: str) -> None:
    assert g711.encode(np.zeros(0, np.int16), codec) == b""


def test_every_codec_has_a_payload_type_a_silence_and_a_file_ending() -> None:
    assert set(g711.CODECS) == set(g711.PAYLOAD_TYPES) == set(g711.SILENCE) == set(g711.EXTENSION)


@pytest.mark.parametrize("codec", g711.CODECS)
def test_every_code_is_decoded_as_audioop_does(codec: str) -> None:
    codes = bytes(range(256)) * 3
    assert g711.decode(codes, codec) == DECODERS[codec](codes, 2)
    assert g711.decode(b"", codec) == b""
