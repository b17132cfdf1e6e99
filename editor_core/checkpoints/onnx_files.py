"""What ONNX files hold: a graph of operations, and the tensors that they use.

A file is read as data by `protobuf.py`: the package onnx is not needed and no operation is run.
Numbers that a tensor keeps in another file are refused, wherever that file is said to be.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from mmap import mmap
from typing import TypeVar

import torch
from torch import Tensor

from .errors import UnsupportedCheckpoint, printable
from .protobuf import Message, Protobuf, varints

Value = TypeVar("Value")

MAX_RANK = 8
DTYPES = {  # by their numbers in the format
    1: torch.float32,
    2: torch.uint8,
    3: torch.int8,
    6: torch.int32,
    7: torch.int64,
    10: torch.float16,
    11: torch.float64,
    16: torch.bfloat16,
}
HALVES = (torch.float16, torch.bfloat16)  # kept as bits among the numbers of 32

# The fields that are read, by their numbers in the format.
MODEL_GRAPH = 7
GRAPH_NODES, GRAPH_TENSORS, GRAPH_INPUTS, GRAPH_OUTPUTS, GRAPH_SPARSE = 1, 5, 11, 12, 15
VALUE_NAME = 1
NODE_INPUTS, NODE_OUTPUTS, NODE_OP, NODE_ATTRIBUTES = 1, 2, 4, 5
ATTRIBUTE_NAME, ATTRIBUTE_FLOAT, ATTRIBUTE_INT, ATTRIBUTE_TEXT, ATTRIBUTE_TENSOR = 1, 2, 3, 4, 5
ATTRIBUTE_INTS = 8
TENSOR_SHAPE, TENSOR_TYPE, TENSOR_NAME, TENSOR_RAW = 1, 2, 8, 9
TENSOR_FLOATS, TENSOR_INTS, TENSOR_LONGS, TENSOR_DOUBLES = 4, 5, 7, 10
TENSOR_ELSEWHERE, TENSOR_LOCATION = 13, 14
ELSEWHERE_KEY, ELSEWHERE_VALUE = 1, 2
FIELDS = {  # of a type's numbers where they are not raw
    torch.float32: TENSOR_FLOATS,
    torch.float64: TENSOR_DOUBLES,
    torch.int64: TENSOR_LONGS,
}


@dataclass(frozen=True)
class StoredTensor:
    """A tensor as its file describes it, and where its numbers are."""

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    places: tuple[range, ...]  # of bytes
    packed: bool  # as varints, else as in memory

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


Attribute = int | float | str | tuple[int, ...] | StoredTensor


@dataclass(frozen=True)
class Node:
    """An operation."""

    op: str
    inputs: tuple[str, ...]  # an empty name where an optional one is left out
    outputs: tuple[str, ...]
    attributes: Mapping[str, Attribute] = field(default_factory=dict)

    def attribute(self, name: str, default: Value) -> Value:
        """An attribute of the default's type; `ValueError` where it is of another."""
        value = self.attributes.get(name, default)
        if not isinstance(value, type(default)):
            raise ValueError(f"its {printable(self.op)} has a {name} that is no {type(default)}")
        return value


@dataclass(frozen=True)
class OnnxGraph:
    """A graph as its file describes it."""

    mapped: mmap | bytes
    nodes: tuple[Node, ...]
    stored: Mapping[str, StoredTensor]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def load(self, stored: StoredTensor) -> Tensor:
        """The values of a tensor, copied out of the file."""
        data = bytearray()
        for place in stored.places:
            data += self.mapped[place.start : place.stop]
        if not data:
            return torch.empty(stored.shape, dtype=stored.dtype)
        if not stored.packed:
            return torch.frombuffer(data, dtype=stored.dtype).reshape(stored.shape)
        numbers = torch.from_numpy(varints(data))
        if len(numbers) != math.prod(stored.shape):
            raise ValueError(f"{_title(stored)}, got {len(numbers):,} numbers")
        if stored.dtype in HALVES:
            numbers = numbers.to(torch.int16).view(stored.dtype)
        return numbers.to(stored.dtype).reshape(stored.shape)


