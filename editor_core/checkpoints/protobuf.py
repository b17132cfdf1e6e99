"""Protobuf messages as plain data: the numbers of a message, and where its other parts stand.

Nothing is copied but numbers and names, messages are opened only as deep as a reader asks, and
every length is checked against the message around it.
"""

from collections import defaultdict
from collections.abc import Iterator
from mmap import mmap

import numpy as np
from numpy.typing import NDArray

MAX_FIELDS = 200_000  # of a file; some 25 describe a tensor or a node of a graph
MAX_BYTES = 10  # of a number
MAX_TEXT = 500  # bytes
VARINT, LONG, PART, SHORT = 0, 1, 2, 5  # how a field is written
SIZES = {LONG: 8, SHORT: 4}  # bytes

Value = int | range  # a number, or the place of anything else


class Protobuf:
    """The bytes of a file, and how many fields were read of it."""

    def __init__(self, mapped: mmap | bytes) -> None:
        self.mapped = mapped
        self._read = 0

    def fields(self, place: range) -> Iterator[tuple[int, Value]]:
        """The number and the value of each field of the message at a place."""
        at = place.start
        while at < place.stop:
            self._read += 1
            if self._read > MAX_FIELDS:
                raise ValueError(f"it has more than {MAX_FIELDS:,} fields")
            tag, at = self._varint(at, place.stop)
            value, at = self._value(tag & 7, at, place.stop)
            yield tag >> 3, value

    def _value(self, kind: int, at: int, stop: int) -> tuple[Value, int]:
        if kind == VARINT:
            return self._varint(at, stop)
        if kind == PART:
            size, at = self._varint(at, stop)
        elif kind in SIZES:
            size = SIZES[kind]
        else:
            raise ValueError(f"it has a field of the unknown form {kind}")
        if size > stop - at:
            raise ValueError("one of its parts ends beyond the part around it")
        return range(at, at + size), at + size

    def _varint(self, at: int, stop: int) -> tuple[int, int]:
        """A number of seven bits a byte, the lowest first, and where it ends."""
        value = 0
        for index, byte in enumerate(self.mapped[at : min(at + MAX_BYTES, stop)]):
            value |= (byte & 0x7F) << (7 * index)
            if byte < 0x80:
                return value, at + index + 1
        raise ValueError("one of its numbers does not end")


class Message:
    """The fields of one message, by number, as the kinds of values that they should be."""

    def __init__(self, file: Protobuf, place: range) -> None:
        self._file = file
        self._fields: dict[int, list[Value]] = defaultdict(list)
        for number, value in file.fields(place):
            self._fields[number].append(value)

    def __contains__(self, number: int) -> bool:
        return number in self._fields

    def parts(self, number: int) -> list[range]:
        """The places of a field's messages, texts or packed numbers."""
        values = self._fields.get(number, [])
        places = [value for value in values if isinstance(value, range)]
        if len(places) != len(values):
            raise ValueError("it has a number where a part should be")
        return places

    def messages(self, number: int) -> list["Message"]:
        return [Message(self._file, place) for place in self.parts(number)]

    def texts(self, number: int) -> tuple[str, ...]:
        places = self.parts(number)
        if any(len(place) > MAX_TEXT for place in places):
            raise ValueError(f"it has a name of more than {MAX_TEXT} bytes")
        return tuple(self.bytes([place]).decode() for place in places)

    def text(self, number: int) -> str:
        """The last text of a field, as protobuf has it; an empty one where there is none."""
        return (self.texts(number) or ("",))[-1]

    def integers(self, number: int) -> tuple[int, ...]:
        """The numbers of a field, whether they are packed or not."""
        found: list[int] = []
        for value in self._fields.get(number, []):
            packed = isinstance(value, range)
            found += varints(self.bytes([value])).tolist() if packed else [_signed(value)]
        return tuple(found)

    def floats(self, number: int) -> tuple[float, ...]:
        return tuple(np.frombuffer(self.bytes(self.parts(number)), "<f4").tolist())

    def bytes(self, places: list[range]) -> bytes:
        return b"".join(self._file.mapped[place.start : place.stop] for place in places)


def _signed(value: int) -> int:
    """A number of 64 bits as the negative one that it may stand for."""
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value


def varints(packed: bytes | bytearray) -> NDArray[np.int64]:
    """Numbers that are packed after each other, of 64 bits and signed."""
    data = np.frombuffer(packed, np.uint8)
    ends = np.flatnonzero(data < 0x80)
    if len(data) == 0:
        return np.zeros(0, np.int64)
    starts = np.concatenate([[0], ends[:-1] + 1])
    if data[-1] >= 0x80 or (ends - starts).max() >= MAX_BYTES:
        raise ValueError("one of its numbers does not end")
    values = np.zeros(len(ends), np.uint64)
    for index in range(int((ends - starts).max()) + 1):
        longer = starts + index <= ends
        bits = data[starts[longer] + index].astype(np.uint64) & np.uint64(0x7F)
        values[longer] |= bits << np.uint64(7 * index)
    return values.view(np.int64)
