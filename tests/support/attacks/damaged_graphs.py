"""ONNX files that lie, point elsewhere, or would take time or memory without end."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from ..onnx_files import attribute, field, message, model, node, packed, tensor, varint
from .attack import Attack

Files = Mapping[str, tuple[bytes, str]]  # what a file holds, and the reason to refuse it

ONES = torch.ones(2, 3)
RAW = bytes(24)  # the numbers of six floats
END = b"\xff" * 9 + b"\x01"  # the largest number of 64 bits
CONVOLVED = [node("Conv", ["x", "w"], "a", pads=(1, 1, 1, 1)), node("PRelu", ["a", "s"], "y")]


def damaged_graphs() -> Iterator[Attack]:
    """Of every sort."""
    damaged = {**_messages(), **_tensors(), **_orders(), **_amounts()}
    for name, (content, reason) in damaged.items():
        yield Attack(f"onnx-{name}", content, "DamagedCheckpoint", reason)
    for name, (content, reason) in {**_elsewhere(), **_unsupported()}.items():
        yield Attack(f"onnx-{name}", content, "UnsupportedCheckpoint", reason)


def _with(*tensors: bytes) -> bytes:
    return model([node("Relu", ["x"], "y")], tensors)


def _tensor(*fields: tuple[int, int | str | bytes]) -> bytes:
    return _with(message(*fields, (8, "w")))


def _messages() -> Files:
    whole = _with(tensor("w", ONES))
    start = whole[: whole.index(b"tests") + 5]
    return {
        "cut-off": (whole[:-20], "ends beyond the part around it"),
        "number-without-end": (start + b"\xff" * 40, "one of its numbers does not end"),
        "number-cut-off": (start + varint(7 << 3 | 2) + b"\xff", "does not end"),
        "size-of-exabytes": (start + varint(7 << 3 | 2) + END, "ends beyond the part around it"),
        "part-beyond-its-message": (
            start + field(7, message((1, message((1, "x")) + b"\x12\x7f"))),
            "ends beyond the part around it",
        ),
        "groups": (start + b"\x3b" * 100_000, "a field of the unknown form 3"),
        "form-unknown": (start + b"\x3f", "a field of the unknown form 7"),
        "number-for-a-graph": (start + field(7, 1), "a number where a part should be"),
        "number-for-a-name": (start + field(7, field(1, field(4, 7))), "a number where a part"),
        "no-graph": (start, "0 graphs, not one"),
        "two-graphs": (whole + field(7, b""), "2 graphs, not one"),
        "nested": (start + field(7, _nested(30_000)), "cannot be read"),
        "name-long": (_tensor((8, "a" * 600), (2, 1)), "a name of more than 500 bytes"),
        "name-no-text": (_with(message((2, 1), (8, b"\xff\xfe"))), "cannot be read"),
    }


def _nested(depth: int) -> bytes:
    """A node whose attribute is a graph of such a node, and so on."""
    content = b"\x08"
    for _ in range(60):
        content = field(1, field(5, field(6, content)))
    return content + b"\x0a" * depth


def _tensors() -> Files:
    return {
        "shape-lies": (_tensor((1, 2), (1, 4), (2, 1), (9, RAW)), "2x4 torch.float32, got 24"),
        "shape-huge": (_tensor((1, 1 << 40), (1, 1 << 40), (2, 1), (9, RAW)), "got 24 bytes"),
        "shape-overflows": (_tensor((1, 1 << 62), (1, 8), (2, 1), (9, RAW)), "got 24 bytes"),
        "shape-negative": (_tensor((1, -2), (1, -3), (2, 1), (9, RAW)), "which no tensor can have"),
        "shape-zero-times-huge": (
            _tensor((1, 0), (1, 1 << 62), (1, 1 << 62), (2, 1), (9, RAW)),
            "got 24 bytes",
        ),
        "shape-long": (_tensor(*[(1, 1)] * 99, (2, 1), (9, RAW)), "which no tensor can have"),
        "shape-packed-without-end": (_tensor((1, b"\xff" * 30), (2, 1)), "does not end"),
        "numbers-missing": (_tensor((1, 2), (1, 3), (2, 1)), "got 0 bytes"),
        "numbers-cut-off": (_tensor((1, 2), (1, 3), (2, 1), (9, RAW[:-1])), "got 23 bytes"),
        "numbers-too-many": (_tensor((1, 2), (1, 3), (2, 1), (9, RAW + RAW)), "got 48 bytes"),
        "numbers-typed-missing": (_tensor((1, 1 << 40), (2, 3), (5, packed([1]))), "got 1 bytes"),
        "numbers-of-another-type": (_tensor((1, 2), (1, 3), (2, 1), (5, RAW)), "got 0 bytes"),
        "two-of-a-name": (_with(tensor("w", ONES), tensor("w", ONES)), "two tensors of one name"),
    }


def _network(*tensors: bytes) -> bytes:
    return model(CONVOLVED, [*tensors, tensor("s", torch.ones(1))])


def _orders() -> Files:
    circle = [node("Add", ["x", "b"], "a"), node("Relu", ["a"], "b"), node("Relu", ["b"], "y")]
    return {
        "circle": (model(circle, []), "an operation Add uses what is not there yet"),
        "itself": (model([node("Relu", ["y"], "y")], []), "uses what is not there yet"),
        "backwards": (model(CONVOLVED[::-1], [tensor("w", ONES)]), "uses what is not there yet"),
        "made-twice": (
            model([node("Relu", ["x"], "y"), node("Relu", ["x"], "y")], []),
            "an operation Relu makes what is there already",
        ),
        "over-a-tensor": (
            model([node("Relu", ["x"], "w")], [tensor("w", ONES)]),
            "makes what is there already",
        ),
        "operation-without-an-end": (
            model([node("Relu\n\x1b[31m" * 20, ["z"], "y")], []),
            r"Relu\\\\n\\\\x1b\[31m",
        ),
        "chain-of-constants": (
            model(
                [node("Identity", [str(i)], str(i + 1)) for i in range(5000)], [tensor("0", ONES)]
            ),
            "more than 8 operations make one of its constants",
        ),
        "attribute-of-another-type": (
            _conv(torch.ones(4, 3, 3, 3), strides="os.system"),
            "its Conv has a strides that is no",
        ),
        "numbers-typed-too-many": (
            _network(message((1, 2), (1, 3), (2, 3), (5, packed([1] * 9)), (8, "w"))),
            "2x3 torch.int8, got 9 numbers",
        ),
        "numbers-typed-without-end": (
            _network(message((1, 2), (1, 3), (2, 3), (5, b"\xff" * 50), (8, "w"))),
            "one of its numbers does not end",
        ),
    }


def _conv(weight: Tensor, **attributes: object) -> bytes:
    convolved = node("Conv", ["x", "w"], "a", **{"pads": (1,) * 4, **attributes})
    return model([convolved, CONVOLVED[1]], [tensor("w", weight), tensor("s", torch.ones(1))])


def _amounts() -> Files:
    """Little that says it is much."""
    many = b"\x0a\x00" * 1_000_000
    values, scale = torch.ones(8, 3, dtype=torch.int8), torch.ones(8, 1)
    bomb = [
        node("DequantizeLinear", ["q", "s"], "w", axis=1, block_size=1 << 62),
        node("Reshape", ["w", "n"], "v"),
        node("Conv", ["x", "v"], "y"),
    ]
    target = torch.tensor([1 << 40, 1 << 20, 1, 1])
    return {
        "many-nodes": (model([], [], more=many), "more than 200,000 fields"),
        "many-numbers": (_with(b"\x08\x01" * 1_000_000), "more than 200,000 fields"),
        "many-attributes": (
            model([message((1, "x"), (2, "y"), (4, "Conv")) + b"\x2a\x00" * 300_000], []),
            "more than 200,000 fields",
        ),
        "reshaped-to-much": (
            model(bomb, [tensor("q", values), tensor("s", scale), tensor("n", target)]),
            "cannot be read",
        ),
        "weight-of-nothing": (_conv(torch.empty(1 << 30, 0, 1, 1)), "one of its weights is empty"),
        "one-weight-many-times": (_tied(), "its tensors are larger together than the file allows"),
    }


def _tied() -> bytes:
    """A residual network of blocks that all have the same large weight."""
    weight, one = torch.zeros(128, 128, 3, 3), torch.ones(128)
    convolved, norm = {"pads": (1, 1, 1, 1)}, ["1", "1", "1", "1"]
    nodes = [node("Conv", ["x", "f"], "c", **convolved), node("PRelu", ["c", "1"], "0.a")]
    for i in range(60):
        a, b = f"{i}.a", f"{i + 1}.a"
        second = {"strides": (2, 2) if i == 0 else (1, 1)}
        nodes += [
            node("BatchNormalization", [a, *norm], f"{i}.b"),
            node("Conv", [f"{i}.b", "w"], f"{i}.c", **convolved),
            node("PRelu", [f"{i}.c", "1"], f"{i}.d"),
            node("Conv", [f"{i}.d", "w"], f"{i}.e", **convolved, **second),
        ]
        short = node("Conv", [a, "p"], f"{i}.f", **second)
        nodes += [short] if i == 0 else []
        nodes.append(node("Add", [f"{i}.e", f"{i}.f" if i == 0 else a], b))
    nodes.append(node("Identity", ["60.a"], "y"))
    first, point = torch.zeros(128, 3, 3, 3), torch.zeros(128, 128, 1, 1)
    named = {"f": first, "w": weight, "p": point, "1": one}
    return model(nodes, [tensor(name, values) for name, values in named.items()])


def _elsewhere() -> Files:
    def at(location: str, *more: tuple[int, int]) -> bytes:
        entry = message((1, "location"), (2, location))
        return _tensor((1, 2), (1, 3), (2, 1), (13, entry), *more)

    constant = message((2, 1), (8, "w"), (13, message((1, "location"), (2, "/dev/zero"))))
    never = "which is never opened"
    return {
        "external-password": (at("../../etc/passwd", (14, 1)), f"etc/passwd, {never}"),
        "external-root": (at("/etc/shadow", (14, 1)), f"/etc/shadow, {never}"),
        "external-beside": (at("weights.bin"), f"weights.bin, {never}"),
        "external-unnamed": (_tensor((1, 6), (2, 1), (14, 1), (9, RAW)), never),
        "external-in-a-node": (
            model([message((2, "w"), (4, "Constant"), (5, attribute("value", constant)))], []),
            f"/dev/zero, {never}",
        ),
        "external-long": (at("../" * 160, (14, 1)), never),
    }


def _unsupported() -> Files:
    types = {"unknown": 99, "text": 8, "complex": 14, "huge": 1 << 62, "none": 0}
    tensors = {
        f"type-{name}": (_tensor((1, 6), (2, number), (9, RAW)), f"of ONNX's type {number}")
        for name, number in types.items()
    }
    loop = message((1, "x"), (2, "y"), (4, "Loop"), (5, message((1, "body"), (6, b"\x0a\x00"))))
    calls = message((1, "x"), (2, "y"), (4, "PyOp"), (7, "os.system"))
    return {
        **tensors,
        "sparse": (model([], [], more=field(15, b"")), "got sparse ones"),
        "loop": (model([loop], []), "1 Loop"),
        "python-operator": (model([calls], []), "1 PyOp"),
        "no-nodes": (model([], []), "0 inputs"),
        "weight-flat": (_conv(ONES), "expected dimensions 4"),
        "groups-huge": (_conv(torch.ones(4, 3, 3, 3), group=1 << 40), "expected channels 3"),
        "pads-huge": (
            _conv(torch.ones(4, 3, 3, 3), pads=(1 << 40,) * 4),
            "expected pads",
        ),
        "pads-many": (_conv(torch.ones(4, 3, 3, 3), pads=(7,) * 10_000), "expected pads"),
        "attribute-with-control-characters": (
            _conv(torch.ones(4, 3, 3, 3), auto_pad="\x1b[31m\n" * 50),
            r"got \\x1b\[31m",
        ),
        "weight-computed": (
            model(
                [
                    message((2, "w"), (4, "Constant"), (5, attribute("value_int", 1 << 60))),
                    *CONVOLVED,
                ],
                [tensor("s", torch.ones(1))],
            ),
            "one of its weights is computed",
        ),
        "normalised-to-much": (
            model(
                [CONVOLVED[0], node("BatchNormalization", ["a", *"nnnn"], "y")],
                [tensor("w", torch.ones(1, 3, 100, 100)), tensor("n", torch.ones(100_000))],
            ),
            "expected sizes",
        ),
    }
