"""A campaign ready to be dialled and the dialer that dials it, as processes of their own."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, Unpack

import numpy as np
import soundfile

from autodialer.config import Settings
from autodialer.media.sound import MIN_S, import_sound
from autodialer.model import CallRecord, Campaign, CampaignState, Disposition, RetryRule, TrunkSettings
from autodialer.store import CampaignRules, NewSubscriber, Store
from tests.databases import cheap_secrets, make_database
from tests.peers.ports import free_ports, wait_until

ROOT = Path(__file__).resolve().parents[2]
NO_RETRIES: Mapping[str, RetryRule] = {
    name: RetryRule(after_s=1, times=0) for name in ("busy", "no_answer", "congestion", "failed", "rejected")
}


@dataclass(kw_only=True)
class World:
    """One data folder with an owner and a sound."""

    settings: Settings
    store: Store
    owner: int
    sound: int

    @classmethod
    def make(cls, folder: Path, *, sound_s: float = 1.0) -> Self:
        """An empty data folder with a tone of `sound_s` seconds."""
        settings = Settings(data=folder)
        folder.mkdir(parents=True, exist_ok=True)
        make_database(settings.url)
        store = Store(settings.url, secrets=cheap_secrets(settings.keys))
        owner = store.users.create(login="owner", password=None).key
        tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(int(max(sound_s, MIN_S) * 8000)) / 8000)
        soundfile.write(folder / "tone.wav", tone, 8000)
        info = import_sound(folder / "tone.wav", folder / "sounds" / "tone")
        # Benchmarks play 20 ms, which nobody may upload.
        for ending in (".alaw", ".ulaw"):
            os.truncate(folder / "sounds" / f"tone{ending}", int(sound_s * 8000))
        sound = store.sounds.create(
            owner,
            name="tone",
            duration_s=int(sound_s * 8000) / 8000,
            peak_dbfs=info.peak_dbfs,
            loudness_lufs=None,
            sample_rate=8000,
            channels=1,
            path="sounds/tone.wav",
            original_path="tone.wav",
        )
        return cls(settings=settings, store=store, owner=owner, sound=sound.key)

    def campaign(
        self,
        gateway: tuple[str, int],
        numbers: Sequence[str],
        *,
        cps: float = 20.0,
        max_channels: int = 50,
        ring_timeout_s: float = 3.0,
        max_attempts: int = 3,
        retry: Mapping[str, RetryRule] = NO_RETRIES,
        password: str = "secret",
        media_ports: str = "per_call",
        number_format: str = "{e164}",
        trunk_settings: Mapping[str, Any] | None = None,
        **rules: Unpack[CampaignRules],
    ) -> Campaign:
        """A running campaign over these numbers; `rules` are more of its own, `trunk_settings` more of its trunk's."""
        trunk = self.store.trunks.create(
            self.owner,
            TrunkSettings(
                name="provider",
                host=gateway[0],
                port=gateway[1],
                username="user",
                password=password,
                number_format=number_format,
                max_channels=max_channels,
                cps=cps,
                media_ports=media_ports,
                # The gateway is a PBX here, and its users have short numbers.
                **{"allowed_special": ("short", "as_written"), **(trunk_settings or {})},
            ),
        )
        callbase = self.store.callbases.create(self.owner, name="base", region="raw")
        for start in range(0, len(numbers), 500):
            rows = [NewSubscriber(number=number) for number in numbers[start : start + 500]]
            self.store.callbases.add_rows(callbase.key, rows)
        self.store.callbases.finish(callbase.key, rows=len(numbers))
        campaign = self.store.campaigns.create(
            self.owner,
            name="campaign",
            trunk_keys=[trunk.key],
            sound_key=self.sound,
            callbase_key=callbase.key,
            cps=cps,
            max_channels=max_channels,
            ring_timeout_s=ring_timeout_s,
            max_attempts=max_attempts,
            retry=retry,
            **rules,
        )
        return self.store.campaigns.start(campaign.id, self.owner)

    def add_subscriber(self, campaign: Campaign, number: str) -> None:
        """One more row in the campaign's callbase."""
        self.store.subscribers.add(campaign.callbase_id, self.owner, NewSubscriber(number=number))

    def dialer(self, **environment: str) -> "DialerProcess":
        """`python dialer.py` on this data folder, with these variables too; a context manager."""
        return DialerProcess(self.settings, environment=environment)

    def service(self, **environment: str) -> "DialerProcess":
        """`python main.py`, the whole service, on this data folder, with these variables too; a context manager."""
        return DialerProcess(self.settings, program="main.py", environment=environment)

    def wait_finished(self, campaign: Campaign, timeout_s: float) -> None:
        """Return once the campaign is finished."""

        def finished() -> bool:
            return self.store.campaigns.by_key(campaign.key).state is CampaignState.FINISHED

        wait_until(finished, what="the end of the campaign", timeout_s=timeout_s, poll_s=0.1)

    def records(self, campaign: Campaign) -> dict[str, list[CallRecord]]:
        """Number -> its calls in order."""
        by_number: dict[str, list[CallRecord]] = {}
        after = None
        while True:
            page, after = self.store.calls.page(campaign.key, limit=1000, after=after)
            for record in page:
                by_number.setdefault(record.number, []).append(record)
            if after is None:
                return by_number

    def dispositions(self, campaign: Campaign) -> dict[str, Disposition]:
        """Number -> disposition of its only call."""
        records = self.records(campaign)
        assert all(len(calls) == 1 for calls in records.values())
        return {number: calls[0].outcome.disposition for number, calls in records.items() if calls[0].outcome}


