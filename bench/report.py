"""What a user asks of a campaign of a million calls: the campaign, why it dials or not, the report, the tables."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from statistics import median

import requests

from autodialer.model import Campaign
from bench import forgetting
from bench.service import api_of, peak_rss_mb
from tests.dialer.world import World
from tests.peers.ports import free_port

CALLS = 1_000_000
TIMES = 20
HOURS = 48

PEOPLE = """
INSERT INTO subscribers (id, callbase_key, number, name, comment, extra)
WITH RECURSIVE one (n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM one WHERE n < :calls)
SELECT randomblob(16), :callbase, '7000' || (1000000 + n), 'Subscriber ' || n, 'flat ' || n,
    '{"street":"Street ' || (n % 500) || '","flat":"' || n || '"}' FROM one"""
WALKED = """
INSERT INTO campaign_subscribers (campaign_key, subscriber_key, state, reason, attempts)
SELECT :campaign, key, CASE key % 4 WHEN 0 THEN 'reached' WHEN 3 THEN 'in_progress' ELSE 'exhausted' END,
    CASE key % 4 WHEN 0 THEN 'answered' WHEN 3 THEN NULL ELSE 'max_attempts' END, 1 + key % 3
FROM subscribers WHERE callbase_key = :callbase ORDER BY key"""
CALLED = """
INSERT INTO calls (id, campaign_key, subscriber_key, trunk_key, number, attempt, disposition, sip_code, invited_at,
    ringing_at, ended_at, pdd_s, duration_s, billsec_s, played_s, played_share, digits, next_rule)
SELECT randomblob(16), :campaign, key, :trunk, number, 1,
    CASE key % 4 WHEN 0 THEN 'answered' WHEN 1 THEN 'busy' WHEN 2 THEN 'no_answer' ELSE 'congestion' END, 200,
    :begin + key * :hours * 3600 / :calls * 1000, :begin, :begin + key * :hours * 3600 / :calls * 1000 + 20000,
    abs(random() % 9000) / 1000.0, 20, CASE key % 4 WHEN 0 THEN key % 300 / 10.0 ELSE 0 END,
    CASE key % 4 WHEN 0 THEN key % 300 / 10.0 ELSE 0 END, 0.5, CASE key % 16 WHEN 0 THEN '1' ELSE '' END, 'answered'
FROM subscribers WHERE callbase_key = :callbase ORDER BY key"""
QUEUED = """
INSERT INTO call_jobs (call_id, campaign_key, subscriber_key, not_before)
SELECT randomblob(16), :campaign, key, :begin + 2000000000000 FROM subscribers
WHERE callbase_key = :callbase AND key % 4 = 3 ORDER BY key"""

WALKED_THROUGH = """
UPDATE campaigns SET next_subscriber_key = (SELECT max(key) FROM subscribers), created_at = :begin
WHERE key = :campaign"""
AUDITED = """
INSERT INTO audit (at, action, details)
WITH RECURSIVE one (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM one WHERE n < :calls / 4)
SELECT :begin, 'calls.sample', '{"number":"7000' || (1000000 + n) || '"}' FROM one"""


def measure(folder: Path) -> dict[str, float]:
    """A campaign of a million subscribers with a call each, through the real server."""
    world = World.make(folder / "data")
    campaign = world.campaign(("127.0.0.1", free_port()), ["70000000001"])
    fill(world, campaign)
    with api_of(world) as (url, session, pid):
        path = f"{url}/srv1/campaigns/{campaign.id}"
        found = {f"report.{name}_ms": _median_ms(world, session, path + end) for name, end in QUESTIONS.items()}
        before = peak_rss_mb(pid)
        for name in TABLES:
            found[f"report.{name.replace('.', '_')}_s"] = _download_s(session, f"{path}/{name}")
        found["report.download_rss_mb"] = peak_rss_mb(pid) - before
    found |= forgetting.measure(world, campaign)
    world.store.close()
    return found


QUESTIONS = {"get_campaign": "", "why": "/why", "report": "/report"}
TABLES = ("calls.csv", "subscribers.csv", "calls.xlsx", "subscribers.xlsx")


def fill(world: World, campaign: Campaign) -> None:
    """A million subscribers and calls, as if the campaign had been dialled for two days."""
    values = {
        "calls": CALLS,
        "callbase": campaign.callbase_key,
        "campaign": campaign.key,
        "trunk": campaign.trunk_keys[0],
        "begin": 1_760_000_000_000,
        "hours": HOURS,
    }
    with closing(sqlite3.connect(world.settings.data / "db.sqlite3")) as database, database:
        for statement in (PEOPLE, WALKED, CALLED, QUEUED, AUDITED):
            database.execute(statement, values)
        database.execute("UPDATE callbases SET imported = :calls WHERE key = :callbase", values)
        database.execute(WALKED_THROUGH, values)


def _median_ms(world: World, session: requests.Session, url: str) -> float:
    spans = []
    for _ in range(TIMES):
        world.store.live.heartbeat("bench", 1)
        started = time.perf_counter()
        answer = session.get(url, timeout=60)
        spans.append(time.perf_counter() - started)
        assert answer.ok, answer.text
    return median(spans) * 1000


def _download_s(session: requests.Session, url: str) -> float:
    started = time.perf_counter()
    with session.get(url, timeout=600, stream=True) as answer:
        assert answer.ok, answer.text
        for _ in answer.iter_content(1 << 20):
            pass
    return time.perf_counter() - started
