"""Networks as ONNX files, in the ways in which exporters differ."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.fx
from torch import Tensor, nn

from .onnx_files import model, node, tensor

BLOCK = 4  # weights of one scale
STEP = 0.02  # of what a picture becomes in 8 bits


@dataclass(frozen=True)
class Style:
    """How a file is written; each field is one way in which files differ."""

    levels: bool = False  # the picture is in 0 to 255
    typed: bool = False  # numbers are in the fields of their types
    half: bool = False  # in 16 bits
    matmul: bool = False  # linear layers are products, and sums where they have a bias
    constants: bool = False  # weights are the outputs of nodes
    shaped: bool = False  # the last picture becomes a row by its computed shape
    quantised: str = ""  # "rows" or "blocks" of weights of 8 bits, or "operators" on 8 bits


def export(network: nn.Module, style: Style = Style()) -> bytes:  # noqa: B008  it is frozen
    """The file of a network of convolutions and linear layers, batch normalisation as it stands."""
    writer = _Writer(style)
    graph = torch.fx.symbolic_trace(network).graph
    names: dict[torch.fx.Node, str] = {}
    for each in graph.nodes:
        if each.op == "placeholder":
            names[each] = writer.picture()
        elif each.op == "output":
            writer.put("Identity", [names[each.args[0]]], "y")
        elif each.op == "call_module":
            module = network.get_submodule(each.target)
            names[each] = writer.module(module, names[each.args[0]])
        elif each.name.startswith("add"):
            names[each] = writer.put("Add", [names[argument] for argument in each.args])
        else:
            names[each] = writer.flatten(names[each.args[0]])
    return model(writer.nodes, writer.tensors)


@dataclass
class _Writer:
    style: Style
    nodes: list[bytes] = field(default_factory=list)
    tensors: list[bytes] = field(default_factory=list)
    count: int = 0

    def name(self) -> str:
        self.count += 1
        return str(self.count)

    def put(self, op: str, inputs: list[str], output: str = "", **attributes: Any) -> str:
        output = output or self.name()
        self.nodes.append(node(op, inputs, output, **attributes))
        return output

    def constant(self, values: Tensor) -> str:
        values = values.half() if self.style.half and values.is_floating_point() else values
        written, name = tensor(self.name(), values, self.style.typed), str(self.count)
        if self.style.constants:
            return self.put("Constant", [], name, value=written)
        self.tensors.append(written)
        return name

    def picture(self) -> str:
        if not self.style.levels:
            return "x"
        middle = self.put("Sub", ["x", self.constant(torch.tensor([127.5]))])
        return self.put("Mul", [middle, self.constant(torch.tensor([1 / 127.5]))])

    def module(self, module: nn.Module, x: str) -> str:
        """What a module makes of `x`."""
        return _WRITERS[type(module)](self, module, x)

    def conv(self, module: nn.Conv2d, x: str) -> str:
        options = {
            "kernel_shape": module.kernel_size,
            "strides": module.stride,
            "pads": module.padding * 2,
            "group": module.groups,
        }
        if self.style.quantised == "operators":
            return self.quantised_conv(module, x, options)
        return self.put("Conv", [x, *self.weights(module)], **options)

    def weights(self, module: Any) -> list[str]:
        bias = [] if module.bias is None else [self.constant(module.bias)]
        return [self.weight(module.weight), *bias]

    def weight(self, weight: Tensor) -> str:
        if not self.style.quantised:
            return self.constant(weight)
        blocks = self.style.quantised == "blocks"
        flat = weight.flatten(1) if blocks else weight
        values, scale, zero = quantise(weight, blocks)
        names = [self.constant(each) for each in (values.view(flat.shape), scale, zero)]
        options = {"axis": 1, "block_size": BLOCK} if blocks else {"axis": 0}
        name = self.put("DequantizeLinear", names, **options)
        if not blocks:
            return name
        return self.put("Reshape", [name, self.constant(torch.tensor(weight.shape))])

    def quantised_conv(self, module: nn.Conv2d, x: str, options: Any) -> str:
        step, zero = self.step()
        values, scale, zeros = quantise(module.weight, blocks=False)
        given = [self.put("QuantizeLinear", [x, step, zero]), step, zero]
        given += [self.constant(each) for each in (values, scale, zeros)]
        bias = (module.bias / (STEP * scale)).round().int()
        y = self.put("QLinearConv", [*given, step, zero, self.constant(bias)], **options)
        return self.put("DequantizeLinear", [y, step, zero])

    def step(self) -> list[str]:
        """The scale and the zero of what a picture becomes."""
        return [self.constant(torch.tensor(STEP)), self.constant(torch.tensor(0).char())]

    def linear(self, module: nn.Linear, x: str) -> str:
        if self.style.quantised == "operators":
            return self.quantised_linear(module, x)
        if not self.style.matmul:
            return self.put("Gemm", [x, *self.weights(module)], transB=1)
        product = self.put("MatMul", [x, self.constant(module.weight.T)])
        if module.bias is None:
            return product
        return self.put("Add", [self.constant(module.bias), product])

    def quantised_linear(self, module: nn.Linear, x: str) -> str:
        step = self.step()
        values, scale, zeros = quantise(module.weight, blocks=False)
        weight = [self.constant(each) for each in (values.T, scale, zeros)]
        given = [self.put("QuantizeLinear", [x, *step]), *step, *weight, *step]
        product = self.put("QLinearMatMul", given)
        size = module.bias.abs().max() / 127
        bias = [self.constant(each) for each in ((module.bias / size).round().char(), size)]
        y = self.put("QLinearAdd", [product, *step, *bias, step[1], *step])
        return self.put("DequantizeLinear", [y, *step])

    def norm(self, module: Any, x: str) -> str:
        parts = (module.weight, module.bias, module.running_mean, module.running_var)
        names = [self.constant(each) for each in parts]
        return self.put("BatchNormalization", [x, *names], epsilon=float(module.eps))

    def prelu(self, module: nn.PReLU, x: str) -> str:
        return self.put("PRelu", [x, self.constant(module.weight[:, None, None])])

    def flatten(self, x: str) -> str:
        x = self.put("Dropout", [x])
        if not self.style.shaped:
            return self.put("Flatten", [x], axis=1)
        size = self.put("Gather", [self.put("Shape", [x]), self.constant(torch.tensor([0]))])
        sizes = self.put("Concat", [size, self.constant(torch.tensor([-1]))], axis=0)
        return self.put("Reshape", [x, sizes])


_WRITERS: dict[type[nn.Module], Callable[[_Writer, Any, str], str]] = {
    nn.Conv2d: _Writer.conv,
    nn.Linear: _Writer.linear,
    nn.BatchNorm2d: _Writer.norm,
    nn.BatchNorm1d: _Writer.norm,
    nn.PReLU: _Writer.prelu,
    nn.Flatten: lambda writer, _, x: writer.flatten(x),
    nn.Identity: lambda writer, _, x: writer.put("Identity", [x]),
}


def quantise(weight: Tensor, blocks: bool) -> tuple[Tensor, Tensor, Tensor]:
    """A weight in 8 bits, with a scale and a zero for each row or block of it."""
    flat = weight.detach().flatten(1)
    parts = list(flat.split(BLOCK, 1)) if blocks else [flat]
    scale = torch.stack([part.abs().amax(1) / 100 for part in parts], 1).clamp(min=1e-6)
    zero = torch.arange(scale.numel()).view(scale.shape) % 7 - 3
    spread = [torch.arange(flat.shape[1]) // (BLOCK if blocks else flat.shape[1])]
    values = (flat / scale[:, spread[0]]).round() + zero[:, spread[0]]
    if not blocks:
        scale, zero = scale[:, 0], zero[:, 0]
    return values.char().view(weight.shape), scale, zero.char()


def dequantised(weight: Tensor, blocks: bool) -> Tensor:
    """The weight that a file has which holds it in 8 bits."""
    values, scale, zero = quantise(weight, blocks)
    if not blocks:
        scale, zero = scale[:, None], zero[:, None]
    at = torch.arange(values[0].numel()) // (BLOCK if blocks else values[0].numel())
    return ((values.flatten(1).float() - zero[:, at]) * scale[:, at]).view(weight.shape)
