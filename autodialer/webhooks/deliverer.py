"""Sends what waits: one loop that gives work out, and a few threads that post."""

import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from uuid import UUID

from autodialer.clock import Clock
from autodialer.errors import Unavailable
from autodialer.model.webhooks import Delivery, DeliveryState, EventKind, Webhook
from autodialer.store import TESTS, Lane, Store, Tried
from autodialer.webhooks import payloads
from autodialer.webhooks.addresses import Network
from autodialer.webhooks.bodies import write_body
from autodialer.webhooks.fan_out import OPT_OUT_SOURCE, FanOut
from autodialer.webhooks.posting import Answered, Line
from autodialer.webhooks.schedule import GIVEN_UP_AFTER, next_attempt
from autodialer.webhooks.signing import signed_headers

logger = logging.getLogger(__name__)

THREADS = 16
MOST_OF_A_WEBHOOK = 2
"""Threads that one receiver may keep: a receiver that hangs holds these, and the others go on."""
A_RUN = 50
"""Deliveries that a thread sends before it writes the outcomes down, ..."""
A_RUN_S = 1.0
"""... and for how long: what a crash cuts off in between is sent again."""
IDLE_S = 0.2
UNAVAILABLE_S = 2.0
GONE = 410
USER_AGENT = "autodialer-webhooks"
FORGOTTEN = "What it tells of is no longer stored."
UNREADABLE = (
    "Switched off: the key of its signatures cannot be read, because the key file in the data folder is not the one it"
    " was stored with. Bring that file back, or delete this webhook and make it again."
)


