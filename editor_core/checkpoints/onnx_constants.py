"""The constants of an ONNX graph: its tensors, and what quantisation and reshaping make of them."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from .onnx_files import Node, OnnxGraph, StoredTensor

MAX_CHAIN = 8  # operations from a stored tensor to a constant


class Constants:
    """Values by name, computed when they are asked for."""

    def __init__(self, graph: OnnxGraph) -> None:
        self._graph = graph
        self._makers: dict[str, StoredTensor | Node] = dict(graph.stored)
        self._lengths = dict.fromkeys(graph.stored, 0)

    def __contains__(self, name: str) -> bool:
        return name in self._makers

    def __getitem__(self, name: str) -> Tensor:
        maker = self._makers[name]
        if isinstance(maker, StoredTensor):
            return self._graph.load(maker)
        return OPERATIONS[maker.op](maker, *(self[each] for each in maker.inputs if each))

    def add(self, node: Node) -> bool:
        """Whether a node makes a constant; if so, it is one from now on."""
        stored = node.attributes.get("value") if node.op == "Constant" else None
        if isinstance(stored, StoredTensor):
            self._put(node, stored, 0)
            return True
        used = list(filter(None, node.inputs))
        if node.op not in OPERATIONS or not used or any(name not in self for name in used):
            return False
        self._put(node, node, 1 + max(self._lengths[name] for name in used))
        return True

    def _put(self, node: Node, maker: StoredTensor | Node, length: int) -> None:
        if length > MAX_CHAIN:
            raise ValueError(f"more than {MAX_CHAIN} operations make one of its constants")
        self._makers[node.outputs[0]] = maker
        self._lengths[node.outputs[0]] = length


def _dequantised(node: Node, values: Tensor, scale: Tensor, zero: Tensor | None = None) -> Tensor:
    """Integers as the floats that they stand for, of one scale or one for each row or block."""
    axis, block = node.attribute("axis", 1), node.attribute("block_size", 0)
    exact = torch.float64 if values.dtype == torch.int32 else torch.float32
    shifted = values.to(exact)
    if zero is not None:
        shifted -= _spread(zero.to(exact), values, axis, block)
    return shifted.mul_(_spread(scale.to(exact), values, axis, block)).float()


def _spread(x: Tensor, values: Tensor, axis: int, block: int) -> Tensor:
    """What belongs to each row or block of some values, in a shape that broadcasts to theirs."""
    if x.numel() == 1:
        return x.reshape(())
    if block > 0:
        return x.index_select(axis, torch.arange(values.shape[axis]) // block)
    return x.reshape([-1 if each == axis % values.ndim else 1 for each in range(values.ndim)])


def _reshaped(node: Node, values: Tensor, shape: Tensor) -> Tensor:
    sizes = [values.shape[i] if size == 0 else size for i, size in enumerate(shape.tolist())]
    return values.reshape(sizes)


def _transposed(node: Node, values: Tensor) -> Tensor:
    return values.permute(node.attribute("perm", tuple(reversed(range(values.ndim)))))


def _multiplied(node: Node, one: Tensor, other: Tensor) -> Tensor:
    if min(one.numel(), other.numel()) != 1:
        raise ValueError("it multiplies constants of several numbers")
    return one * other


def _unchanged(node: Node, values: Tensor, *_: Tensor) -> Tensor:
    return values


OPERATIONS: Mapping[str, Callable[..., Tensor]] = {
    "DequantizeLinear": _dequantised,
    "Reshape": _reshaped,
    "Transpose": _transposed,
    "Mul": _multiplied,
    **dict.fromkeys(("Identity", "Cast", "Squeeze", "Unsqueeze"), _unchanged),
}


# What quantised operations are of floats, and which of their inputs is a bias.
QUANTISED = {
    "QLinearConv": ("Conv", 8),
    "QGemm": ("Gemm", 6),
    "QLinearMatMul": ("MatMul", None),
    "QLinearAdd": ("Add", None),
    "QLinearMul": ("Mul", None),
}


def in_floats(node: Node) -> list[Node]:
    """An operation as one on floats, after those that make floats of its two operands."""
    if node.op not in QUANTISED:
        return [node]
    op, bias = QUANTISED[node.op]
    output = node.outputs[0]
    rows = {"axis": 0 if op == "Conv" or node.attribute("transB", 0) else 1}  # of the weight
    operands = [f"{output} {index}" for index in (0, 1)]
    nodes = [
        Node("DequantizeLinear", node.inputs[:3], (operands[0],)),
        Node("DequantizeLinear", node.inputs[3:6], (operands[1],), rows),
    ]
    if bias is not None and any(node.inputs[bias : bias + 1]):
        scale = f"{output} scale"
        operands.append(f"{output} {bias}")
        nodes.append(Node("Mul", (node.inputs[1], node.inputs[4]), (scale,)))
        step = Node("DequantizeLinear", (node.inputs[bias], scale), (operands[-1],), {"axis": 0})
        nodes.append(step)
    return [*nodes, Node(op, tuple(operands), node.outputs, node.attributes)]
