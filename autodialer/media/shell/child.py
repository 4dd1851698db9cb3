"""The media process: `python -m autodialer.media.shell.child`, started by `MediaProcess`.

One thread paces, sends and receives; a second reads the control pipe (standard input, a JSON object a line) and loads
sounds, a third writes answers and events to standard output: between two packets nobody waits for a disk or for a busy
dialer. The end of the control pipe means that the dialer is gone: the process ends at once and sends nothing more.
"""

import contextlib
import gc
import math
import os
import selectors
import socket
import sys
import threading
import time
from collections import deque
from ipaddress import ip_address
from typing import Any

from autodialer import stun
from autodialer.media.mapping import MappingQuery
from autodialer.media.shell.control import end_with_thread, read_control
from autodialer.media.shell.events import Command, Events
from autodialer.media.shell.lines import Line, Port, ReportPort
from autodialer.media.shell.machine import go_first, raise_descriptor_limit
from autodialer.media.shell.reports import Reports
from autodialer.media.shell.senders import best_sender
from autodialer.media.shell.sending import Sending
from autodialer.media.shell.watches import Watches
from autodialer.media.source import Address
from autodialer.media.srtp_keys import SrtpKeys

SWITCH_INTERVAL_S = 0.0005
"""sendto gives up the GIL and waits up to a switch interval to get it back while the control thread is busy."""
DATAGRAM = 2048
"""Octets read of one: more than an Ethernet frame brings."""
RECEIVE_AT_ONCE = 64
"""Datagrams of one socket before the others have their turn."""
COARSE_S = 0.0015
"""Waiting on sockets has a granularity of 1 ms; the rest of the wait is slept."""
PACING_TOLD_S = 1.0
"""How often the dialer is told how late packets left."""
KEEP_ALIVE_S = 15.0
"""A session that sends nothing says so to the NAT on its way: an empty datagram (RFC 6263 section 4.1)."""


