"""What a disk holds when the power goes: a database's writes are traced, and its files rebuilt from those that count.

`strace` around the dialer prints each write to the database and its -wal with offset and octets, and each sync.
What was written to a file before the file's last sync is on the disk; of what came later any part may be there, or
none. Three cases are built: no later write (`synced`), all later writes (`everything`), and a random part of them.
"""

import random
import re
from dataclasses import dataclass
from pathlib import Path

from tests.peers.requirements import find_program

_LINE = re.compile(
    rb"^\d+ +(?P<at>[\d.]+) (?P<call>\w+)\(\d+<(?P<path>[^>]+)>(?:, )?(?P<rest>.*)\)"
    rb" += (?P<result>-?\d+).* <(?P<took>[\d.]+)>$",
    re.MULTILINE,
)
_CUT = b" <unfinished ...>"
_RESUMED = re.compile(rb"^\d+ +[\d.]+ <\.\.\. (?P<call>\w+) resumed>(?P<rest>.*)$")
_WRITE = re.compile(rb'^"(?P<data>(?:\\x[0-9a-f]{2})*)", \d+, (?P<offset>\d+)$')


@dataclass(frozen=True, kw_only=True)
class Happening:
    """A write, a cut or a sync."""

    at: float
    """UNIX time, of a sync that of its end."""
    file: str
    data: bytes | None = None
    offset: int = 0
    length: int | None = None
    """Of a file that is cut there."""

    @property
    def is_sync(self) -> bool:
        return self.data is None and self.length is None


class PowerTrace:
    """Follows what one process, started by `command`, writes to a database that no other writes to meanwhile."""

    def __init__(self, database: Path, folder: Path) -> None:
        self._files = [database, database.with_name(database.name + "-wal")]
        self._output = folder / "power.strace"
        self._before = {file.name: file.read_bytes() if file.exists() else b"" for file in self._files}

    @property
    def command(self) -> list[str]:
        """What the command line of the process begins with."""
        paths = [part for file in self._files for part in ("-P", str(file))]
        calls = "trace=pwrite64,write,ftruncate,fsync,fdatasync"
        options = ["-f", "-qq", "-ttt", "-T", "-y", "-xx", "-s", "1000000", "-e", calls, *paths]
        return [find_program("strace") or "strace", *options, "-o", str(self._output)]

    def happenings(self) -> list[Happening]:
        """All so far, in order."""
        lines = self._output.read_bytes().splitlines()
        told = [line for line in lines if b"+++" not in line and b"---" not in line and b" = ?" not in line]
        whole = _joined(told)
        found = [hit for line in whole if (hit := _LINE.match(line)) is not None]
        assert len(found) == len(whole) > 0, "a line that is not understood"
        return [_read(hit) for hit in found if int(hit["result"]) >= 0]

    def disk_at(self, at: float, folder: Path, keep: float, happenings: list[Happening]) -> Path:
        """The database as the disk has it when the power goes at that UNIX time, in `folder`; its path.

        `keep` is the share of the writes without a sync that got through nevertheless.
        """
        seen = [happening for happening in happenings if happening.at <= at]
        synced = {h.file: number for number, h in enumerate(seen) if h.is_sync}
        chance = random.Random(int(at * 1000))
        images = {name: bytearray(data) for name, data in self._before.items()}
        for number, happening in enumerate(seen):
            if number < synced.get(happening.file, -1) or chance.random() < keep:
                _apply(happening, images[happening.file])
        folder.mkdir(parents=True)
        for name, image in images.items():
            (folder / name).write_bytes(image)
        return folder / self._files[0].name


def _joined(lines: list[bytes]) -> list[bytes]:
    """The lines with the halves of calls put together that another thread's calls came between.

    At worst a sync covers no more than what was written before it began, so its place is that of its first half; a
    write is there once it has ended. A call that the end of the process cut off is left out: it is covered by no sync.
    """
    begun: dict[bytes, tuple[int, bytes]] = {}
    found: list[tuple[int, bytes]] = []
    for place, line in enumerate(lines):
        process = line.partition(b" ")[0]
        if line.endswith(_CUT):
            begun[process] = (place, line.removesuffix(_CUT))
        elif (rest := _RESUMED.match(line)) is not None:
            first, head = begun.pop(process)
            found.append((first if b"sync" in rest["call"] else place, head + rest["rest"]))
        else:
            found.append((place, line))
    return [line for _, line in sorted(found, key=lambda each: each[0])]


def _read(hit: re.Match[bytes]) -> Happening:
    at, file = float(hit["at"]), Path(_unescape(hit["path"]).decode()).name
    if hit["call"] == b"pwrite64":
        write = _WRITE.match(hit["rest"])
        assert write is not None, hit[0][:200]
        data = _unescape(write["data"])
        assert len(data) == int(hit["result"])
        return Happening(at=at, file=file, data=data, offset=int(write["offset"]))
    if hit["call"] == b"ftruncate":
        return Happening(at=at, file=file, length=int(hit["rest"]))
    assert hit["call"] in (b"fsync", b"fdatasync"), hit[0][:200]
    return Happening(at=at + float(hit["took"]), file=file)


def _unescape(text: bytes) -> bytes:
    return re.sub(rb"\\x([0-9a-f]{2})", lambda hit: bytes([int(hit[1], 16)]), text)


def _apply(happening: Happening, image: bytearray) -> None:
    if happening.length is not None:
        del image[happening.length :]
    elif happening.data is not None:
        end = happening.offset + len(happening.data)
        image.extend(bytes(max(0, end - len(image))))
        image[happening.offset : end] = happening.data