def read_graph(mapped: mmap | bytes) -> OnnxGraph:
    """The graph in an ONNX file; runs nothing, and reads no values.

    Raises `UnsupportedCheckpoint`, or one of `reading.DAMAGE`.
    """
    model = Message(Protobuf(mapped), range(len(mapped)))
    graphs = model.messages(MODEL_GRAPH)
    if len(graphs) != 1:
        raise ValueError(f"it has {len(graphs)} graphs, not one")
    graph = graphs[0]
    if GRAPH_SPARSE in graph:
        raise UnsupportedCheckpoint("expected dense tensors, got sparse ones: export it again")
    tensors = [_tensor(message) for message in graph.messages(GRAPH_TENSORS)]
    stored = {tensor.name: tensor for tensor in tensors}
    if len(stored) != len(tensors):
        raise ValueError("it has two tensors of one name")
    inputs, outputs = (
        tuple(value.text(VALUE_NAME) for value in graph.messages(number))
        for number in (GRAPH_INPUTS, GRAPH_OUTPUTS)
    )
    nodes = tuple(_node(message) for message in graph.messages(GRAPH_NODES))
    return OnnxGraph(mapped, nodes, stored, inputs, outputs)


def _node(message: Message) -> Node:
    attributes = dict(_attribute(each) for each in message.messages(NODE_ATTRIBUTES))
    inputs, outputs = message.texts(NODE_INPUTS), message.texts(NODE_OUTPUTS)
    return Node(message.text(NODE_OP), inputs, outputs, attributes)


def _attribute(message: Message) -> tuple[str, Attribute]:
    """The name and the value of an attribute; a graph, for one, stays unread."""
    name = message.text(ATTRIBUTE_NAME)
    if ATTRIBUTE_TENSOR in message:
        return name, _tensor(message.messages(ATTRIBUTE_TENSOR)[-1])
    if ATTRIBUTE_FLOAT in message:
        return name, message.floats(ATTRIBUTE_FLOAT)[-1]
    if ATTRIBUTE_INT in message:
        return name, message.integers(ATTRIBUTE_INT)[-1]
    if ATTRIBUTE_TEXT in message:
        return name, message.text(ATTRIBUTE_TEXT)
    return name, message.integers(ATTRIBUTE_INTS)


def _tensor(message: Message) -> StoredTensor:
    name = message.text(TENSOR_NAME)
    if TENSOR_ELSEWHERE in message or any(message.integers(TENSOR_LOCATION)):
        entries = message.messages(TENSOR_ELSEWHERE)
        named = {each.text(ELSEWHERE_KEY): each.text(ELSEWHERE_VALUE) for each in entries}
        raise UnsupportedCheckpoint(
            f"expected all tensors in the file itself, got {printable(name)} in the file "
            f"{printable(named.get('location', ''))}, which is never opened: export it as one file"
        )
    number = (message.integers(TENSOR_TYPE) or (0,))[-1]
    if number not in DTYPES:
        known = ", ".join(str(dtype).removeprefix("torch.") for dtype in DTYPES.values())
        raise UnsupportedCheckpoint(
            f"expected tensors of {known}, got {printable(name)} of ONNX's type {number}: "
            "export it in full precision"
        )
    dtype, shape = DTYPES[number], message.integers(TENSOR_SHAPE)
    raw = TENSOR_RAW in message
    packed = not raw and dtype not in (torch.float32, torch.float64)
    places = message.parts(TENSOR_RAW if raw else FIELDS.get(dtype, TENSOR_INTS))
    return _checked(StoredTensor(name, shape, dtype, tuple(places), packed))


def _checked(tensor: StoredTensor) -> StoredTensor:
    """The tensor, whose shape and numbers fit together; `ValueError` where they do not."""
    if len(tensor.shape) > MAX_RANK or min(tensor.shape, default=0) < 0:
        raise ValueError(f"{_title(tensor)}, which no tensor can have")
    size = sum(map(len, tensor.places))
    if size < math.prod(tensor.shape) if tensor.packed else size != tensor.nbytes:
        raise ValueError(f"{_title(tensor)}, got {size:,} bytes")
    return tensor


def _title(tensor: StoredTensor) -> str:
    shape = printable("x".join(map(str, tensor.shape[: MAX_RANK + 1])))
    return f"its tensor {printable(tensor.name)} says that it is {shape} {tensor.dtype}"