class MediaLoop:
    """The pacing thread: commands in, packets out and in, events out."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self._lines: dict[str, Line] = {}
        self._shared: dict[Address, Port] = {}
        """Shared ports by their address."""
        self._selector = selectors.DefaultSelector()
        # Append and popleft are safe between two threads without a
        # lock, for which the pacing thread might have to wait.
        self._commands: deque[Command] = deque()
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._wake_reader.settimeout(0)
        self._wake_writer.settimeout(0)
        self._selector.register(self._wake_reader, selectors.EVENT_READ, None)
        self._sending = Sending(best_sender(), time.monotonic())
        self._reports = Reports(self._sending)
        self._queries: dict[Line, MappingQuery] = {}
        self._quiet: dict[Line, float] = {}
        """Answered sessions that send nothing -> when their keep-alive is due."""
        self._watches = Watches()
        self._pacing_told_at = -math.inf

    def post(self, command: Command) -> None:
        """Hand a command to the loop, from the control thread."""
        self._commands.append(command)
        # A full pipe wakes the loop as well as one more octet would.
        with contextlib.suppress(BlockingIOError):
            self._wake_writer.send(b"\0")

    def run(self) -> None:
        """Pace until the process ends."""
        while True:
            while self._commands:
                self._obey(self._commands.popleft())
            if self._sending:
                self._send_due()
            # After the packets: a report or a keep-alive may be some milliseconds late, the sound may not.
            self._reports.send_due(time.monotonic())
            if self._queries or self._quiet:
                self._do_chores(time.monotonic())
            if self._watches.due_at is not None:
                self._tell_silence(time.monotonic())
            if self._sending:
                # While packets leave there is a slot every 5 ms, and all other work is looked after between two of
                # them.
                self._wait(self._sending.deadline - time.monotonic())
            else:
                self._wait(self._until_next_chore(time.monotonic()))

    def _send_due(self) -> None:
        while self._sending and self._sending.deadline <= (now := time.monotonic()):
            ended, progress = self._sending.send_due(now)
            for line in ended:
                assert isinstance(line, Line)
                self._finish(line)
            if progress:
                self._events.tell_progress(progress)
            if now - self._pacing_told_at >= PACING_TOLD_S:
                self._pacing_told_at = now
                self._events.tell_pacing(self._sending.lateness.as_json())

    def _finish(self, line: Line) -> None:
        """Its sound is at its end, or cannot be sent."""
        if not line.session.playing:
            self._rest(line)
        played, repeats = line.session.played_frames, line.session.repeats
        self._events.tell({"event": "finished", "session": line.name, "played": played, "repeats": repeats})

    def _rest(self, line: Line) -> None:
        """Send nothing on it for a while."""
        self._sending.remove(line)
        if line.session.started:
            self._quiet[line] = time.monotonic() + KEEP_ALIVE_S

    def _do_chores(self, now: float) -> None:
        """What is not bound to the grid: questions to a STUN server, keep-alives."""
        for line, query in list(self._queries.items()):
            if now < query.due_at:
                continue
            question = query.next_question(now)
            if question is None:
                self._opened(line, None)
            else:
                line.send_now(question, query.server)
        for line, due in self._quiet.items():
            if now >= due:
                # From now and not from when it was due: after a stall one keep-alive is enough.
                self._quiet[line] = now + KEEP_ALIVE_S
                line.send_now(b"", line.session.remote)

    def _tell_silence(self, now: float) -> None:
        for line in self._watches.silent(now):
            self._events.tell({"event": "silent", "session": line.name})

    def _until_next_chore(self, now: float) -> float | None:
        others = [each for each in (self._reports.due_at, self._watches.due_at) if each is not None]
        due = (*(query.due_at for query in self._queries.values()), *self._quiet.values(), *others)
        return max(0.0, min(due) - now) if due else None

    def _wait(self, span_s: float | None) -> None:
        """Receive until `span_s` from now; None: until something comes."""
        if span_s is not None and span_s <= 0:
            return
        if span_s is not None and span_s < COARSE_S:
            time.sleep(span_s)
            return
        ready = self._selector.select(None if span_s is None else span_s - 0.001)
        until = self._sending.deadline if self._sending else math.inf
        for key, _mask in ready:
            if time.monotonic() >= until:
                return  # what has come can wait, what is due cannot; the selector names the rest first next time
            if key.data is None:
                self._wake_reader.recv(4096)
            elif isinstance(key.data, ReportPort):
                self._reports.receive(key.data, time.monotonic())
            else:
                self._receive(key.data)

    def _receive(self, port: Port) -> None:
        for _ in range(RECEIVE_AT_ONCE):
            try:
                data, found = port.socket.recvfrom(DATAGRAM)
            except OSError:
                return
            source = (found[0], found[1])
            # Before the callee's packets: the server answers at the
            # port of the sound, from an address that no call knows.
            if self._queries and self._take_mapping(port, data):
                continue
            line = port.line_of(source, time.monotonic())
            if line is not None:
                self._take(line, data, source)

    def _take_mapping(self, port: Port, data: bytes) -> bool:
        """Whether a datagram answers a question to a STUN server."""
        for line in port.lines & self._queries.keys():
            mapped = self._queries[line].answer(data)
            if mapped is not None:
                self._opened(line, mapped)
                return True
        return False

    def _take(self, line: Line, data: bytes, source: Address) -> None:
        remote = line.session.remote
        now = time.monotonic()
        digit = line.session.receive(data, source, now)
        if line.session.remote != remote:
            line.port.follow(line)
            self._sending.redirect(line)
        line.spare_audio(now)
        if digit:
            self._events.tell({"event": "digit", "session": line.name, "digit": digit, "at": now})

    def _obey(self, command: Command) -> None:
        operation = command["op"]
        if operation == "open":
            self._open(command)
        elif operation == "reopen":
            self._reopen(command)
        elif operation == "play":
            self._play(command)
        elif operation == "hold":
            self._hold(command)
        elif operation == "move":
            self._move(command)
        elif operation == "repeat":
            self._repeat(command["session"])
        elif operation == "send_digits":
            self._send_digits(command["session"], command["digits"])
        elif operation == "watch":
            self._watch(command["session"], command["span_s"])
        elif operation == "close":
            self._close(command["session"], command["ended_at"])

    def _open(self, command: Command) -> None:
        name = command["session"]
        try:
            if name in self._lines:
                raise OSError(f"session {name} is open already")
            line = Line(name, self._port_for(command))
        except (OSError, OverflowError) as exc:
            why = f"{command['host']}:{command['port']}: {getattr(exc, 'strerror', None) or exc}"
            self._events.tell({"event": "not_opened", "session": name, "message": why})
            return
        self._lines[name] = line
        self._ask_for_address(line, command["stun_server"])

    def _reopen(self, command: Command) -> None:
        """The port of its own that a session waits for; what it was told meanwhile is done now."""
        name = command["session"]
        line = self._lines.get(name)
        if line is None:
            return
        try:
            # The old port is left only when there is this one: a call is never without.
            own = Port(command["host"], command["port"], shared=False)
        except (OSError, OverflowError) as exc:
            self._events.tell({"event": "not_opened", "session": name, "message": str(exc)})
            return
        self._listen(own)
        self._leave_port(line)
        line.use(own)
        waiting, line.waiting = line.waiting, None
        if waiting is not None:
            self._obey(waiting)
        self._ask_for_address(line, command["stun_server"])

    def _ask_for_address(self, line: Line, server: Address | None) -> None:
        """Tell that the port is there, and under which address it is seen outside if a STUN server says so."""
        if server is None:
            self._opened(line, None)
        else:
            now = time.monotonic()
            self._queries[line] = MappingQuery((server[0], server[1]), os.urandom(stun.TRANSACTION_ID_OCTETS), now)

    def _port_for(self, command: Command) -> Port:
        """The port that the command asks for: a new one, or the shared port if it is already open."""
        address: Address = (command["host"], command["port"])
        if address in self._shared:
            return self._shared[address]
        port = Port(*address, shared=command["shared"])
        if port.shared:
            self._shared[address] = port
        self._listen(port)
        return port

    def _listen(self, port: Port) -> None:
        self._selector.register(port.socket, selectors.EVENT_READ, port)
        if port.reports is not None:
            self._selector.register(port.reports.socket, selectors.EVENT_READ, port.reports)

    def _leave_port(self, line: Line) -> None:
        """A port that is no longer used is free."""
        port = line.port
        line.leave()
        if not port.lines:
            self._shared.pop(port.address, None)
            self._sending.close_shared(port.socket)
            self._selector.unregister(port.socket)
            if port.reports is not None:
                self._selector.unregister(port.reports.socket)
            port.close()

    def _claim_remote(self, line: Line, remote: Address, command: Command) -> bool:
        """On a shared port calls are told apart by where they come from: a second one from there wants another port.

        The dialer gives it one by `reopen`, and tells the callee; until then the command waits.
        """
        if line.port.take(line, remote):
            return True
        line.waiting = command
        self._events.tell({"event": "port_wanted", "session": line.name})
        return False

    def _opened(self, line: Line, mapped: Address | None) -> None:
        self._queries.pop(line, None)
        self._events.tell({"event": "opened", "session": line.name, "mapped": mapped})

    def _play(self, command: Command) -> None:
        line = self._lines.get(command["session"])
        if line is None:
            return
        remote: Address = (command["remote"][0], command["remote"][1])
        reachable = is_address(remote)
        if not reachable:
            self._events.tell_problem(line.name, f"{remote} is no IP address and port to send to")
        elif not self._claim_remote(line, remote, command):
            return
        line.session.play(
            time.monotonic(),
            remote=remote,
            codec=command["codec"],
            payload_type=command["payload_type"],
            # Without codes the sound is over at once, and the call ends instead of waiting for it.
            codes=command["codes"] if reachable else b"",
            telephone_event_pt=command["telephone_event_pt"],
            lead_in_ms=command["lead_in_ms"],
            symmetric=command["symmetric"],
            peer_host=command["peer_host"],
            earlier=[(host, port) for host, port in command["earlier"]],
            keys=_keys(command),
        )
        line.answered()
        line.signal_reports(command["reports_to"])
        self._reports.begin(line, time.monotonic())
        self._go_on(line, silent=command["sound"] is None)

    def _go_on(self, line: Line, *, silent: bool = False) -> None:
        """Send on if there is anything to send now; `silent`: nobody waits for the end of a sound."""
        if line.session.playing:
            self._quiet.pop(line, None)
            self._sending.add(line, time.monotonic())
        elif line.session.ended and not silent:
            self._finish(line)
        else:
            self._rest(line)

    def _repeat(self, name: str) -> None:
        line = self._lines.get(name)
        if line is not None and line.session.started:
            self._sending.remove(line)
            line.session.repeat()
            # What waits for a port begins the sound itself.
            if line.waiting is None:
                self._go_on(line)

    def _send_digits(self, name: str, digits: str) -> None:
        line = self._lines.get(name)
        if line is None or not line.session.takes_digits:
            self._events.tell_problem(name, f"no digits can be sent now: {digits}")
        else:
            self._sending.press(line, digits, time.monotonic())

    def _watch(self, name: str, span_s: float) -> None:
        line = self._lines.get(name)
        if line is not None:
            self._watches.begin(line, span_s, time.monotonic())

    def _hold(self, command: Command) -> None:
        line = self._lines.get(command["session"])
        if line is not None and (line.session.started or line.waiting is None):
            line.waiting = None
            self._rest(line)
            # The kernel drops by address, stream and payload type, any of which may be another now.
            line.see_all()
            remote = self._held_at(line, command["remote"])
            line.session.hold(time.monotonic(), remote=remote, keys=_keys(command))

    def _held_at(self, line: Line, address: list[Any] | None) -> Address | None:
        """Where a callee that holds the call is; None: it does not say, or another call has that address."""
        if address is None:
            return None
        remote: Address = (address[0], address[1])
        return remote if is_address(remote) and line.port.take(line, remote) else None

    def _move(self, command: Command) -> None:
        line = self._lines.get(command["session"])
        remote: Address = (command["remote"][0], command["remote"][1])
        if line is None or not line.session.started:
            return
        # After its end no sound has to be read, and its end is not told once more.
        over = line.session.ended
        if not is_address(remote) or not (command["codes"] or over):
            self._events.tell_problem(line.name, f"the sound cannot go on to {remote}")
            self._finish(line)
            return
        self._sending.remove(line)
        if not self._claim_remote(line, remote, command):
            return
        line.see_all()
        line.session.move(
            time.monotonic(),
            remote=remote,
            codec=command["codec"],
            payload_type=command["payload_type"],
            codes=command["codes"],
            telephone_event_pt=command["telephone_event_pt"],
            keys=_keys(command),
        )
        line.signal_reports(command["reports_to"])
        self._go_on(line, silent=over)

    def _close(self, name: str, ended_at: float | None) -> None:
        line = self._lines.pop(name, None)
        if line is None:
            return
        late = self._sending.close(line, ended_at)
        self._quiet.pop(line, None)
        self._queries.pop(line, None)
        self._watches.end(line)
        # What came before the hang-up and was not read yet belongs to the figures of the call.
        self._receive(line.port)
        # Before the figures: it leaves what the peer said on the line.
        self._reports.end(line, time.monotonic())
        stats = line.stats(time.monotonic()).without_late(late)
        self._leave_port(line)
        self._events.tell({"event": "closed", "session": name, "stats": vars(stats)})


def _keys(command: Command) -> SrtpKeys | None:
    packed = command["keys"]
    if packed is None:
        return None
    suite, ours, theirs = packed
    return SrtpKeys(suite=suite, ours=bytes.fromhex(ours), theirs=bytes.fromhex(theirs))


def is_address(address: Address) -> bool:
    """Whether this is an IP address and a port. A name would be looked up between two packets."""
    try:
        ip_address(address[0])
    except ValueError:
        return False
    return 0 < address[1] < 65536


def main() -> None:
    """Run the media process, to its end."""
    raise_descriptor_limit()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    # A thread that fails would leave a process that looks alive and plays or hears nothing.
    threading.excepthook = end_with_thread
    # Before the other threads start, because they inherit it.
    go_first(pacing=False)
    events = Events(sys.stdout.buffer)
    loop = MediaLoop(events)
    threading.Thread(target=events.write, name="events", daemon=True).start()
    control = (sys.stdin.buffer, loop.post, events)
    threading.Thread(target=read_control, args=control, name="control", daemon=True).start()
    go_first(pacing=True)
    # What is there now stays for good: no full collection has to walk it again while packets are due.
    gc.collect()
    gc.freeze()
    with contextlib.suppress(KeyboardInterrupt):
        loop.run()
    # An orderly exit would wait for the lock of standard input, which the control thread holds while it reads.
    os._exit(0)


if __name__ == "__main__":
    main()