class Deliverer:
    """One a data folder. `networks` are those that receivers may be in beside the internet."""

    def __init__(self, store: Store, networks: Sequence[Network], clock: Clock | None = None) -> None:
        self._store = store
        self._networks = networks
        self._clock = clock or Clock()
        self._fan_out = FanOut(store)
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="webhooks")
        self._lock = threading.Lock()
        self._at_work: set[Lane] = set()
        self._stopping = threading.Event()

    def run(self) -> None:
        """Until `stop`."""
        while not self._stopping.is_set():
            try:
                busy = self.step()
            except Unavailable as exc:
                logger.error("The database is not available; deliveries wait: %s", exc)
                self._stopping.wait(UNAVAILABLE_S)
                continue
            except Exception:
                # A bug must not end this thread, and with it all deliveries until the service is started again.
                logger.exception("deliveries go on after a fault inside the service")
                self._stopping.wait(UNAVAILABLE_S)
                continue
            if not busy:
                self._stopping.wait(IDLE_S)

    def stop(self) -> None:
        """End; requests under way have their seconds."""
        with self._lock:
            # Under the lock: nothing is given out to a pool that has ended.
            self._stopping.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def step(self) -> bool:
        """Turn events into deliveries and give out lanes whose turn has come; whether there was anything to do."""
        told = self._fan_out.run(self._clock.utcnow())
        return self._give_out() > 0 or told > 0

    def _give_out(self) -> int:
        with self._lock:
            at_work = set(self._at_work)
        if len(at_work) >= THREADS:
            return 0
        # Lanes under way are among those that are due: hence more than there are threads.
        held = Counter(lane.webhook_key for lane in at_work)
        full = [key for key, lanes in held.items() if lanes >= MOST_OF_A_WEBHOOK]
        due = self._store.deliveries.due(self._clock.utcnow(), 8 * THREADS, without=full)
        given = 0
        for lane in due:
            if lane in at_work or held[lane.webhook_key] >= MOST_OF_A_WEBHOOK:
                continue
            if len(at_work) + given >= THREADS:
                break
            with self._lock:
                if self._stopping.is_set():
                    break
                self._at_work.add(lane)
                self._pool.submit(self._work, lane)
            held[lane.webhook_key] += 1
            given += 1
        return given

    def _work(self, lane: Lane) -> None:
        try:
            self.deliver(lane)
        except Unavailable as exc:
            logger.error("the outcome of deliveries could not be written, so they are sent again: %s", exc)
            self._stopping.wait(UNAVAILABLE_S)
        except Exception:
            # A bug in one lane must not end the others'. It waits as after a failed delivery, or it would spin.
            logger.exception("a delivery to webhook %s failed inside the service", lane.webhook_key)
            self._stopping.wait(UNAVAILABLE_S)
        finally:
            with self._lock:
                self._at_work.discard(lane)

    def deliver(self, lane: Lane) -> None:
        """Send the first deliveries of a lane, up to a delivery that does not arrive. Raises Unavailable."""
        webhook = self._store.webhooks.by_key(lane.webhook_key)
        if webhook is None or not (webhook.active or lane.campaign_key == TESTS):
            return
        if webhook.secret is None and lane.campaign_key != TESTS:
            # What waits stays, for the day on which the key file is back.
            self._store.webhooks.failed(webhook.key, self._clock.utcnow(), note=UNREADABLE, off=True)
            return
        waiting = self._store.deliveries.waiting(lane, A_RUN)
        told = _Told(self._store, waiting)
        tried: list[Tried] = []
        ends_at = time.monotonic() + A_RUN_S
        with Line(webhook.url, self._networks) as line:
            for delivery in waiting:
                tried.append(self._try(webhook, delivery, told, line))
                # A test that failed is not tried again by itself, and keeps nobody behind it waiting.
                lost = tried[-1].state is DeliveryState.WAITING
                if lost or time.monotonic() >= ends_at or self._stopping.is_set():
                    break
        self._write_down(webhook, lane, tried)

    def _try(self, webhook: Webhook, delivery: Delivery, told: "_Told", line: Line) -> Tried:
        now = self._clock.utcnow()
        data = told.data(delivery)
        if data is None:
            return Tried(delivery=delivery, state=DeliveryState.FAILED, at=now, error=FORGOTTEN)
        if webhook.secret is None:
            return Tried(delivery=delivery, state=DeliveryState.FAILED, at=now, error=UNREADABLE)
        body, kind = write_body(
            payloads.envelope(delivery.kind, delivery.at, data),
            str(delivery.id),
            style=webhook.format,
            fields=webhook.fields,
        )
        headers = {
            "Content-Type": kind,
            "User-Agent": USER_AGENT,
            **signed_headers(webhook.secret, str(delivery.id), int(now.timestamp()), body),
        }
        return self._judge(delivery, line.post(body, headers), now)

    def _judge(self, delivery: Delivery, answered: Answered, now: datetime) -> Tried:
        if answered.error is None:
            return Tried(delivery=delivery, state=DeliveryState.DELIVERED, at=now, status_code=answered.status_code)
        retry_at = None
        if delivery.campaign_key != TESTS:
            retry_at = next_attempt(
                attempts=delivery.attempts + 1,
                first_at=delivery.first_at or now,
                now=now,
                jitter=random.random(),
                asked_s=answered.retry_after_s,
            )
        logger.warning("delivery %s did not arrive: %s", delivery.id, answered.error)
        return Tried(
            delivery=delivery,
            state=DeliveryState.FAILED if retry_at is None else DeliveryState.WAITING,
            at=now,
            status_code=answered.status_code,
            error=answered.error,
            retry_at=retry_at,
        )

    def _write_down(self, webhook: Webhook, lane: Lane, tried: Sequence[Tried]) -> None:
        now = self._clock.utcnow()
        with self._store.transaction(durable=False):
            self._store.deliveries.record(lane, tried, now)
            if not tried or lane.campaign_key == TESTS:
                return
            last = tried[-1]
            arrived = any(each.state is DeliveryState.DELIVERED for each in tried)
            if arrived and webhook.failing_since is not None:
                self._store.webhooks.arrived(webhook.key)
            if last.error is not None and last.error != FORGOTTEN:
                self._note_failure(webhook, last, since=last.at if arrived else webhook.failing_since or last.at)

    def _note_failure(self, webhook: Webhook, last: Tried, *, since: datetime) -> None:
        dead = last.status_code == GONE or last.at - since >= GIVEN_UP_AFTER
        note = f"The last delivery did not arrive: {last.error}."
        if dead:
            why = "the receiver said that it is gone" if last.status_code == GONE else "nothing arrived for 24 hours"
            note = f"Switched off at {last.at:%Y-%m-%d %H:%M} UTC, because {why}. {note} Set active to true to go on."
            logger.warning("webhook %s is switched off: %s", webhook.id, note)
        self._store.webhooks.failed(webhook.key, last.at, note=note, off=dead)


class _Told:
    """The data of some deliveries; those about people are read now, in one query for all."""

    def __init__(self, store: Store, deliveries: Sequence[Delivery]) -> None:
        self._store = store
        self._calls = store.subjects.calls(_keys(deliveries, EventKind.CALL_ENDED))
        self._opt_outs = store.subjects.opt_outs(_keys(deliveries, EventKind.OPT_OUT))

    def data(self, delivery: Delivery) -> payloads.Json | None:
        """None: it is no longer stored."""
        if delivery.kind == EventKind.CALL_ENDED:
            call = self._calls.get(delivery.object_key)
            return None if call is None else payloads.call_data(call)
        if delivery.kind == EventKind.OPT_OUT:
            entry = self._opt_outs.get(delivery.object_key)
            if entry is None:
                return None
            call_id = UUID(entry.source.removeprefix(OPT_OUT_SOURCE))
            return payloads.opt_out_data(entry.number, call_id, self._store.subjects.campaign_of_call(call_id))
        return dict(delivery.payload)


def _keys(deliveries: Sequence[Delivery], kind: EventKind) -> list[int]:
    return [delivery.object_key for delivery in deliveries if delivery.kind == kind]
