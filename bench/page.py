"""docs/performance.md, for people, from bench/results.json, for programs."""

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench.media import RUNS, Run

MEANINGS = {
    "sip.cpu_ms_per_call": "CPU of the whole dialer process for each call, its database rows included, without media",
    "sip.sipp_cpu_ms_per_call": "CPU of SIPp answering the same calls in the same run",
    "sip.media_cpu_ms_per_call": "CPU of the media process for each call with 20 ms of sound",
    "sip.cps": "calls a second, start to end of the campaign",
    "queue.jobs_per_s": "jobs a second of a campaign of 20 000 numbers at 250 CPS, calls of 1 s",
    "queue.cpu_ms_per_call": "CPU of the dialer process for each call of 1 s, with its database rows, without media",
    "queue.sipp_cpu_ms_per_call": "CPU of SIPp answering the same calls in the same run",
    "queue.claim_to_invite_p50_ms": "median wait of a claimed job for its INVITE, including the commit",
    "queue.claim_to_invite_p99_ms": "the same wait, 99th percentile",
    "queue.jobs_per_s_webhook_hangs": "jobs a second beside a webhook that wants every call and whose receiver hangs",
    "queue.cpu_ms_per_call_webhook_hangs": "CPU of the dialer process for each call, its event included",
    "queue.claim_to_invite_p50_ms_webhook_hangs": "median wait of a claimed job for its INVITE beside it",
    "queue.claim_to_invite_p99_ms_webhook_hangs": "the same wait, 99th percentile",
    "queue.tick_p50_ms": "median time of a dialer's tick at 50 calls a second beside a queue of a million rows",
    "queue.tick_cpu_p999_ms": "the time of a processor that the same ticks take, 99.9th percentile",
    "queue.bare_sync_p999_ms": "the disk alone, keeping 8 KiB, 99.9th percentile: a tick's commit waits so long",
    "queue.tick_p999_ms": "the same, 99.9th percentile, while 200 000 of the rows are cancelled",
    "queue.cancelled_per_s": "waiting jobs cancelled in a second meanwhile",
    "import.rows_per_s": "CSV rows imported as subscribers in a second",
    "import.cpu_us_per_row": "CPU of the importing process for each row",
    "import.rss_mb": "peak memory of the importing process",
    "import.claim_p99_ms": "time of a dialer's claim during the import, 99th percentile",
    "sound.cpu_s": "CPU of importing ten minutes of stereo MP3 at 44.1 kHz, the start of the process included",
    "sound.note_cpu_s": "CPU of importing a voice note of 4 s in Opus, nearly all of it the start of the process",
    "sound.rss_mb": "peak memory of the process that imports ten minutes",
    "api.get_campaign_per_s": "GET /srv1/campaigns/{id} requests in a second, one after another",
    "api.get_campaign_p99_ms": "time of such a request, 99th percentile",
    "api.get_campaign_cpu_ms": "CPU of the API's process for such a request: what one core can do",
    "api.get_campaign_per_s_beside_commits": "the same requests while something is committed every 40 ms",
    "api.get_campaign_p99_ms_beside_commits": "time of such a request, 99th percentile",
    "api.get_campaign_cpu_ms_beside_commits": "CPU of the API's process for such a request",
    "report.get_campaign_ms": "GET /srv1/campaigns/{id} of a campaign with a million calls, median",
    "report.why_ms": "/why of the same campaign, median",
    "report.report_ms": "/report of the same campaign, median",
    "report.calls_csv_s": "download of the same campaign's calls.csv",
    "report.subscribers_csv_s": "download of the same campaign's subscribers.csv",
    "report.calls_xlsx_s": "download of the same campaign's calls.xlsx",
    "report.subscribers_xlsx_s": "download of the same campaign's subscribers.xlsx",
    "report.claim_beside_erasing_max_ms": "longest wait of a claim while a person is erased beside a million calls",
    "report.claim_beside_forgetting_max_ms": "longest wait of a claim while old calls of a million are deleted",
    "report.download_rss_mb": "growth of the API's peak memory during these four downloads",
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One figure of all media runs."""

    name: str
    """In the results, less the part's name and the run's suffix."""
    title: str
    target: str = ""
    percent: bool = False


ROWS = (
    Row(name="calls", title="simultaneous calls"),
    Row(name="packets_per_call_s", title="packets a call a second", target="50.00"),
    Row(name="gap_p50_ms", title="gap between packets, p50, ms", target="20"),
    Row(name="gap_p99_ms", title="gap, p99, ms", target="at most 21"),
    Row(name="gap_p999_ms", title="gap, p99.9, ms"),
    Row(name="late_30ms_share", title="gaps over 30 ms, %", target="at most 0.01", percent=True),
    Row(name="ramp_gap_p99_ms", title="gap while calls come, 100 a second, p99, ms"),
    Row(
        name="cpu_ms_per_call_s", title="CPU of the media process, ms a call-second", target="0.22; a port a call: 0.30"
    ),
    Row(name="dialer_cpu_ms_per_call_s", title="CPU of the dialer process, ms a call-second"),
    Row(name="threads", title="threads of the media process", target="the same for all"),
    Row(name="dialer_threads", title="threads of the dialer: one a phone, 250 channels"),
    Row(name="rss_mb", title="memory (RSS) of the whole service, MB", target="at most 300 for 2000"),
    Row(name="echo_lost_share", title="what the echo could not keep up with, %", target="0", percent=True),
    Row(name="api_requests_per_s", title="requests a second that the API answered", target="200"),
    Row(name="import_rows", title="rows imported meanwhile"),
    Row(name="sipp_packets_per_call_s", title="SIPp: packets a call a second"),
    Row(name="sipp_gap_p50_ms", title="SIPp: gap, p50, ms"),
    Row(name="sipp_gap_p99_ms", title="SIPp: gap, p99, ms"),
    Row(name="sipp_gap_p999_ms", title="SIPp: gap, p99.9, ms"),
    Row(name="sipp_late_30ms_share", title="SIPp: gaps over 30 ms, %", percent=True),
    Row(name="sipp_cpu_ms_per_call_s", title="SIPp: CPU, ms a call-second"),
)
TICKS = (
    "## Ticks beside a million rows",
    "",
    "A tick of the dialer while 200 000 of a million waiting jobs are cancelled and 50 calls a second start, 99.9th "
    "percentile, ms: before and after checkpoints, live state and new jobs were taken out of its way. Both were "
    "measured in turn, twice, on two cores that eighteen other processes wanted too. The last column leaves out the "
    "time that the tick's thread waited for a processor, and not the time that it waited for a lock whose holder did.",
    "",
    "| | clock | processor | clock, less waiting for a processor |",
    "|---|---|---|---|",
    "| before | 323, 149 | 24.8, 18.6 | 125, 105 |",
    "| after | 107, 87 | 9.6, 10.6 | 25.5, 25.0 |",
    "",
)
API = (
    "## GET of a campaign, and tables of calls",
    "",
    "Old and new in turn, twice, on two cores that many other processes wanted too. Where the time of a GET went, "
    "before: the checks of the token's signature 21 %, the statement for its session 12 %, the statements for the "
    "campaign and its progress 38 %, the contract 8 %, JSON, Bottle and the rest 21 %. Now a signature is checked "
    "once, and an answer is kept for at most a second and only while no process has committed anything. The session "
    "is looked up each time as before; waitress takes most of what is left.",
    "",
    "| | before | after |",
    "|---|---|---|",
    "| GET of a campaign, CPU of the API's process, ms | 1.93, 1.90 | 0.76, 0.72 |",
    "| the same, requests a second | 331, 341 | 961, 785 |",
    "| the same, p99, ms | 12.0, 14.5 | 4.5, 6.3 |",
    "| 100 000 calls as CSV, CPU, s | 5.7 | 2.7 |",
    "| 100 000 calls as XLSX, CPU, s | 6.4 | 3.6 |",
    "| a list of 100 calls, CPU, ms | 10.1 | 9.1 |",
    "",
)
MEDIA = (
    "## Simultaneous calls",
    "",
    "The whole service makes calls of 60 s in a real campaign, on one core. SIPp (the gateway) and the callees run on "
    "the other core; a busy API runs on both. After each run SIPp makes the same calls to the same callees from the "
    "same core: its `rtp_stream` plays a sound of the same length, one socket for each call. The gaps are measured at "
    "the receiver, between the packets of 40 calls, by the kernel's timestamps, while all calls are up. A socket "
    "filter drops and counts the packets of the other calls. In the echo run each callee has its own address and "
    "sends back everything it hears. In the encrypted run (SRTP, AES_CM_128_HMAC_SHA1_80) Kamailio speaks TLS for "
    "SIPp, which does not encrypt and is not measured. CPU is the CPU of the process for 50 packets really sent. For "
    "both senders, it includes the system's work of delivering a packet on this machine. A sender that cannot keep up "
    "sends fewer packets, in bursts, which cost less. Memory counts shared pages once for each process.",
    "",
)


def page(results: Mapping[str, Mapping[str, float]]) -> str:
    """All of it."""
    head = [
        "# Performance",
        "",
        f"Measured by `make bench` on {datetime.now(UTC):%Y-%m-%d}: {os.cpu_count()} cores ({cpu_name()}), "
        f"Python {platform.python_version()}, {platform.system()}, a shared and noisy machine: compare within one run, "
        "in CPU time.",
        "",
        "| figure | value | meaning |",
        "|---|---|---|",
    ]
    figures = {name: value for part, found in results.items() if part != "media" for name, value in found.items()}
    lines = [f"| `{name}` | {figures[name]:g} | {MEANINGS.get(name, '')} |" for name in sorted(figures)]
    return "\n".join([*head, *lines, "", *API, *TICKS, *_media(results.get("media", {}))])


def _media(figures: Mapping[str, float]) -> list[str]:
    """A column a run; nothing where nothing was measured."""
    runs = [run for run in RUNS if f"media.calls{run.suffix}" in figures]
    if not runs:
        return []
    head = [
        f"| | {' | '.join(map(_title, runs))} | wanted |",
        f"|---|{'---|' * len(runs)}---|",
    ]
    lines = []
    for row in ROWS:
        values = [_value(row, run, figures) for run in runs]
        if any(values):
            lines.append(f"| {row.title} | {' | '.join(values)} | {row.target} |")
    return [*MEDIA, *head, *lines, ""]


def _title(run: Run) -> str:
    beside = {"": "", "requests": ", API busy", "importing": ", import"}[run.beside]
    kind = f"{', echo' if run.echo else ''}{', encrypted' if run.encrypted else ''}"
    return f"{run.media_ports}{kind}{beside} (`{run.suffix or 'no suffix'}`)"


def _value(row: Row, run: Run, figures: Mapping[str, float]) -> str:
    suffix = {"_2000": "", "": "_4000"}.get(run.suffix, run.suffix) if row.name == "rss_mb" else run.suffix
    value = figures.get(f"media.{row.name}{suffix}")
    if value is None:
        return ""
    return f"{value * 100:.4f}" if row.percent else f"{value:.4g}" if value < 10000 else f"{value:.0f}"


def cpu_name() -> str:
    """The processor as the system names it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
