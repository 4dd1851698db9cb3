"""Thousands of simultaneous calls of the real service, timed where the callees are, and SIPp doing the same after it.

Service, and SIPp as a caller, on one core; the gateway and the callees on the other. To try it out in less time:
BENCH_CALL_S (seconds of a call), BENCH_CALLS (at most so many at a time); such a trial is shown and not recorded.
BENCH_RUNS (suffixes of the runs, by comma; `_4000` is the one without) measures some of them; the others keep their
last figures.
"""

import base64
import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench import beside
from bench.callees import Callees
from bench.processes import child_named, is_running, pinned, unpin
from bench.service import PASSWORD, is_up
from bench.watch import Watched, watch
from tests.dialer.world import DialerProcess, World
from tests.peers import callers, gateways
from tests.peers.certificates import issue
from tests.peers.kamailio import Kamailio
from tests.peers.ports import LOCALHOST, free_ports, wait_until
from tests.peers.scenario import ANSWER_SDP
from tests.peers.sipp import SippCaller, SippGateway

CALL_S = 60.0
CPS = 100
SERVICE_CORE, CALLEE_CORE = 0, 1
PATIENCE_S = 60
RTP_PORTS = "10000-19999"
SAMPLE_RATE = 8000
Work = Callable[[str], AbstractContextManager[None]]
# The callees only look at the clock, so that it may be any key.
_KEY = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + base64.b64encode(bytes(30)).decode()
_SDP = tuple(line.replace("[sink_host]", "[field0]").replace("[sink_port]", "[field1]") for line in ANSWER_SDP)

_SECURE_SDP = (*(line.replace("RTP/AVP", "RTP/SAVP") for line in _SDP), _KEY)


@dataclass(frozen=True, kw_only=True)
class Run:
    """One way of being busy."""

    suffix: str
    """Of its figures' names."""
    calls: int
    media_ports: str = "shared"
    echo: bool = False
    """The callees send back what they hear."""
    encrypted: bool = False
    """By SRTP, signalled over TLS through Kamailio; SIPp does neither, and is not measured."""
    beside: str = ""
    """What the API does meanwhile: `requests`, `importing`."""


RUNS = (
    Run(suffix="_1000", calls=1000),
    Run(suffix="_2000", calls=2000),
    Run(suffix="", calls=4000),
    Run(suffix="_echo", calls=2000, echo=True),
    Run(suffix="_per_call", calls=2000, media_ports="per_call"),
    Run(suffix="_srtp", calls=1000, encrypted=True),
    Run(suffix="_1000_api", calls=1000, beside="requests"),
    Run(suffix="_1000_import", calls=1000, beside="importing"),
)
RSS_RUN = "_2000"
"""Whose memory is `media.rss_mb`."""


def is_trial() -> bool:
    """Whether what is measured is less than the whole."""
    return any(name in os.environ for name in ("BENCH_CALL_S", "BENCH_CALLS"))


def asked_runs() -> list[Run]:
    """Those to measure."""
    asked = os.environ.get("BENCH_RUNS", "")
    return [run for run in RUNS if not asked or (run.suffix or "_4000") in asked.split(",")]


def measure(folder: Path) -> dict[str, float]:
    """All runs one after another."""
    call_s = float(os.environ.get("BENCH_CALL_S", CALL_S))
    most = int(os.environ.get("BENCH_CALLS", max(run.calls for run in RUNS)))
    figures: dict[str, float] = {}
    for run in asked_runs():
        kind = f"{run.media_ports}{' echo' if run.echo else ''}{' encrypted' if run.encrypted else ''}"
        print(f"  {run.calls} calls {kind} {run.beside}", flush=True)
        found = _measure_run(dataclasses.replace(run, calls=min(run.calls, most)), folder / f"run{run.suffix}", call_s)
        found["rss_mb" if run.suffix == RSS_RUN else "_rss_mb"] = found.pop("rss_mb")
        figures |= {_key(name, run): value for name, value in found.items()}
    return figures


def _key(name: str, run: Run) -> str:
    if name == "rss_mb":
        return "media.rss_mb"
    return f"media.{name.lstrip('_')}{run.suffix or ('_4000' if name == '_rss_mb' else '')}"


def _measure_run(run: Run, folder: Path, call_s: float) -> dict[str, float]:
    """The service's figures, then SIPp's; not beside other work, which SIPp has no part in."""
    figures: dict[str, float] = {"calls": run.calls}
    port = free_ports(2, even=True)[0]
    with pinned(CALLEE_CORE), Callees(run.calls, port, echo=run.echo) as callees:
        folder.mkdir(parents=True)
        figures |= _service_figures(run, callees, folder / "service", call_s)
        if not run.beside and not run.encrypted:
            sipp = _sipp_figures(callees, folder / "sipp", call_s)
            figures |= {f"sipp_{name}": value for name, value in sipp.items()}
    return figures


