"""The I/O of media: `child` is the process that sends and receives, `client` its handle in the dialer."""

from autodialer.media.session import SessionStats
from autodialer.media.shell.client import (
    CalleeSilent,
    DigitReceived,
    MediaDied,
    MediaEvent,
    MediaProcess,
    PortWanted,
    SessionClosed,
    SessionEvent,
    SessionNotOpened,
    SessionOpened,
    SoundFinished,
)
from autodialer.media.srtp_keys import SrtpKeys

__all__ = [
    "CalleeSilent",
    "DigitReceived",
    "MediaDied",
    "MediaEvent",
    "MediaProcess",
    "PortWanted",
    "SessionClosed",
    "SessionEvent",
    "SessionNotOpened",
    "SessionOpened",
    "SessionStats",
    "SoundFinished",
    "SrtpKeys",
]
