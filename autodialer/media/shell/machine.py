"""What the media process asks of the machine, as far as it is allowed."""

import contextlib
import os


def raise_descriptor_limit() -> None:
    """A call takes a descriptor: allow as many as the system lets us."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def go_first() -> None:
    """Have the pacing thread run before everything else on the machine, where the system lets us (root, CAP_SYS_NICE).

    It takes a few per cent of a core and sleeps the rest; without it other busy processes are heard in the calls.
    """
    with contextlib.suppress(AttributeError, OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(os.sched_get_priority_min(os.SCHED_FIFO)))