@contextlib.contextmanager
def _gateway(callees: Callees, folder: Path, call_s: float, sdp: Sequence[str] = _SDP) -> Iterator[SippGateway]:
    """SIPp, which answers each call with the address of another callee."""
    folder.mkdir(parents=True)
    file = folder / "callees.csv"
    file.write_text("SEQUENTIAL\n" + "".join(f"{host};{port};\n" for host, port in callees.addresses))
    calls, first = len(callees.addresses), callees.addresses[0]
    scenario = gateways.answered(ring_ms=0, sdp=sdp, max_call_s=int(call_s) + PATIENCE_S)
    seconds = int(calls / CPS + call_s + 2 * PATIENCE_S)
    with pinned(CALLEE_CORE), ExitStack() as stack:
        extra = ["-inf", str(file.resolve())]
        gateway = SippGateway(scenario, calls=calls, folder=folder, timeout_s=seconds, extra=extra, media=first)
        yield stack.enter_context(gateway)


@contextlib.contextmanager
def _behind_tls(gateway: SippGateway, folder: Path) -> Iterator[tuple[tuple[str, int], dict[str, str]]]:
    """Kamailio, which speaks TLS for SIPp: its address, and the settings of a trunk that trusts it."""
    issued = issue(folder, LOCALHOST)
    tls = (issued.certificate, issued.key)
    with pinned(CALLEE_CORE), ExitStack() as stack:
        proxy = Kamailio(gateway.address, folder=folder, tls=tls, limit_s=gateway.timeout_s)
        stack.enter_context(proxy)
        yield proxy.address, {"transport": "tls", "ca_file": issued.ca_pem, "media_encryption": "required"}


def _service_figures(run: Run, callees: Callees, folder: Path, call_s: float) -> dict[str, float]:
    world = World.make(folder / "data", sound_s=call_s)
    world.store.users.set_password(world.owner, PASSWORD)
    numbers = [f"7000{number:07d}" for number in range(run.calls)]
    figures: dict[str, float] = {}
    with ExitStack() as stack:
        sdp = _SECURE_SDP if run.encrypted else _SDP
        gateway = stack.enter_context(_gateway(callees, folder / "gateway", call_s, sdp))
        entrance, settings = gateway.address, {}
        if run.encrypted:
            entrance, settings = stack.enter_context(_behind_tls(gateway, folder))
        service = stack.enter_context(_service(world))
        work = _work_beside(run, service, folder, figures)
        campaign = world.campaign(
            entrance,
            numbers,
            cps=CPS,
            max_channels=run.calls,
            media_ports=run.media_ports,
            trunk_settings=settings,
        )
        dialer = child_named(service.running.pid, "dialer.py")
        wait_until(lambda: _has_child(dialer, "media.shell"), what="the media process", timeout_s=PATIENCE_S)
        watched = Watched(sender=child_named(dialer, "media.shell"), dialer=dialer, service=service.descendants)
        found = watch(callees, watched, call_s=call_s, cps=CPS, beside=work(str(campaign.id)))
        world.store.close()
    return found | figures


@contextlib.contextmanager
def _service(world: World) -> Iterator[DialerProcess]:
    """The whole service on its core; all of its processes are gone at the end."""
    with pinned(SERVICE_CORE):
        running = world.service(DIALER_RTP_PORTS=RTP_PORTS, DIALER_LOG="WARNING").__enter__()
    try:
        wait_until(lambda: _has_child(running.running.pid, "dialer.py"), what="the dialer", timeout_s=PATIENCE_S)
        yield running
    finally:
        left = running.descendants()
        running.__exit__()
        wait_until(lambda: not any(map(is_running, left)), what="the service to end", timeout_s=PATIENCE_S, poll_s=0.1)


def _work_beside(run: Run, service: DialerProcess, folder: Path, figures: dict[str, float]) -> Work:
    """What gives, for a campaign's id, what the API does while its calls are up."""
    if not run.beside:
        return lambda _campaign: contextlib.nullcontext()
    wait_until(lambda: is_up(service.http), what="the API", timeout_s=PATIENCE_S, poll_s=0.1)
    # Together with the calls it is more than one core's work; what it does is not what is measured.
    unpin(child_named(service.running.pid, "main.py serve"))
    api = beside.Api.log_in(service.http)
    if run.beside == "requests":
        return lambda campaign: beside.requests(api, campaign, figures)
    file = folder / "rows.csv"
    beside.write_rows(file)
    return lambda _campaign: beside.importing(api, file, figures)


def _sipp_figures(callees: Callees, folder: Path, call_s: float) -> dict[str, float]:
    """SIPp as the caller, its `rtp_stream` playing as long a sound to the same callees."""
    with _gateway(callees, folder / "gateway", call_s) as gateway:
        sound = folder / "sound.alaw"
        sound.write_bytes(os.urandom(int(call_s * SAMPLE_RATE)))
        scenario = callers.calls_and_hangs_up(talk_ms=int(call_s * 1000), plays=sound.resolve())
        calls = len(callees.addresses)
        options = ["-l", str(calls)]
        with (
            pinned(SERVICE_CORE),
            SippCaller(
                scenario,
                gateway.address,
                numbers=["7000"] * calls,
                rate=CPS,
                folder=folder,
                timeout_s=gateway.timeout_s,
                extra=options,
            ) as caller,
        ):
            assert caller.process
            pid = caller.process.pid
            wait_until(lambda: _has_child(pid, "sipp"), what="SIPp")
            return watch(callees, Watched(sender=child_named(pid, "sipp")), call_s=call_s, cps=CPS)


def _has_child(pid: int, name: str) -> bool:
    try:
        child_named(pid, name)
    except (LookupError, OSError):
        return False
    return True
