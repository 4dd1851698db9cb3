"""A sound that is replaced while a campaign plays it: what each call played, from the packets that left."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from autodialer.media.sound import import_sound
from autodialer.model import Disposition
from tests.dialer.world import World
from tests.peers.gateways import plain_200
from tests.peers.sipp import SippGateway

pytestmark = [pytest.mark.loopback, pytest.mark.peer("sipp")]

OLD_S, NEW_S = 4.0, 1.0


def test_a_call_under_way_ends_with_the_old_recording_and_the_next_one_plays_the_new(tmp_path: Path) -> None:
    world = World.make(tmp_path / "data", sound_s=OLD_S)
    tone = 0.3 * np.sin(2 * np.pi * 880 * np.arange(int(NEW_S * 8000)) / 8000)
    soundfile.write(tmp_path / "new.wav", tone, 8000)
    info = import_sound(tmp_path / "new.wav", world.settings.sounds / "new")
    with SippGateway(plain_200(), calls=2, timeout_s=60) as gateway:
        campaign = world.campaign(gateway.address, ["70000000010", "70000000011"], max_channels=1)
        with world.dialer():
            gateway.wait_for("ACK", timeout_s=20)
            world.store.sounds.replace(
                campaign.sound_id,
                world.owner,
                duration_s=info.duration_s,
                peak_dbfs=info.peak_dbfs,
                loudness_lufs=None,
                gain_db=None,
                sample_rate=8000,
                channels=1,
                warnings={},
                path="sounds/new.wav",
                original_path="new.wav",
            )
            world.wait_finished(campaign, timeout_s=30)
    outcomes = {number: calls[0].outcome for number, calls in world.records(campaign).items()}
    played = {}
    for number, outcome in outcomes.items():
        assert outcome and outcome.disposition is Disposition.ANSWERED
        assert outcome.played_share == 1.0
        played[number] = outcome.played_s
    assert played["70000000010"] == pytest.approx(OLD_S, abs=0.1)
    assert played["70000000011"] == pytest.approx(NEW_S, abs=0.1)
