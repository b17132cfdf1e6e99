"""Reads the weights of TensorFlow Lite files: a flatbuffer, taken for data and never run.

A flatbuffer is made of tables. A table begins with how far before it its `vtable` stands, which
holds where in the table each field is; a field that is no number holds how far after it its value
stands. Every position is checked against the file, every count against what the file can hold, and
nothing is followed deeper than a tensor's name and shape (tensorflow/lite/schema/schema.fbs).
"""

import math
import mmap
import struct
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from .errors import UnsupportedCheckpoint

IDENTIFIER = b"TFL3"  # at byte 4 of every such file
MAX_BYTES = 1 << 31  # of a flatbuffer, whose offsets are of 32 bits
MAX_TENSORS = 20_000
MAX_NAME = 500  # characters
MAX_DIMENSIONS = 8
FLOATS = {0: torch.float32, 1: torch.float16}  # by the schema's TensorType
PACKED = {3: "uint8", 7: "int16", 9: "int8", 17: "int4"}  # weights there are quantised

SUBGRAPHS, BUFFERS = 2, 4  # fields of the model
TENSORS = 0  # of a subgraph
SHAPE, TYPE, BUFFER, NAME, SPARSITY = 0, 1, 2, 3, 6  # of a tensor
DATA, OUTSIDE = 0, 1  # of a buffer: its bytes, or where after the flatbuffer they stand


def is_tflite(path: Path) -> bool:
    """Whether a file begins as TensorFlow Lite's do."""
    with path.open("rb") as file:
        return file.read(8)[4:] == IDENTIFIER


def read_tflite(path: Path) -> dict[str, Tensor]:
    """The constant floats of a file by name, views of the file in its own order of dimensions.

    Raises:
        UnsupportedCheckpoint: the weights are quantised, sparse, or stand outside the flatbuffer.
        ValueError, struct.error: the file is cut off, or lies.
    """
    if path.stat().st_size > MAX_BYTES:
        raise ValueError("it is too large for a flatbuffer")
    with path.open("rb") as file:
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)  # writable, for torch
    model = _Table(content, _unsigned(content, 0))
    subgraphs, buffers = model.tables(SUBGRAPHS), model.tables(BUFFERS)
    if len(subgraphs) != 1:
        raise UnsupportedCheckpoint(
            f"expected one graph, got {len(subgraphs)}: choose a file of one network"
        )
    constants: dict[str, Tensor] = {}
    for table in subgraphs[0].tables(TENSORS):
        if (constant := _constant(table, buffers)) is not None:
            name = table.text(NAME)
            if name in constants:
                raise ValueError("two of its tensors have one name")
            constants[name] = constant
    if sum(tensor.nbytes for tensor in constants.values()) > len(content):
        raise ValueError("its tensors hold more than the file")
    return constants


def _constant(table: "_Table", buffers: "list[_Table]") -> Tensor | None:
    """The values of a tensor; None where it has none, or is no weight."""
    buffer, kind = buffers[table.number(BUFFER, "I")], table.number(TYPE, "b")
    if buffer.number(OUTSIDE, "Q"):
        raise UnsupportedCheckpoint("expected weights in the file, got them outside the graph")
    start, count = buffer.vector(DATA, 1)
    if not count or kind not in FLOATS | PACKED.keys():
        return None
    if kind in PACKED or table.offset(SPARSITY):
        form = PACKED.get(kind, "sparse")
        raise UnsupportedCheckpoint(f"expected weights in floats, got {form}: choose another file")
    dtype, shape = FLOATS[kind], table.integers(SHAPE)
    if len(shape) > MAX_DIMENSIONS or min(shape, default=0) < 0:
        raise ValueError("a tensor has no shape that can be")
    if math.prod(shape) * dtype.itemsize != count or start % dtype.itemsize:
        raise ValueError("a tensor is not as large as its shape")
    return torch.frombuffer(buffer.content, dtype=dtype, count=math.prod(shape), offset=start).view(
        shape
    )


@dataclass(frozen=True)
class _Table:
    content: mmap.mmap
    place: int

    def offset(self, field: int) -> int:
        """Where in the file a field stands; 0 where the table leaves it out."""
        vtable = self.place - _read(self.content, "i", self.place)
        if 4 + 2 * field >= _read(self.content, "H", vtable):
            return 0
        within = _read(self.content, "H", vtable + 4 + 2 * field)
        return self.place + within if within else 0

    def number(self, field: int, form: str) -> int:
        place = self.offset(field)
        return _read(self.content, form, place) if place else 0

    def vector(self, field: int, width: int) -> tuple[int, int]:
        """Where the items of a vector begin, and how many of `width` bytes there are."""
        place = self.offset(field)
        if not place:
            return 0, 0
        place += _unsigned(self.content, place)
        count = _unsigned(self.content, place)
        if place + 4 + count * width > len(self.content):
            raise ValueError("a vector reaches beyond the file")
        return place + 4, count

    def tables(self, field: int) -> "list[_Table]":
        start, count = self.vector(field, 4)
        if count > MAX_TENSORS:
            raise ValueError(f"it has more than {MAX_TENSORS:,} tensors")
        places = range(start, start + 4 * count, 4)
        return [_Table(self.content, place + _unsigned(self.content, place)) for place in places]

    def integers(self, field: int) -> tuple[int, ...]:
        start, count = self.vector(field, 4)
        if count > MAX_DIMENSIONS:
            raise ValueError("a tensor has more dimensions than can be")
        return struct.unpack_from(f"<{count}i", self.content, start)

    def text(self, field: int) -> str:
        start, count = self.vector(field, 1)
        if count > MAX_NAME:
            raise ValueError(f"a name has more than {MAX_NAME} characters")
        return self.content[start : start + count].decode("utf-8")


def _unsigned(content: mmap.mmap, place: int) -> int:
    return _read(content, "I", place)


def _read(content: mmap.mmap, form: str, place: int) -> int:
    if place < 0:
        raise ValueError("a table stands before the file")
    return struct.unpack_from(f"<{form}", content, place)[0]
