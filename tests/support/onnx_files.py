"""Writes ONNX files field by field, honest or not; the package onnx is not needed."""

import struct
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

TYPES = {
    torch.float32: 1,
    torch.uint8: 2,
    torch.int8: 3,
    torch.int32: 6,
    torch.int64: 7,
    torch.float16: 10,
    torch.float64: 11,
    torch.bfloat16: 16,
}


def varint(value: int) -> bytes:
    """A number of seven bits a byte; a negative one as that of 64 bits with its bits."""
    value &= (1 << 64) - 1
    parts = []
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def field(number: int, value: int | float | str | bytes) -> bytes:
    """A field of a message."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    content = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(content)) + content


def message(*fields: tuple[int, Any]) -> bytes:
    return b"".join(field(number, value) for number, value in fields)


def packed(values: Sequence[int]) -> bytes:
    return b"".join(map(varint, values))


def tensor(name: str, values: Tensor, typed: bool = False) -> bytes:
    """A tensor, its numbers raw or in the field of its type."""
    numbers = _typed(values) if typed else (9, _bytes(values))
    shape = [(1, size) for size in values.shape]
    return message(*shape, (2, TYPES[values.dtype]), numbers, (8, name))


def _typed(values: Tensor) -> tuple[int, bytes]:
    if values.dtype == torch.float32:
        return 4, _bytes(values)
    if values.dtype == torch.float64:
        return 10, _bytes(values)
    if values.dtype in (torch.float16, torch.bfloat16):
        values = values.view(torch.uint16)
    numbers = packed([int(each) for each in values.flatten().tolist()])
    return (7 if values.dtype == torch.int64 else 5), numbers


def _bytes(values: Tensor) -> bytes:
    return values.detach().contiguous().flatten().view(torch.uint8).numpy().tobytes()


def attribute(name: str, value: Any) -> bytes:
    if isinstance(value, bytes):  # a tensor
        return message((1, name), (5, value), (20, 4))
    if isinstance(value, str):
        return message((1, name), (4, value), (20, 3))
    if isinstance(value, float):
        return message((1, name), (2, value), (20, 1))
    if isinstance(value, int):
        return message((1, name), (3, value), (20, 2))
    return message((1, name), *((8, each) for each in value), (20, 7))


def node(op: str, inputs: Sequence[str], output: str, **attributes: Any) -> bytes:
    return message(
        *((1, name) for name in inputs),
        (2, output),
        (4, op),
        *((5, attribute(name, value)) for name, value in attributes.items()),
    )


def model(
    nodes: Sequence[bytes],
    tensors: Sequence[bytes],
    inputs: Sequence[str] = ("x",),
    outputs: Sequence[str] = ("y",),
    more: bytes = b"",
) -> bytes:
    """A file of one graph; `more` are fields that follow in it."""
    graph = message(
        *((1, each) for each in nodes),
        (2, "graph"),
        *((5, each) for each in tensors),
        *((11, value_info(name)) for name in inputs),
        *((12, value_info(name)) for name in outputs),
    )
    return message((1, 8), (2, "tests"), (7, graph + more), (8, message((2, 17))))


def value_info(name: str) -> bytes:
    """An input or an output, of floats in four dimensions that are not said."""
    shape = message(*((1, message((2, each))) for each in "bchw"))
    return message((1, name), (2, message((1, message((1, 1), (2, shape))))))
