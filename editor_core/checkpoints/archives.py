"""Where the entries of a zip archive stand in its file, for archives that hold them as they are.

Nothing is unpacked or copied, and every size is checked against the file.
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from mmap import mmap

from .errors import printable

MAX_ENTRIES = 50_000
MAX_DIRECTORY = 1 << 23  # bytes

HEADER = struct.Struct("<4s5H3L2H")  # before an entry's name and bytes
CENTRAL = struct.Struct("<4s6H3L5H2L")  # of an entry in the directory
END = struct.Struct("<4s4H2LH")
END_64 = struct.Struct("<4sQ2H2L4Q")
LOCATOR = struct.Struct("<4sLQL")  # says where END_64 is
LONGEST_COMMENT = 0xFFFF
IN_EXTRA = 0xFFFFFFFF  # in place of a number that stands among the extra fields
ENCRYPTED = 1


@dataclass(frozen=True)
class Entry:
    name: str
    flags: int
    method: int
    packed: int  # bytes
    size: int  # bytes
    header: int  # where its own header begins


@dataclass(frozen=True)
class Archive:
    mapped: mmap
    entries: dict[str, Entry]
    directory: int  # where the directory begins

    def place(self, name: str) -> range:
        entry = self.entries.get(name)
        if entry is None:
            raise ValueError(f"it has no entry {printable(name)}")
        if entry.method or entry.flags & ENCRYPTED or entry.packed != entry.size:
            raise ValueError(f"its entry {printable(name)} is compressed or encrypted")
        signature, _, _, method, *_, length, extra = HEADER.unpack_from(self.mapped, entry.header)
        start = entry.header + HEADER.size
        same = self.mapped[start : start + length] == name.encode() and method == entry.method
        if signature != b"PK\x03\x04" or not same:
            raise ValueError(f"its entry {printable(name)} is not where its directory says")
        start += length + extra
        if start + entry.size > self.directory:
            raise ValueError(f"its entry {printable(name)} ends beyond the entries")
        return range(start, start + entry.size)

    def places(self, names: Iterable[str]) -> dict[str, range]:
        """Where the bytes of several entries are; no two of them overlap."""
        places = {name: self.place(name) for name in names}
        end = 0
        for name, place in sorted(places.items(), key=lambda item: item[1].start):
            if self.entries[name].header < end:
                raise ValueError(f"its entry {printable(name)} overlaps another")
            end = place.stop
        return places


def open_archive(mapped: mmap) -> Archive:
    """The archive in a file; raises `ValueError` or `struct.error` where it is none."""
    count, size, start = _end(mapped)
    if count > MAX_ENTRIES or size > MAX_DIRECTORY or start + size > len(mapped):
        raise ValueError(f"its directory of {count:,} entries is too large")
    entries: dict[str, Entry] = {}
    for entry in _entries(mapped[start : start + size], count):
        if entry.name in entries:
            raise ValueError(f"it has two entries {printable(entry.name)}")
        entries[entry.name] = entry
    return Archive(mapped, entries, start)


def _end(mapped: mmap) -> tuple[int, int, int]:
    """Number of entries, size of the directory, and where it begins."""
    at = mapped.rfind(b"PK\x05\x06", max(0, len(mapped) - END.size - LONGEST_COMMENT))
    if at < 0:
        raise ValueError("its end is missing")
    _, _, _, _, count, size, start, _ = END.unpack_from(mapped, at)
    if at >= LOCATOR.size and mapped[at - LOCATOR.size : at - LOCATOR.size + 4] == b"PK\x06\x07":
        _, _, at_64, _ = LOCATOR.unpack_from(mapped, at - LOCATOR.size)
        *_, count, size, start = END_64.unpack_from(mapped, at_64)
    return count, size, start


def _entries(directory: bytes, count: int) -> Iterator[Entry]:
    at = 0
    for _ in range(count):
        fields = CENTRAL.unpack_from(directory, at)
        signature, _, _, flags, method, _, _, _, packed, size, length, extra, comment = fields[:13]
        if signature != b"PK\x01\x02":
            raise ValueError("its directory is damaged")
        at += CENTRAL.size
        name = directory[at : at + length].decode()
        if name.startswith("/") or ".." in name.split("/") or "\\" in name or "\0" in name:
            raise ValueError(f"its entry {printable(name)} points out of the archive")
        at += length
        large = iter(_large_numbers(directory[at : at + extra]))
        numbers = (size, packed, fields[-1])
        size, packed, header = (next(large, n) if n == IN_EXTRA else n for n in numbers)
        yield Entry(name, flags, method, packed, size, header)
        at += extra + comment


def _large_numbers(extra: bytes) -> tuple[int, ...]:
    """The numbers that are too large for their fields, from the extra field of zip64."""
    at = 0
    while at + 4 <= len(extra):
        kind, size = struct.unpack_from("<2H", extra, at)
        if kind == 1:
            return struct.unpack_from(f"<{min(size // 8, 3)}Q", extra, at + 4)
        at += 4 + size
    return ()
