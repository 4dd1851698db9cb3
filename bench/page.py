"""docs/performance.md, for people, from bench/results.json, for programs."""

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench.media import RUNS, Run

MEANINGS = {
    "sip.cpu_ms_per_call": "CPU of the whole dialer process a call, its database rows included, without media",
    "sip.sipp_cpu_ms_per_call": "CPU of SIPp answering the same calls in the same run",
    "sip.media_cpu_ms_per_call": "CPU of the media process a call of 20 ms of sound",
    "sip.cps": "calls a second, start to end of the campaign",
    "queue.jobs_per_s": "jobs a second of a campaign of 20 000 numbers at 250 CPS, calls of 1 s",
    "queue.cpu_ms_per_call": "CPU of the dialer process a call of 1 s, its database rows included, without media",
    "queue.sipp_cpu_ms_per_call": "CPU of SIPp answering the same calls in the same run",
    "queue.claim_to_invite_p50_ms": "half of the claimed jobs wait no longer for their INVITE, the commit included",
    "queue.claim_to_invite_p99_ms": "99 of 100 of them wait no longer",
    "queue.tick_p50_ms": "half of the dialer's ticks, at 50 calls a second beside a queue of a million rows, take less",
    "queue.tick_p999_ms": "999 of 1000 of them, while 200 000 of the rows are being cancelled",
    "queue.cancelled_per_s": "waiting jobs that are cancelled a second meanwhile",
    "import.rows_per_s": "rows of a CSV that become subscribers a second",
    "import.cpu_us_per_row": "CPU of the importing process a row",
    "import.rss_mb": "largest memory of the importing process",
    "import.claim_p99_ms": "a dialer's claim beside the import takes at most this, in 99 of 100 ticks",
    "api.get_campaign_per_s": "GET /srv1/campaigns/{id} a second, one client after another",
    "api.get_campaign_p99_ms": "99 of 100 of them are answered within",
    "report.get_campaign_ms": "GET /srv1/campaigns/{id} of a campaign with a million calls, median",
    "report.why_ms": "its /why, median",
    "report.report_ms": "its /report, median",
    "report.calls_csv_s": "download of its calls.csv",
    "report.subscribers_csv_s": "download of its subscribers.csv",
    "report.calls_xlsx_s": "download of its calls.xlsx",
    "report.subscribers_xlsx_s": "download of its subscribers.xlsx",
    "report.download_rss_mb": "by how much the API's largest memory grows through these four downloads",
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
MEDIA = (
    "## Simultaneous calls",
    "",
    "The whole service makes calls of 60 s by a real campaign, on one core; SIPp as the gateway and the callees are on "
    "the other; the API, where it is busy, on both. After each run SIPp makes the same calls to the same callees from "
    "the same core, its `rtp_stream` playing as long a sound, one socket a call. What a receiver sees: gaps between "
    "the packets of each of 40 calls by the kernel's timestamps, while all calls are up; the packets of the others are "
    "dropped by a socket filter and counted. In the echo run each callee, at an address of its own, sends back all "
    "that it hears. CPU is that of the process, by 50 packets really sent; the system's work of delivering a packet on "
    "this machine is in it, for both. A sender that cannot keep up sends fewer packets, and in bursts, which are "
    "cheaper. Memory counts pages that processes share once for each of them.",
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
    return "\n".join([*head, *lines, "", *_media(results.get("media", {}))])


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
    return f"{run.media_ports}{', echo' if run.echo else ''}{beside} (`{run.suffix or 'no suffix'}`)"


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
