"""What the media process asks of the machine, as far as it is allowed."""

import contextlib
import os


def raise_descriptor_limit() -> None:
    """A call takes a descriptor: allow as many as the system lets us."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def descriptor_limit() -> int | None:
    """How many descriptors the media process may have; None where the system sets no limit that can be read."""
    with contextlib.suppress(ImportError, OSError):
        import resource

        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        return None if hard == resource.RLIM_INFINITY else hard
    return None


def may_go_first() -> bool:
    """Whether `go_first` works here; this thread is as before afterwards."""
    try:
        before, priority = os.sched_getscheduler(0), os.sched_getparam(0)
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(os.sched_get_priority_min(os.SCHED_FIFO) + 1))
        os.sched_setscheduler(0, before, priority)
    except (AttributeError, OSError):
        return False
    return True


def go_first(*, pacing: bool) -> None:
    """Have this thread, and those that it starts, run before everything else, where the system lets us.

    That takes root, CAP_SYS_NICE or RLIMIT_RTPRIO. The process takes a few per cent of a core and sleeps the rest;
    without it other busy processes are heard in the calls. All of its threads need it: a thread that waits for a
    processor while it holds the interpreter's lock makes the others wait too. The `pacing` thread goes before them.
    """
    with contextlib.suppress(AttributeError, OSError):
        lowest = os.sched_get_priority_min(os.SCHED_FIFO)
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(lowest + pacing))
