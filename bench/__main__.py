"""`make bench [ONLY=sip|queue|import|api|report]`: measures, and writes bench/results.json and docs/performance.md.

A figure that was not measured is absent from the results, never guessed.
"""

import argparse
import json
import os
import platform
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from bench import api, queue, report, rows, sip

PARTS: dict[str, Callable[[Path], dict[str, float]]] = {
    "sip": sip.measure,
    "queue": queue.measure,
    "import": rows.measure,
    "api": api.measure,
    "report": report.measure,
}
ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "bench" / "results.json"
PAGE = ROOT / "docs" / "performance.md"
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
    "import.rows_per_s": "rows of a CSV that become subscribers a second",
    "import.rss_mb": "largest memory of the importing process",
    "api.get_campaign_per_s": "GET /srv1/campaigns/{id} a second, one client after another",
    "api.get_campaign_p99_ms": "99 of 100 of them are answered within",
    "report.get_campaign_ms": "GET /srv1/campaigns/{id} of a campaign with a million calls, median",
    "report.why_ms": "its /why, median",
    "report.report_ms": "its /report, median",
}


def main() -> None:
    """Measure the parts asked for; other parts keep their last figures."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", choices=sorted(PARTS), action="append", help="measure this part only")
    asked = parser.parse_args().only or list(PARTS)
    results: dict[str, dict[str, float]] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for part in asked:
        print(f"measuring {part} ...", flush=True)
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            results[part] = {name: round(value, 3) for name, value in PARTS[part](Path(folder)).items()}
        print("\n".join(f"  {name} {value}" for name, value in results[part].items()))
    RESULTS.write_text(json.dumps(results, indent=2, sort_keys=True) + "\n")
    PAGE.write_text(page(results))


def page(results: dict[str, dict[str, float]]) -> str:
    """The results for people."""
    head = [
        "# Performance",
        "",
        f"Measured by `make bench` on {datetime.now(UTC):%Y-%m-%d}: {os.cpu_count()} cores ({cpu_name()}), "
        f"Python {platform.python_version()}, {platform.system()}, a shared and noisy machine: compare within one run, "
        "in CPU time. Media figures (simultaneous calls, gaps between packets) are not measured here yet.",
        "",
        "| figure | value | meaning |",
        "|---|---|---|",
    ]
    figures = sorted((name, value) for part in results.values() for name, value in part.items())
    return "\n".join([*head, *(f"| `{name}` | {value:g} | {MEANINGS[name]} |" for name, value in figures), ""])


def cpu_name() -> str:
    """The processor as the system names it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


if __name__ == "__main__":
    main()