class DialerProcess:
    """`python dialer.py`; a context manager. Its standard input is a pipe of ours, as under the supervisor."""

    def __init__(
        self, settings: Settings, program: str = "dialer.py", environment: Mapping[str, str] | None = None
    ) -> None:
        self._settings = settings
        self._environment = environment or {}
        self.http = f"127.0.0.1:{free_ports(1)[0]}"
        """Where the API listens, if this runs it."""
        self._program = program
        self.log = settings.data / "dialer.log"
        self.wrapped_in: Sequence[str] = ()
        """Begins the command line: a program that runs it and watches."""
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        ports = free_ports(4)
        low = 33000 + (ports[0] % 1000) * 20
        environment = {
            **os.environ,
            "DIALER_DATA": str(self._settings.data),
            "DIALER_SIP_PORT": str(ports[0]),
            "DIALER_RTP_PORTS": f"{low}-{low + 2000}",
            "DIALER_DRAIN_S": "5",
            "DIALER_HTTP": self.http,
            "DIALER_SUPERVISED": "1",
            # Its gateways are on this machine.
            "DIALER_DENY_NETWORKS": "",
            **self._environment,
        }
        with self.log.open("ab") as log:
            command = [*self.wrapped_in, sys.executable, str(ROOT / self._program)]
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=log, env=environment, cwd=ROOT)
        return self

    @property
    def running(self) -> subprocess.Popen[bytes]:
        assert self.process
        return self.process

    def descendants(self) -> list[int]:
        """The process ids of the dialer, of what it started, and so on."""
        found = [self.running.pid]
        for pid in found:
            for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
                found += [int(child) for child in tasks.read_text().split()]
        return found

    def kill_all(self, processes: int) -> None:
        """kill -9 of all at once, once so many processes run."""
        wait_until(lambda: len(self.descendants()) == processes, what=f"{processes} processes")
        for pid in self.descendants():
            os.kill(pid, signal.SIGKILL)
        self.running.wait()

    def __exit__(self, *_: object) -> None:
        process = self.running
        if process.poll() is None:
            process.kill()
        process.wait()
        if process.stdin:
            process.stdin.close()
