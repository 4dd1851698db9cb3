"""The dashboard and the alert rules name metrics that exist, and each metric is in the dashboard and the documents."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from autodialer.config import Settings
from autodialer.dialing.vitals import Vitals
from autodialer.media.lateness import Lateness
from autodialer.model import CallOutcome, Disposition, MediaState, TrunkSettings, TrunkStatus
from autodialer.store import Busy, Store
from autodialer.web.metrics import Metrics
from tests.databases import cheap_secrets, make_database

ROOT = Path(__file__).resolve().parents[2]
DASHBOARD = json.loads((ROOT / "deploy/grafana-dashboard.json").read_text())
ALERTS = yaml.safe_load((ROOT / "deploy/prometheus-alerts.yml").read_text())
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]
NAME = re.compile(r"\b(dialer_[a-z_]+)\b")
FUNCTIONS = {"rate", "increase", "histogram_quantile", "sum", "topk"}


@pytest.fixture(scope="module")
def metrics(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, set[str]]]:
    """Name of each sample -> the labels that it has, of a service with one of everything."""
    settings = Settings(data=tmp_path_factory.mktemp("data"))
    make_database(settings.url)
    store = Store(settings.url, secrets=cheap_secrets(settings.keys))
    owner = store.users.create(login="anna", password=None).key
    trunk = store.trunks.create(owner, TrunkSettings(name="t", host="127.0.0.1", register=True))
    store.live.write_trunks([TrunkStatus(trunk_key=trunk.key, breaker_state="closed")])
    vitals, now = Vitals(), datetime.now(UTC)
    vitals.ended(trunk, CallOutcome(disposition=Disposition.BUSY, sip_code=486, invited_at=now, ended_at=now))
    pacing = Lateness().as_json()
    told = vitals.as_json(active_calls=0, media=MediaState.RUNNING, pacing=pacing, busy=Busy())
    store.live.heartbeat("x", 1, told)
    made = Metrics(settings, store, imported_rows=lambda: {("callbase", "imported"): 1})
    made.requests.count("GET", "/srv1/trunks", "200", 0.01)
    yield {sample.name: set(sample.labels) for family in made.collect() for sample in family.samples}
    store.close()


def expressions() -> Iterator[tuple[str, str]]:
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    for rule in RULES:
        yield rule["alert"], rule["expr"]


@pytest.mark.parametrize(("where", "expression"), list(expressions()))
def test_what_is_asked_for_exists_with_its_labels(where: str, expression: str, metrics: dict[str, set[str]]) -> None:
    named = NAME.findall(expression)
    assert named or where == "DialerApiDown"
    assert set(named) <= metrics.keys()
    labels = set(re.findall(r"(\w+)\s*(?:!=|=~|=)\s*\"", expression))
    for grouped in re.findall(r"(?:by|on|group_left) \(([^)]*)\)", expression):
        labels |= {label.strip() for label in grouped.split(",")}
    assert labels - {"job"} <= set().union(*(metrics[name] for name in named)) if named else labels == {"job"}
    assert expression.count("(") == expression.count(")")


def test_each_metric_is_on_the_dashboard_and_in_the_documents(metrics: dict[str, set[str]]) -> None:
    asked = " ".join(target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"])
    documents = (ROOT / "docs/deploy.md").read_text()
    families = {re.sub(r"_(bucket|count|sum|created)$", "", name) for name in metrics}
    assert len(families) > 20
    for name in families:
        assert name in asked or f"{name}_bucket" in asked, f"{name} is on no panel"
        assert f"`{name}" in documents, f"{name} is not in docs/deploy.md"
    told = set(re.findall(r"`(dialer_[a-z_]+)", documents))
    assert told <= families, "docs/deploy.md tells of what there is not"


def test_the_panels_are_told_apart_and_lie_beside_each_other() -> None:
    panels: list[dict[str, Any]] = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for place in (panel["gridPos"] for panel in panels):
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken and all(x < 24 for x, _ in cells)
        taken |= cells


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_each_alert_says_what_is_wrong_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule.keys() <= {"alert", "expr", "for", "labels", "annotations"}
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert rule["annotations"].keys() == {"summary", "remedy"}
    assert all(text.endswith(".") for text in rule["annotations"].values())
    assert re.fullmatch(r"\d+[sm]", rule.get("for", "0s"))
    for used in re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]):
        assert used in rule["expr"] or used in ("trunk", "process", "route")
