"""Walks through the graph of an ONNX file, which give its tensors the names of a network.

Exporters number tensors as they please, fold batch normalisation into convolutions or do not, and
quantise. A walk takes one operation after the other and evens that out: what normalises the output
of a convolution or a linear layer is folded into it, and quantised weights are floats.
"""

from collections import Counter, defaultdict

import torch
from torch import Tensor

from .errors import UnsupportedCheckpoint, printable
from .onnx_constants import Constants, in_floats
from .onnx_files import Node, OnnxGraph

EPSILON = 1e-5  # of the networks' batch normalisation
MIDDLE = 127.5  # of the levels of a picture, which the networks take in [-1, 1]
SHARED = 4  # by how much tensors may be larger than their file: 8 bits become 32
SLACK = 1 << 20  # bytes

# Operations on pictures that change nothing but, at most, how exactly they are known.
UNCHANGED = (
    *("Identity", "Cast", "Dropout", "Squeeze", "Unsqueeze"),
    *("QuantizeLinear", "DequantizeLinear"),
)


class OtherNetwork(Exception):  # noqa: N818  caught wherever a walk is tried
    """The graph is not that of the network whose walk was tried."""


class Wiring:
    """What a picture becomes in a graph: which operation uses what.

    Raises `ValueError` where one uses what is not there yet: so no graph goes in circles.
    """

    def __init__(self, graph: OnnxGraph) -> None:
        self.size = len(graph.mapped)
        self.constants = Constants(graph)
        self.users: dict[str, list[Node]] = defaultdict(list)
        self._sources = {name: name for name in graph.inputs if name not in graph.stored}
        self._others: set[str] = set()  # such as what is computed from the size of a batch
        self.steps: Counter[str] = Counter()
        for node in graph.nodes:
            for each in in_floats(node):
                self._add(each)
        self.inputs = [name for name in graph.inputs if name in self.users]  # that are used
        self.outputs = [self.source(name) for name in graph.outputs]
        if len(self.inputs) != 1 or len(self.outputs) != 1:
            counts = f"{len(self.inputs)} inputs and {len(self.outputs)} outputs"
            raise UnsupportedCheckpoint(
                f"expected a graph from one picture to one embedding, got {counts}: choose a file "
                "of a supported network"
            )

    def source(self, name: str) -> str:
        """The value that a name stands for, before operations that leave it unchanged."""
        return self._sources.get(name, name)

    def pictures(self, node: Node) -> list[str]:
        """The inputs of an operation that the network computes."""
        return [self.source(name) for name in node.inputs if name in self._sources]

    def _add(self, node: Node) -> None:
        for name in node.inputs:
            if name and not self._known(name):
                raise ValueError(f"an operation {printable(node.op)} uses what is not there yet")
        if any(map(self._known, node.outputs)) or not any(node.outputs):
            raise ValueError(f"an operation {printable(node.op)} makes what is there already")
        if self.constants.add(node):
            return
        pictures, made = self.pictures(node), node.outputs[0]
        self._others.update(node.outputs if node.op == "Shape" else node.outputs[1:])
        if node.op == "Shape" or not pictures:
            self._others.add(made)
        elif node.op in UNCHANGED:
            self._sources[made] = pictures[0]
        else:
            self.steps[node.op] += 1
            self._sources[made] = made
            for name in dict.fromkeys(pictures):
                self.users[name].append(node)

    def _known(self, name: str) -> bool:
        return name in self._sources or name in self._others or name in self.constants


