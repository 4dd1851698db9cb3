"""`python -m autodialer.commands.deliveries`: the process that tells webhooks and people; the supervisor runs it."""

import logging
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime
from functools import partial
from types import FrameType

from autodialer.config import Settings, load_settings
from autodialer.errors import AlreadyRunning, SettingsError, Unavailable
from autodialer.logs import start_logging
from autodialer.model import Campaign
from autodialer.report import Reason, explain
from autodialer.store import Secrets, Store, migrate
from autodialer.supervisor import EXIT_CONFIG, HANDOVER_S, DataFolderLock, watch_parent
from autodialer.webhooks.deliverer import Deliverer
from autodialer.webhooks.notifier import Notifier
from autodialer.webhooks.stalled import StalledCampaigns

logger = logging.getLogger(__name__)


def run_deliveries(settings: Settings) -> None:
    """Deliver until a signal or the parent's end. Raises AlreadyRunning for a second one on the data folder."""
    with DataFolderLock(settings.data, "deliverer").held(HANDOVER_S):
        migrate(settings.url)
        with closing(Store(settings.url, secrets=Secrets(settings.keys))) as store:
            deliverer = Deliverer(store, settings.webhook_networks)
            stalled = StalledCampaigns(store, partial(_why_stalled, store))
            notifier = Notifier(store, settings.webhook_networks, look=stalled.look)
            ended = threading.Event()

            def on_signal(_signum: int, _frame: FrameType | None) -> None:
                ended.set()

            for signum in (signal.SIGTERM, signal.SIGINT):
                signal.signal(signum, on_signal)
            watch_parent(ended.set)
            threads = [
                threading.Thread(target=deliverer.run, name="deliverer", daemon=True),
                threading.Thread(target=notifier.run, name="notifier", daemon=True),
            ]
            for thread in threads:
                thread.start()
            ended.wait()
            notifier.stop()
            deliverer.stop()
            threads[0].join()


def _why_stalled(store: Store, campaign: Campaign, now: datetime) -> Sequence[Reason]:
    why = explain(store, campaign, now)
    return [] if why.dialing else [reason for reason in why.reasons if reason.blocks]


def main() -> int:
    """Deliver; the exit status."""
    try:
        settings = load_settings()
        start_logging(settings.log, "webhooks")
        run_deliveries(settings)
    except (SettingsError, AlreadyRunning) as exc:
        sys.stderr.write(f"{exc}\n")
        return EXIT_CONFIG
    except Unavailable as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
