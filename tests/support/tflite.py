"""Writes TensorFlow Lite files, honest and lying ones: the weights alone, without operators."""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

KINDS = {torch.float32: 0, torch.float16: 1, torch.int32: 2, torch.int8: 9}


@dataclass(frozen=True)
class Table:
    """Fields by number: (form, number) or a part that stands after the table."""

    fields: Mapping[int, Any]


@dataclass(frozen=True)
class Vector:
    """Parts, or bytes that count as `count` items."""

    items: Sequence[Any] | bytes
    count: int | None = None


def tflite_file(tensors: Mapping[str, Tensor]) -> bytes:
    """A file whose graph has these constants."""
    rows = [(name, KINDS[t.dtype], tuple(t.shape), raw(t)) for name, t in tensors.items()]
    return model_file(rows)


def raw(tensor: Tensor) -> bytes:
    return tensor.contiguous().view(-1).view(torch.uint8).numpy().tobytes()


def model_file(rows: Sequence[tuple[Any, ...]], **changes: Any) -> bytes:
    """A file of tensors: names, kinds, shapes and bytes; `changes` lie about parts of it.

    A fifth entry of a row are more fields of the tensor. `changes` are `shared` (all tensors have
    the first buffer), `subgraphs` (how many) and `outside` (a buffer's bytes stand elsewhere).
    """
    shared = changes.get("shared", False)
    tensors = [
        Table(
            {
                0: Vector(struct.pack(f"<{len(shape)}i", *shape), len(shape)),
                1: ("b", kind),
                2: ("I", 1 if shared else index + 1),
                3: Vector(name if isinstance(name, bytes) else name.encode()),
                **(more[0] if more else {}),
            }
        )
        for index, (name, kind, shape, _, *more) in enumerate(rows)
    ]
    outside = {1: ("Q", 1 << 40)} if changes.get("outside") else {}
    buffers = [Table({}), *(Table({0: Vector(row[3]), **outside}) for row in rows)]
    graphs = [Table({0: Vector(tensors)})] * changes.get("subgraphs", 1)
    return flatbuffer(Table({0: ("I", 3), 2: Vector(graphs), 4: Vector(buffers)}))


def flatbuffer(root: Table) -> bytes:
    out = bytearray(struct.pack("<I4s", 0, b"TFL3"))
    struct.pack_into("<I", out, 0, _write(out, root))
    return bytes(out)


def _write(out: bytearray, part: Any) -> int:
    return _write_table(out, part) if isinstance(part, Table) else _write_vector(out, part)


def _write_table(out: bytearray, table: Table) -> int:
    count = max(table.fields, default=-1) + 1
    places = {number: 4 + 8 * k for k, number in enumerate(table.fields)}
    vtable = [4 + 2 * count, 4 + 8 * len(places), *(places.get(n, 0) for n in range(count))]
    start = len(out)
    out += struct.pack(f"<{len(vtable)}H", *vtable)
    place = len(out)
    out += struct.pack("<i", place - start) + bytes(8 * len(places))
    for number, value in table.fields.items():
        slot = place + places[number]
        if isinstance(value, tuple):
            struct.pack_into(f"<{value[0]}", out, slot, value[1])
        else:
            struct.pack_into("<I", out, slot, _write(out, value) - slot)
    return place


def _write_vector(out: bytearray, vector: Vector) -> int:
    items = vector.items
    out += bytes(-(len(out) + 4) % 16)  # the items begin at a multiple of 16
    place = len(out)
    out += struct.pack("<I", len(items) if vector.count is None else vector.count)
    if isinstance(items, bytes):
        out += items
        return place
    slots = [len(out) + 4 * k for k in range(len(items))]
    out += bytes(4 * len(items))
    for slot, item in zip(slots, items, strict=True):
        struct.pack_into("<I", out, slot, _write(out, item) - slot)
    return place