class Walk:
    """The way through a graph from the picture on, and the tensors that were named on it.

    Each step raises `OtherNetwork` where the graph has another operation there.
    """

    def __init__(self, wiring: Wiring) -> None:
        self.tensors: dict[str, Tensor] = {}
        self.taken = 0
        self._wiring = wiring
        self._values = wiring.constants
        self.at = wiring.inputs[0]
        self._channels = {self.at: 3}  # by value
        self._scale = 1.0  # of the picture that the first convolution expects
        self._bytes = 0

    @property
    def channels(self) -> int:
        """Of the value at hand."""
        return self._channels[self.at]

    def next_is(self, op: str) -> bool:
        """Whether an operation uses the value at hand."""
        return any(node.op == op for node in self._wiring.users[self.at])

    def forks(self) -> bool:
        """Whether several operations use the value at hand."""
        return len(self._wiring.users[self.at]) > 1

    def go_to(self, name: str) -> str:
        """Go on from another value; the one at hand until now."""
        self.at, left = name, self.at
        return left

    def take(self, *ops: str) -> Node:
        """The one operation of these that uses the value at hand; go on with what it makes."""
        users = self._wiring.users[self.at]
        found = [node for node in users if node.op in ops]
        if len(found) != 1:
            got = ", ".join(node.op for node in users) or "the end"
            reason = f"expected {' or '.join(ops)} after {self.taken} steps, got {got}"
            raise OtherNetwork(printable(reason))
        self.taken += 1
        before, self.at = self.at, found[0].outputs[0]
        self._channels[self.at] = self._channels[before]
        return found[0]

    def picture(self) -> None:
        """What may bring the levels 0 to 255 to the range that the network was trained on."""
        if not self.next_is("Sub"):
            return
        middle = self._second(self.take("Sub"))
        self.expect("the middle level", MIDDLE if abs(middle - MIDDLE) < 0.01 else middle, MIDDLE)
        node = self.take("Mul", "Div")
        factor = self._second(node)
        self._scale = MIDDLE * (factor if node.op == "Mul" else 1 / factor)

    def conv(
        self, name: str, stride: int | None = 1, padding: int = 0, grouped: bool = False
    ) -> int:
        """A convolution, and batch normalisation that may follow it; its stride."""
        node = self.take("Conv")
        weight, bias = self._weights(node)
        groups = node.attribute("group", 1)
        strides = node.attribute("strides", (1, 1))
        self.expect("strides", strides, (stride or strides[0],) * 2)
        self.expect("pads", node.attribute("pads", (0,) * 4), (padding,) * 4)
        self.expect("dilations", node.attribute("dilations", (1, 1)), (1, 1))
        self.expect("automatic padding", node.attribute("auto_pad", "NOTSET"), "NOTSET")
        self.expect("dimensions", weight.ndim, 4)
        self.expect("channels", groups * weight.shape[1], self.channels)
        if not grouped:
            self.expect("groups", groups, 1)
        if self._scale != 1:
            weight, self._scale = weight * self._scale, 1.0
        self._channels[self.at] = len(weight)
        self._put_affine(name, weight, bias)
        return strides[0]

    def linear(self, name: str) -> None:
        """A linear layer, and batch normalisation that may follow it."""
        node = self.take("Gemm", "MatMul")
        weight, bias = self._weights(node)
        for factor in ("alpha", "beta"):
            self.expect(factor, node.attribute(factor, 1.0), 1.0)
        self.expect("transposed input", node.attribute("transA", 0), 0)
        self.expect("dimensions", weight.ndim, 2)
        weight = weight if node.attribute("transB", 0) else weight.T
        if node.op == "MatMul" and self.next_is("Add"):
            bias = self._values[self._constant_of(self.take("Add"))].flatten()
        self._put_affine(name, weight.contiguous(), bias)

    def prelu(self, name: str) -> None:
        """A rectifier with a slope for each channel, or one for all of them."""
        slope = self._values[self._constant_of(self.take("PRelu"))].flatten()
        self.put(f"{name}.weight", slope.expand(self.channels) if len(slope) == 1 else slope)

    def norm(self, name: str) -> None:
        """Batch normalisation that stands by itself."""
        weight, bias, mean, variance, epsilon = self._statistics(self.take("BatchNormalization"))
        if abs(epsilon - EPSILON) > 1e-9:
            variance = (variance.double() + (epsilon - EPSILON)).float()
        self.put(f"{name}.weight", weight)
        self.put(f"{name}.bias", bias)
        self.put(f"{name}.running_mean", mean)
        self.put(f"{name}.running_var", variance)
        self.put(f"{name}.num_batches_tracked", torch.tensor(0))

    def flatten(self) -> None:
        """All values of a picture in one row; the linear layer after it says how many."""
        node = self.take("Flatten", "Reshape")
        self.expect("axis", node.attribute("axis", 1), 1)

    def add(self, other: str) -> None:
        """The sum of the value at hand and another."""
        both = {self.at, other}
        self.expect("summands", set(self._wiring.pictures(self.take("Add"))), both)

    def finish(self) -> dict[str, Tensor]:
        """The tensors, where the walk took every operation and came to the graph's output."""
        self.expect("outputs", self.at, self._wiring.outputs[0])
        self.expect("operations", self._wiring.steps.total(), self.taken)
        return self.tensors

    def put(self, name: str, tensor: Tensor) -> None:
        """Name a tensor; `ValueError` where all are larger than the file allows."""
        self._bytes += tensor.nbytes
        if self._bytes > SHARED * self._wiring.size + SLACK:
            raise ValueError("its tensors are larger together than the file allows")
        self.tensors[name] = tensor

    def _put_affine(self, name: str, weight: Tensor, bias: Tensor | None) -> None:
        """A layer's weight and bias, with the batch normalisation that alone uses its output."""
        if [node.op for node in self._wiring.users[self.at]] == ["BatchNormalization"]:
            weight, bias = self._normalised(weight, bias)
        self.put(f"{name}.weight", weight)
        self.put(f"{name}.bias", weight.new_zeros(len(weight)) if bias is None else bias)

    def _normalised(self, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
        gain, shift, mean, variance, epsilon = self._statistics(self.take("BatchNormalization"))
        self.expect("sizes", {len(gain), len(shift), len(mean), len(variance)}, {len(weight)})
        factor = gain.double() / (variance.double() + epsilon).sqrt()
        moved = (0 if bias is None else bias.double()) - mean.double()
        scaled = weight.float() * factor.float().reshape(-1, *[1] * (weight.ndim - 1))
        return scaled, (moved * factor + shift.double()).float()

    def _statistics(self, node: Node) -> tuple[Tensor, Tensor, Tensor, Tensor, float]:
        """Weight, bias, mean, variance and epsilon of batch normalisation."""
        weight, bias, mean, variance = map(self._value, node.inputs[1:5])
        self.expect("dimensions", {x.ndim for x in (weight, bias, mean, variance)}, {1})
        return weight, bias, mean, variance, node.attribute("epsilon", EPSILON)

    def _weights(self, node: Node) -> tuple[Tensor, Tensor | None]:
        weight, *bias = map(self._value, filter(None, node.inputs[1:3]))
        if not weight.numel():
            raise ValueError("one of its weights is empty")
        return weight, (bias[0].flatten() if bias else None)

    def _value(self, name: str) -> Tensor:
        if name not in self._values:
            raise OtherNetwork("one of its weights is computed")
        return self._values[name]

    def _constant_of(self, node: Node) -> str:
        """The one input of an operation on a picture and a constant that is the constant."""
        names = [name for name in node.inputs if name in self._values]
        self.expect("constants", len(names), 1)
        return names[0]

    def _second(self, node: Node) -> float:
        """The number that an operation subtracts from a picture, or scales it by."""
        value = self._value(node.inputs[1])
        self.expect("numbers", value.numel(), 1)
        return value.double().item()

    def expect(self, what: str, got: object, expected: object) -> None:
        if got != expected:
            reason = f"expected {what} {expected} at step {self.taken}, got {got}"
            raise OtherNetwork(printable(reason))
