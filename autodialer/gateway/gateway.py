"""A fake carrier for the demo, never a test oracle: `python -m autodialer.gateway.gateway --record NUMBER --wav FILE`.

Prints its UDP port and serves on loopback until its standard input ends.
"""

import argparse
import os
import selectors
import socket
import sys
import threading
import time
from pathlib import Path

from autodialer.gateway.carrier import Carrier
from autodialer.gateway.ears import Ears, Line

HOST = "127.0.0.1"
RECEIVE_AT_ONCE = 64


def serve(record: str | None, wav: Path | None) -> None:
    """Run the carrier until the process ends."""
    selector = selectors.DefaultSelector()
    sip = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sip.settimeout(0)
    sip.bind((HOST, 0))
    selector.register(sip, selectors.EVENT_READ, None)
    ears = Ears(HOST, selector, record=record, wav=wav)
    carrier = Carrier(sip.getsockname(), ears)
    sys.stdout.write(f"{sip.getsockname()[1]}\n")
    sys.stdout.flush()
    while True:
        timer = carrier.get_timer()
        for key, _mask in selector.select(None if timer is None else max(0.0, timer - time.monotonic())):
            if isinstance(key.data, Line):
                ears.listen(key.data)
            else:
                _receive(sip, carrier)
        carrier.handle_timer(time.monotonic())
        for data, address in carrier.datagrams_to_send():
            sip.sendto(data, address)


def _receive(sip: socket.socket, carrier: Carrier) -> None:
    for _ in range(RECEIVE_AT_ONCE):
        try:
            data, source = sip.recvfrom(65_536)
        except OSError:
            return
        carrier.receive_datagram(data, source, time.monotonic())


def _end_with_parent() -> None:
    while os.read(0, 4096):
        pass
    os._exit(0)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", metavar="NUMBER", help="number of the callee who is recorded")
    parser.add_argument("--wav", type=Path, metavar="FILE", help="where to write what the callee heard")
    options = parser.parse_args()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    serve(options.record, options.wav)


if __name__ == "__main__":
    main()
