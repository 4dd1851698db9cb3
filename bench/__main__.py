"""`make bench [ONLY=sip|media|queue|import|sound|api|report]`: writes bench/results.json and docs/performance.md.

A figure that was not measured is absent from the results, never guessed.
"""

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench import api, media, queue, report, rows, sip, sound
from bench.page import page

PARTS: dict[str, Callable[[Path], dict[str, float]]] = {
    "sip": sip.measure,
    "media": media.measure,
    "queue": queue.measure,
    "import": rows.measure,
    "sound": sound.measure,
    "api": api.measure,
    "report": report.measure,
}
ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "bench" / "results.json"
PAGE = ROOT / "docs" / "performance.md"


def main() -> None:
    """Measure the parts asked for; other parts keep their last figures."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", choices=sorted(PARTS), action="append", help="measure this part only")
    asked = parser.parse_args().only or list(PARTS)
    results: dict[str, dict[str, float]] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for part in asked:
        print(f"measuring {part} ...", flush=True)
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            found = {name: float(f"{value:.6g}") for name, value in PARTS[part](Path(folder)).items()}
        print("\n".join(f"  {name} {value}" for name, value in found.items()))
        keeps_others = part == "media" and len(media.asked_runs()) < len(media.RUNS)
        results[part] = (results.get(part, {}) if keeps_others else {}) | found
    if "media" in asked and media.is_trial():
        return
    RESULTS.write_text(json.dumps(results, indent=2, sort_keys=True) + "\n")
    PAGE.write_text(page(results))


if __name__ == "__main__":
    main()
